# /// attack
# line = "invalid UTF-8, NUL, ANSI"
# expect = ["ERROR"]
# [proof]
# output = "attack: a message of odd characters"
# message = "ValueError"
# ///


def f(x):
    print("attack: a message of odd characters", flush=True)
    raise ValueError("\x1b[2J\x00\ud800\udfff\u202e\x1b]0;owned\x07[bold]{0}%s\r\n")
