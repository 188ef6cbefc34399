"""Runs once, as root, while the sandbox image is built: takes away what untrusted code could use, compiles the rest.

Only the standard library, and no shell: the Debian base that we build ourselves has none.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import shutil
import stat
import sys
import sysconfig
from pathlib import Path

USERS = "root:x:0:0:root:/:/nonexistent\njudge:x:10001:10001::/:/nonexistent\nnobody:x:65534:65534::/:/nonexistent\n"
GROUPS = "root:x:0:\njudge:x:10001:\nnogroup:x:65534:\n"

# Package managers and account tools: nothing in the image needs them once it is built.
TOOLS = ("apt*", "dpkg*", "pip*", "su", "passwd", "mount", "umount", "newgrp", "chsh", "chfn", "gpasswd", "idle*")
TOOL_FOLDERS = ("/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin")
STDLIB_EXTRAS = ("test", "idlelib", "lib2to3", "turtledemo", "tkinter", "ensurepip", "pydoc_data", "site-packages")
PACKAGE_STATE = ("/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/var/log", "/usr/lib/apt", "/usr/lib/dpkg", "/etc/apt")


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def strip_privilege_bits(root: Path) -> int:
    """Take setuid and setgid off everything under root, on its file system only; how many had one."""
    found = 0
    device = root.lstat().st_dev
    for folder, folders, files in os.walk(root):
        here = Path(folder)
        folders[:] = [name for name in folders if (here / name).lstat().st_dev == device]
        for name in (*folders, *files):
            mode = (here / name).lstat().st_mode
            if not stat.S_ISLNK(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                (here / name).chmod(stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))
                found += 1
    return found


def main() -> None:
    stdlib = Path(sysconfig.get_path("stdlib"))
    for folder in TOOL_FOLDERS:
        for pattern in TOOLS:
            for path in Path(folder).glob(pattern):
                remove(path)
    for name in STDLIB_EXTRAS:
        remove(stdlib / name)
    for name in PACKAGE_STATE:
        remove(Path(name))
    strip_privilege_bits(Path("/"))
    Path("/etc/passwd").write_text(USERS)
    Path("/etc/group").write_text(GROUPS)
    # The container's root file system is read-only: what is not compiled now is compiled at every start.
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    if not compileall.compile_dir(stdlib, quiet=2, force=True, invalidation_mode=mode):
        sys.exit("the standard library does not compile")
    Path(__file__).unlink()


if __name__ == "__main__":
    main()
