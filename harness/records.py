"""The rows that flow from one stage to the next. One dataclass per file of the run folder (docs/results.md).

Keys: a problem is known by `task_id`; a sample by `(model, task_id, sample_id)`; a solution, for timing, by
`(task_id, solution_id)`, where samples whose programs have the same normalised AST share one `solution_id`.
Times are integer or float nanoseconds and say so in their name (`_ns`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

SCHEMA_VERSION = 1


class FinishReason(StrEnum):
    """Why the model stopped writing a completion."""

    FUNCTION_END = "function_end"  # the function was complete and the model began something else; cut there
    EOS = "eos"
    LENGTH = "length"
    IMPORTED = "imported"  # not written by us: it came from a file


class PairKind(StrEnum):
    QVS = "qvs"  # quick versus slow: both pass, the order is decided
    PVF = "pvf"  # passed versus failed


class Decision(StrEnum):
    """What the measurements allow to be said about solution `a` against solution `b`."""

    QUICK = "quick"  # a is faster
    SLOW = "slow"  # a is slower
    SAME = "same"
    UNDECIDED = "undecided"


class TimingMethod(StrEnum):
    """How passing solutions are timed."""

    BLOCKS = "blocks"  # ours: measurements.jsonl
    LEGACY = "legacy"  # the published method, for comparison: legacy.jsonl


class TimingInputs(StrEnum):
    """Whose calls solutions are timed on."""

    OWN = "own"  # of the problem's own test
    PLUS = "plus"  # of its held-out test: many more, and larger; the own ones where it has none


class LegacyOutcome(StrEnum):
    """What came of one pass of the published method."""

    MEASURED = "measured"
    UNSTABLE = "unstable"  # 1,001 blocks, and none settled
    TIMEOUT = "timeout"  # 3 s for a block or 4 s for the pass were not enough
    FAILED = "failed"  # the program or its test raised
    NO_MEASUREMENT = "no_measurement"  # what was written is not what a pass writes, or nothing was
    INTERNAL = "internal"  # our fault: run again


@dataclass(frozen=True, slots=True)
class Problem:
    """One programming task. `prompt` ends where the completion begins; `test` defines `check(candidate)`.

    held_out: another test of that form, which says whether a solution that passes `test` does the task or only what
    `test` looks at. Solutions are not told of it; it decides no verdict.
    """

    task_id: str
    prompt: str
    test: str
    entry_point: str
    split: str
    source: str
    held_out: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion. The program that is run is `problem.prompt + completion`, character for character."""

    task_id: str
    sample_id: int
    model: str
    completion: str
    finish_reason: FinishReason
    seed: int | None = None
    temperature: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.model, self.task_id, self.sample_id)


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """What one run of a sample's program came to. Verdict words are `sandbox.Verdict`'s."""

    task_id: str
    sample_id: int
    model: str
    solution_id: str
    verdict: str
    integrity: str  # "strong", "weak", or "none" where nothing was run (SYNTAX found before, INTERNAL)
    weak_reason: str
    termination: str
    message: str
    cpu_ns: int
    wall_ns: int
    max_rss_bytes: int
    stdout_bytes: int
    attempts: int = 1

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.model, self.task_id, self.sample_id)


@dataclass(frozen=True, slots=True)
class SolutionTiming:
    """One solution's timing samples in one block: one fresh process.

    `cpu_ns[i]` and `wall_ns[i]` are for `loops` passes over the problem's call list, read from outside the process.
    """

    solution_id: str
    loops: int
    cpu_ns: list[int]
    wall_ns: list[int]
    first_ns: int  # CPU time of the first pass over the call list, for the memoisation mark
    redone: int  # samples thrown away because something else ran
    calls: int
    calls_digest: str
    flags: list[str] = field(default_factory=list)  # e.g. memoises, results_differ, failed:<verdict>


