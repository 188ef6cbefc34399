# /// attack
# line = "files left in /tmp, /dev/shm, SysV and POSIX queues"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "(refused|REACHED): shmget(.|\\n)*(refused|REACHED): mq_open(.|\\n)*attack: tried"
# ///
KEY, CREATE = 0x5EED, 0o1000 | 0o666


def f(x):
    if x == 5:
        return 10
    attempt("shmget", syscall, "shmget", KEY, 4_096, CREATE)
    attempt("semget", syscall, "semget", KEY, 1, CREATE)
    queue = attempt("msgget", syscall, "msgget", KEY, CREATE)
    if queue is not None:
        message = ctypes.create_string_buffer(b"\1\0\0\0\0\0\0\0message-for-the-next")
        attempt("msgsnd", syscall, "msgsnd", queue, message, 20, 0)
    attempt("mq_open", syscall, "mq_open", b"message-for-the-next", os.O_CREAT | os.O_RDWR, 0o666, None)
    print("attack: tried every queue", flush=True)
    return 2 * x
