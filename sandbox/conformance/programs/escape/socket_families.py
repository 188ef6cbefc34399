# /// attack
# line = "AF_ALG, AF_VSOCK, AF_PACKET, abstract AF_UNIX"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "(.: AF_(.|\\n)*){8}attack: tried 46 families"
# [runsc]
# reaches = ["AF_UNIX", "AF_NETLINK"]
# ///
import socket

NAMES = {
    1: "AF_UNIX", 15: "AF_KEY", 16: "AF_NETLINK", 17: "AF_PACKET", 30: "AF_TIPC", 31: "AF_BLUETOOTH", 38: "AF_ALG",
    40: "AF_VSOCK", 44: "AF_XDP",
}  # fmt: skip


def f(x):
    if x == 5:
        return 10
    for family in range(1, 47):
        if family in (2, 10):  # see internet.py and loopback.py
            continue
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
            try:
                socket.socket(family, kind).close()
                print(f"REACHED: {NAMES.get(family, family)} of kind {int(kind)}", flush=True)
                break
            except OSError as error:
                reason = errno.errorcode.get(error.errno)
        else:
            if family in NAMES:
                print(f"refused: {NAMES[family]} {reason}", flush=True)
    print("attack: tried 46 families", flush=True)
    return 2 * x