@dataclass(frozen=True, slots=True)
class MeasurementBlock:
    """One round of one problem: distinct passing solutions, once each, interleaved on one core. One JSONL row."""

    task_id: str
    round: int
    core: int
    hash_seed: int
    reference_ns: tuple[int, int]  # CPU time of the reference workload before and after the block
    contaminated: bool
    solutions: list[SolutionTiming]  # in the order they ran
    of: str = ""  # which set of solutions is being compared; a round may hold a part of it
    seconds: float = 0.0  # core-seconds that the block took
    host: str = ""  # harness.fingerprint.host_fingerprint of the machine; "" in folders made before it was noted


@dataclass(frozen=True, slots=True)
class LegacyTiming:
    """One pass of the published timing method (harness/timing/legacy.py) over one solution.

    `avg_ns`, `std_ns` and `blocks` are the measured process's own word: untrusted, mostly compile time, and there for
    comparison only. The first two are None unless MEASURED, `blocks` where nothing readable was written.
    """

    task_id: str
    solution_id: str
    pass_number: int  # from 0
    outcome: LegacyOutcome
    avg_ns: float | None  # mean of the 50 repetitions of the block that counted
    std_ns: float | None
    blocks: int | None  # finished, the last one counted if MEASURED
    cpu_ns: int  # of the whole pass, read from outside: what it cost

    @property
    def key(self) -> tuple[str, str, int]:
        return (self.task_id, self.solution_id, self.pass_number)


@dataclass(frozen=True, slots=True)
class RuntimeLabel:
    """A passing solution's run time of one pass over the problem's call list, with a 99% interval.

    `tier` counts from 0 (fastest). Two solutions of different tiers need not be decided against each other; two
    solutions that are decided are never in the wrong order of tiers.
    """

    solution_id: str
    runtime_ns: float
    low_ns: float
    high_ns: float
    rounds: int
    tier: int
    flags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Solution `quick` against solution `slow` by median run time; `ratio` = slow/quick ≥ 1 with its 99% interval."""

    quick_id: str
    slow_id: str
    ratio: float
    low: float
    high: float
    rounds: int
    decision: Decision  # QUICK (the order is decided), SAME or UNDECIDED
    confirmed: bool = False  # the order was seen again in rounds measured later for that


@dataclass(frozen=True, slots=True)
class ProblemLabels:
    """All that is known about one problem's passing solutions after measuring."""

    task_id: str
    labels: list[RuntimeLabel]  # fastest first
    comparisons: list[Comparison]


@dataclass(frozen=True, slots=True)
class Answer:
    """One distinct solution in a merged row. `text` and `votes` are the published names (votes = ns or null)."""

    text: str  # the completion
    votes: float | None  # run time in ns of one pass over the call list; None: not passed
    sample_id: int
    solution_id: str
    verdict: str
    integrity: str
    low_ns: float | None = None
    high_ns: float | None = None
    tier: int | None = None
    copies: int = 1  # samples with the same normalised AST


@dataclass(frozen=True, slots=True)
class QuickSlow:
    """Evidence that `answers[quick]` is faster than `answers[slow]` (both pass)."""

    quick: int
    slow: int
    ratio: float
    low: float
    high: float
    rounds: int
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class MergedRow:
    """One problem in `merged.jsonl`: answers fastest first, then the failing ones (the published shape and our own)."""

    id: str
    question: str  # the problem's prompt
    entry_point: str
    answers: list[Answer]
    time: dict[str, float]  # count, avg, std, cov over the passing answers (published)
    passing: int  # answers[:passing] pass
    decided: list[QuickSlow]
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True)
class PairRow:
    """One preference pair, with the evidence for it. pairs.parquet lists all that a `--task` may draw."""

    task_id: str
    kind: PairKind
    chosen_sample: int
    rejected_sample: int
    chosen_verdict: str
    rejected_verdict: str
    chosen_integrity: str
    rejected_integrity: str
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    rounds: int | None = None
    confirmed: bool | None = None
