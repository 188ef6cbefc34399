"""What is made of the probes' answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.guest import probe
from sandbox.lockdown_report import FILTERED, GVISOR_LACKS, acceptable, probe_problems


def good(machine="x86_64"):
    return {name: sorted(acceptable(name))[0] for name in probe.NAMES} | {"machine": machine}


def test_all_as_it_should_be():
    assert probe_problems(good()) == []


@given(st.sampled_from(sorted(probe.NAMES)))
def test_a_missing_answer_is_a_problem(name):
    facts = good()
    del facts[name]
    assert probe_problems(facts) == [f"{name}: not probed"]


@given(st.sampled_from(sorted(probe.NAMES)), st.sampled_from(["allowed", "reached EFAULT", "absent", "", "off"]))
def test_any_other_answer_is_a_problem(name, answer):
    assert probe_problems(good() | {name: answer}) == [f"{name}: {answer}"]


def test_no_answers_at_all():
    assert len(probe_problems({})) == len(probe.NAMES)


def test_an_answer_that_nobody_asked_for_is_judged_as_well():
    assert probe_problems(good() | {"x32": "allowed"}) == ["x32: allowed"]
    assert probe_problems(good() | {"something": "else"}) == ["something: else"]


def test_calls_of_the_other_architecture_may_be_absent_there():
    facts = good("aarch64") | {"iopl": "absent", "ioperm": "absent", "modify_ldt": "absent"}
    assert probe_problems(facts) == []
    assert probe_problems(facts | {"socket AF_UNIX": "absent"}) == ["socket AF_UNIX: absent"]
    assert len(probe_problems(facts | {"machine": "x86_64"})) == 3


@pytest.mark.parametrize("answer", ["reached ENOSYS", "reached EINVAL", "reached EAFNOSUPPORT"])
def test_gvisors_own_words(answer):
    facts = good() | {"socket AF_VSOCK": answer, "clone3": "refused ENOSYS"}
    assert probe_problems(facts, "runsc") == []
    assert probe_problems(facts, "runc") == probe_problems(facts) == [f"socket AF_VSOCK: {answer}"]
    assert probe_problems(facts | {"socket AF_UNIX": "allowed"}, "runsc") == ["socket AF_UNIX: allowed"]


def test_what_gvisor_lacks_is_known_one_by_one():
    under_gvisor = good() | GVISOR_LACKS | {"clone3": "refused ENOSYS"}
    assert probe_problems(under_gvisor, "runsc") == []
    assert len(probe_problems(good() | GVISOR_LACKS)) == len(GVISOR_LACKS)
    for fact in ({"writable mounts": "/tmp"}, {"ptrace TRACEME": "allowed"}, {"devices": "/dev/fuse, /dev/sda"}):
        assert len(probe_problems(under_gvisor | fact, "runsc")) == 1


@pytest.mark.parametrize("answer", ["allowed", "reached EINVAL", "reached EFAULT", "refused EPERM"])
def test_a_gvisor_that_knows_clone3_is_refused(answer):
    """Its flags would reach the kernel in between unseen; with EPERM no thread would start."""
    assert probe_problems(good() | {"clone3": answer}, "runsc") == [f"clone3: {answer}"]


def test_every_call_has_a_number_on_each_machine():
    assert set(probe.NUMBERS) == {name for _, name, _ in (*probe.CALLS, *probe.CHILD_CALLS)} | {
        "sched_setaffinity",
        "mknodat",
    }
    for column in (probe.X86_64, probe.AARCH64):
        numbers = [pair[column] for pair in probe.NUMBERS.values() if pair[column] is not None]
        assert len(numbers) == len(set(numbers))
    assert {name for name, pair in probe.NUMBERS.items() if None in pair} == {"iopl", "ioperm", "modify_ldt"}
    assert FILTERED <= probe.NAMES


def test_no_two_probes_share_a_name():
    labels = [label for label, _, _ in (*probe.CALLS, *probe.CHILD_CALLS, *probe.FILES)]
    assert len(labels) == len(set(labels))
