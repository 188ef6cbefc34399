"""Which CPUs judge and which time; and that two runs never hold the same core, with real locks in two processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from harness.annotation import stage
from harness.annotation.settings import AnnotationSettings
from harness.core_locks import CPU_FOLDER, claim, find_holder, read_siblings
from harness.errors import UserError
from harness.placement import cpu_list, one_per_core, parse_cpu_list, physical_core, place
from harness.progress import SilentReporter
from harness.store import Manifest

ROOT = Path(__file__).resolve().parents[2]
PAIRED = ((0, 4), (1, 5), (2, 6), (3, 7))  # siblings as most servers number them
NEIGHBOURS = ((0, 1), (2, 3))


@pytest.mark.parametrize(
    ("cpus", "siblings", "timing"),
    [
        ((0,), None, (0,)),
        ((0, 1), None, (1,)),
        ((0, 1, 2), ((0,), (1,), (2,)), (1, 2)),
        (tuple(range(8)), PAIRED, (1, 2, 3)),
        ((0, 1, 2, 3), NEIGHBOURS, (2,)),
        ((0, 1), NEIGHBOURS, (0,)),  # one physical core: there is no other for the host side
        ((5, 0, 4, 1), PAIRED, (0,)),  # the first named is the host side's
        ((4, 5, 6), PAIRED, (5, 6)),
        ((1, 9), PAIRED, (9,)),  # a CPU that the topology does not name is a core of its own
    ],
)
def test_one_logical_cpu_a_core_times_and_the_first_core_is_left(cpus, siblings, timing) -> None:
    placement = place(cpus, siblings)
    assert placement.judging == cpus
    assert placement.timing == timing


def test_an_explicit_choice_wins() -> None:
    assert place((0, 1, 2, 3), NEIGHBOURS, (0, 1)).timing == (0, 1)


def test_no_two_timing_cpus_ever_share_a_core() -> None:
    for count in range(1, 9):
        timing = place(tuple(range(count)), PAIRED).timing
        cores = [physical_core(cpu, PAIRED) for cpu in timing]
        assert timing
        assert len(set(cores)) == len(cores)
        assert len(timing) == max(1, len(one_per_core(range(count), PAIRED)) - 1)


@pytest.mark.parametrize(("text", "cpus"), [("0-2,5", (0, 1, 2, 5)), ("7", (7,)), ("", ()), ("0,2-3", (0, 2, 3))])
def test_cpu_lists(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cpus
    assert cpu_list(cpus) == text
    assert cpu_list([*reversed(cpus), *cpus]) == text


# --- locks ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cpus(tmp_path: Path) -> Path:
    """Folders like the kernel's, so that no test keeps a real run off its cores."""
    for number in range(4):
        (tmp_path / f"cpu{number}").mkdir()
    return tmp_path


