"""Judgements about a machine, from facts alone."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from rich.console import Console

from harness.doctor import checks
from harness.doctor.checks import CHECKS, Status, examine, exit_code
from harness.doctor.facts import EngineFacts, GpuFacts, MachineFacts
from harness.doctor.gather import gather, parse_cpu_list, parse_gpus, parse_quota
from harness.doctor.show import print_table, summary, to_json

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
    quota=float("inf"),
    throttled=0,
    load=0.1,
    cpu_pressure=0.0,
    steal=0.0,
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
    ({"max_frequencies": (3000, 2000)}, checks.topology, Status.WARN),
    ({"quota": 1.5, "throttled": 3}, checks.quota, Status.WARN),
    ({"load": 2.1}, checks.load, Status.WARN),
    ({"cpu_pressure": 10.1}, checks.pressure, Status.WARN),
    ({"steal": 0.02}, checks.steal, Status.WARN),
    ({"clock_read_ns": 1001.0}, checks.clock, Status.WARN),
    ({"governor": "powersave"}, checks.frequency, Status.WARN),
    ({"turbo": True}, checks.frequency, Status.WARN),
    ({"swap_used": 1}, checks.memory_noise, Status.WARN),
    ({"memory_available": checks.GIB}, checks.memory, Status.WARN),
    ({"disk_free": checks.GIB}, checks.disk, Status.WARN),
    ({"gpus": (GpuFacts("A", checks.GIB),)}, checks.gpu, Status.OK),
    ({"perf_counters": False}, checks.counters, Status.OK),
]


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


@pytest.mark.parametrize(("text", "cpus"), [("0-2,5", (0, 1, 2, 5)), ("7", (7,)), ("", ())])
def test_cpu_lists(text: str, cpus: tuple[int, ...]) -> None:
    assert parse_cpu_list(text) == cpus


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
