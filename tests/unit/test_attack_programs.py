"""The suite's own judgement: it must see what went wrong, and must not accept an attack that did not happen."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sandbox import Execution, Integrity, Termination, Timing, Verdict
from sandbox.conformance import (
    Attack,
    AttackError,
    Kind,
    Proof,
    Report,
    Result,
    Timed,
    TimedExpectation,
    findings,
    load_attacks,
    parse,
    run_suite,
    timing_findings,
)
from sandbox.conformance.attacks import Deviation
from sandbox.conformance.judging import look_findings, neighbour_findings

MS = 1_000_000
TEXT = """\
# /// attack
# line = "endless loop"
# expect = ["TIMEOUT_CPU"]
# [proof]
# output = "attack: loops"
# min_cpu_ms = 950
# ///
while True:
    pass
"""
LOOP = parse("cpu/loop", TEXT)
HELD = Execution(
    verdict=Verdict.TIMEOUT_CPU,
    integrity=Integrity.STRONG,
    termination=Termination.CPU_LIMIT,
    cpu_ns=1_010 * MS,
    output_head="attack: loops\n",
)
PASSED = Execution(Verdict.PASSED, Integrity.STRONG, Termination.COMPLETED)


def kinds(found):
    return [finding.kind for finding in found]


# ---- reading ---------------------------------------------------------------------------------------------------------


def test_a_program_is_read_with_all_that_is_said_about_it():
    assert LOOP.expect == (Verdict.TIMEOUT_CPU,)
    assert (LOOP.category, LOOP.line, LOOP.task.name) == ("cpu", "endless loop", "double")
    assert LOOP.proof == Proof(output="attack: loops", min_cpu_ms=950)
    assert LOOP.timed is None
    assert LOOP.program == TEXT
    assert LOOP.job.test == LOOP.task.test


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# /// attack", "# /// attacks", "the first line is not"),
        ("# ///\n", "", "does not end with"),
        ("# line =", "# lines =", "line is missing"),
        ('"endless loop"', '""', "line is missing"),
        ('"endless loop"', "3", "str was expected"),
        ('["TIMEOUT_CPU"]', "[]", "expect is missing"),
        ('["TIMEOUT_CPU"]', '"TIMEOUT_CPU"', "list was expected"),
        ("TIMEOUT_CPU", "TIMEOUT", "'TIMEOUT' is no verdict"),
        ("TIMEOUT_CPU", "INTERNAL", "is no verdict that an attack can deserve"),
        ("# [proof]", '# task = "none"\n# [proof]', "there is no 'none'"),
        ("# [proof]", "# timed = 1\n# [proof]", "a table was expected"),
        ("# [proof]", "# wanted = 1\n# [proof]", "unknown: wanted"),
        ("min_cpu_ms", "min_cpu", "unknown: proof.min_cpu"),
        ("= 950", '= "950"', "int was expected"),
        ('output = "attack: loops"\n# min_cpu_ms = 950', "", "how would one see"),
        ("attack: loops", "attack: (", "unterminated subpattern"),
        ("min_cpu_ms = 950", 'termination = "gone"', "not a valid Termination"),
        ("= 950\n", '= 950\n# [timed]\n# expect = "fast"\n', "not a valid TimedExpectation"),
        ("= 950\n", '= 950\n# [timed]\n# expect = "true"\n# ratio = 1\n', "unknown: timed.ratio"),
        ("= 950\n", "= 950\n# [runsc]\n# reach = []\n", "unknown: runsc.reach"),
        ("= 950\n", "= 950\n# [kata]\n# reaches = []\n", "unknown: kata"),
        ("= 950", "= = 950", "Invalid value"),
    ],
)
def test_a_badly_written_program_is_refused(old, new, words):
    assert old in TEXT
    with pytest.raises(AttackError, match="attack cpu/loop") as caught:
        parse("cpu/loop", TEXT.replace(old, new))
    assert words in caught.value.what


def test_an_unknown_category_is_refused():
    with pytest.raises(AttackError, match="category"):
        parse("other/loop", TEXT)


def test_a_prelude_is_put_before_the_programs_that_ask_for_it():
    asking = TEXT.replace("# [proof]", "# prelude = true\n# [proof]")
    assert parse("cpu/loop", asking, "x = 1\n").program == "x = 1\n" + asking
    assert parse("cpu/loop", TEXT, "x = 1\n").program == TEXT


def test_another_runtime_may_decide_otherwise():
    text = TEXT.replace("# ///\n", '# [runsc]\n# expect = ["MEMORY"]\n# reaches = ["own"]\n# ///\n')
    attack = parse("cpu/loop", text)
    assert attack.under("runsc").expect == (Verdict.MEMORY,)
    assert attack.under("runsc").reaches == ("own",)
    assert attack.under("runc") is attack.under(None) is attack


def test_the_programs_of_the_package_are_all_well_written():
    attacks = load_attacks()
    assert len({attack.name for attack in attacks}) == len(attacks) >= 100
    for attack in attacks:
        compile(attack.program, attack.name, "exec")
        # A forgery that is right by the sandbox's own lights proves nothing.
        assert attack.category != "forging" or Verdict.PASSED not in attack.expect


# ---- judging ---------------------------------------------------------------------------------------------------------


def test_a_sandbox_that_holds_gives_no_findings():
    assert findings(LOOP, HELD) == []
    assert neighbour_findings(PASSED, "before") == look_findings(PASSED) == []


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"verdict": Verdict.PASSED}, Kind.FORGED),
        ({"verdict": Verdict.ERROR}, Kind.VERDICT),
        ({"verdict": Verdict.INTERNAL, "integrity": Integrity.NONE}, Kind.VERDICT),
        ({"integrity": Integrity.WEAK}, Kind.VERDICT),
        ({"attempts": 2}, Kind.VERDICT),
        ({"cpu_ns": 0}, Kind.VACUOUS),
        ({"output_head": "Traceback"}, Kind.VACUOUS),
        ({"output_head": "attack: loops\nREACHED: the host\n"}, Kind.ESCAPE),
    ],
)
def test_what_went_wrong_is_found(change, kind):
    assert kinds(findings(LOOP, replace(HELD, **change))) == [kind]


@pytest.mark.parametrize(
    ("proof", "change"),
    [
        (Proof(message="^TypeError"), {"message": "ValueError"}),
        (Proof(termination=Termination.EXITED), {}),
        (Proof(min_wall_ms=10), {"wall_ns": 9 * MS}),
        (Proof(min_rss_mib=10), {"max_rss_bytes": 9 << 20}),
        (Proof(min_output_bytes=10), {"stdout_bytes": 9}),
        (Proof(min_calls=1), {}),
    ],
)
def test_every_kind_of_proof_can_be_lacking(proof, change):
    attack = replace(LOOP, proof=proof)
    assert kinds(findings(attack, replace(HELD, **change))) == [Kind.VACUOUS]


def test_what_another_runtime_allows_to_be_reached_is_no_escape():
    execution = replace(HELD, output_head="attack: loops\nREACHED: loopback\nREACHED: the host\n")
    attack = replace(LOOP, deviations={"runsc": Deviation(reaches=("loopback",))})
    assert kinds(findings(attack, execution)) == [Kind.ESCAPE, Kind.ESCAPE]
    assert [finding.text for finding in findings(attack.under("runsc"), execution)] == ["the host"]


def test_neighbours_and_the_next_run_are_judged():
    assert kinds(neighbour_findings(HELD, "before")) == [Kind.SPOILED]
    assert kinds(neighbour_findings(replace(PASSED, integrity=Integrity.WEAK), "after")) == [Kind.SPOILED]
    left = replace(PASSED, verdict=Verdict.WRONG, output_head="LEFT: file x\nLEFT: process 7\n")
    assert kinds(look_findings(left)) == [Kind.SURVIVOR, Kind.SURVIVOR]
    assert kinds(look_findings(HELD)) == [Kind.SPOILED]


# ---- timing ----------------------------------------------------------------------------------------------------------


def timing(per_pass_ms: float, *flags: str, timed: bool = True) -> Timing:
    cpu = (int(20 * per_pass_ms * MS), int(10 * per_pass_ms * MS)) if timed else ()
    return Timing("x", PASSED, loops=10, cpu_ns=cpu, wall_ns=cpu, flags=flags)


def timed_attack(expect: TimedExpectation) -> Attack:
    return replace(LOOP, timed=Timed(expect, 0.5))


HONEST = timing(1.0)


@pytest.mark.parametrize(
    ("expect", "hostile", "fine"),
    [
        (TimedExpectation.FLAGGED, timing(0.001, "memoises"), True),
        (TimedExpectation.FLAGGED, timing(0.001), False),
        (TimedExpectation.UNTIMED, timing(1, "not_timed", timed=False), True),
        (TimedExpectation.UNTIMED, timing(1.0), False),
        (TimedExpectation.TRUE, timing(0.9), True),
        (TimedExpectation.TRUE, timing(2.5), True),
        (TimedExpectation.TRUE, timing(0.4), False),
        (TimedExpectation.TRUE, timing(0.9, "waits"), False),
        (TimedExpectation.TRUE, timing(1, timed=False), False),
    ],
)
def test_a_timed_attack_is_judged_beside_honest_solutions(expect, hostile, fine):
    found = timing_findings(timed_attack(expect), [HONEST, hostile, HONEST])
    assert kinds(found) == ([] if fine else [Kind.TIMING])


@pytest.mark.parametrize("after", [timing(2.5), timing(0.3), timing(1.0, "waits"), timing(1, timed=False)])
def test_honest_timings_that_an_attack_disturbs_are_found(after):
    found = timing_findings(timed_attack(TimedExpectation.FLAGGED), [HONEST, timing(1, "memoises"), after])
    assert kinds(found) == [Kind.SPOILED]


# ---- the report ------------------------------------------------------------------------------------------------------


def result(name: str, *found: Kind) -> Result:
    from sandbox.conformance import Finding

    notes = tuple(Finding(kind, "seen") for kind in found)
    return Result(name, name.partition("/")[0], "a line", 0, Verdict.WRONG, False, notes)


def test_a_report_counts_attacks_not_findings():
    report = Report(
        "runc", (result("cpu/a"), result("cpu/b", Kind.ESCAPE, Kind.ESCAPE), result("escape/c", Kind.VACUOUS))
    )
    assert not report.ok
    assert report.counts()["attempted"] == 3
    assert (report.counts()["escape"], report.counts("cpu")["vacuous"], report.counts("escape")["vacuous"]) == (1, 0, 1)
    assert json.loads(report.to_json())["results"][1]["findings"][0] == {"kind": "escape", "text": "seen"}


def test_a_report_without_findings_is_fine_and_an_empty_one_is_not():
    assert Report("", (result("cpu/a"),)).ok
    assert not Report("", ()).ok


class FakeSandbox:
    """Everything passes; each attack is a forgery then."""

    def __init__(self):
        from sandbox.conformance import LIMITS

        self.limits, self.jobs = LIMITS, []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def run(self, job):
        return next(iter(self.run_many([job])))

    def run_many(self, jobs):
        self.jobs += jobs
        return (PASSED for _ in jobs)


def test_the_runner_puts_each_attack_between_honest_runs_and_looks_afterwards():
    fake, seen = FakeSandbox(), []
    report = run_suite(lambda core: fake, [LOOP], cores=[0, 3], on_progress=seen.append)
    assert [job.program == LOOP.program for job in fake.jobs] == 2 * [False, True, False, False]
    assert "LEFT:" in fake.jobs[3].program
    assert [one.core for one in report.results] == [0, 3]
    assert report.counts()["forged"] == report.counts()["vacuous"] == 2
    assert tuple(seen) == report.results