@contextmanager
def another_process(folder: Path, cpus: str, siblings: object = None) -> Iterator[subprocess.Popen[str]]:
    """Holds these CPUs until the block ends."""
    program = (
        "import sys; from pathlib import Path; from harness.core_locks import claim\n"
        f"with claim({cpus}, siblings={siblings!r}, folder=Path({str(folder)!r})) as ours:\n"
        "    print(*ours, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip()
        yield process
        process.communicate()
    assert process.returncode in (0, -signal.SIGKILL)


def test_by_default_the_free_ones_are_taken_and_the_others_named(cpus: Path) -> None:
    said: list[str] = []
    with (
        another_process(cpus, "[1, 2]") as other,
        claim(range(4), folder=cpus, say=said.append) as ours,
    ):
        assert ours == (0, 3)
        (line,) = said
        assert "cores 1-2 are in use by another run" in line
        assert f"process {other.pid}" in line
        assert "uses 0,3" in line


def test_a_core_that_must_be_had_is_an_error_that_names_who_has_it(cpus: Path) -> None:
    with another_process(cpus, "[1]") as other:
        with (
            pytest.raises(UserError, match=rf"core 1 is in use by another run \(process {other.pid}\)") as raised,
            claim([0, 1], needed=[0, 1], folder=cpus),
        ):
            pytest.fail("claimed a core that another process holds")
        assert "--cores" in raised.value.fix
        with claim([0], folder=cpus) as ours:  # nothing is kept of a failed claim
            assert ours == (0,)


def test_none_free_is_an_error(cpus: Path) -> None:
    with (
        another_process(cpus, "[0, 1]"),
        pytest.raises(UserError, match="cores 0-1 are in use"),
        claim([0, 1], folder=cpus),
    ):
        pytest.fail("claimed a core that another process holds")


def test_cores_are_free_again_however_their_holder_ends(cpus: Path) -> None:
    with another_process(cpus, "[0]"):
        pass
    with claim([0], folder=cpus):
        pass
    with pytest.raises(ZeroDivisionError), claim([0], folder=cpus):
        raise ZeroDivisionError
    with another_process(cpus, "[0]") as other:
        other.kill()
        other.wait()
        with claim([0], needed=[0], folder=cpus) as ours:
            assert ours == (0,)


def test_a_child_process_does_not_keep_the_lock(cpus: Path) -> None:
    with claim([0], folder=cpus):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    with claim([0], needed=[0], folder=cpus) as ours:
        assert ours == (0,)
    child.communicate()


def test_siblings_are_held_together(cpus: Path) -> None:
    """A run on one logical CPU has the whole core; another on its sibling would share it."""
    with another_process(cpus, "[0]", NEIGHBOURS):
        with claim(range(4), siblings=NEIGHBOURS, folder=cpus) as ours:
            assert ours == (2, 3)
        with pytest.raises(UserError), claim([1], siblings=NEIGHBOURS, folder=cpus):
            pytest.fail("claimed the sibling of a core that another process holds")
        with pytest.raises(UserError), claim([1], folder=cpus):  # even if it does not know the topology
            pytest.fail("claimed the sibling of a core that another process holds")


def test_only_as_many_as_are_wanted_are_taken(cpus: Path) -> None:
    with another_process(cpus, "[0]"), claim(range(4), most=1, folder=cpus) as first:
        assert first == (1,)
        with claim(range(4), most=1, folder=cpus) as second:
            assert second == (2,)


def test_the_same_process_is_no_exception(cpus: Path) -> None:
    with (
        claim([0], folder=cpus),
        pytest.raises(UserError, match=f"process {os.getpid()}"),
        claim([0], folder=cpus),
    ):
        pytest.fail("claimed a core twice")


def test_where_there_is_nothing_to_lock_the_run_goes_on_with_one_warning(tmp_path: Path) -> None:
    warned: list[str] = []
    with claim([0, 1], needed=[0, 1], folder=tmp_path / "no-sys", warn=warned.append) as ours:
        assert ours == (0, 1)
    (line,) = warned
    assert "cores 0-1 can't be locked" in line


@pytest.mark.skipif(not CPU_FOLDER.is_dir(), reason="no /sys")
def test_the_kernels_own_folders_can_be_locked() -> None:
    """For a moment, and whichever is free: a real run may hold the others."""
    warned: list[str] = []
    allowed = sorted(os.sched_getaffinity(0))
    twice = pytest.raises(UserError, match=f"process {os.getpid()}")
    try:
        with (
            claim(allowed[::-1], most=1, siblings=read_siblings(), warn=warned.append) as (core,),
            twice,
            claim([core]),
        ):
            pytest.fail("claimed a core twice")
    except UserError as taken:
        assert "in use" in taken.what  # noqa: PT017  # every core is held by a run
    assert warned == []


LOCKS = """\
1: OFDLCK ADVISORY  READ -1 00:06:3 0 EOF
2: FLOCK  ADVISORY  WRITE 10911 fe:00:1523743 0 EOF
3: POSIX  ADVISORY  WRITE 42 00:16:77 0 EOF
4: FLOCK  ADVISORY  WRITE 4711 00:16:77 0 EOF
4: -> FLOCK  ADVISORY  WRITE 4712 00:16:77 0 EOF
5: FLOCK  ADVISORY  WRITE 0 00:16:78 0 EOF
"""


@pytest.mark.parametrize(
    ("file", "pid"),
    [((0, 0x16, 77), 4711), ((0xFE, 0, 1523743), 10911), ((0, 0x16, 78), None), ((0, 0x16, 99), None)],
)
def test_who_holds_a_lock_is_read_from_the_kernels_list(file: tuple[int, int, int], pid: int | None) -> None:
    assert find_holder(LOCKS, *file) == pid


def test_topology_is_read_as_the_kernel_lists_it(tmp_path: Path) -> None:
    for cpu, text in {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}.items():
        folder = tmp_path / f"cpu{cpu}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(text + "\n")
    assert read_siblings(tmp_path) == ((0, 2), (1, 3))
    assert read_siblings(tmp_path / "nothing") is None


# --- the annotate stage -----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def annotating(monkeypatch: pytest.MonkeyPatch, cpus: Path) -> list[tuple]:
    """The annotate stage without a sandbox: which cores it would judge and time on."""
    used: list[tuple] = []

    class NoSandbox:
        def __init__(self, *, cores: object, limits: object) -> None:
            self.cores = cores
            self.image = type("Image", (), {"tag": "t", "id": "i", "base": "b"})

        def __enter__(self) -> NoSandbox:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def measure(states: object, path: object, sandbox: NoSandbox, settings, reporter: object) -> None:
        used.append((tuple(sandbox.cores), settings.timing_cores))

    monkeypatch.setattr(stage, "claim", partial(claim, folder=cpus))
    monkeypatch.setattr(stage, "Sandbox", NoSandbox)
    monkeypatch.setattr(stage, "execute", lambda *_: Counter(PASSED=1))
    monkeypatch.setattr(stage, "measure", measure)
    monkeypatch.setattr(stage, "read_siblings", lambda: NEIGHBOURS)
    monkeypatch.setattr(stage, "allowed_cores", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(stage, "check_machine", lambda root, core, warn: [{"name": "load", "found": "9"}])
    return used


def annotate(folder: Path, **options) -> list[str]:
    """What was said."""
    said: list[str] = []
    reporter = SilentReporter()
    reporter.say = said.append  # type: ignore[method-assign]
    timing = options.pop("timing_cores", None)
    stage.annotate([], folder, settings=AnnotationSettings(timing_cores=timing), reporter=reporter, **options)
    return said


def test_annotate_judges_on_all_cpus_and_times_on_one_a_core(folder: Path, annotating, cpus: Path) -> None:
    assert annotate(folder) == []
    annotate(folder, cores=[0, 1])
    annotate(folder, timing_cores=(0, 1))
    assert annotating == [((0, 1, 2, 3), (2,)), ((0, 1), (0,)), ((0, 1, 2, 3), (0, 1))]
    assert Manifest(folder).stage("annotate")["facts"]["warnings"] == [{"name": "load", "found": "9"}]


def test_warnings_of_a_run_add_up_until_it_starts_over(folder: Path, annotating, monkeypatch) -> None:
    def named(*names: str) -> None:
        monkeypatch.setattr(stage, "check_machine", lambda *_: [{"name": name} for name in names])

    def kept() -> list[str]:
        return [warning["name"] for warning in Manifest(folder).stage("annotate")["facts"]["warnings"]]

    for overwrite, now, after in (
        (False, "load", ["load"]),
        (False, "steal", ["load", "steal"]),
        (True, "swap", ["swap"]),
    ):
        named(now)
        annotate(folder, overwrite=overwrite)
        assert kept() == after


def test_annotate_takes_the_cores_that_are_free_and_says_so(folder: Path, annotating, cpus: Path) -> None:
    with claim([1], siblings=NEIGHBOURS, folder=cpus):
        (line,) = annotate(folder)
        assert annotating == [((2, 3), (2,))]
        assert "cores 0-1 are in use by another run" in line
        for chosen in ({"cores": [1, 2]}, {"timing_cores": (0,)}):
            with pytest.raises(UserError, match=rf"core [01] is in use by another run \(process {os.getpid()}\)"):
                annotate(folder, **chosen)
