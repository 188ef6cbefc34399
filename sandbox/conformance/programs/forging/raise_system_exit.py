# /// attack
# line = "raise SystemExit / SkipTest / KeyboardInterrupt"
# expect = ["EARLY_EXIT"]
# [proof]
# output = "attack: raises SystemExit"
# ///


class Quiet(SystemExit):
    code = 0


def f(x):
    print("attack: raises SystemExit", flush=True)
    raise Quiet
