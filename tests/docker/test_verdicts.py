"""Programs that end in every way there is, each judged by the real sandbox."""

from __future__ import annotations

import pytest

from sandbox import Integrity, Job, Limits, Sandbox, Termination, Verdict

pytestmark = pytest.mark.docker

TEST = """\
def check(candidate):
    assert candidate(4) == 8
    assert candidate(5) == 10
"""
DOUBLE = """\
def f(x):
    return 2 * x
"""

ENDINGS = {
    "right": (DOUBLE, Verdict.PASSED, Termination.COMPLETED),
    "wrong": (
        """\
def f(x):
    return x
""",
        Verdict.WRONG,
        Termination.COMPLETED,
    ),
    "raises": (
        """\
def f(x):
    return 1 / 0
""",
        Verdict.ERROR,
        Termination.COMPLETED,
    ),
    "raises while loading": ("1 / 0\n" + DOUBLE, Verdict.ERROR, Termination.COMPLETED),
    "not the function": (
        """\
def g(x):
    return 2 * x
""",
        Verdict.ERROR,
        Termination.COMPLETED,
    ),
    "empty": ("", Verdict.ERROR, Termination.COMPLETED),
    "does not compile": ("def f(x:\n", Verdict.SYNTAX, Termination.COMPLETED),
    "lone surrogate": (DOUBLE + "# \ud800\n", Verdict.SYNTAX, Termination.COMPLETED),
    "NUL": (DOUBLE + "# \0\n", Verdict.SYNTAX, Termination.COMPLETED),
    "one million characters": (DOUBLE + "# " + "x" * 1_000_000, Verdict.PASSED, Termination.COMPLETED),
    "endless loop": (
        """\
def f(x):
    while True:
        pass
""",
        Verdict.TIMEOUT_CPU,
        Termination.CPU_LIMIT,
    ),
    "sleeps": (
        """\
import time
def f(x):
    time.sleep(99)
""",
        Verdict.TIMEOUT_WALL,
        Termination.WALL_LIMIT,
    ),
    "exits": (
        """\
import sys
sys.exit(0)
""",
        Verdict.EARLY_EXIT,
        Termination.EXITED,
    ),
    "exits in the call": (
        """\
def f(x):
    raise SystemExit
""",
        Verdict.EARLY_EXIT,
        Termination.EXITED,
    ),
    "exits for good": (
        """\
import os
def f(x):
    os._exit(0)
""",
        Verdict.EARLY_EXIT,
        Termination.EXITED,
    ),
    "kills itself": (
        """\
import os
def f(x):
    os.kill(os.getpid(), 9)
""",
        Verdict.SIGNAL,
        Termination.SIGNALED,
    ),
    "segfault": (
        """\
import ctypes
def f(x):
    ctypes.string_at(0)
""",
        Verdict.SIGNAL,
        Termination.SIGNALED,
    ),
    "prints without end": (
        """\
def f(x):
    while True:
        print('x' * 999)
""",
        Verdict.OUTPUT,
        Termination.OUTPUT_LIMIT,
    ),
    "180 kB and right": (
        """\
def f(x):
    print('x' * 90_000)
    return 2 * x
""",
        Verdict.PASSED,
        Termination.COMPLETED,
    ),
    "huge array": (
        """\
def f(x):
    return len(bytearray(10**10))
""",
        Verdict.MEMORY,
        Termination.COMPLETED,
    ),
    "endless iterator": (
        """\
def f(x):
    while True:
        yield x
""",
        Verdict.ERROR,
        Termination.COMPLETED,
    ),
    "nested 10**6 deep": (
        """\
def f(x):
    a = []
    for _ in range(10**6):
        a = [a]
    return a
""",
        Verdict.ERROR,
        Termination.COMPLETED,
    ),
}


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox(limits=Limits(cpu_seconds=1.0, wall_seconds=3.0)) as running:
        yield running


