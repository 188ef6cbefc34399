# /// attack
# line = "io_uring, bpf, keyctl, userfaultfd"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "(.|\\n)*: io_uring (.|\\n)*: bpf (.|\\n)*: keyctl (.|\\n)*: userfaultfd (.|\\n)*attack: done"
# ///


def f(x):
    if x == 5:
        return 10
    block = ctypes.create_string_buffer(256)
    attempt("io_uring", syscall, "io_uring_setup", 4, block)
    attributes = ctypes.create_string_buffer((2).to_bytes(4, "little") + (4).to_bytes(4, "little") * 3, 128)
    attempt("bpf map", syscall, "bpf", 0, attributes, 72)
    attempt("keyctl session", syscall, "keyctl", 0, -3, 1)
    attempt("keyctl user", syscall, "keyctl", 0, -4, 1)
    attempt("add_key", syscall, "add_key", b"user", b"message-for-the-next", b"x", 1, -4)
    attempt("request_key", syscall, "request_key", b"user", b"message-for-the-next", None, -4)
    attempt("userfaultfd", syscall, "userfaultfd", 1)
    event = ctypes.create_string_buffer((1).to_bytes(4, "little") + (128).to_bytes(4, "little"), 128)
    attempt("perf_event_open", syscall, "perf_event_open", event, 0, -1, -1, 0)
    print("attack: done", flush=True)
    return 2 * x
