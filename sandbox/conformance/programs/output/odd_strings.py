# /// attack
# line = "invalid UTF-8, NUL, ANSI"
# expect = ["WRONG"]
# task = "text"
# [proof]
# output = "attack: returns lone surrogates"
# ///


def f(x):
    print("attack: returns lone surrogates", flush=True)
    return "ab\x00\ud800\x1b[2J"
