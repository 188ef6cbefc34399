# /// attack
# line = "/proc/PID/mem, environ, fd, maps of judge and warden"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "attack: [1-9][0-9]* refusals at [1-9][0-9]* processes"
# ///
NAMES = (
    "mem", "environ", "maps", "smaps", "auxv", "syscall", "stack", "io", "personality", "pagemap", "wchan", "map_files",
    "fd", "fdinfo", "cwd", "root", "exe", "ns/net", "ns/user", "task", "fd/0", "fd/3", "root/etc/shadow",
)  # fmt: skip
OPEN = {"task", "wchan", "fdinfo"}  # lists numbers at most


def f(x):
    if x == 5:
        return 10
    others, refused = processes(), 0
    for pid in others:
        for name in NAMES:
            path = f"/proc/{pid}/{name}"
            try:
                if name in ("fd", "map_files", "task", "fdinfo"):
                    what = os.listdir(path)
                elif name in ("cwd", "root", "exe", "ns/net", "ns/user"):
                    what = os.readlink(path)
                else:
                    with open(path, "rb") as stream:
                        what = stream.read(16)
                if name not in OPEN and what not in (b"0", b"", []):
                    print(f"REACHED: {path}: {what!r:.30}", flush=True)
            except OSError:
                refused += 1
    print(f"attack: {refused} refusals at {len(others)} processes", flush=True)
    return 2 * x
