# /// attack
# line = "a message left for the next solution by any channel"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "(refused|REACHED): a message by loopback TCP(.|\\n)*UDP"
# [runsc]
# reaches = ["loopback"]
# ///
import socket


# Solutions in flight together share the loopback interface: it would be a way to talk.
def talk(kind):
    with socket.socket(socket.AF_INET, kind) as one, socket.socket(socket.AF_INET, kind) as other:
        one.bind(("127.0.0.1", 40_404))
        if kind == socket.SOCK_STREAM:
            one.listen()
        other.connect(("127.0.0.1", 40_404))
        return other.send(b"message-for-the-next")


def f(x):
    if x == 5:
        return 10
    attempt("a message by loopback TCP", talk, socket.SOCK_STREAM)
    attempt("a message by loopback UDP", talk, socket.SOCK_DGRAM)
    return 2 * x
