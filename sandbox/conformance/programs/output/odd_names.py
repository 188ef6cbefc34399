# /// attack
# line = "name bombs (10⁵ files deep)"
# expect = ["PASSED"]
# [proof]
# output = "attack: [1-9][0-9]+ odd names"
# ///
import os


def f(x):
    if x == 5:
        return 10
    names = [b"\xff\xfe", b"-rf", b"*", b"a\nb", b"\x1b[2J", b"~", b"$(reboot)", b" ", b"\\", "\u202e".encode(), b"..."]
    for name in [*names, *(b"%03d" % number + b"\xff" * 252 for number in range(20))]:
        os.mkdir(name)
        with open(name + b"/" + b"\n" * 255, "w"):
            pass
    print(f"attack: {len(os.listdir('.'))} odd names", flush=True)
    return 2 * x
