"""Ask a problem's solutions about larger and larger inputs, and keep those that they agree on.

Sizes grow by 4, by 2 or by √2, whatever the slowest solution allows, at first by 2 at most. Where one does not come to
an end, the step is made smaller before it is left behind: exponential growth would else be seen at one size only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.stress.agreement import KEPT, Judged, hardest, judge_input
from harness.stress.asking import MOST_INPUTS, TIMES_ASKED, Answers, asking_test
from harness.stress.grow import Axis, Grower
from harness.stress.numbers import MOST_VALUE
from harness.stress.recorded import Call, recorded_calls
from harness.stress.records import StressDissent, StressInput, StressInputs, StressSize, StressStop
from harness.stress.settings import StressSettings
from harness.timing.schedule import set_digest

# Given a test, the ids of the solutions to ask and the number of inputs: what each of them says.
Ask = Callable[[str, Sequence[str], int], Mapping[str, Answers]]

STEPS = (4.0, 2.0, math.sqrt(2.0))
FIRST_LENGTH, FIRST_VALUE = 8, 2
CAREFUL_SIZES = 3  # with smaller steps
# What loading a program and taking an argument apart costs in any case; a guess on the low side.
LOADING_NS, CHARACTER_NS = 2_000_000, 50
MOST_EMPTY = 2  # sizes in a row without an input that is agreed on


def probe(task_id: str, test: str, solution_ids: Sequence[str], ask: Ask, settings: StressSettings) -> StressInputs:
    """The stress inputs of one problem whose passing solutions these are."""
    recorded = recorded_calls(test)
    of = set_digest(solution_ids)
    if not recorded.calls or len(solution_ids) < 2:
        why = "no call of literals" if not recorded.calls else "fewer than two solutions"
        return StressInputs(task_id, of, Axis.NONE, 0, "", why)
    grower = Grower(recorded.calls, f"{settings.seed}:{task_id}")
    if grower.axis is Axis.NONE:
        return StressInputs(task_id, of, Axis.NONE, 0, recorded.wrapper, "nothing that grows")
    ladder = _Ladder(grower, recorded.wrapper, ask, settings, set(solution_ids))
    ladder.climb()
    why = "" if ladder.sizes else "no input that is agreed on"
    return StressInputs(
        task_id, of, grower.axis, grower.base_size, recorded.wrapper, why,
        ladder.sizes, ladder.stops, ladder.dissents,
    )  # fmt: skip


def next_step(slowest_ns: float, call_ns: float) -> float:
    """The largest factor after which a call of quadratic growth still ends within `call_ns`."""
    return next((step for step in STEPS if slowest_ns * step**2 < call_ns), STEPS[-1])


@dataclass(slots=True)
class _Ladder:
    grower: Grower
    wrapper: str
    ask: Ask
    settings: StressSettings
    alive: set[str]
    sizes: list[StressSize] = field(default_factory=list)
    stops: list[StressStop] = field(default_factory=list)
    dissents: list[StressDissent] = field(default_factory=list)
    last: int = 0  # size that all who are alive have answered
    empty: int = 0

    def climb(self) -> None:
        length = self.grower.axis is Axis.LENGTH
        most = self.settings.most_size if length else MOST_VALUE
        base = self.grower.base_size
        # Tests of functions that grow exponentially use numbers that are large already.
        size = max(base, FIRST_LENGTH) if length else max(base // 2, FIRST_VALUE)
        step = STEPS[1]
        while self.alive and self.empty < MOST_EMPTY and len(self.sizes) < self.settings.most_sizes:
            cost = self._rung(size, patient=self.last > 0 and step > STEPS[-1])
            if cost is None:  # somebody did not come to an end
                step = STEPS[STEPS.index(step) + 1]
            else:
                if size >= most:
                    return
                self.last, step = size, next_step(cost, self.settings.call_ns)
                if len(self.sizes) < CAREFUL_SIZES:
                    step = min(step, STEPS[1])
            size = min(max(round(self.last * step), self.last + 1), most)

    def _rung(self, size: int, *, patient: bool) -> float | None:
        """Ask everybody at this size. ns a call of the slowest that goes on; None where a smaller step is to be tried
        (patient) for the sake of those who did not answer."""
        inputs = self._draws(size)
        if not inputs:
            self.empty += 1
            return 0.0
        calls = list(inputs.values())
        told = self.ask(asking_test(calls, self.wrapper), sorted(self.alive), len(calls))
        stopped = {one: answers.stopped for one, answers in told.items() if answers.stopped}
        if stopped and patient:
            return None
        self._stop(stopped, size)
        answered = {one: answers for one, answers in told.items() if one in self.alive}
        if not answered:
            return 0.0
        judged = self._judge(answered, len(calls))
        self._drop_dissenters(judged, inputs, size)
        agreed = [place for place, one in enumerate(judged) if one.outcome == KEPT]
        self.empty = 0 if agreed else self.empty + 1
        if agreed and self.alive:
            times = {one: [answer.ns for answer in answered[one].answers] for one in self.alive}
            chosen = hardest(times, agreed, self.settings.keep)
            self._add(size, inputs, judged, chosen)
        handling = LOADING_NS + TIMES_ASKED * CHARACTER_NS * sum(len(repr(call)) for call in calls)
        made = TIMES_ASKED * len(calls)
        costs = {one: max(answered[one].cpu_ns - handling, 0) / made for one in self.alive}
        self._stop({one: "budget" for one, cost in costs.items() if cost > self.settings.call_ns}, size)
        return max((costs[one] for one in self.alive), default=0.0)

    def _draws(self, size: int) -> dict[int, Call]:
        """Different calls by number of draw."""
        found: dict[str, tuple[int, Call]] = {}
        # Numbers are quick to ask about, and hard ones are rare among them.
        value = self.grower.axis is Axis.VALUE
        for number in range(MOST_INPUTS if value else self.settings.draws):
            call = self.grower.grow(size, number)
            if call is not None:
                found.setdefault(repr(call), (number, call))
        return dict(found.values())

    def _stop(self, stopped: Mapping[str, str], size: int) -> None:
        self.stops += [StressStop(one, size, why) for one, why in sorted(stopped.items())]
        self.alive -= stopped.keys()

    def _judge(self, answered: Mapping[str, Answers], count: int) -> list[Judged]:
        return [judge_input({one: told.answers[place] for one, told in answered.items()}) for place in range(count)]

    def _drop_dissenters(self, judged: Sequence[Judged], inputs: Mapping[int, Call], size: int) -> None:
        """Each is named once, with the first input that it contradicts the others on."""
        for (number, call), one in zip(inputs.items(), judged, strict=True):
            for solution, said in sorted(one.dissent.items()):
                if solution in self.alive:
                    self.alive.discard(solution)
                    self.dissents.append(StressDissent(solution, size, number, said, one.digest, repr(call)))

    def _add(self, size: int, inputs: Mapping[int, Call], judged: Sequence[Judged], chosen: Sequence[int]) -> None:
        alone = len(self.alive) < 2
        rows = []
        for place, ((number, call), one) in enumerate(zip(inputs.items(), judged, strict=True)):
            if place in chosen:
                rows.append(StressInput(number, "alone" if alone else "timed", repr(call), one.digest))
            else:
                rows.append(StressInput(number, {KEPT: "agreed"}.get(one.outcome, one.outcome)))
        chosen_sizes = [self.grower.size(call) for place, call in enumerate(inputs.values()) if place in chosen]
        true_size = math.exp(sum(math.log(max(one, 1)) for one in chosen_sizes) / len(chosen_sizes))
        self.sizes.append(StressSize(size, true_size, sorted(self.alive), rows))


