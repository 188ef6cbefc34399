"""The rows of stress_inputs.jsonl and stress.jsonl (docs/results.md). Sizes: elements, characters or magnitudes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StressInput:
    """One draw. outcome: `timed`, `agreed` (not among the hardest), `disagree`, `raises`, `alone` (nobody was left to
    agree with: for growth only). arguments: a Python literal, null unless it is timed."""

    number: int
    outcome: str
    arguments: str | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class StressSize:
    """One size. size: what was aimed at; true_size: geometric mean of the timed inputs; solutions: ids of those that
    gave the accepted answers."""

    size: int
    true_size: float
    solutions: list[str]
    inputs: list[StressInput]

    @property
    def timed(self) -> list[StressInput]:
        return [one for one in self.inputs if one.arguments is not None]


@dataclass(frozen=True, slots=True)
class StressStop:
    """A solution that gets no larger inputs. why: `budget` (it answered at this size, too slowly to go on), a verdict
    or an exception (it did not answer)."""

    solution_id: str
    size: int
    why: str


@dataclass(frozen=True, slots=True)
class StressDissent:
    """A solution that contradicts a strong majority, and so passes the problem's own test only. said: a digest, or the
    name of what it raised."""

    solution_id: str
    size: int
    number: int
    said: str
    digest: str
    arguments: str


@dataclass(frozen=True, slots=True)
class StressInputs:
    """One problem. of: names the set of solutions that were asked. why: why there are no sizes, or ""."""

    task_id: str
    of: str
    axis: str
    base_size: int
    wrapper: str
    why: str
    sizes: list[StressSize] = field(default_factory=list)
    stops: list[StressStop] = field(default_factory=list)
    dissents: list[StressDissent] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StressSolution:
    """A solution's times by size, ns a call, and its growth: exponent with 95% interval, null for fewer than three
    sizes. Sizes at which a flag says that the time is not true are left out; flags: those of all sizes. base_ns: of one
    pass over the problem's own calls, null if that was not timed."""

    solution_id: str
    base_ns: float | None
    sizes: list[float]
    ns: list[float]
    exponent: float | None
    low: float | None
    high: float | None
    laws: list[str]
    stopped: str
    flags: list[str]


@dataclass(frozen=True, slots=True)
class StressPair:
    """A pair at the largest size that both have answered; base_…: the same pair on the problem's own calls, where
    base_ratio is also slow over quick (of the stress order), so below 1 where the order turned."""

    quick_id: str
    slow_id: str
    size: int
    ratio: float
    low: float
    high: float
    decision: str
    confirmed: bool
    base_ratio: float | None
    base_decision: str | None


@dataclass(frozen=True, slots=True)
class StressResult:
    """One problem. size: the largest that two solutions were timed at. base_separation, separation: the largest ratio
    of a decided pair, 1 if none is; null if not timed."""

    task_id: str
    axis: str
    base_size: int
    size: int | None
    base_separation: float | None
    separation: float | None
    solutions: list[StressSolution]
    pairs: list[StressPair]
    dissenters: list[str]
    why: str
