# /// attack
# line = "files left in /tmp, /dev/shm, SysV and POSIX queues"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "(refused: /tmp(.|\\n)*)(refused: /dev/shm(.|\\n)*)attack: left 3 files"
# ///


def leave(path):
    with open(path, "w") as stream:
        stream.write("message-for-the-next")


def f(x):
    if x == 5:
        return 10
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/run/lock", "/", "/opt", "/opt/guest", "/dev"):
        attempt(folder, leave, folder + "/message-for-the-next")
    for name in ("message", ".hidden", "a b\n\\"):
        leave(name)
    print(f"attack: left {len(os.listdir('.'))} files", flush=True)
    return 2 * x
