# /// attack
# line = "a message left for the next solution by any channel"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "attack: tried to lock [1-9][0-9]* shared files"
# ///
import fcntl

# A lock on a file of the image would be seen by the next; held here by a child that outlives the run, if it can.
PATHS = ("/opt/guest/candidate.py", "/opt/guest/warden.py", "/usr/bin/python3", "/")


def f(x):
    if x == 5:
        return 10
    held = []
    for path in PATHS:
        try:
            held.append(os.open(path, os.O_RDONLY))
            fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass
    print(f"attack: tried to lock {len(held)} shared files", flush=True)
    if not os.fork():
        os.setsid()
        os.read(os.pipe()[0], 1)
    return 2 * x
