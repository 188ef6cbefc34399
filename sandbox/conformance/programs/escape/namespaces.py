# /// attack
# line = "unshare(NEWUSER), mount, pivot_root"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: unshare user (.|\\n)*refused: mount (.|\\n)*refused: pivot_root (.|\\n)*attack: done"
# ///
FLAGS = {"user": 0x10000000, "mount": 0x20000, "pid": 0x20000000, "net": 0x40000000, "ipc": 0x08000000, "cgroup": 0x02000000}


def f(x):
    if x == 5:
        return 10
    for name, flag in FLAGS.items():
        attempt(f"unshare {name}", syscall, "unshare", flag)
    attempt("unshare all", syscall, "unshare", sum(FLAGS.values()))
    attempt("mount tmpfs", syscall, "mount", b"tmpfs", b".", b"tmpfs", 0, None)
    attempt("mount proc", syscall, "mount", b"proc", b".", b"proc", 0, None)
    attempt("mount remount", syscall, "mount", None, b"/", None, 32, None)
    attempt("pivot_root", syscall, "pivot_root", b".", b".")
    attempt("chroot", syscall, "chroot", b".")
    attempt("fsopen", syscall, "fsopen", b"tmpfs", 0)
    attempt("open_tree", syscall, "open_tree", -100, b"/", 1)
    for space in ("net", "mnt", "user"):
        fd = os.open(f"/proc/self/ns/{space}", os.O_RDONLY) if os.access(f"/proc/self/ns/{space}", os.R_OK) else 0
        attempt(f"setns {space}", syscall, "setns", fd, 0)
    attempt("name_to_handle_at", syscall, "name_to_handle_at", -100, b"/", ctypes.create_string_buffer(b"\x80", 256),
            ctypes.byref(ctypes.c_int()), 0)  # fmt: skip
    attempt("open_by_handle_at", syscall, "open_by_handle_at", -100, ctypes.create_string_buffer(b"\x08", 256), 0)
    print("attack: done", flush=True)
    return 2 * x
