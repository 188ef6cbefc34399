# /// attack
# line = "raise SystemExit / SkipTest / KeyboardInterrupt"
# expect = ["ERROR"]
# [proof]
# message = "GeneratorExit"
# ///


def f(x):
    raise GeneratorExit
