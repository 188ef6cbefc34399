# /// attack
# line = "memfd/shared mappings"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "attack: [1-9][0-9]* memfds hold [1-9][0-9]* MiB|refused: memfd"
# ///


# Files in memory count for no process's address space.
def f(x):
    fds, written = [], 0
    try:
        while True:
            fds.append(os.memfd_create("hidden"))
            while True:
                try:
                    written += os.write(fds[-1], b"x" * (1 << 20))
                except OSError:
                    break
    except OSError as error:
        if not fds:
            print(f"refused: memfd {errno.errorcode[error.errno]}", flush=True)
        else:
            print(f"attack: {len(fds)} memfds hold {written >> 20} MiB", flush=True)
    return 2 * x
