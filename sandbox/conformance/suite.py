"""Runs attacks in a sandbox: each beside honest neighbours, then a look at what it has left, then timed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from sandbox import Block, Limits, Sandbox, TimedSolution, TimingSettings, Verdict
from sandbox.conformance import judging
from sandbox.conformance.attacks import Attack, look_program
from sandbox.conformance.judging import Finding, Kind
from sandbox.conformance.tasks import Task

# Small, so that an attack which uses up all it may is over soon.
LIMITS = Limits(cpu_seconds=1.0, wall_seconds=3.0)
TIMING = TimingSettings(min_sample_ns=2_000_000, samples=3, cpu_seconds=2.0)
HASH_SEED = 1


@dataclass(frozen=True, slots=True)
class Result:
    """One attack on one core."""

    attack: str
    category: str
    line: str
    core: int
    verdict: Verdict
    timed: bool
    findings: tuple[Finding, ...]

    def count(self, kind: Kind) -> bool:
        return any(finding.kind is kind for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Report:
    """All attacks. `ok` only if nothing at all was found."""

    runtime: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        return bool(self.results) and not any(result.findings for result in self.results)

    def counts(self, category: str | None = None) -> dict[str, int]:
        """How many attacks were attempted, and how many have findings of each kind; of one category or of all."""
        chosen = [result for result in self.results if category in (None, result.category)]
        found = Counter(kind for result in chosen for kind in Kind if result.count(kind))
        return {"attempted": len(chosen)} | {kind.value: found[kind] for kind in Kind}

    def to_json(self) -> str:
        return json.dumps(
            {
                "runtime": self.runtime,
                "ok": self.ok,
                "counts": self.counts(),
                "results": [asdict(result) for result in self.results],
            },
            indent=2,
        )


def run_suite(
    open_sandbox: Callable[[int], Sandbox],
    attacks: Sequence[Attack],
    *,
    cores: Sequence[int],
    runtime: str = "",
    timed: bool = True,
    on_progress: Callable[[Result], None] = lambda result: None,
) -> Report:
    """Every attack on every core. `open_sandbox` gives a sandbox of that one core, not yet entered; `runtime` says
    under which runtime it runs; `timed` leaves the timed part out where a runtime is not meant for timing."""
    results = []
    for core in cores:
        with open_sandbox(core) as sandbox:
            for attack in attacks:
                result = examine(sandbox, attack, core=core, runtime=runtime, timed=timed)
                results.append(result)
                on_progress(result)
    return Report(runtime, tuple(results))


def examine(sandbox: Sandbox, attack: Attack, *, core: int, runtime: str = "", timed: bool = True) -> Result:
    """One attack with all that belongs to it, in a sandbox of the one core."""
    attack = attack.under(runtime)
    neighbour = attack.task.neighbour_job
    before, hostile, after = sandbox.run_many([neighbour, attack.job, neighbour])
    found = [
        *judging.findings(attack, hostile),
        *judging.neighbour_findings(before, "the neighbour before"),
        *judging.neighbour_findings(after, "the neighbour after"),
        *_look(sandbox, core),
    ]
    if timed and attack.timed is not None:
        timings = sandbox.measure(_block(attack), core=core).timings
        found += judging.timing_findings(attack, timings)
        found += _look(sandbox, core)
    return Result(
        attack=attack.name,
        category=attack.category,
        line=attack.line,
        core=core,
        verdict=hostile.verdict,
        timed=timed and attack.timed is not None,
        findings=tuple(found),
    )


def _look(sandbox: Sandbox, core: int) -> list[Finding]:
    """What the next run finds. It runs alone: processes in flight beside it would look like survivors."""
    return judging.look_findings(sandbox.run(look_task(sandbox.limits, core).honest_job))


def _block(attack: Attack) -> Block:
    honest = attack.task.honest_job
    solutions = (
        TimedSolution("before", honest),
        TimedSolution("attack", attack.job),
        TimedSolution("after", honest),
    )
    return Block(f"conformance/{attack.name}", solutions, HASH_SEED, TIMING)


def look_task(limits: Limits, core: int) -> Task:
    """The test for the look: it names what a fresh run must find set, and accepts no left-overs."""
    expected = {
        "as": limits.memory_bytes,
        "fsize": limits.file_bytes,
        "nofile": limits.open_files,
        "nproc": limits.processes,
        "core": core,
    }
    return Task("look", f"def check(candidate):\n    assert candidate({expected!r}) == []\n", look_program())