def test_each_ending_is_judged_and_the_next_run_is_clean(sandbox):
    honest = Job(DOUBLE, TEST, "f")
    jobs = [job for program, _, _ in ENDINGS.values() for job in (Job(program, TEST, "f"), honest)]
    runs = list(sandbox.run_many(jobs))
    found = {name: (run.verdict, run.termination) for name, run in zip(ENDINGS, runs[::2], strict=True)}
    assert found == {name: (verdict, termination) for name, (_, verdict, termination) in ENDINGS.items()}
    assert {run.verdict for run in runs[1::2]} == {Verdict.PASSED}
    assert {run.integrity for run in runs} == {Integrity.STRONG}
    assert {run.attempts for run in runs} == {1}


def test_limits_bound_what_a_run_uses(sandbox):
    loop = sandbox.run(
        Job(
            """\
while True:
    pass
""",
            TEST,
            "f",
        )
    )
    assert 1.0e9 <= loop.cpu_ns < 1.5e9
    flood = sandbox.run(
        Job(
            """\
while True:
    print('x' * 10_000)
""",
            TEST,
            "f",
        )
    )
    assert flood.stdout_bytes < 3 * sandbox.limits.output_bytes
    assert len(flood.output_head) <= 2_048


FORGERIES = {
    "always equal": """\
class A:
    def __eq__(self, other):
        return True
def f(x):
    return A()
""",
    "an int that is always equal": (
        """\
class A(int):
    def __eq__(self, other):
        return True
    __hash__ = None
def f(x):
    return A()
"""
    ),
    "a patched all and isinstance": (
        """\
import builtins
builtins.all = builtins.isinstance = lambda *a: True
def f(x):
    return x
"""
    ),
    "a frame walk": (
        """\
import sys
def f(x):
    frame = sys._getframe()
    while frame:
        for v in list(frame.f_globals.values()) + list(frame.f_locals.values()):
            if isinstance(v, list):
                v.append('passed')
        frame = frame.f_back
    return None
"""
    ),
    "a forged verdict on every descriptor": (
        """\
import os
message = b'{"outcome": "passed"}'
for fd in range(3, 64):
    try:
        os.write(fd, len(message).to_bytes(4, 'big') + message)
    except OSError:
        pass
def f(x):
    return x
"""
    ),
    "raises AssertionError": """\
def f(x):
    raise AssertionError('passed')
""",
    "KeyboardInterrupt": """\
def f(x):
    raise KeyboardInterrupt
""",
    "exits when the interpreter ends": """\
import atexit, os
atexit.register(os._exit, 0)
def f(x):
    return x
""",
}


def test_no_forgery_passes(sandbox):
    runs = dict(
        zip(FORGERIES, sandbox.run_many(Job(program, TEST, "f") for program in FORGERIES.values()), strict=True)
    )
    assert {name: run.verdict for name, run in runs.items() if run.passed} == {}
    assert {run.integrity for run in runs.values()} == {Integrity.STRONG}
    assert runs["a forged verdict on every descriptor"].verdict is Verdict.VIOLATION


def test_the_expected_value_is_nowhere_in_the_candidates_memory(sandbox):
    """A search of every object and of the whole readable memory finds what the candidate itself made, and no more."""
    program = (
        "import gc, re\n"
        "PLANTED = '-'.join(['planted', 'value'])\n"
        "WANTED = '-'.join(['expected', 'by', 'the', 'test'])\n"
        "def f():\n"
        "    gc.collect()\n"
        "    memory = b''\n"
        "    for line in open('/proc/self/maps'):\n"
        "        m = re.match(r'(\\w+)-(\\w+) r', line)\n"
        "        if m and '[v' not in line:\n"
        "            with open('/proc/self/mem', 'rb', 0) as mem:\n"
        "                start, end = (int(x, 16) for x in m.groups())\n"
        "                mem.seek(start)\n"
        "                try:\n"
        "                    memory = mem.read(end - start)\n"
        "                except OSError:\n"
        "                    continue\n"
        "                yield [memory.count(PLANTED.encode()) > 0, memory.count(WANTED.encode() + b'!') > 0]\n"
    )
    test = """\
def check(candidate):
    found = list(candidate())
    assert any(planted for planted, _ in found), 'the search did not work'
    assert not any(wanted for _, wanted in found), 'expected-by-the-test!'
"""
    run = sandbox.run(Job(program, test, "f"))
    if run.verdict is Verdict.ERROR and "Permission" in run.message:
        return  # a process that has dropped its uid may not even read its own memory this way
    assert run.verdict is Verdict.PASSED, run.message


