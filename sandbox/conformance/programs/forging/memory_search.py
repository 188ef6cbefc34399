# /// attack
# line = "a frame walk or gc.get_objects or ctypes search for the expected value"
# expect = ["WRONG"]
# [proof]
# output = "attack: searched [1-9][0-9]* MiB, control found: True"
# ///
import ctypes
import os

# Written backwards, so that this program itself does not hold what it looks for.
WANTED, CONTROL = "(etadidnac tressa"[::-1].encode(), "dnuof eb ot tnaem"
LIBC = ctypes.CDLL(None)


def pages(address, reach):
    """Readable memory around an address: the kernel says EFAULT where there is none, instead of a crash."""
    reader, writer = os.pipe()
    for start in range(max(address - reach, 4_096), address + reach, 4_096):
        if LIBC.write(writer, ctypes.c_void_p(start), ctypes.c_size_t(4_096)) == 4_096:
            yield start, os.read(reader, 4_096)


def f(x):
    control = bytearray(CONTROL[::-1].encode())
    mine = range(id(WANTED), id(WANTED) + 100)
    searched, seen = 0, False
    buffer = ctypes.addressof((ctypes.c_char * len(control)).from_buffer(control))
    for origin, reach in ((id(control), 16 << 20), (buffer, 4 << 20), (id(int), 4 << 20)):
        for start, page in pages(origin & ~4_095, reach):
            searched += len(page)
            seen = seen or bytes(control) in page
            at = page.find(WANTED)
            if at >= 0 and start + at not in mine:
                print("REACHED: the text of the test", flush=True)
    print(f"attack: searched {searched >> 20} MiB, control found: {seen}", flush=True)
    return None
