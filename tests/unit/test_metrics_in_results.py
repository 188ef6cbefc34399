"""The figures of `harness.evaluation.efficiency` and of the A/A check in results, by hand and on lifelike data."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest
from fabricate_results import fabricate

from harness.evaluation.results import Results, evaluate, from_json, to_json
from harness.metrics.figure import Figure
from harness.records import ExecutionRow, FinishReason, Problem, ProblemLabels, RuntimeLabel, Sample

DATA = fabricate()
LIMIT_NS = 3e9


def _row(task_id: str, model: str, number: int, verdict: str, solution: str, memory: int = 0) -> ExecutionRow:
    return ExecutionRow(task_id, number, model, solution, verdict, "strong", "", "completed", "", 1, 1, memory, 0)


def _evaluated(runs: dict[tuple[str, str], str], held_out: str | None = "def check(c): pass") -> Results:
    """runs: (task, model) → words like `P:a:f`: verdict, solution, and the held-out verdict: p, f, i, or - for none."""
    labels = {
        "p1": ProblemLabels("p1", [_label("a", 100.0, 0), _label("b", 150.0, 1), _label("c", 300.0, 2)], []),
        "p2": ProblemLabels("p2", [_label("a", 50.0, 0), _label("x", 70.0, 1, "results_differ")], []),
    }
    problems = [Problem(task, "def f(a):\n", "def check(c): pass", "f", "test", "made", held_out) for task in labels]
    samples, rows, again = [], [], []
    for (task_id, model), words in runs.items():
        for number, word in enumerate(words.split()):
            verdict, solution, held = word.split(":")
            name = {"P": "PASSED", "W": "WRONG", "I": "INTERNAL"}[verdict]
            samples.append(Sample(task_id, number, model, "    return a\n", FinishReason.EOS))
            rows.append(_row(task_id, model, number, name, solution, memory=1000 * (number + 1)))
            if held != "-":
                name = {"p": "PASSED", "f": "WRONG", "i": "INTERNAL"}[held]
                again.append(_row(task_id, model, number, name, solution))
    models = list(dict.fromkeys(model for _, model in runs))
    return evaluate(
        problems, samples, rows, labels, models, ks=(1, 2), held_out=again if held_out else None, limit_ns=LIMIT_NS
    )


def _label(solution: str, runtime: float, tier: int, *flags: str) -> RuntimeLabel:
    return RuntimeLabel(solution, runtime, runtime * 0.99, runtime * 1.01, 5, tier, list(flags))


RUNS = {
    ("p1", "base"): "P:a:p P:c:f W:w:- W:w:-",
    ("p2", "base"): "W:w:- W:w:-",
    ("p1", "new"): "P:a:p P:b:p W:w:- I:w:-",
    ("p2", "new"): "P:a:p P:x:f",
}


def test_each_model_by_hand() -> None:
    base, new = _evaluated(RUNS).models
    assert base.efficiency is not None
    assert new.efficiency is not None
    # p1: the pool is 100, 150, 300 ns. eff: a 1, b (200-150)/100 = 0.5, c 0. Beyond: a 1, b 0.75, c 0.
    assert base.efficiency.eff_at_k["1"].value == pytest.approx((1 / 4 + 0) / 2)
    assert base.efficiency.eff_at_k["2"].value == pytest.approx((3 / 6 + 0) / 2)  # a is in 3 of the 6 pairs of p1
    assert new.efficiency.eff_at_k["1"].value == pytest.approx((1.5 / 3 + 1.0) / 2)
    assert base.efficiency.beyond.value == pytest.approx((1 / 4 + 0) / 2)
    assert new.efficiency.beyond.value == pytest.approx((1.75 / 3 + 1.0) / 2)
    # DPS over solved problems: p1's levels reach 3/3, 2/3, 1/3 of the solutions and of the levels.
    assert (base.efficiency.dps.value, base.efficiency.dps.n) == (pytest.approx((1 + 1 / 3) / 2), 1)
    assert (new.efficiency.dps.value, new.efficiency.dps.n) == (pytest.approx(((1 + 2 / 3) / 2 + 1) / 2), 2)
    assert new.efficiency.dps_norm.value == new.efficiency.dps.value
    assert base.efficiency.joint_ns.value == pytest.approx(((100 + 300 + 2 * LIMIT_NS) / 4 + LIMIT_NS) / 2)
    assert new.efficiency.joint_ns.value == pytest.approx(((100 + 150 + LIMIT_NS) / 3 + 50) / 2)
    assert (base.efficiency.memory_bytes.value, new.efficiency.memory_bytes.value) == (1500.0, 1500.0)
    assert (base.efficiency.untimed, new.efficiency.untimed) == (0, 1)  # `x` gave other results when timed


def test_the_held_out_gap_by_hand() -> None:
    base, new = _evaluated(RUNS).models
    assert base.held_out is not None
    assert new.held_out is not None
    assert base.held_out.gap.value == pytest.approx((1 / 4 + 0) / 2)
    assert new.held_out.gap.value == pytest.approx((0 + 1 / 2) / 2)
    assert base.held_out.pass_at_k["1"].value == pytest.approx((1 / 4 + 0) / 2)
    assert new.held_out.pass_at_k["2"].value == pytest.approx((1.0 + 1.0) / 2)
    assert (new.held_out.passed, new.held_out.failed, new.held_out.unjudged) == (3, 1, 0)
    for model in (base, new):  # own pass rate - gap = pass rate on both
        assert model.pass_at_k["1"].value == pytest.approx(
            model.held_out.gap.value + model.held_out.pass_at_k["1"].value
        )


def test_passing_samples_without_a_held_out_verdict_count_for_nobody() -> None:
    (model,) = _evaluated({("p1", "base"): "P:a:p P:a:i P:a:- W:w:-", ("p2", "base"): "P:a:- W:w:-"}).models
    assert model.held_out is not None
    assert (model.held_out.gap.value, model.held_out.gap.n) == (0.0, 1)
    assert model.held_out.pass_at_k["1"].value == pytest.approx(1 / 2)
    assert (model.held_out.passed, model.held_out.failed, model.held_out.unjudged) == (1, 0, 3)


def test_what_cannot_be_said_is_null_with_its_reason() -> None:
    results = _evaluated({("p1", "base"): "W:w:- W:w:-", ("p1", "new"): "P:gone:- P:gone:-"}, held_out=None)
    base, new = results.models
    assert new.efficiency is not None
    assert new.held_out is not None
    for figure in (new.efficiency.beyond, new.efficiency.joint_ns, new.efficiency.dps, new.efficiency.eff_at_k["1"]):
        assert (figure.value, figure.n, figure.reason) == (None, 0, "no problem has run times")
    assert (new.efficiency.untimed, new.held_out.gap.value) == (2, None)
    assert "no problem has a held-out test" in new.held_out.gap.reason
    assert base.efficiency is not None
    assert base.efficiency.beyond.value == 0.0  # wrong is wrong, whatever was timed
    assert base.efficiency.memory_bytes.reason == "no problem is solved"
    (comparison,) = results.comparisons
    assert comparison.efficiency is not None
    assert comparison.efficiency.beyond.value is None
    assert comparison.efficiency.memory_ratio.reason == "no problem is solved by both"
    assert results.quality.aa is not None
    assert (results.quality.aa.speedup.value, results.quality.aa.holds) == (None, None)
    unlimited = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, ["base"]).models[0]
    assert unlimited.efficiency is not None
    assert unlimited.efficiency.joint_ns.reason == "the time limit is not known"


def test_comparisons_are_matched_and_paired() -> None:
    (comparison,) = _evaluated(RUNS).comparisons
    efficiency, held_out = comparison.efficiency, comparison.held_out
    assert efficiency is not None
    assert held_out is not None
    assert efficiency.beyond.value == pytest.approx(((1.75 / 3 - 1 / 4) + 1.0) / 2)
    assert (efficiency.dps.value, efficiency.dps.n) == (pytest.approx(5 / 6 - 2 / 3), 1)  # only p1 is solved by both
    assert (efficiency.memory_ratio.value, efficiency.memory_ratio.n) == (1.0, 1)
    assert held_out.gap.value == pytest.approx((-1 / 4 + 1 / 2) / 2)


def _lifelike(**changes: object) -> Results:
    arguments = {
        "problems": [replace(problem, held_out="def check(c): pass") for problem in DATA.problems],
        "samples": DATA.samples,
        "executions": DATA.executions,
        "labels": DATA.labels,
        "models": DATA.models,
        "held_out": [replace(row, verdict="WRONG") if row.sample_id % 5 == 0 else row for row in DATA.executions],
        "limit_ns": LIMIT_NS,
        **changes,
    }
    return evaluate(**arguments)  # type: ignore[arg-type]


def test_lifelike_data_keeps_its_bounds_and_its_differences() -> None:
    results = _lifelike()
    for model in results.models:
        found, held_out = model.efficiency, model.held_out
        assert found is not None
        assert held_out is not None
        for k in results.ks:
            passing = model.pass_at_k[str(k)].value
            assert passing is not None
            assert 0.0 < _value(found.eff_at_k[str(k)]) <= passing
            assert _value(held_out.pass_at_k[str(k)]) <= passing
        assert 0.0 < _value(found.beyond) <= _value(model.pass_at_k["1"])
        assert 0.0 < _value(found.dps) <= 1.0
        assert 0.0 < _value(held_out.gap) < 1.0
        assert _value(found.joint_ns) < LIMIT_NS
    dpo = results.comparisons[1]
    assert dpo.efficiency is not None
    assert dpo.efficiency.dps.low is not None
    assert dpo.efficiency.dps.low > 0.0  # it was made to lean to fast ways
    assert results.quality.aa is not None
    assert results.quality.aa.holds is True
    assert results.quality.internal is not None
    assert results.quality.internal.n == len(DATA.samples)


def test_the_order_of_rows_does_not_matter() -> None:
    rng = random.Random(7)
    samples, executions = list(DATA.samples), list(DATA.executions)
    rng.shuffle(samples)
    rng.shuffle(executions)
    assert to_json(_lifelike(samples=samples, executions=executions)) == to_json(_lifelike())


def test_the_unit_of_time_does_not_matter() -> None:
    scaled = {
        task: ProblemLabels(task, [replace(one, runtime_ns=one.runtime_ns * 4) for one in own.labels], own.comparisons)
        for task, own in DATA.labels.items()
    }
    there, other = _lifelike(), _lifelike(labels=scaled)
    for one, four in zip(there.models, other.models, strict=True):
        assert one.efficiency is not None
        assert four.efficiency is not None
        assert _value(four.efficiency.beyond) == pytest.approx(_value(one.efficiency.beyond))
        assert _value(four.efficiency.eff_at_k["1"]) == pytest.approx(_value(one.efficiency.eff_at_k["1"]))
        assert four.efficiency.dps == one.efficiency.dps


def test_faster_solutions_never_score_less() -> None:
    """Every passing sample of one model becomes the fastest way of its problem."""
    fastest = {task: own.labels[0].solution_id for task, own in DATA.labels.items()}
    rows = [
        replace(row, solution_id=fastest[row.task_id]) if row.model == "base" and row.verdict == "PASSED" else row
        for row in DATA.executions
    ]
    before, after = _lifelike().models[0].efficiency, _lifelike(executions=rows).models[0].efficiency
    assert before is not None
    assert after is not None
    assert _value(after.beyond) == pytest.approx(_value(_lifelike().models[0].pass_at_k["1"]))
    assert _value(after.dps) == 1.0 > _value(before.dps)
    assert _value(after.joint_ns) < _value(before.joint_ns)


def test_a_drift_between_the_halves_breaks_the_aa_check() -> None:
    """Were odd samples' solutions measured on a slower core, A/A would say so."""
    rows = [replace(row, solution_id=f"{row.solution_id}{row.sample_id % 2}") for row in DATA.executions]
    labels = {
        task: ProblemLabels(
            task,
            [
                replace(one, solution_id=f"{one.solution_id}{half}", runtime_ns=one.runtime_ns * (1 + 0.6 * half))
                for one in own.labels
                for half in (0, 1)
            ],
            [],
        )
        for task, own in DATA.labels.items()
    }
    aa = _lifelike(executions=rows, labels=labels).quality.aa
    assert aa is not None
    assert aa.holds is False
    assert _value(aa.speedup) == pytest.approx(1 / 1.6, rel=0.05)


def test_results_of_before_can_be_read() -> None:
    data = json.loads(to_json(_lifelike()))
    for model in data["models"]:
        del model["efficiency"]["spoilt"]
    between = from_json(json.dumps(data)).models[0].efficiency
    assert between is not None
    assert between.spoilt is None
    for part in (*data["models"], *data["comparisons"]):
        del part["efficiency"], part["held_out"], part["larger"]
    for name in ("aa", "internal", "weak_integrity"):
        del data["quality"][name]
    old = from_json(json.dumps(data))
    assert old.models[0].efficiency is None
    assert old.comparisons[0].held_out is None
    assert old.quality.aa is None


def _value(figure: Figure) -> float:
    assert figure.value is not None, figure.reason
    return figure.value
