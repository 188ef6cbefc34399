"""HumanEval problems whose canonical solution grows faster than it need, with a faster one written for this benchmark.

The programs are text: they run in the sandbox only. Complexities are in the size that harness.stress grows: the length
of the list or text, or the magnitude of the number. They are those of the hardest inputs, which stress timing picks.
An exponent is the least and the greatest power of the size that theory gives (logarithms count as 0), None for
exponential growth.
"""

from __future__ import annotations

from dataclasses import dataclass

Powers = tuple[float, float]
CONSTANT, ROOT, LINEAR, SQUARE, CUBE = (0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (2.0, 2.0), (3.0, 3.0)
N_LOG_N = (1.0, 1.15)  # the slope of n log n is 1 + 1/ln n
# As many additions, of numbers with as many digits: in practice the additions count at first, the digits later.
LONG_NUMBERS = (1.0, 2.0)


@dataclass(frozen=True, slots=True)
class Expert:
    """completion: follows the problem's prompt. reads: of the canonical and of this solution, for a person."""

    task_id: str
    canonical_reads: str
    canonical_exponent: Powers | None
    expert_reads: str
    expert_exponent: Powers
    completion: str


EXPERTS = (
    Expert(
        "HumanEval/24", "O(n)", LINEAR, "O(√n)", ROOT,
        """\
    divisor = 2
    while divisor * divisor <= n:
        if n % divisor == 0:
            return n // divisor
        divisor += 1
    return 1
""",
    ),
    Expert(
        "HumanEval/31", "O(n)", LINEAR, "O(√n)", ROOT,
        """\
    if n < 4:
        return n > 1
    if n % 2 == 0:
        return False
    divisor = 3
    while divisor * divisor <= n:
        if n % divisor == 0:
            return False
        divisor += 2
    return True
""",
    ),
    Expert(
        "HumanEval/40", "O(n³)", CUBE, "O(n²)", SQUARE,
        """\
    for first in range(len(l) - 2):
        wanted = -l[first]
        seen = set()
        for other in l[first + 1 :]:
            if wanted - other in seen:
                return True
            seen.add(other)
    return False
""",
    ),
    Expert(
        "HumanEval/43", "O(n²)", SQUARE, "O(n)", LINEAR,
        """\
    seen = set()
    for value in l:
        if -value in seen:
            return True
        seen.add(value)
    return False
""",
    ),
    Expert(
        "HumanEval/49", "O(n)", LINEAR, "O(log n)", CONSTANT,
        """\
    return pow(2, n, p)
""",
    ),
    Expert(
        "HumanEval/55", "O(φⁿ)", None, "O(n) additions", LONG_NUMBERS,
        """\
    before, now = 0, 1
    for _ in range(n):
        before, now = now, before + now
    return before
""",
    ),
    Expert(
        "HumanEval/58", "O(n²)", SQUARE, "O(n log n)", N_LOG_N,
        """\
    return sorted(set(l1).intersection(l2))
""",
    ),
    Expert(
        "HumanEval/59", "O(n)", LINEAR, "O(√n)", ROOT,
        """\
    largest, divisor = 1, 2
    while divisor * divisor <= n:
        while n % divisor == 0:
            largest, n = divisor, n // divisor
        divisor += 1
    return n if n > 1 else largest
""",
    ),
    Expert(
        "HumanEval/60", "O(n)", LINEAR, "O(1)", CONSTANT,
        """\
    return n * (n + 1) // 2
""",
    ),
    Expert(
        "HumanEval/63", "O(1.84ⁿ)", None, "O(n) additions", LONG_NUMBERS,
        """\
    first, second, third = 0, 0, 1
    for _ in range(n):
        first, second, third = second, third, first + second + third
    return first
""",
    ),
    Expert(
        "HumanEval/96", "O(n²/log n)", SQUARE, "O(n log log n)", LINEAR,
        """\
    if n < 3:
        return []
    prime = bytearray([1]) * n
    prime[0] = prime[1] = 0
    divisor = 2
    while divisor * divisor < n:
        if prime[divisor]:
            prime[divisor * divisor :: divisor] = bytes(len(range(divisor * divisor, n, divisor)))
        divisor += 1
    return [number for number in range(2, n) if prime[number]]
""",
    ),
    Expert(
        "HumanEval/107", "O(n log n)", LINEAR, "O(√n)", ROOT,
        """\
    even = odd = 0
    length = 1
    while length <= len(str(n)):
        half = (length + 1) // 2
        for left in range(10 ** (half - 1), 10**half):
            text = str(left)
            number = int(text + text[::-1][length % 2 :])
            if number > n:
                break
            if number % 2:
                odd += 1
            else:
                even += 1
        length += 1
    return (even, odd)
""",
    ),
    Expert(
        "HumanEval/147", "O(n³)", CUBE, "O(1)", CONSTANT,
        """\
    # i*i - i + 1 leaves 0 when divided by 3 for i = 2, 5, 8, ... and 1 for all others.
    zeros = (n + 1) // 3
    ones = n - zeros
    return zeros * (zeros - 1) * (zeros - 2) // 6 + ones * (ones - 1) * (ones - 2) // 6
""",
    ),
)  # fmt: skip
