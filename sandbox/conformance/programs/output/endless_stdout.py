# /// attack
# line = "endless stdout, stderr"
# expect = ["OUTPUT"]
# [proof]
# output = "attack: floods stdout"
# termination = "output_limit"
# min_output_bytes = 1000000
# ///


def f(x):
    print("attack: floods stdout")
    while True:
        print("x" * 999)
