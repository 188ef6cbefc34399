# /// attack
# line = "raises its own limits"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "(refused: RLIMIT_(.|\\n)*){5}refused: lowering process 1"
# ///
import resource


def raised(number):
    try:
        resource.setrlimit(number, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError as error:
        raise PermissionError(errno.EPERM, str(error)) from None


def f(x):
    if x == 5:
        return 10
    for name in ("RLIMIT_AS", "RLIMIT_CPU", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_MSGQUEUE"):
        attempt(name, raised, getattr(resource, name))
    for pid in (1, os.getppid()):
        attempt(f"lowering process {pid}", resource.prlimit, pid, resource.RLIMIT_NOFILE, (0, 0))
    return 2 * x
