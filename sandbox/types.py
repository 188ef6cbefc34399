"""The sandbox's public records. Frozen, typed, no behaviour beyond validation."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MIB = 1024 * 1024


class Verdict(StrEnum):
    """What was judged. Only PASSED counts as correct; INTERNAL is our fault and never a failure of the solution."""

    PASSED = "PASSED"
    WRONG = "WRONG"  # an assertion of the test did not hold
    ERROR = "ERROR"  # the solution raised
    SYNTAX = "SYNTAX"  # the program does not compile
    TIMEOUT_CPU = "TIMEOUT_CPU"
    TIMEOUT_WALL = "TIMEOUT_WALL"
    MEMORY = "MEMORY"
    OUTPUT = "OUTPUT"  # wrote more than the limit
    EARLY_EXIT = "EARLY_EXIT"  # the process ended before the test did
    SIGNAL = "SIGNAL"  # the process died of a signal that was not ours
    VIOLATION = "VIOLATION"  # it spoke out of turn or did what no honest solution does
    INTERNAL = "INTERNAL"


class Integrity(StrEnum):
    STRONG = "strong"  # solution and test ran in separate processes under separate uids
    WEAK = "weak"  # the test could not be split from the solution; see weak_reason
    NONE = "none"  # nothing was judged (INTERNAL)


class Termination(StrEnum):
    """Who or what ended the candidate process, apart from what was judged."""

    COMPLETED = "completed"  # the judge had finished; the candidate was told to leave
    EXITED = "exited"
    SIGNALED = "signaled"
    CPU_LIMIT = "cpu_limit"
    WALL_LIMIT = "wall_limit"
    OUTPUT_LIMIT = "output_limit"
    MEMORY_LIMIT = "memory_limit"
    PROTOCOL = "protocol"  # ended by the warden for breaking the protocol
    JUDGE = "judge"  # the judge itself ran out of its limits
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Limits:
    """Per-run limits (the container's own are derived from them)."""

    cpu_seconds: float = 3.0
    wall_seconds: float = 12.0
    memory_bytes: int = 512 * MIB  # address space of the candidate
    output_bytes: int = 1 * MIB  # stdout and stderr together
    file_bytes: int = 4 * MIB  # largest file, and the size of the scratch folder
    open_files: int = 64
    processes: int = 16  # threads and processes of the candidate's uid
    program_bytes: int = 8 * MIB  # a longer program is refused (SYNTAX, saying so), never cut


@dataclass(frozen=True, slots=True)
class Job:
    """One solution to judge.

    program: the whole source (prompt + completion). test: source that defines `check(candidate)`.
    prompt: the trusted part of the program; names that the test takes from it (helpers) are defined from here in the
    judge, so that such a test can still be split from the solution.
    """

    program: str
    test: str
    entry_point: str
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a job. Times in ns; `cpu_ns` is the candidate's own, read from outside it."""

    verdict: Verdict
    integrity: Integrity
    termination: Termination
    weak_reason: str = ""
    message: str = ""  # exception or assertion text, capped; untrusted
    cpu_ns: int = 0
    wall_ns: int = 0
    max_rss_bytes: int = 0
    stdout_bytes: int = 0
    output_head: str = ""  # first characters of stdout and stderr; untrusted
    calls: int = 0
    attempts: int = 1

    @property
    def passed(self) -> bool:
        return self.verdict is Verdict.PASSED


@dataclass(frozen=True, slots=True)
class TimingSettings:
    """How one process is timed (docs/timing: steps 3 and 4)."""

    first_passes: int = 3  # timed after loading the program anew each time; the quickest counts
    min_sample_ns: int = 1_000_000  # loops double until a sample lasts this long in CPU time
    samples: int = 3
    long_pass_ns: int = 100_000_000  # passes longer than this get `long_samples` samples
    long_samples: int = 2
    max_redo: int = 1  # times a sample is repeated because something else ran
    max_gap: float = 0.03  # (wall - CPU) / wall above which something else ran
    cpu_seconds: float = 20.0  # CPU budget of one process, judged run included


@dataclass(frozen=True, slots=True)
class TimedSolution:
    """One solution of a block. `loops` is None until a first block has found it."""

    solution_id: str
    job: Job
    loops: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Every passing solution of one problem, run in this order in fresh processes on one core."""

    block_id: str
    solutions: tuple[TimedSolution, ...]
    hash_seed: int
    settings: TimingSettings = field(default_factory=TimingSettings)


@dataclass(frozen=True, slots=True)
class Timing:
    """What one process of a block gave. Lists have one entry per kept timing sample, each for `loops` passes."""

    solution_id: str
    execution: Execution  # the judged run at the start of the process; anything but PASSED means no timing
    loops: int = 0
    cpu_ns: tuple[int, ...] = ()
    wall_ns: tuple[int, ...] = ()
    first_ns: int = 0
    redone: int = 0
    calls: int = 0
    calls_digest: str = ""
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BlockTiming:
    """A finished block. `reference_ns`: CPU time of the reference workload before and after."""

    block_id: str
    core: int
    hash_seed: int
    reference_ns: tuple[int, int]
    timings: tuple[Timing, ...]
