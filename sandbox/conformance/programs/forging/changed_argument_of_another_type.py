# /// attack
# line = "mutated arguments"
# expect = ["VIOLATION"]
# task = "in_place"
# [proof]
# message = "no change of an argument"
# ///
import os


def f(items):
    value, changed = b"null", b'[[0,{"dict":[1,2]}],[-1,[1,2,3]],[7,[1]]]'
    payload = b"R" + len(value).to_bytes(4, "big") + value + changed
    os.write(3, len(payload).to_bytes(4, "big") + payload)
