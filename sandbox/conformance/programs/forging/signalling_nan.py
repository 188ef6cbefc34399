# /// attack
# line = "nan/inf"
# expect = ["ERROR"]
# [proof]
# output = "attack: a decimal that raises when it is compared"
# ///
from decimal import Decimal


def f(x):
    print("attack: a decimal that raises when it is compared", flush=True)
    return Decimal("sNaN")