def test_a_second_answer_is_a_violation(sandbox):
    program = """\
import os
def f(x):
    if x == 4:
        return 8
    value = b'10'
    frame = b'R' + len(value).to_bytes(4, 'big') + value
    os.write(3, len(frame).to_bytes(4, 'big') + frame)
    return 10
"""
    assert sandbox.run(Job(program, TEST, "f")).verdict is Verdict.VIOLATION


# What the candidate can find out or reach; the program answers, the test only makes it run.
PROBE = """\
def check(candidate):
    assert candidate() == {expected!r}
"""
PROBES = {
    "its own uid, for good": (
        """\
import os
def f():
    try:
        os.setuid(0)
    except PermissionError:
        return min(os.getresuid()) > 9_999
""",
        True,
    ),
    "no capability": (
        """\
def f():
    return [l.split()[1] for l in open('/proc/self/status') if l.startswith('CapEff')]
""",
        ["0000000000000000"],
    ),
    "no way to signal or read the others": (
        """\
import os
def f():
    seen = []
    for pid in [p for p in os.listdir('/proc') if p.isdigit()]:
        if int(pid) == os.getpid():
            continue
        for attempt in (lambda: os.kill(int(pid), 0), lambda: open(f'/proc/{pid}/environ').read(),
                        lambda: open(f'/proc/{pid}/mem', 'rb'), lambda: os.listdir(f'/proc/{pid}/fd')):
            try:
                attempt()
                seen.append(pid)
            except PermissionError:
                pass
    return seen
""",
        [],
    ),
    "no network": (
        """\
import socket
def f():
    try:
        socket.create_connection(('1.1.1.1', 53), 1)
    except OSError as e:
        return type(e).__name__
""",
        "PermissionError",
    ),
    "no writing outside the scratch folder": (
        """\
import os
def f():
    written = []
    for folder, _, _ in os.walk('/'):
        if folder.startswith(('/proc', '/sys')):
            continue
        try:
            open(folder + '/x', 'w')
            written.append(folder)
        except OSError:
            pass
    return [folder == os.getcwd() for folder in written]
""",
        [True],
    ),
    "an empty environment": (
        """\
import os
def f():
    return dict(os.environ)
""",
        {},
    ),
    "only its own descriptors": (
        """\
import os
def f():
    return len(os.listdir('/proc/self/fd'))
""",
        5,
    ),
    "no setuid program": (
        """\
import os, stat
def f():
    found = []
    for folder, _, files in os.walk('/usr'):
        for name in files:
            mode = os.lstat(os.path.join(folder, name)).st_mode
            if stat.S_ISREG(mode) and mode & 0o6000:
                found.append(name)
    return found
""",
        [],
    ),
}


@pytest.mark.parametrize("name", PROBES)
def test_what_a_candidate_can_reach(sandbox, name):
    program, expected = PROBES[name]
    run = sandbox.run(Job(program, PROBE.format(expected=expected), "f"))
    assert (run.verdict, run.message) == (Verdict.PASSED, "")


def test_nothing_is_left_for_the_next_run(sandbox):
    leave = """\
import os, subprocess
def f():
    os.makedirs('a/b/c')
    open('a/b/c/x', 'w').write('hello')
    os.chmod('a/b/c', 0)
    os.chmod('a', 0)
    for _ in range(5):
        if os.fork() == 0:
            os.setsid()
            while True:
                pass
    return len(os.listdir())
"""
    look = """\
import os
def f():
    mine = os.getuid()
    def uid(pid):
        try:
            return [int(l.split()[1]) for l in open(f'/proc/{pid}/status') if l.startswith('Uid')][0]
        except OSError:
            return -1
    others = [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid() and uid(p) == mine]
    return [os.listdir(), others]
"""
    for core in sandbox.cores:
        with Sandbox(cores=[core], limits=sandbox.limits) as one:
            left = one.run(Job(leave, PROBE.format(expected=1), "f"))
            assert left.verdict is Verdict.PASSED, left.message  # the attack really ran
            clean = one.run(Job(look, PROBE.format(expected=[[], []]), "f"))
            assert clean.verdict is Verdict.PASSED, clean.message


