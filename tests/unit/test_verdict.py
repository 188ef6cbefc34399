"""What is read from the warden's facts: every way to end has one verdict, and none of them is PASSED by accident."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox import Integrity, Termination, Verdict
from sandbox.verdict import classify, execution, internal, read_facts

ANSWER = {
    "report": {}, "ended_itself": False, "exit_code": None, "signal": 9, "out_of_memory": False, "cpu_ns": 5,
    "wall_ns": 6, "max_rss_bytes": 7, "output_bytes": 8, "head": "",
}  # fmt: skip


def facts(report=None, **changes):
    return read_facts(ANSWER | {"report": report or {}} | changes)


@pytest.mark.parametrize(
    ("report", "changes", "verdict", "termination"),
    [
        ({"outcome": "passed"}, {}, Verdict.PASSED, Termination.COMPLETED),
        ({"outcome": "passed"}, {"ended_itself": True, "signal": 11}, Verdict.PASSED, Termination.COMPLETED),
        ({"outcome": "assertion"}, {}, Verdict.WRONG, Termination.COMPLETED),
        ({"outcome": "raised", "error": "ValueError"}, {}, Verdict.ERROR, Termination.COMPLETED),
        ({"outcome": "raised", "error": "MemoryError"}, {}, Verdict.MEMORY, Termination.COMPLETED),
        ({"outcome": "test_raised", "error": "TypeError"}, {}, Verdict.ERROR, Termination.COMPLETED),
        ({"outcome": "syntax"}, {}, Verdict.SYNTAX, Termination.COMPLETED),
        ({"outcome": "exited"}, {}, Verdict.EARLY_EXIT, Termination.EXITED),
        ({"outcome": "violation"}, {}, Verdict.VIOLATION, Termination.PROTOCOL),
        ({"cause": "cpu_limit"}, {}, Verdict.TIMEOUT_CPU, Termination.CPU_LIMIT),
        ({"cause": "wall_limit"}, {}, Verdict.TIMEOUT_WALL, Termination.WALL_LIMIT),
        ({"cause": "output_limit"}, {}, Verdict.OUTPUT, Termination.OUTPUT_LIMIT),
        ({"cause": "judge"}, {}, Verdict.TIMEOUT_CPU, Termination.JUDGE),
        ({"outcome": "gone"}, {"ended_itself": True, "out_of_memory": True}, Verdict.MEMORY, Termination.MEMORY_LIMIT),
        ({"outcome": "gone"}, {"ended_itself": True, "signal": 11}, Verdict.SIGNAL, Termination.SIGNALED),
        ({"outcome": "gone"}, {"ended_itself": True, "signal": 9}, Verdict.SIGNAL, Termination.SIGNALED),
        ({"outcome": "gone"}, {"ended_itself": True, "signal": 24}, Verdict.TIMEOUT_CPU, Termination.CPU_LIMIT),
        ({"outcome": "gone"}, {"signal": None, "exit_code": 0}, Verdict.EARLY_EXIT, Termination.EXITED),
        ({"outcome": "gone"}, {}, Verdict.EARLY_EXIT, Termination.UNKNOWN),
    ],
)
def test_each_ending_has_its_verdict(report, changes, verdict, termination):
    assert classify(facts(report, **changes)) == (verdict, termination)


REPORTS = st.dictionaries(
    st.sampled_from(["outcome", "error", "message", "weak", "cause", "calls"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.lists(st.integers(), max_size=2),
)


@given(REPORTS, st.booleans(), st.none() | st.integers(0, 255), st.none() | st.integers(1, 64))
def test_only_the_word_passed_passes(report, ended_itself, exit_code, signal):
    run = execution(facts(report, ended_itself=ended_itself, exit_code=exit_code, signal=signal))
    assert (run.verdict is Verdict.PASSED) == (report.get("outcome") == "passed")
    assert run.verdict is not Verdict.INTERNAL


def test_a_weak_reason_makes_it_weak():
    assert execution(facts({"outcome": "passed", "weak": "why"})).integrity is Integrity.WEAK
    assert execution(facts({"outcome": "passed"})).integrity is Integrity.STRONG


def test_internal_is_never_a_judgement():
    run = internal("x" * 10_000)
    assert (run.verdict, run.integrity, len(run.message)) == (Verdict.INTERNAL, Integrity.NONE, 2_000)
