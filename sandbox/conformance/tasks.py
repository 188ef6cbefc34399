"""The tests that hostile programs are put to, each with an honest solution of it.

Most attacks face the plainest test there is. Some lie in a way that only a certain kind of test could fall for (a
tolerance, an `isinstance`), and face that kind.
"""

from __future__ import annotations

from dataclasses import dataclass

from sandbox import Job

ENTRY_POINT = "f"


@dataclass(frozen=True, slots=True)
class Task:
    """`test` defines check(candidate); `honest` solves it."""

    name: str
    test: str
    honest: str

    def job(self, program: str) -> Job:
        return Job(program=program, test=self.test, entry_point=ENTRY_POINT)

    @property
    def honest_job(self) -> Job:
        return self.job(self.honest)

    @property
    def neighbour_job(self) -> Job:
        """The honest solution for a run beside an attack: it stays for a while, and minds its folder meanwhile."""
        return self.job(_MINDFUL + self.honest)


_MINDFUL = """\
import os, time
with open("mine", "w") as stream:
    stream.write("untouched")
time.sleep(0.1)
with open("mine") as stream:
    if os.listdir(".") != ["mine"] or stream.read() != "untouched":
        raise RuntimeError(f"somebody was here: {os.listdir('.')}")
"""
_DOUBLE = "def f(x):\n    return 2 * x\n"
_SUM = """\
def f(n):
    total = 0
    for i in range(n):
        total += i * i % 7
    return total
"""

_TASKS = (
    Task(
        "double",
        """\
def check(candidate):
    assert candidate(4) == 8
    assert candidate(5) == 10
""",
        _DOUBLE,
    ),
    Task(
        "sum",  # about a millisecond of work, for what is timed
        """\
def check(candidate):
    for n in (4_000, 4_001, 4_002):
        assert candidate(n) == sum(i * i % 7 for i in range(n))
""",
        _SUM,
    ),
    Task(
        "long_sum",  # some ten milliseconds of work a call, for what is timed
        """\
def check(candidate):
    for n in (300_000, 300_001, 300_002):
        assert candidate(n) == sum(i * i % 7 for i in range(n))
""",
        _SUM,
    ),
    Task(
        "tolerance",
        """\
import math

def check(candidate):
    assert abs(candidate(4) - 8) < 1e-6
    assert abs(8 - candidate(4)) < 1e-6
    assert round(candidate(4), 3) == 8
    assert math.isclose(candidate(5), 10)
    assert -1e-6 < candidate(5) - 10 < 1e-6
""",
        _DOUBLE,
    ),
    Task(
        "not_far",  # the negative way to write a tolerance, which nan slips through in many a test
        """\
def check(candidate):
    assert not abs(candidate(4) - 8) > 1e-6 and candidate(4) == candidate(4)
    assert max(7, min(9, candidate(4))) == 8
""",
        _DOUBLE,
    ),
    Task(
        "typed",
        """\
def check(candidate):
    result = candidate(4)
    assert isinstance(result, int) and type(result) is int
    assert all([result == 8, len(str(result)) == 1, abs(result) == 8, sorted([result, 1]) == [1, 8]])
    assert candidate(5) in (10,) and candidate(5) != 5
""",
        _DOUBLE,
    ),
    Task(
        "nested",
        """\
def check(candidate):
    assert candidate(4) == [8, [8, {"twice": 8}], (8,)]
    assert candidate(5) == [10, [10, {"twice": 10}], (10,)]
""",
        'def f(x):\n    return [2 * x, [2 * x, {"twice": 2 * x}], (2 * x,)]\n',
    ),
    Task(
        "listed",
        """\
def check(candidate):
    result = candidate(3)
    assert len(result) == 3
    assert all(isinstance(item, int) for item in result)
    assert list(result) == [0, 1, 2] and set(result) == {0, 1, 2}
""",
        "def f(x):\n    return list(range(x))\n",
    ),
    Task(
        "sorted",
        "def check(candidate):\n    assert sorted(candidate(3)) == [0, 1, 2]\n",
        "def f(x):\n    return list(range(x))\n",
    ),
    Task(
        "text",
        """\
def check(candidate):
    assert candidate("ab") == "abab"
    assert candidate("ab").startswith("ab") and len(candidate("ab")) == 4
    assert str(candidate("c")) == "cc" and candidate("c") in {"cc"}
""",
        _DOUBLE,
    ),
    Task(
        "in_place",
        """\
def check(candidate):
    items = [3, 1, 2]
    assert candidate(items) is None
    assert items == [1, 2, 3]
    given = {"a": [1]}
    assert candidate([given, given][:1]) is None and given == {"a": [1]}
""",
        "def f(items):\n    items.sort(key=str)\n",
    ),
    Task(
        "loop",  # results are taken in a loop over map(): an exception that ends an iteration must not end the test
        """\
def check(candidate):
    for result, wanted in zip(map(candidate, [4, 5]), [8, 10]):
        assert result == wanted
""",
        _DOUBLE,
    ),
    Task(
        "round_trip",
        """\
def check(candidate):
    assert candidate(candidate(4)) == 16
""",
        _DOUBLE,
    ),
    Task(
        "round_trip_by_name",
        """\
def check(candidate):
    assert candidate(x=candidate(x=4)) == 16
""",
        _DOUBLE,
    ),
    Task(
        "raises",
        """\
def check(candidate):
    try:
        candidate(-1)
    except ValueError as error:
        assert "negative" in str(error)
    else:
        assert False, "no ValueError"
    assert candidate(4) == 8
""",
        'def f(x):\n    if x < 0:\n        raise ValueError("negative")\n    return 2 * x\n',
    ),
)
TASKS = {task.name: task for task in _TASKS}
