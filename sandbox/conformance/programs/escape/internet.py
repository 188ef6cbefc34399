# /// attack
# line = "internet, DNS, metadata address"
# expect = ["PASSED"]
# prelude = true
# [proof]
# output = "refused: 1.1.1.1(.|\\n)*refused: 169.254.169.254(.|\\n)*refused: DNS(.|\\n)*refused: UDP"
# ///
import socket


def connect(host, port):
    with socket.create_connection((host, port), 1) as one:
        return one.getpeername()


def udp(host):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        return one.sendto(b"\0" * 12, (host, 53))


def f(x):
    if x == 5:
        return 10
    for host, port in (
        ("1.1.1.1", 53), ("8.8.8.8", 443), ("169.254.169.254", 80), ("172.17.0.1", 2_375), ("10.0.0.1", 80),
        ("2606:4700:4700::1111", 53), ("fd00:ec2::254", 80),
    ):  # fmt: skip
        attempt(f"{host} {port}", connect, host, port)
    attempt("DNS", socket.getaddrinfo, "example.com", 80)
    attempt("UDP", udp, "8.8.8.8")
    return 2 * x