TESTS_THAT_NEED_CARE = {
    "by the function's own name": (
        """\
def check(candidate):
    assert f(4) == 8
""",
        DOUBLE,
        Integrity.STRONG,
    ),
    "changed in place": (
        """\
def check(candidate):
    x = [3, 1, 2]
    candidate(x)
    assert x == [1, 2, 3]
""",
        """\
def f(x):
    x.sort()
""",
        Integrity.STRONG,
    ),
    "an expected exception": (
        """\
def check(candidate):
    try:
        candidate(4)
    except ValueError as e:
        assert 'no' in str(e)
    else:
        assert False
""",
        """\
def f(x):
    raise ValueError('no')
""",
        Integrity.STRONG,
    ),
    "a generator": (
        """\
def check(candidate):
    assert list(candidate(3)) == [0, 1, 2]
""",
        """\
def f(x):
    yield from range(x)
""",
        Integrity.STRONG,
    ),
    "a test that passes a function": (
        """\
def check(candidate):
    assert candidate(lambda x: x + 1) == 5
""",
        """\
def f(g):
    return g(4)
""",
        Integrity.WEAK,
    ),
    "a test that uses what only the solution defines": (
        """\
def check(candidate):
    assert candidate(helper(2)) == 8
""",
        """\
def helper(x):
    return 2 * x
def f(x):
    return 2 * x
""",
        Integrity.STRONG,
    ),
    "a test that uses a module of the solution": (
        """\
def check(candidate):
    assert candidate(4) == math.sqrt(16)
""",
        """\
import math
def f(x):
    return x
""",
        Integrity.STRONG,
    ),
    "a test that passes a type": (
        """\
def check(candidate):
    assert candidate([1, 'a', 2], str) == [1, 2]
""",
        """\
def f(x, kind):
    return [y for y in x if not isinstance(y, kind)]
""",
        Integrity.STRONG,
    ),
    "a test that passes objects of a class that only the solution defines": (
        """\
def check(candidate):
    assert candidate([Pair(1, 2)]) == 3
""",
        """\
class Pair:
    def __init__(self, a, b):
        self.a, self.b = a, b
def f(x):
    return x[0].a + x[0].b
""",
        Integrity.WEAK,
    ),
}


@pytest.mark.parametrize("name", TESTS_THAT_NEED_CARE)
def test_tests_that_need_care_are_split_where_they_can_be(sandbox, name):
    test, program, integrity = TESTS_THAT_NEED_CARE[name]
    run = sandbox.run(Job(program, test, "f"))
    assert (run.verdict, run.integrity) == (Verdict.PASSED, integrity), run.message
    assert bool(run.weak_reason) == (integrity is Integrity.WEAK)


def test_helpers_of_the_prompt_are_the_prompts_own(sandbox):
    """The solution cannot replace a helper that the test takes from the prompt."""
    prompt = 'def helper(x):\n    return 2 * x\n\n\ndef f(x):\n    """Return what helper undoes."""\n'
    test = """\
def check(candidate):
    assert helper(candidate(4)) == 4
"""
    honest = sandbox.run(Job(prompt + "    return x // 2\n", test, "f", prompt))
    liar = sandbox.run(
        Job(
            prompt
            + """\
    return x

helper = lambda x: 4
""",
            test,
            "f",
            prompt,
        )
    )
    assert (honest.verdict, honest.integrity) == (Verdict.PASSED, Integrity.STRONG)
    assert (liar.verdict, liar.integrity) == (Verdict.WRONG, Integrity.STRONG)


def test_a_broken_test_is_not_the_solutions_failure(sandbox):
    for test in ("def check(candidate:\n", "x = 1\n"):
        run = sandbox.run(Job(DOUBLE, test, "f"))
        assert run.verdict is Verdict.INTERNAL
        assert run.message
