# /// attack
# line = "ptrace"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: ptrace attach 1 (.|\\n)*refused: process_vm_readv 1 (.|\\n)*attack: [1-9][0-9]* processes"
# ///
ATTACH, SEIZE = 16, 0x4206


class Span(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def f(x):
    if x == 5:
        return 10
    buffer = ctypes.create_string_buffer(64)
    here, there = Span(ctypes.addressof(buffer), 64), Span(id(int), 64)
    others = processes()
    for pid in others[:4]:
        attempt(f"ptrace attach {pid}", syscall, "ptrace", ATTACH, pid, 0, 0)
        attempt(f"ptrace seize {pid}", syscall, "ptrace", SEIZE, pid, 0, 0)
        for name in ("process_vm_readv", "process_vm_writev"):
            attempt(f"{name} {pid}", syscall, name, pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
        attempt(f"kcmp {pid}", syscall, "kcmp", os.getpid(), pid, 0, 0, 0)
    print(f"attack: {len(others)} processes", flush=True)
    return 2 * x
