# /// attack
# line = "raise SystemExit / SkipTest / KeyboardInterrupt"
# expect = ["ERROR"]
# [proof]
# message = "KeyboardInterrupt"
# ///


def f(x):
    raise KeyboardInterrupt
