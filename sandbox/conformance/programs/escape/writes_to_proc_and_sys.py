# /// attack
# line = "writes to /proc/sys, /sys/fs/cgroup, core_pattern"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: /proc/sys/kernel/core_pattern (.|\\n)*attack: [1-9][0-9]* files of cgroup and proc/sys refused"
# ///


def write(path, text):
    with open(path, "r+") as stream:
        stream.write(text)


def f(x):
    if x == 5:
        return 10
    for path, text in (
        ("/proc/sys/kernel/core_pattern", "|/scratch/x"), ("/proc/sysrq-trigger", "h"), ("/proc/sys/vm/drop_caches", "1"),
        ("/proc/self/uid_map", "0 0 1"), ("/proc/self/setgroups", "allow"), ("/proc/1/oom_score_adj", "1000"),
        ("/sys/kernel/uevent_helper", "/scratch/x"),
    ):  # fmt: skip
        attempt(path, write, path, text)
    refused = 0
    for top in ("/sys/fs/cgroup", "/proc/sys"):
        for folder, _, names in os.walk(top):
            for name in [*names, "new-folder"]:
                path = os.path.join(folder, name)
                try:
                    if name == "new-folder":
                        os.mkdir(path)
                    else:
                        os.close(os.open(path, os.O_WRONLY))
                    print(f"REACHED: {path}", flush=True)
                except OSError:
                    refused += 1
    print(f"attack: {refused} files of cgroup and proc/sys refused", flush=True)
    return 2 * x
