"""Settings, batches and model names: what is decided before a model is loaded."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.fingerprint import model_fingerprint
from harness.progress import ConsoleReporter, Reporter
from harness.sampling import models
from harness.sampling.models import BUILTIN_MODELS, resolve_model
from harness.sampling.settings import Row, SamplingSettings, chance, plan


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"n_seq": 0}, "--n_seq"),
        ({"n_seq": 10, "n_iter": 3}, "--n_iter"),
        ({"n_iter": 0}, "--n_iter"),
        ({"temperature": -0.1}, "--temp"),
        ({"temperature": float("nan")}, "--temp"),
        ({"max_new_tokens": 0}, "--max_new_tokens"),
        ({"batch_size": 0}, "--batch_size"),
        ({"dtype": "int8"}, "--dtype"),
    ],
)
def test_impossible_settings_are_refused_by_name(wrong: dict[str, float], named: str) -> None:
    with pytest.raises(UserError, match=named):
        SamplingSettings(**wrong)  # type: ignore[arg-type]


def test_one_sample_is_greedy() -> None:
    assert SamplingSettings(n_seq=1, temperature=0.6).effective_temperature == 0
    assert SamplingSettings(n_seq=2, temperature=0.6).effective_temperature == 0.6


@given(
    st.dictionaries(st.text(max_size=3), st.integers(1, 99), min_size=1, max_size=6),
    st.sampled_from([(1, 1), (4, 2), (6, 3), (5, 5)]),
    st.data(),
)
def test_plan_draws_every_missing_row_once_round_by_round(
    lengths: dict[str, int], numbers: tuple[int, int], data: st.DataObject
) -> None:
    n_seq, n_iter = numbers
    missing = {
        task: sorted(data.draw(st.sets(st.integers(0, n_seq - 1), min_size=1), label=task)) for task in sorted(lengths)
    }
    rows = plan(lengths, missing, SamplingSettings(n_seq=n_seq, n_iter=n_iter))
    assert Counter(rows) == Counter(Row(task, number) for task, numbers in missing.items() for number in numbers)
    rounds = [row.sample_id // (n_seq // n_iter) for row in rows]
    assert rounds == sorted(rounds)
    for number in range(n_iter):
        tokens = [lengths[row.task_id] for row, of in zip(rows, rounds, strict=True) if of == number]
        assert tokens == sorted(tokens, reverse=True)


def test_chance_depends_on_seed_task_and_sample() -> None:
    first = [chance(1, Row("a", 0)).random() for _ in range(2)]
    assert first[0] == first[1]
    others = [chance(2, Row("a", 0)), chance(1, Row("b", 0)), chance(1, Row("a", 1)), chance(1, Row("a:1", 0))]
    assert len({first[0], *(other.random() for other in others)}) == 5


def test_unknown_model_lists_the_known() -> None:
    with pytest.raises(UserError, match=r"no model 'smolm'[\s\S]*smollm2-135m"):
        resolve_model("smolm", ConsoleReporter())


def test_folders_and_hub_ids(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        resolve_model(str(tmp_path), ConsoleReporter())
    (tmp_path / "config.json").write_text("{}")
    assert resolve_model(str(tmp_path), ConsoleReporter()) == tmp_path
    assert resolve_model("bigcode/starcoderbase-1b", ConsoleReporter()) == "bigcode/starcoderbase-1b"
    with pytest.raises(UserError):
        resolve_model("./missing", ConsoleReporter())


def test_fingerprint_changes_with_the_weights_only(tmp_path: Path) -> None:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(3_000_000))
    first = model_fingerprint(tmp_path)
    (tmp_path / "README.md").write_text("card")
    assert model_fingerprint(tmp_path) == first
    weights.write_bytes(bytes(range(250)) * 12_000)
    assert model_fingerprint(tmp_path) != first


def test_a_built_in_model_is_made_once_by_many_and_not_at_all_by_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made: list[Path] = []
    failing = True

    def convert(target: Path, _: Reporter) -> None:
        made.append(target)
        (target / "config.json").write_text("{}")
        if failing:
            raise OSError("disk full")

    monkeypatch.setitem(models._CONVERTERS, BUILTIN_MODELS[0], convert)
    with pytest.raises(OSError, match="disk full"):
        resolve_model(BUILTIN_MODELS[0], ConsoleReporter())
    assert not any(path.is_dir() for path in models.cache_folder().iterdir())
    failing = False
    found: list[Path | str] = []
    threads = [
        threading.Thread(target=lambda: found.append(resolve_model(BUILTIN_MODELS[0], ConsoleReporter())))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [models.cache_folder() / BUILTIN_MODELS[0]] * 4
    assert len(made) == 2
    assert [path.name for path in models.cache_folder().iterdir() if path.is_dir()] == [BUILTIN_MODELS[0]]
