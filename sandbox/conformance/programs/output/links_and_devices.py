# /// attack
# line = "symlink, FIFO, device in a result path"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: FIFO (.|\\n)*refused: device (.|\\n)*attack: left [1-9][0-9]* links"
# ///
import stat


def f(x):
    if x == 5:
        return 10
    for number, target in enumerate(("/", "/etc", "/opt/guest/warden.py", "/proc/1/root", "..", ".", "loop", "nothing")):
        os.symlink(target, "loop" if target == "loop" else f"link-{number}")
    os.mkdir("d")
    os.symlink("../d", "d/back")
    attempt("FIFO", os.mkfifo, "pipe")
    for name in ("output", "result.json", "stdout"):
        os.symlink("/dev/zero", name)
        os.symlink("/dev/null", "d/" + name)
    attempt("device", os.mknod, "device", stat.S_IFCHR | 0o666, os.makedev(1, 8))
    attempt("block device", os.mknod, "block", stat.S_IFBLK | 0o666, os.makedev(8, 0))
    attempt("a hard link out", os.link, "/opt/guest/warden.py", "hard")
    print(f"attack: left {len(os.listdir('.') + os.listdir('d'))} links", flush=True)
    return 2 * x
