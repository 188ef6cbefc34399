"""The runs of the soak test: mostly quick solutions, and a few per cent of everything that goes wrong. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass

from sandbox import Job, Limits, Verdict

# Small, so that the few runs that meet a limit don't take the time of the many that don't.
LIMITS = Limits(cpu_seconds=0.3, wall_seconds=3.0, memory_bytes=96 * 1024 * 1024)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of run. weight: of 10,000 runs. quick: its latency is compared (the others wait for limits on purpose)."""

    name: str
    weight: int
    job: Job
    verdicts: frozenset[Verdict]
    quick: bool = False


def _check(*asserts: str) -> str:
    return "def check(candidate):\n" + "".join(f"    assert {one}\n" for one in asserts)


# name → right body, wrong body, test
_PROBLEMS = {
    "double": (
        "def f(x):\n    return 2 * x\n",
        "def f(x):\n    return x * x\n",
        _check("candidate(4) == 8", "candidate(5) == 10"),
    ),
    "reverse": (
        "def f(s):\n    return s[::-1]\n",
        "def f(s):\n    return s\n",
        _check("candidate('abc') == 'cba'", "candidate('') == ''", "candidate('xy' * 50) == 'yx' * 50"),
    ),
    "primes": (
        "def f(n):\n    return [k for k in range(2, n) if all(k % d for d in range(2, k))]\n",
        "def f(n):\n    return [k for k in range(2, n) if k % 2]\n",
        _check("candidate(10) == [2, 3, 5, 7]", "len(candidate(100)) == 25"),
    ),
    "count": (
        "from collections import Counter\ndef f(words):\n    return dict(Counter(words))\n",
        "def f(words):\n    return {word: 1 for word in words}\n",
        _check("candidate(['a', 'b', 'a']) == {'a': 2, 'b': 1}", "candidate([]) == {}"),
    ),
    "flatten": (
        "def f(rows):\n    return [item for row in rows for item in row]\n",
        "def f(rows):\n    return rows\n",
        _check("candidate([[1, 2], [3]]) == [1, 2, 3]", "candidate([[]] * 5) == []"),
    ),
    "fibonacci": (
        "def f(n):\n    a, b = 0, 1\n    for _ in range(n):\n        a, b = b, a + b\n    return a\n",
        "def f(n):\n    return n\n",
        _check("candidate(10) == 55", "candidate(90) == 2880067194370816120"),
    ),
}
_TEST = _PROBLEMS["double"][2]
_FORKS = """\
import os, time
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
def f(x):
    return 2 * x
"""
_LEAVES_FILES = """\
for number in range(20):
    with open(f"left{number}", "w") as stream:
        stream.write("x" * 1000)
def f(x):
    return 2 * x
"""
_SPEAKS = """\
import os
for fd in range(3, 32):
    try:
        os.write(fd, b"\\0\\0\\0\\4{}{}" * 3)
    except OSError:
        pass
def f(x):
    return 2 * x
"""
_BAD: tuple[tuple[str, int, str, tuple[Verdict, ...]], ...] = (
    ("prints", 160, "def f(x):\n    print('line ' * 200)\n    return 2 * x\n", (Verdict.PASSED,)),
    ("raises", 120, "def f(x):\n    raise ValueError('no')\n", (Verdict.ERROR,)),
    ("does not compile", 60, "def f(x)\n    return 2 * x\n", (Verdict.SYNTAX,)),
    ("exits", 80, "import os\ndef f(x):\n    os._exit(0)\n", (Verdict.EARLY_EXIT,)),
    ("leaves a fork behind", 60, _FORKS, (Verdict.PASSED,)),
    ("leaves files behind", 60, _LEAVES_FILES, (Verdict.PASSED,)),
    ("takes too much memory", 40, "def f(x):\n    return bytearray(1 << 30)\n", (Verdict.MEMORY,)),
    ("loops", 10, "def f(x):\n    while True:\n        pass\n", (Verdict.TIMEOUT_CPU,)),
    ("speaks out of turn", 2, _SPEAKS, (Verdict.VIOLATION,)),
)


def kinds() -> tuple[Kind, ...]:
    bad = tuple(
        Kind(name, weight, Job(program, _TEST, "f"), frozenset(verdicts)) for name, weight, program, verdicts in _BAD
    )
    each, extra = divmod(10_000 - sum(kind.weight for kind in bad), 2 * len(_PROBLEMS))
    quick = tuple(
        Kind(f"{name}, {what}", each + (extra if not index else 0), Job(program, test, "f"), frozenset({verdict}), True)
        for index, (name, (right, wrong, test)) in enumerate(_PROBLEMS.items())
        for what, program, verdict in (("right", right, Verdict.PASSED), ("wrong", wrong, Verdict.WRONG))
    )
    return quick + bad


def kind_of(number: int, seed: int, among: tuple[Kind, ...]) -> Kind:
    """The kind of a run: by its number and the seed, so that any part of a soak can be run again."""
    weights = [kind.weight for kind in among]
    return random.Random(f"{seed}:soak:{number}").choices(among, weights)[0]
