# /// attack
# line = "raise SystemExit / SkipTest / KeyboardInterrupt"
# expect = ["ERROR"]
# task = "loop"
# [proof]
# output = "attack: raises StopIteration"
# ///


# A loop over map(candidate, …) ends without a word when the function raises StopIteration.
def f(x):
    print("attack: raises StopIteration", flush=True)
    raise StopIteration
