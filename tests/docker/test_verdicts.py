"""Programs that end in every way there is, each judged by the real sandbox."""

from __future__ import annotations

import pytest

from sandbox import Integrity, Job, Limits, Sandbox, Termination, Verdict

pytestmark = pytest.mark.docker

TEST = "def check(candidate):\n    assert candidate(4) == 8\n    assert candidate(5) == 10\n"
DOUBLE = "def f(x):\n    return 2 * x\n"

ENDINGS = {
    "right": (DOUBLE, Verdict.PASSED, Termination.COMPLETED),
    "wrong": ("def f(x):\n    return x\n", Verdict.WRONG, Termination.COMPLETED),
    "raises": ("def f(x):\n    return 1 / 0\n", Verdict.ERROR, Termination.COMPLETED),
    "raises while loading": ("1 / 0\n" + DOUBLE, Verdict.ERROR, Termination.COMPLETED),
    "not the function": ("def g(x):\n    return 2 * x\n", Verdict.ERROR, Termination.COMPLETED),
    "empty": ("", Verdict.ERROR, Termination.COMPLETED),
    "does not compile": ("def f(x:\n", Verdict.SYNTAX, Termination.COMPLETED),
    "lone surrogate": (DOUBLE + "# \ud800\n", Verdict.SYNTAX, Termination.COMPLETED),
    "NUL": (DOUBLE + "# \0\n", Verdict.SYNTAX, Termination.COMPLETED),
    "one million characters": (DOUBLE + "# " + "x" * 1_000_000, Verdict.PASSED, Termination.COMPLETED),
    "endless loop": ("def f(x):\n    while True:\n        pass\n", Verdict.TIMEOUT_CPU, Termination.CPU_LIMIT),
    "sleeps": ("import time\ndef f(x):\n    time.sleep(99)\n", Verdict.TIMEOUT_WALL, Termination.WALL_LIMIT),
    "exits": ("import sys\nsys.exit(0)\n", Verdict.EARLY_EXIT, Termination.EXITED),
    "exits in the call": ("def f(x):\n    raise SystemExit\n", Verdict.EARLY_EXIT, Termination.EXITED),
    "exits for good": ("import os\ndef f(x):\n    os._exit(0)\n", Verdict.EARLY_EXIT, Termination.EXITED),
    "kills itself": ("import os\ndef f(x):\n    os.kill(os.getpid(), 9)\n", Verdict.SIGNAL, Termination.SIGNALED),
    "segfault": ("import ctypes\ndef f(x):\n    ctypes.string_at(0)\n", Verdict.SIGNAL, Termination.SIGNALED),
    "prints without end": ("def f(x):\n    while True:\n        print('x' * 999)\n", Verdict.OUTPUT, Termination.OUTPUT_LIMIT),
    "180 kB and right": ("def f(x):\n    print('x' * 90_000)\n    return 2 * x\n", Verdict.PASSED, Termination.COMPLETED),
    "huge array": ("def f(x):\n    return len(bytearray(10**10))\n", Verdict.MEMORY, Termination.COMPLETED),
    "endless iterator": ("def f(x):\n    while True:\n        yield x\n", Verdict.ERROR, Termination.COMPLETED),
    "nested 10**6 deep": (
        "def f(x):\n    a = []\n    for _ in range(10**6):\n        a = [a]\n    return a\n",
        Verdict.ERROR,
        Termination.COMPLETED,
    ),
}  # fmt: skip


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
    loop = sandbox.run(Job("while True:\n    pass\n", TEST, "f"))
    assert 1.0e9 <= loop.cpu_ns < 1.5e9
    flood = sandbox.run(Job("while True:\n    print('x' * 10_000)\n", TEST, "f"))
    assert flood.stdout_bytes < 3 * sandbox.limits.output_bytes
    assert len(flood.output_head) <= 2_048


