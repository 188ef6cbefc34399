"""Models of several folders side by side: what may be compared, what is refused, and what times taken apart can say."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from fabricate_results import Fabricated, fabricate
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.evaluation.compare import (
    Chosen,
    Source,
    choose,
    compare,
    exchange,
    held_out_digests,
    matched_problems,
    problem_digest,
    supported_ks,
)
from harness.evaluation.results import evaluate
from harness.records import ProblemLabels, TimingMethod

DATA = fabricate()
TASKS = [problem.task_id for problem in DATA.problems]


def _scaled(known: ProblemLabels, machine: float, scatter: float) -> ProblemLabels:
    """The labels that a machine gives which takes `machine` times as long, and `scatter` differently by program."""
    rng = random.Random(known.task_id)
    own = machine * rng.lognormvariate(0.0, 0.1)  # it suits some problems better than others
    labels = []
    for label in known.labels:
        factor = own * rng.lognormvariate(0.0, scatter)
        times = {name: getattr(label, name) * factor for name in ("runtime_ns", "low_ns", "high_ns")}
        labels.append(replace(label, **times))
    return replace(known, labels=labels)


def _source(
    label: str, models: tuple[str, ...], *, machine: float | None = None, scatter: float = 0.0, data: Fabricated = DATA
) -> Source:
    """A folder that holds these models; machine: measured on another one, which takes so many times as long."""
    samples = [row for row in data.samples if row.model in models]
    executions = [row for row in data.executions if row.model in models]
    ran = {(row.task_id, row.solution_id) for row in executions}
    labels = {}
    for task_id, known in data.labels.items():
        kept = [one for one in known.labels if (task_id, one.solution_id) in ran]
        if kept:
            own = ProblemLabels(task_id, kept, known.comparisons if models == data.models else [])
            labels[task_id] = own if machine is None else _scaled(own, machine, scatter)
    return Source(
        label=label,
        where=f"runs/{label}",
        data="starter",
        split="test",
        samples=samples,
        executions=executions,
        labels=labels,
        calls=dict.fromkeys(ran, (3, "d")),
        digests={problem.task_id: problem_digest(problem) for problem in data.problems},
        method=TimingMethod.BLOCKS,
        base_image="python:3.11@sha256:0",
    )


FIRST = _source("a", ("base", "sft-25"))
SECOND = _source("b", ("base", "dpo-qvs"), machine=2.7, scatter=0.004)
TOGETHER = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, DATA.models)


def test_folders_timed_apart_say_what_they_would_have_said_together() -> None:
    chosen = choose([FIRST, SECOND], [None, None])
    assert [one.name for one in chosen] == ["a:base", "a:sft-25", "b:base", "b:dpo-qvs"]
    comparison = compare([FIRST, SECOND], chosen, DATA.problems)
    sft, again, dpo = comparison.results.comparisons
    same, wanted = (one.speedup for one in TOGETHER.comparisons)
    assert sft.speedup.figure == same.figure  # of one folder: nothing is exchanged
    assert dpo.speedup.figure.value == pytest.approx(wanted.figure.value, rel=0.01)
    assert dpo.speedup.figure.n == wanted.figure.n
    assert again.speedup.figure.value == pytest.approx(1.0, rel=0.003)  # the same model, 2.7 times as slow a machine
    assert again.speedup.slower == again.speedup.faster == 0
    assert dpo.pass_at_k == TOGETHER.comparisons[1].pass_at_k
    assert dpo.speedup.p_holm is not None
    assert dpo.speedup.p is not None
    assert dpo.speedup.p_holm >= dpo.speedup.p
    link = comparison.exchanges["b"]
    assert not link.refused
    assert link.error is not None
    assert 0.001 < link.error < 0.02
    (warning,) = comparison.warnings
    assert "timed apart" in warning
    assert "--measure" in warning


def test_models_of_one_folder_are_compared_as_eval_does() -> None:
    whole = _source("a", DATA.models)
    chosen = choose([whole], [None])
    comparison = compare([whole], chosen, DATA.problems)
    assert comparison.results.comparisons == TOGETHER.comparisons
    assert comparison.results.models == TOGETHER.models
    assert comparison.warnings == []
    turned = compare([whole], choose([whole], [["dpo-qvs", "base"]]), DATA.problems).results
    assert turned.base == "dpo-qvs"
    assert turned.comparisons[0].speedup.figure.value == pytest.approx(
        1 / TOGETHER.comparisons[1].speedup.figure.value  # type: ignore[operator]
    )


@given(st.floats(0.05, 20.0), st.integers(0, 5))
@settings(max_examples=10, deadline=None)
def test_the_speed_of_the_other_machine_changes_nothing(machine: float, seed: int) -> None:
    data = fabricate(problems=12, n_seq=6, seed=seed, models=("base", "dpo-qvs"))
    mine = _source("a", ("base",), data=data)
    figures = []
    for factor in (1.0, machine):
        theirs = _source("b", ("base", "dpo-qvs"), data=data)
        theirs = replace(theirs, labels={t: _times(known, factor) for t, known in theirs.labels.items()})
        chosen = [Chosen(0, "base", "base"), Chosen(1, "dpo-qvs", "new")]
        figures.append(compare([mine, theirs], chosen, data.problems).results.comparisons[0].speedup.figure)
    assert figures[0].n == figures[1].n
    for name in ("value", "low", "high"):
        one, other = (getattr(figure, name) for figure in figures)
        assert one == (other if other is None else pytest.approx(other, rel=1e-9))


def _times(known: ProblemLabels, factor: float) -> ProblemLabels:
    return replace(known, labels=[replace(one, runtime_ns=one.runtime_ns * factor) for one in known.labels])


REFUSED = {
    "coarse": (_source("b", DATA.models, machine=1.0, scatter=0.2), "beyond the machines' difference"),
    "calls": (
        replace(SECOND, calls=dict.fromkeys(SECOND.calls, (3, "other"))),
        "only 0 problems have two programs that both timed",
    ),
    "no calls": (replace(SECOND, calls={}), "only 0 problems"),
    "image": (replace(SECOND, base_image="python:3.13@sha256:1"), "different base images"),
    "legacy": (replace(SECOND, method=TimingMethod.LEGACY), "published timing method"),
    "flags": (
        replace(
            SECOND,
            labels={
                task_id: replace(known, labels=[replace(one, flags=["waits"]) for one in known.labels])
                for task_id, known in SECOND.labels.items()
            },
        ),
        "only 0 problems",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_times_without_a_common_unit_are_not_compared_but_verdicts_are(name: str) -> None:
    other, why = REFUSED[name]
    assert why in exchange(FIRST, other, TASKS).refused
    chosen = [Chosen(0, "base", "old"), Chosen(1, "dpo-qvs", "new")]
    comparison = compare([FIRST, other], chosen, DATA.problems)
    (made,) = comparison.results.comparisons
    assert made.speedup.figure.value is None
    assert made.speedup.p is None
    assert made.pass_at_k == TOGETHER.comparisons[1].pass_at_k
    assert made.gained == TOGETHER.comparisons[1].gained
    assert any(why in warning and "No speed-up between a and b" in warning for warning in comparison.warnings)


def test_a_problem_without_a_common_program_is_left_out_of_the_speed_only() -> None:
    gone = next(p.task_id for p in TOGETHER.problems if p.speedup["dpo-qvs"] is not None)
    calls = {key: value for key, value in SECOND.calls.items() if key[0] != gone}
    chosen = choose([FIRST, SECOND], [["base"], ["dpo-qvs"]])
    comparison = compare([FIRST, replace(SECOND, calls=calls)], chosen, DATA.problems)
    (made,) = comparison.results.comparisons
    assert made.speedup.figure.n == TOGETHER.comparisons[1].speedup.figure.n - 1
    assert made.speedup.untimed == 1
    assert made.pass_at_k == TOGETHER.comparisons[1].pass_at_k


def test_only_problems_that_all_were_sampled_on_are_matched() -> None:
    some = replace(SECOND, samples=[row for row in SECOND.samples if row.task_id in TASKS[10:30]])
    chosen = choose([FIRST, some], [None, None])
    matched = matched_problems([FIRST, some], chosen, DATA.problems)
    assert [problem.task_id for problem in matched] == TASKS[10:30]
    results = compare([FIRST, some], chosen, matched).results
    assert {model.problems for model in results.models} == {20}
    elsewhere = replace(SECOND, samples=[replace(row, task_id=f"x{row.task_id}") for row in SECOND.samples])
    with pytest.raises(UserError, match="no problem has samples of all"):
        matched_problems([FIRST, elsewhere], chosen, DATA.problems)


def test_other_problems_are_refused() -> None:
    chosen = choose([FIRST, SECOND], [None, None])
    for other in (replace(SECOND, data="mbpp"), replace(SECOND, split="train")):
        with pytest.raises(UserError, match="are not the same problems") as error:
            matched_problems([FIRST, other], chosen, DATA.problems)
        assert "runs/b" in error.value.where
    for changed in ({"prompt": "def g():\n"}, {"test": "def check(f): assert f"}, {"entry_point": "g"}):
        digest = problem_digest(replace(DATA.problems[7], **changed))
        other = replace(SECOND, digests=SECOND.digests | {TASKS[7]: digest})
        with pytest.raises(UserError, match=r"1 of 60 problems had another prompt, test.*starter/007") as error:
            matched_problems([FIRST, other], chosen, DATA.problems)
        assert error.value.where == "runs/b"
    held_out = [replace(problem, held_out="def check(candidate): ...") for problem in DATA.problems]
    known = held_out_digests(held_out)
    same = replace(SECOND, held_out_digests=known)
    assert len(matched_problems([FIRST, same], chosen, held_out)) == 60  # FIRST is of before they were recorded
    for problems in ([replace(held_out[7], held_out="def check(f): assert f"), *held_out[8:]], DATA.problems[7:8]):
        with pytest.raises(UserError, match=r"1 of \d+ problems had another .*held-out test.*starter/007"):
            matched_problems([FIRST, same], chosen, problems)
    unknown = replace(SECOND, digests={})
    assert len(matched_problems([FIRST, unknown], chosen, DATA.problems)) == 60
    assert "taken on trust" in compare([FIRST, unknown], chosen, DATA.problems).warnings[-1]


def test_what_cannot_be_chosen_is_said() -> None:
    with pytest.raises(UserError, match="no samples of nobody") as error:
        choose([FIRST], [["nobody"]])
    assert "base, sft-25" in error.value.fix
    with pytest.raises(UserError, match="only one model"):
        choose([FIRST], [["base"]])
    with pytest.raises(UserError, match="named twice"):
        choose([FIRST], [["base", "base"]])
    with pytest.raises(UserError, match="there are no verdicts"):
        compare([FIRST, replace(SECOND, executions=[])], choose([FIRST, SECOND], [None, None]), DATA.problems)


def test_held_out_verdicts_count_where_all_ran_the_same_held_out_tests() -> None:
    problems = [replace(problem, held_out="def check(candidate): ...") for problem in DATA.problems]
    known = held_out_digests(problems)
    both = [
        replace(source, held_out=[r for r in source.executions if r.verdict == "PASSED"], held_out_digests=known)
        for source in (FIRST, SECOND)
    ]
    chosen = choose(both, [["base"], ["dpo-qvs"]])
    (made,) = compare(both, chosen, problems).results.comparisons
    assert made.held_out is not None
    assert made.held_out.gap.value == 0.0
    others = (
        replace(both[1], held_out=None),
        replace(both[1], held_out_digests=known | {TASKS[3]: "0" * 16}),
        replace(both[1], held_out_digests={}),
    )
    for other in others:
        comparison = compare([both[0], other], chosen, problems)
        (made,) = comparison.results.comparisons
        assert made.held_out is None or made.held_out.gap.value is None
        assert made.pass_at_k == TOGETHER.comparisons[1].pass_at_k
        assert "No figures of held-out tests: b did not" in comparison.warnings[-1]
    neither = [replace(source, held_out=None) for source in both]
    assert "held-out" not in " ".join(compare(neither, chosen, problems).warnings)


def test_other_time_limits_are_told() -> None:
    limited = [replace(FIRST, limit_ns=10e9), replace(SECOND, limit_ns=5e9)]
    chosen = choose(limited, [["base"], ["dpo-qvs"]])
    comparison = compare(limited, chosen, DATA.problems)
    assert any("a 10 s, b 5 s" in warning for warning in comparison.warnings)
    assert comparison.results.models[0].efficiency.joint_ns.value is None  # type: ignore[union-attr]
    alike = [replace(source, limit_ns=5e9) for source in (FIRST, SECOND)]
    comparison = compare(alike, chosen, DATA.problems)
    assert len(comparison.warnings) == 1
    assert comparison.results.models[0].efficiency.joint_ns.value is not None  # type: ignore[union-attr]


def test_ks_are_those_that_every_model_has_samples_for() -> None:
    assert supported_ks(DATA.samples, DATA.models) == (1, 5, 10)
    few = [row for row in DATA.samples if row.model != "sft-25" or row.sample_id < 7]
    assert supported_ks(few, DATA.models) == (1, 5)
    assert supported_ks(few, ["base"]) == (1, 5, 10)
