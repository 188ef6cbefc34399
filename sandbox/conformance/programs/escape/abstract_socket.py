# /// attack
# line = "AF_ALG, AF_VSOCK, AF_PACKET, abstract AF_UNIX"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "(refused|REACHED): abstract AF_UNIX"
# [runsc]
# reaches = ["AF_UNIX"]
# ///
import socket


def listen(name):
    one = socket.socket(socket.AF_UNIX)
    one.bind(name)
    one.listen()
    with socket.socket(socket.AF_UNIX) as other:
        other.connect(name)
    return one


def f(x):
    if x == 4:
        f.held = attempt("abstract AF_UNIX", listen, "\0message-for-the-next")
    return 2 * x
