"""The reference workload: the same pure Python work before and after each block, timed exactly as a solution is.

It is a gate, not a divisor: a block whose references are off was measured on a disturbed machine and is measured again.
"""

from __future__ import annotations

from sandbox.types import Job

# Integer, list and dictionary work of some 0.1 ms, sixteen times a sample: long enough to meet a neighbour, and cheap.
_PROGRAM = """
def reference(n):
    total, seen, items = 0, {}, []
    for i in range(n):
        total = (total * 31 + i) % 65521
        items.append(total)
        seen[total % 257] = i
    items.sort()
    return [total, len(seen), items[n // 2]]
"""
_TEST = """
def check(candidate):
    assert candidate(1_000)[0] == 40093
"""

REFERENCE_LOOPS = 16
REFERENCE = Job(program=_PROGRAM, test=_TEST, entry_point="reference")
