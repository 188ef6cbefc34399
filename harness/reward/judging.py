"""The sandbox side of the reward: verdicts of completions, and how quick the passing ones are beside a reference.

A program is judged once, whatever its comments and local names (timing/solution_id.py): later copies get what is known.
Verdicts come first, on all cores; then, on the timing cores, a problem's new passing programs are timed side by side
with its reference, in few rounds and without confirmation, as a step has seconds and a label has minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.annotation.executing import job_for
from harness.annotation.measuring import ProblemState, measured_blocks
from harness.annotation.settings import AnnotationSettings
from harness.annotation.stage import claimed
from harness.doctor.look import check_machine
from harness.merging.merge import UNSOUND_FLAG
from harness.progress import Reporter
from harness.records import Problem
from harness.reward.rule import Outcome, refused, speedup
from harness.timing.decisions import DecisionSettings, decide, solution_flags
from harness.timing.solution_id import solution_id
from sandbox import Sandbox, Verdict

Key = tuple[str, str]  # task_id, solution_id
# Rounds for each that is wanted. A step's few rounds follow at once, where annotation's lie minutes apart: one spell of
# bad weather can spoil the first twenty. Time is the limit; this one is for a machine that is never quiet.
TRIES = 64
INTERNAL_FLAG = f"failed:{Verdict.INTERNAL}"  # our fault, not the solution's


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """timed: whether speed is looked at. rounds: blocks of a problem. seconds: wall time for timing one problem's
    completions of a step; when that of all its problems together is over, nothing new is begun."""

    timed: bool = True
    rounds: int = 5
    seconds: float = 5.0
    seed: int = 1

    def annotation(self, problems: int) -> AnnotationSettings:
        decision = DecisionSettings(min_rounds=self.rounds, max_rounds=self.rounds, confirm_rounds=0)
        seconds = self.seconds * problems
        return AnnotationSettings(seed=self.seed, decision=decision, timing_seconds=seconds, tries=TRIES)


class SandboxJudge:
    """Outcomes of completions, in order. Not for several threads at once.

    references: the completion to compare with, by task_id; a problem without one is judged and not timed.
    cores: those that time.
    """

    def __init__(
        self,
        problems: Mapping[str, Problem],
        references: Mapping[str, str],
        sandbox: Sandbox,
        cores: Sequence[int],
        settings: JudgeSettings,
        warn: Callable[[str], None],
    ) -> None:
        self._problems, self._references = problems, references
        self._sandbox, self._cores, self._settings, self._warn = sandbox, tuple(cores), settings, warn
        self._known: dict[Key, Outcome] = {}

    @property
    def image(self) -> str:
        """The sandbox image that verdicts come from."""
        return self._sandbox.image.tag

    def remember(self, outcomes: Mapping[Key, Outcome]) -> None:
        """Take over what an earlier part of the run found out."""
        self._known |= {key: outcome for key, outcome in outcomes.items() if outcome.verdict != Verdict.INTERNAL}

    def __call__(self, completions: Sequence[tuple[str, str]]) -> list[Outcome]:
        """What each (task_id, completion) came to.

        INTERNAL runs and programs that there was no time to time are not remembered: a later copy may have more luck.
        """
        keys = [(task_id, self._solution_id(task_id, text)) for task_id, text in completions]
        new = {key: text for key, (_, text) in zip(keys, completions, strict=True) if key not in self._known}
        found = self._run(new)
        left_out: set[Key] = set()
        if self._settings.timed:
            passing = {key: new[key] for key, outcome in found.items() if _may_be_timed(outcome)}
            left_out = self._time(passing, found)
        self.remember({key: outcome for key, outcome in found.items() if key not in left_out})
        return [self._known.get(key) or found[key] for key in keys]

    def _solution_id(self, task_id: str, completion: str) -> str:
        problem = self._problems[task_id]
        return solution_id(problem.prompt + completion, problem.entry_point)

    def _run(self, new: Mapping[Key, str]) -> dict[Key, Outcome]:
        jobs = [job_for(self._problems[task_id], text) for (task_id, _), text in new.items()]
        return {
            key: Outcome(key[1], str(execution.verdict), str(execution.integrity))
            for key, execution in zip(new, self._sandbox.run_many(jobs), strict=True)
        }

    def _time(self, passing: Mapping[Key, str], found: dict[Key, Outcome]) -> set[Key]:
        """Add to `found` what timing shows of these programs; those that there was no time for."""
        states = self._states(passing)
        settings = self._settings.annotation(len(states))
        for _ in measured_blocks(list(states.values()), self._cores, self._sandbox, settings, self._warn):
            pass  # the states keep them
        left_out: set[Key] = set()
        for task_id, state in states.items():
            timed = [(task_id, one) for one in state.completions if (task_id, one) in passing]
            if not state.blocks:
                left_out.update(timed)
                continue
            reference = self._solution_id(task_id, self._references[task_id])
            flags, comparisons = solution_flags(state.blocks), decide(state.blocks, settings.decision).comparisons
            for key in timed:
                ratio = speedup(comparisons, key[1], reference)
                found[key] = replace(found[key], speedup=ratio, sound=not _unsound(flags.get(key[1], ())))
        return left_out

    def _states(self, passing: Mapping[Key, str]) -> dict[str, ProblemState]:
        """The problems to time: each with its reference and at least one program beside it."""
        states: dict[str, ProblemState] = {}
        for (task_id, one), text in passing.items():
            if (reference := self._references.get(task_id)) is not None:
                known = {self._solution_id(task_id, reference): reference}
                states.setdefault(task_id, ProblemState(self._problems[task_id], known)).completions[one] = text
        return {task_id: state for task_id, state in states.items() if len(state.completions) > 1}


def _may_be_timed(outcome: Outcome) -> bool:
    return outcome.verdict == Verdict.PASSED and refused(outcome) is None


def _unsound(flags: Sequence[str]) -> bool:
    """Whether a solution that had passed did not always do the same while it was timed."""
    return any(flag == UNSOUND_FLAG or (flag.startswith("failed:") and flag != INTERNAL_FLAG) for flag in flags)


@contextmanager
def sandbox_judge(
    problems: Mapping[str, Problem],
    references: Mapping[str, str],
    settings: JudgeSettings,
    *,
    folder: Path,
    cores: Sequence[int] | None,
    timing_cores: Sequence[int] | None,
    reporter: Reporter,
) -> Iterator[SandboxJudge]:
    """A judge with a sandbox of its own, on cores that no other run has, for as long as the block lasts.

    folder: the run's, whose disk is looked at. cores: None: all that this process may use and no other run has.
    Raises UserError and SandboxError as `annotate` does.
    """
    with claimed(cores, timing_cores, reporter) as placement:
        check_machine(folder, placement.judging[0], reporter.warn)
        with Sandbox(cores=placement.judging) as sandbox:
            yield SandboxJudge(problems, references, sandbox, placement.timing, settings, reporter.warn)
