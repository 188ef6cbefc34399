# /// attack
# line = "invalid UTF-8, NUL, ANSI"
# expect = ["PASSED"]
# [proof]
# output = "attack: \\x00"
# min_output_bytes = 500
# ///
import os

ODD = bytes(range(256)) + "\u202e\ufeff\U0001f600".encode() + b"\xff\xfe\xed\xa0\x80\xf8\x88" + b"\x1b[2J\x1b]0;owned\x07\x1b[31m"


def f(x):
    os.write(1, b"attack: " + ODD)
    os.write(2, ODD[::-1])
    return 2 * x
