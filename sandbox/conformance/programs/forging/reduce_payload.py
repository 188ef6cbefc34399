# /// attack
# line = "__reduce__ payload"
# expect = ["WRONG"]
# [proof]
# output = "attack: pickles to a call of print"
# ///
import pickle


class Payload:
    armed = False

    def __reduce_ex__(self, protocol):
        if Payload.armed:
            print("REACHED: something pickles the result", flush=True)
        return print, ("REACHED: the payload ran",)


def f(x):
    if b"print" in pickle.dumps(Payload()):
        print("attack: pickles to a call of print", flush=True)
    Payload.armed = True
    return Payload()
