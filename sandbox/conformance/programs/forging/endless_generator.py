# /// attack
# line = "endless iterator"
# expect = ["ERROR"]
# [proof]
# output = "attack: yields"
# message = "iterator of more than"
# ///


def f(x):
    print("attack: yields", flush=True)
    while True:
        yield x