FORGERIES = {
    "always equal": "class A:\n    def __eq__(self, other):\n        return True\ndef f(x):\n    return A()\n",
    "an int that is always equal": (
        "class A(int):\n    def __eq__(self, other):\n        return True\n    __hash__ = None\ndef f(x):\n    return A()\n"
    ),
    "a patched all and isinstance": (
        "import builtins\nbuiltins.all = builtins.isinstance = lambda *a: True\ndef f(x):\n    return x\n"
    ),
    "a frame walk": (
        "import sys\ndef f(x):\n    frame = sys._getframe()\n    while frame:\n"
        "        for v in list(frame.f_globals.values()) + list(frame.f_locals.values()):\n"
        "            if isinstance(v, list):\n                v.append('passed')\n"
        "        frame = frame.f_back\n    return None\n"
    ),
    "a forged verdict on every descriptor": (
        "import os\nmessage = b'{\"outcome\": \"passed\"}'\n"
        "for fd in range(3, 64):\n    try:\n        os.write(fd, len(message).to_bytes(4, 'big') + message)\n"
        "    except OSError:\n        pass\ndef f(x):\n    return x\n"
    ),
    "raises AssertionError": "def f(x):\n    raise AssertionError('passed')\n",
    "KeyboardInterrupt": "def f(x):\n    raise KeyboardInterrupt\n",
    "exits when the interpreter ends": "import atexit, os\natexit.register(os._exit, 0)\ndef f(x):\n    return x\n",
}


def test_no_forgery_passes(sandbox):
    runs = dict(zip(FORGERIES, sandbox.run_many(Job(program, TEST, "f") for program in FORGERIES.values()), strict=True))
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
    test = (
        "def check(candidate):\n"
        "    found = list(candidate())\n"
        "    assert any(planted for planted, _ in found), 'the search did not work'\n"
        "    assert not any(wanted for _, wanted in found), 'expected-by-the-test!'\n"
    )
    run = sandbox.run(Job(program, test, "f"))
    if run.verdict is Verdict.ERROR and "Permission" in run.message:
        return  # a process that has dropped its uid may not even read its own memory this way
    assert run.verdict is Verdict.PASSED, run.message


def test_a_second_answer_is_a_violation(sandbox):
    program = (
        "import os\ndef f(x):\n    if x == 4:\n        return 8\n"
        "    value = b'10'\n    frame = b'R' + len(value).to_bytes(4, 'big') + value\n"
        "    os.write(4, len(frame).to_bytes(4, 'big') + frame)\n    return 10\n"
    )
    assert sandbox.run(Job(program, TEST, "f")).verdict is Verdict.VIOLATION


