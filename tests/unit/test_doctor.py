"""Judgements about a machine, from facts alone."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from timing_blocks import blocks

from harness.doctor import aa, checks, look
from harness.doctor.checks import CHECKS, MIN_PAIRS, Finding, Group, Status, examine, exit_code
from harness.doctor.facts import AaFacts, EngineFacts, GpuFacts, LockdownFacts, MachineFacts
from harness.doctor.gather import Watch, count_kinds, gather, parse_gpus, parse_quota
from harness.doctor.look import refusal
from harness.doctor.show import print_table, summary, to_json
from harness.errors import UserError
from harness.records import Decision, MeasurementBlock
from harness.timing.decisions import DecisionSettings, decide
from harness.timing.solution_id import solution_id
from sandbox.errors import LockdownError, SandboxError

AA = AaFacts(
    pairs=45, decided=0, flagged=0, rounds=5, spread=0.006, wide_spread=0.012, widest_gap=0.01, delta=0.1,
    best_delta=0.1, contaminated=0.0, redone=0.02, core=1, seconds=15.0,
)  # fmt: skip
ENGINE = EngineFacts(
    version="27.0",
    api_version="1.46",
    cgroup_version="2",
    cgroup_driver="systemd",
    security=("name=seccomp,profile=builtin", "name=rootless"),
    runtimes=("runc",),
    image="code-optimise-sandbox:abc",
    base="python:3.11@sha256:1",
)
GOOD = MachineFacts(
    system="Linux",
    cpus=4,
    allowed=(0, 1, 2, 3),
    siblings=((0,), (1,), (2,), (3,)),
    numa_nodes=1,
    core_kinds=1,
    quota=float("inf"),
    throttled=0,
    throttled_now=0,
    load=0.1,
    cpu_pressure=0.0,
    steal=0.0,
    steal_now=0.0,
    watched_seconds=1.0,
    virtualisation="",
    clocksource="tsc",
    clock_read_ns=50.0,
    governor="performance",
    turbo=False,
    swap_used=0,
    thp="madvise",
    isolated="",
    user_namespaces=True,
    perf_counters=True,
    memory_available=16 * checks.GIB,
    disk_free=50 * checks.GIB,
    gpus=(),
    engine=ENGINE,
    lockdown=LockdownFacts(seconds=0.4),
    aa=AA,
)


def test_a_good_machine_has_nothing_to_mend() -> None:
    findings = examine(GOOD)
    assert [f for f in findings if f.status is not Status.OK or f.advice] == []
    assert exit_code(findings) == 0
    assert summary(findings).endswith("Ready.")


def test_what_is_not_known_is_never_called_fine() -> None:
    findings = examine(MachineFacts(engine=EngineFacts(error="none", fix="start one")))
    assert {f.status for f in findings} == {Status.ERROR, Status.UNKNOWN}
    assert [f.name for f in findings if f.status is Status.ERROR] == ["Docker engine"]


ENGINE_CHANGES = [
    ({"error": "no engine"}, checks.engine, Status.ERROR),
    ({"api_version": "1.40"}, checks.engine, Status.ERROR),
    ({"api_version": "1.41"}, checks.engine, Status.OK),
    ({"cgroup_driver": "none"}, checks.cgroups, Status.ERROR),
    ({"warnings": ("WARNING: No swap limit support",)}, checks.cgroups, Status.WARN),
    ({"warnings": ("WARNING: bridge-nf-call-iptables is disabled",)}, checks.cgroups, Status.OK),
    ({"security": ()}, checks.seccomp, Status.ERROR),
    ({"image": None}, checks.image, Status.WARN),
    ({"security": ("name=seccomp",)}, checks.privileges, Status.WARN),
    ({"security": ("name=seccomp",), "runtimes": ("runc", "runsc")}, checks.privileges, Status.OK),
]


@pytest.mark.parametrize(("change", "check", "status"), ENGINE_CHANGES)
def test_engine(change: dict, check: checks.Check, status: Status) -> None:
    assert check(replace(GOOD, engine=replace(ENGINE, **change))).status is status


MACHINE_CHANGES = [
    ({"allowed": (0,)}, checks.cores, Status.WARN),
    ({"siblings": ((0, 1), (2, 3)), "allowed": (0, 1)}, checks.cores, Status.WARN),
    ({"siblings": ((0, 1), (2, 3))}, checks.smt, Status.WARN),
    ({"core_kinds": 2}, checks.kinds, Status.WARN),
    ({"numa_nodes": 2}, checks.numa, Status.OK),
    ({"quota": 1.5, "throttled": 3, "throttled_now": 1}, checks.quota, Status.WARN),
    ({"lockdown": LockdownFacts(error="no limit on memory")}, checks.lockdown, Status.ERROR),
    ({"load": 2.1}, checks.load, Status.WARN),
    ({"cpu_pressure": 10.1}, checks.pressure, Status.WARN),
    ({"steal": 0.02}, checks.steal, Status.WARN),
    ({"steal_now": 0.06}, checks.steal, Status.WARN),
    ({"clock_read_ns": 1001.0}, checks.clock, Status.WARN),
    ({"governor": "powersave"}, checks.frequency, Status.WARN),
    ({"turbo": True}, checks.frequency, Status.WARN),
    ({"swap_used": 1}, checks.memory_noise, Status.WARN),
    ({"memory_available": checks.GIB}, checks.memory, Status.WARN),
    ({"disk_free": checks.GIB}, checks.disk, Status.WARN),
    ({"gpus": (GpuFacts("A", checks.GIB),)}, checks.gpu, Status.OK),
    ({"perf_counters": False}, checks.counters, Status.OK),
]


def test_a_virtual_machine_does_not_know_whom_it_shares_its_cores_with() -> None:
    assert checks.smt(replace(GOOD, virtualisation="virtual machine")).status is Status.UNKNOWN
    assert checks.smt(GOOD).status is Status.OK


@pytest.mark.parametrize(("change", "check", "status"), MACHINE_CHANGES)
def test_machine(change: dict, check: checks.Check, status: Status) -> None:
    finding = check(replace(GOOD, **change))
    assert finding.status is status
    assert bool(finding.advice) == (status is not Status.OK)


def test_every_check_answers_for_every_single_missing_fact() -> None:
    for field in fields(MachineFacts):
        if field.default is None:
            for finding in examine(replace(GOOD, **{field.name: None})):
                assert finding.status in (Status.OK, Status.UNKNOWN), (field.name, finding)


def test_errors_end_with_1_and_warnings_do_not() -> None:
    assert exit_code(examine(replace(GOOD, engine=EngineFacts(error="x", fix="y")))) == 1
    assert exit_code(examine(replace(GOOD, load=100.0))) == 0


@pytest.mark.parametrize(
    ("text", "quota"),
    [("max 100000", float("inf")), ("-1 100000", float("inf")), ("150000 100000", 1.5), ("", None), ("5", None)],
)
def test_quotas_of_both_cgroup_versions(text: str, quota: float | None) -> None:
    assert parse_quota(text) == quota


def test_gpus_with_a_comma_in_their_name() -> None:
    gpus = parse_gpus("Some GPU, 80GB, 81920\nnonsense\nOther, 1024\n")
    assert [(g.name, g.memory_bytes) for g in gpus] == [("Some GPU, 80GB", 80 * checks.GIB), ("Other", checks.GIB)]


def test_this_machine_can_be_looked_at_without_an_engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    facts = gather(tmp_path / "not" / "there" / "yet")
    assert facts.engine.error
    assert facts.disk_free
    assert facts.cpus
    assert len(examine(facts)) == len(CHECKS)


def test_the_table_keeps_brackets_and_the_json_has_all() -> None:
    facts = replace(GOOD, engine=replace(ENGINE, security=(), image="x:[red]"))
    out = io.StringIO()
    print_table(examine(facts), facts, Console(file=out, width=100))
    assert "[red]" in out.getvalue()
    data = json.loads(to_json(examine(facts), facts))
    assert len(data["findings"]) == len(CHECKS)
    assert data["facts"]["quota"] is None


AA_CHANGES = [
    ({"decided": 1}, checks.identical, Status.ERROR),
    ({"pairs": 29}, checks.identical, Status.WARN),
    ({"error": "left out"}, checks.identical, Status.UNKNOWN),
    ({"error": "left out"}, checks.resolution, Status.UNKNOWN),
    ({"delta": 0.16}, checks.resolution, Status.WARN),
    ({"flagged": 2, "contaminated": 1.0}, checks.identical, Status.OK),
]


@pytest.mark.parametrize(("change", "check", "status"), AA_CHANGES)
def test_the_aa_run(change: dict, check: checks.Check, status: Status) -> None:
    finding = check(replace(GOOD, aa=replace(AA, **change)))
    assert finding.status is status
    assert bool(finding.advice) == (status in (Status.WARN, Status.ERROR))


def test_an_aa_run_with_a_wrong_label_is_an_error_that_says_so() -> None:
    findings = examine(replace(GOOD, aa=replace(AA, decided=2)))
    assert exit_code(findings) == 1
    assert "2 of 45 decided" in checks.identical(replace(GOOD, aa=replace(AA, decided=2))).found
    assert "labels made here would not be true" in summary(findings)


def test_every_figure_of_an_aa_run_may_be_missing() -> None:
    for field in fields(AaFacts):
        if field.default is None:
            for finding in examine(replace(GOOD, aa=replace(AA, **{field.name: None}))):
                assert finding.status in (Status.OK, Status.UNKNOWN), (field.name, finding)
                assert "None" not in finding.found


@pytest.mark.parametrize("kind", aa.KINDS, ids=lambda kind: kind.name)
def test_the_variants_are_one_program_in_other_words(kind: aa.Kind) -> None:
    problem, programs = aa.problem(kind), aa.variants(kind)
    assert len(set(programs)) == len(aa.NAMES)
    assert len({solution_id(problem.prompt + code, "f") for code in programs}) == 1
    for code in programs:
        namespace: dict = {}
        exec(problem.prompt + code + problem.test, namespace)
        namespace["check"](namespace["f"])


def test_there_are_enough_identical_pairs_even_if_a_few_are_lost() -> None:
    def pairs(programs: int) -> int:
        return programs * (programs - 1) // 2

    assert len(aa.KINDS) * pairs(len(aa.NAMES)) > MIN_PAIRS
    assert (len(aa.KINDS) - 1) * pairs(len(aa.NAMES)) + pairs(2) > MIN_PAIRS


def aa_blocks(seed: int, layout: float, rounds: int = 5, **options: object) -> list[MeasurementBlock]:
    rng = np.random.default_rng(seed)
    return [
        b for task in ("a", "b", "c") for b in blocks([1e5] * 6, rounds, rng, layout=layout, task_id=task, **options)
    ]


def test_figures_of_a_quiet_and_of_a_restless_machine() -> None:
    quiet = aa.judge(aa_blocks(1, 0.002), DecisionSettings(), core=1, seconds=10.0)
    restless = aa.judge(aa_blocks(1, 0.08), DecisionSettings(), core=1, seconds=10.0)
    for facts in (quiet, restless):
        assert (facts.pairs, facts.decided, facts.flagged, facts.rounds, facts.error) == (45, 0, 0, 5, "")
        assert facts.redone == facts.contaminated == 0.0
    assert quiet.spread < 0.01 < 0.05 < restless.spread < restless.wide_spread
    assert quiet.delta == quiet.best_delta == pytest.approx(0.1)
    assert restless.delta > restless.best_delta > 0.1


def test_a_wrong_label_is_counted() -> None:
    facts = aa.judge(blocks([1e5, 1e5, 1.5e5], 9, task_id="a"), DecisionSettings(confirm_rounds=0), core=1, seconds=1.0)
    assert (facts.pairs, facts.decided) == (3, 2)
    assert facts.widest_gap == pytest.approx(0.5, abs=0.001)


def test_disturbed_rounds_and_marked_programs_do_not_count() -> None:
    settings = DecisionSettings()
    disturbed = aa.judge(aa_blocks(1, 0.01, contaminated=True), settings, core=1, seconds=1.0)
    assert (disturbed.pairs, disturbed.contaminated, disturbed.delta) == (0, 1.0, None)
    assert checks.identical(replace(GOOD, aa=disturbed)).status is Status.UNKNOWN
    marked = aa.judge(aa_blocks(1, 0.01, flags={"s000": ["results_differ"]}), settings, core=1, seconds=1.0)
    assert (marked.pairs, marked.flagged) == (30, 3)
    assert aa.judge([], settings, core=1, seconds=1.0).error


@pytest.mark.parametrize("rounds", [5, 8, 16])
@pytest.mark.parametrize("spread", [0.005, 0.03, 0.08])
def test_delta_is_where_the_decision_changes(rounds: int, spread: float) -> None:
    """A pair whose ratios scatter by exactly that much is decided just above δ and not just below it."""
    settings = DecisionSettings(confirm_rounds=0)
    scatter = np.linspace(-1, 1, rounds)
    scatter *= spread / scatter.std(ddof=1)
    delta = aa.smallest_gap(spread, rounds, settings)
    for gap, decision in ((delta + 0.002, Decision.QUICK), (delta - 0.002, Decision.UNDECIDED)):
        rows = [
            block
            for number, extra in enumerate(scatter)
            for block in blocks([1e7, 1e7 * (1 + gap) * np.exp(extra)], 1, first_round=number)
        ]
        (pair,) = decide(rows, settings).comparisons
        assert pair.decision is decision, (gap, pair)


def test_more_rounds_see_smaller_gaps_down_to_the_rule_s_own() -> None:
    settings = DecisionSettings()
    gaps = [aa.smallest_gap(0.06, rounds, settings) for rounds in (5, 8, 16, 1000)]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] == pytest.approx(settings.min_ratio - 1)


def test_speeds_of_cores_make_kinds() -> None:
    assert count_kinds([]) == 0
    assert count_kinds([4_700_000, 4_800_000, 4_700_000]) == 1  # favoured cores boost a little higher
    assert count_kinds([1024, 1024, 446, 446]) == 2
    assert count_kinds([1024, 850, 446]) == 3


def test_steal_and_throttling_are_watched_for_a_while() -> None:
    watched = Watch().added_to(GOOD, 0.3)
    assert watched.watched_seconds >= 0.3
    assert watched.steal_now is None or 0 <= watched.steal_now <= 1
    assert Watch().added_to(GOOD).steal_now is None  # too short to say


ENGINE_MISSING = Finding("Docker engine", Group.ISOLATION, Status.ERROR, "none answers", "start one")
NO_SECCOMP = Finding("seccomp", Group.ISOLATION, Status.ERROR, "can't filter", "use another kernel")


def test_an_unfit_machine_is_refused_with_all_that_must_be_mended() -> None:
    busy = Finding("load", Group.TIMING, Status.WARN, "busy", "wait")
    assert refusal([busy]) is None
    one = refusal([busy, ENGINE_MISSING])
    assert (one.what, one.where, one.fix) == ("none answers", "doctor: Docker engine", "start one")
    both = refusal([ENGINE_MISSING, busy, NO_SECCOMP])
    for word in ("2 things", "none answers", "can't filter"):
        assert word in both.what
    assert "start one" in both.fix
    assert "use another kernel" in both.fix
    assert "busy" not in both.what


def test_before_a_run_warnings_are_told_in_one_line_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked = []
    told: list[str] = []
    here = {"facts": replace(GOOD, load=100.0, swap_used=1)}

    def look_here(root: Path, *, core: int | None) -> MachineFacts:
        asked.append((root, core))
        return here["facts"]

    monkeypatch.setattr(look, "look", look_here)
    warnings = look.check_machine(tmp_path, 3, told.append)
    assert asked == [(tmp_path, 3)]
    assert [warning["name"] for warning in warnings] == ["load", "swap and huge pages"]
    assert all(warning["found"] and warning["advice"] for warning in warnings)
    (line,) = told
    assert "2 warnings" in line
    assert "load, swap and huge pages" in line

    told.clear()
    here["facts"] = GOOD
    assert look.check_machine(tmp_path, 3, told.append) == told == []
    for facts, words in (
        (replace(GOOD, engine=EngineFacts(error="none answers", fix="start one")), "none answers"),
        (replace(GOOD, engine=replace(ENGINE, image=None), lockdown=None), "image is not built(.|\n)*make setup"),
    ):
        here["facts"] = facts
        with pytest.raises(UserError, match=words):
            look.check_machine(tmp_path, 3, told.append)


def test_warnings_of_an_earlier_part_of_a_run_stay() -> None:
    before = [{"name": "load", "found": "9"}, {"name": "steal", "found": "3%"}]
    assert look.merged_warnings(before, [{"name": "load", "found": "4"}]) == [
        {"name": "load", "found": "4"},
        {"name": "steal", "found": "3%"},
    ]


@pytest.mark.parametrize(
    ("error", "facts"),
    [
        (LockdownError("no limit on memory", fix="`code-optimise doctor` says more"), ("no limit on memory", "")),
        (SandboxError("the engine refuses", fix="update it"), ("the engine refuses", "update it")),
    ],
)
def test_a_lock_down_that_does_not_hold_is_a_finding(error, facts, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_sandbox(*, cores: list[int]) -> None:
        assert cores == [2]
        raise error

    monkeypatch.setattr(look, "Sandbox", no_sandbox)
    tried = look.try_lockdown(2)
    assert (tried.error, tried.fix) == facts
    finding = checks.lockdown(replace(GOOD, lockdown=tried))
    assert finding.status is Status.ERROR
    assert finding.found == facts[0]
    assert finding.advice
