# /// attack
# line = "setuid binaries"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: setuid (.|\\n)*attack: looked at [1-9][0-9]{2,} files"
# ///
import stat


def f(x):
    if x == 5:
        return 10
    attempt("setuid", os.setuid, 0)
    attempt("setresuid", os.setresuid, -1, 10_001, -1)
    attempt("setgid", os.setgid, 0)
    attempt("setgroups", os.setgroups, [0])
    files = 0
    for folder, _, names in os.walk("/"):
        if folder.startswith(("/proc", "/sys")):
            continue
        for name in names:
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            files += 1
            if stat.S_ISREG(mode) and mode & 0o6000:
                print(f"REACHED: {path} is setuid", flush=True)
            try:
                if stat.S_ISREG(mode) and os.getxattr(path, "security.capability"):
                    print(f"REACHED: {path} has capabilities", flush=True)
            except OSError:
                pass
    print(f"attack: looked at {files} files", flush=True)
    return 2 * x
