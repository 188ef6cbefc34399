# /// attack
# line = "raise SystemExit / SkipTest / KeyboardInterrupt"
# expect = ["ERROR"]
# [proof]
# message = "SkipTest: passed"
# ///
import unittest


def f(x):
    raise unittest.SkipTest("passed")
