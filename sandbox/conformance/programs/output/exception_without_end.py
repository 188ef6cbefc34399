# /// attack
# line = "10 MB exception message"
# expect = ["ERROR"]
# [proof]
# output = "attack: a chain of 300 exceptions in groups"
# ///


def f(x):
    error = ValueError("first")
    for _ in range(300):
        try:
            raise ExceptionGroup("x" * 1_000, [error]) from error
        except ExceptionGroup as group:
            error = group
    print("attack: a chain of 300 exceptions in groups", flush=True)
    raise error