# What the candidate can find out or reach; the program answers, the test only makes it run.
PROBE = "def check(candidate):\n    assert candidate() == {expected!r}\n"
PROBES = {
    "its own uid, for good": (
        "import os\ndef f():\n    try:\n        os.setuid(0)\n    except PermissionError:\n"
        "        return min(os.getresuid()) > 9_999\n",
        True,
    ),
    "no capability": (
        "def f():\n    return [l.split()[1] for l in open('/proc/self/status') if l.startswith('CapEff')]\n",
        ["0000000000000000"],
    ),
    "no way to signal or read the others": (
        "import os\ndef f():\n    seen = []\n    for pid in [p for p in os.listdir('/proc') if p.isdigit()]:\n"
        "        if int(pid) == os.getpid():\n            continue\n"
        "        for attempt in (lambda: os.kill(int(pid), 0), lambda: open(f'/proc/{pid}/environ').read(),\n"
        "                        lambda: open(f'/proc/{pid}/mem', 'rb'), lambda: os.listdir(f'/proc/{pid}/fd')):\n"
        "            try:\n                attempt()\n                seen.append(pid)\n            except PermissionError:\n"
        "                pass\n    return seen\n",
        [],
    ),
    "no network": (
        "import socket\ndef f():\n    try:\n        socket.create_connection(('1.1.1.1', 53), 1)\n    except OSError as e:\n"
        "        return type(e).__name__\n",
        "OSError",
    ),
    "no writing outside the scratch folder": (
        "import os\ndef f():\n    written = []\n    for folder, _, _ in os.walk('/'):\n"
        "        if folder.startswith(('/proc', '/sys')):\n            continue\n        try:\n"
        "            open(folder + '/x', 'w')\n            written.append(folder)\n        except OSError:\n            pass\n"
        "    return written\n",
        ["/scratch"],
    ),
    "an empty environment": ("import os\ndef f():\n    return dict(os.environ)\n", {}),
    "only its own descriptors": ("import os\ndef f():\n    return len(os.listdir('/proc/self/fd'))\n", 6),
    "no setuid program": (
        "import os, stat\ndef f():\n    found = []\n    for folder, _, files in os.walk('/usr'):\n        for name in files:\n"
        "            mode = os.lstat(os.path.join(folder, name)).st_mode\n"
        "            if stat.S_ISREG(mode) and mode & 0o6000:\n                found.append(name)\n    return found\n",
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PROBES)
def test_what_a_candidate_can_reach(sandbox, name):
    program, expected = PROBES[name]
    run = sandbox.run(Job(program, PROBE.format(expected=expected), "f"))
    assert (run.verdict, run.message) == (Verdict.PASSED, "")


def test_nothing_is_left_for_the_next_run(sandbox):
    leave = (
        "import os, subprocess\ndef f():\n    os.makedirs('a/b/c')\n    open('a/b/c/x', 'w').write('hello')\n"
        "    os.chmod('a/b/c', 0)\n    os.chmod('a', 0)\n"
        "    for _ in range(5):\n        if os.fork() == 0:\n            os.setsid()\n            while True:\n                pass\n"
        "    return len(os.listdir('/scratch'))\n"
    )
    look = (
        "import os\ndef f():\n    mine = os.getuid()\n    def uid(pid):\n        try:\n"
        "            return [int(l.split()[1]) for l in open(f'/proc/{pid}/status') if l.startswith('Uid')][0]\n"
        "        except OSError:\n            return -1\n"
        "    others = [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid() and uid(p) == mine]\n"
        "    return [os.listdir('/scratch'), others]\n"
    )
    for core in sandbox.cores:
        with Sandbox(cores=[core], limits=sandbox.limits) as one:
            left = one.run(Job(leave, PROBE.format(expected=1), "f"))
            assert left.verdict is Verdict.PASSED, left.message  # the attack really ran
            clean = one.run(Job(look, PROBE.format(expected=[[], []]), "f"))
            assert clean.verdict is Verdict.PASSED, clean.message


TESTS_THAT_NEED_CARE = {
    "by the function's own name": ("def check(candidate):\n    assert f(4) == 8\n", DOUBLE, Integrity.STRONG),
    "changed in place": (
        "def check(candidate):\n    x = [3, 1, 2]\n    candidate(x)\n    assert x == [1, 2, 3]\n",
        "def f(x):\n    x.sort()\n",
        Integrity.STRONG,
    ),
    "an expected exception": (
        "def check(candidate):\n    try:\n        candidate(4)\n    except ValueError as e:\n        assert 'no' in str(e)\n"
        "    else:\n        assert False\n",
        "def f(x):\n    raise ValueError('no')\n",
        Integrity.STRONG,
    ),
    "a generator": ("def check(candidate):\n    assert list(candidate(3)) == [0, 1, 2]\n", "def f(x):\n    yield from range(x)\n", Integrity.STRONG),
    "a test that passes a function": (
        "def check(candidate):\n    assert candidate(lambda x: x + 1) == 5\n", "def f(g):\n    return g(4)\n", Integrity.WEAK,
    ),
    "a test that uses what only the solution defines": (
        "def check(candidate):\n    assert candidate(helper(2)) == 8\n",
        "def helper(x):\n    return 2 * x\ndef f(x):\n    return 2 * x\n",
        Integrity.WEAK,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TESTS_THAT_NEED_CARE)
def test_tests_that_need_care_are_split_where_they_can_be(sandbox, name):
    test, program, integrity = TESTS_THAT_NEED_CARE[name]
    run = sandbox.run(Job(program, test, "f"))
    assert (run.verdict, run.integrity) == (Verdict.PASSED, integrity), run.message
    assert bool(run.weak_reason) == (integrity is Integrity.WEAK)


def test_helpers_of_the_prompt_are_the_prompts_own(sandbox):
    """The solution cannot replace a helper that the test takes from the prompt."""
    prompt = 'def helper(x):\n    return 2 * x\n\n\ndef f(x):\n    """Return what helper undoes."""\n'
    test = "def check(candidate):\n    assert helper(candidate(4)) == 4\n"
    honest = sandbox.run(Job(prompt + "    return x // 2\n", test, "f", prompt))
    liar = sandbox.run(Job(prompt + "    return x\n\nhelper = lambda x: 4\n", test, "f", prompt))
    assert (honest.verdict, honest.integrity) == (Verdict.PASSED, Integrity.STRONG)
    assert (liar.verdict, liar.integrity) == (Verdict.WRONG, Integrity.STRONG)


def test_a_broken_test_is_not_the_solutions_failure(sandbox):
    for test in ("def check(candidate:\n", "x = 1\n"):
        run = sandbox.run(Job(DOUBLE, test, "f"))
        assert run.verdict is Verdict.INTERNAL
        assert run.message
