# /// attack
# line = "memfd/shared mappings"
# expect = ["MEMORY"]
# [proof]
# output = "attack: mapped [1-9][0-9]* MiB shared"
# ///
import mmap

MAPS = []


def f(x):
    while True:
        try:
            MAPS.append(mmap.mmap(-1, 16 << 20))
            MAPS[-1].write(b"x" * (16 << 20))
        except (OSError, MemoryError):
            print(f"attack: mapped {16 * len(MAPS)} MiB shared", flush=True)
            raise MemoryError from None
