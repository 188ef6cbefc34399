"""What a run can use, before it begins: what each condition leaves, what the plan says, what to do about nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase
from typer.testing import CliRunner

from harness.cli import app as cli
from harness.errors import UserError
from harness.progress import SilentReporter
from harness.records import MergedRow, QuickSlow
from harness.store import write_rows
from tests.training.small_data import make_rows
from training.config import TrainConfig
from training.stage import plan, train
from training.survey import survey

pytestmark = pytest.mark.training


def with_pairs(row: MergedRow, *evidence: tuple[float, bool]) -> MergedRow:
    """The row with one pair for each (low, confirmed)."""
    places = ((0, 1), (0, 2), (1, 2))
    pairs = [QuickSlow(i, j, 9.0, low, 99.0, 5, seen) for (i, j), (low, seen) in zip(places, evidence, strict=False)]
    return replace(row, decided=pairs)


def mixed() -> list[MergedRow]:
    first, second, third, fourth = make_rows(4, "t")
    return [
        with_pairs(first, (3.0, True), (1.5, True), (1.2, False)),
        with_pairs(second, (1.2, True), (4.0, False)),
        with_pairs(third, (5.0, False)),
        with_pairs(fourth),
    ]


@pytest.mark.parametrize(
    ("settings", "problems", "left"),
    [
        ({}, 2, {"decided": (6, 3), "confirmed": (3, 2), "ratio surely at least 1": (3, 2)}),
        ({"min_ratio": 1.4}, 1, {"decided": (6, 3), "confirmed": (3, 2), "ratio surely at least 1.4": (2, 1)}),
        ({"confirmed": False, "min_ratio": 0}, 3, {"decided": (6, 3)}),
        ({"confirmed": False, "min_ratio": 4}, 2, {"decided": (6, 3), "ratio surely at least 4": (2, 2)}),
        ({"task": "all"}, 4, {"decided": (6, 3), "confirmed": (3, 2), "ratio surely at least 1": (3, 2)}),
        ({"task": "pvf"}, 4, {}),
    ],
)
def test_each_condition_says_what_it_leaves(
    settings: dict[str, Any], problems: int, left: dict[str, tuple[int, int]]
) -> None:
    found = survey(mixed(), TrainConfig(optim="dpo", **settings))
    assert found.problems == problems
    assert {one.condition: (one.pairs, one.problems) for one in found.pairs} == left
    assert sum(found.left_out.values()) == 4 - problems


@pytest.mark.parametrize(
    ("rows", "settings", "message", "fix"),
    [
        (
            [with_pairs(row, (2.0, False)) for row in make_rows(2, "t")],
            {},
            "2 pairs in 2 problems are decided, but none is confirmed",
            "--confirmed false",
        ),
        (make_rows(2, "t"), {"min_ratio": 1.7}, "none is ratio surely at least 1.7", "a lower --min_ratio"),
        (
            [with_pairs(make_rows(1, "t")[0], (0.9, True))],
            {"weigh_by": "confidence", "min_ratio": 0},
            "none is of any weight",
            "--weigh_by none",
        ),
        ([with_pairs(make_rows(1, "t")[0])], {}, "1 problems: no decided pair", "another --task"),
        ([], {}, "the file is empty", "sample more"),
    ],
)
def test_a_run_without_a_pair_says_why_and_what_to_do(
    rows: list[MergedRow], settings: dict[str, Any], message: str, fix: str, tiny_model: Path, tmp_path: Path
) -> None:
    write_rows(tmp_path / "train.jsonl", rows)
    config = TrainConfig(optim="dpo", **settings)
    with pytest.raises(UserError, match=message) as caught:
        train(tmp_path / "train.jsonl", None, tiny_model, tmp_path / "out", config, reporter=SilentReporter())
    assert fix in caught.value.fix
    assert not (tmp_path / "out").exists()


def test_the_plan_is_exact_with_the_tokenizer(tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    rows = make_rows(4, "t")
    tail = "# 1 2 3\n" * 200
    long = replace(rows[0], answers=[replace(answer, text=answer.text + tail) for answer in rows[0].answers])
    write_rows(tmp_path / "train.jsonl", [long, *rows[1:]])
    config = TrainConfig(max_length=512, batch_size=1, gradient_accumulation=1, epochs=2)
    rough, exact = (plan(tmp_path / "train.jsonl", None, config, tokenizer=one) for one in (None, tokenizer))
    assert (rough["problems"], rough["steps"]["total"]) == ({"train": 4}, 8)
    assert (exact["problems"], exact["steps"]["total"]) == ({"train": 3}, 6)
    assert rough["exact"].startswith("no")
    assert exact["exact"] == "yes"
    assert exact["left_out"] == {
        "train answers: longer than 512 tokens with the prompt": 5,
        "train: no passing answer within the limits of length": 1,
    }


@pytest.mark.parametrize(
    ("word", "value"), [("False", False), ("no", False), ("0", False), ("TRUE", True), ("1", True)]
)
def test_a_dry_run_shows_settings_pairs_and_steps(word: str, value: bool, tiny_model: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "datasets/default/starter/train/merged.jsonl", mixed())
    options = ["--optim", "dpo", "--task", "qvs", "--min_ratio", "1.4", "--weigh-by", "confidence", "--audit", "true"]
    words = ["train", "--root", str(tmp_path), "--model_path", str(tiny_model), "--dry-run", *options]
    result = CliRunner().invoke(cli.app, [*words, "--augment", word, "--confirmed", "true"], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert f"augment {value}" in shown
    for expected in (
        "weigh_by confidence", "min_ratio 1.4", "confirmed True", "audit True", "max_prompt_length 1024", "beta 0.1",
        "train, decided 6 pairs in 3 problems", "train, confirmed 3 pairs in 2 problems", "total 30", "exact yes",
    ):  # fmt: skip
        assert expected in shown
    assert [path.name for path in tmp_path.iterdir()] == ["datasets"]


def test_a_word_that_is_no_switch_is_refused(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli.app, ["train", "--root", str(tmp_path), "--augment", "maybe"])
    assert result.exit_code == 2
    assert "neither true nor false" in result.output


def test_an_account_of_the_data_is_in_the_card(tiny_model: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "train.jsonl", mixed())
    labelling = {"problems": 9, "pairs": {"qvs": 6, "qvs_confirmed": 3}, "settings": {"method": "blocks"}}
    (tmp_path / "summary.json").write_text(json.dumps(labelling))
    config = TrainConfig(
        optim="dpo", max_steps=1, best_by="none", checkpoint_every="never", device="cpu", precision="fp32",
        min_ratio=1.1, weigh_by="confidence",
    )  # fmt: skip
    out = tmp_path / "out"
    train(tmp_path / "train.jsonl", None, tiny_model, out, config, reporter=SilentReporter(), facts={"data": "mine"})
    card = (out / "README.md").read_text()
    settings = json.loads((out / "manifest.json").read_text())["stages"]["train"]["settings"]
    for expected in (
        f"| file (sha256) | {settings['train']} |",
        "| problems | 2 |",
        "| problems_left_out: no decided pair that may be drawn | 1 |",
        "| problems_left_out: no decided pair | 1 |",
        "| timing method | blocks |",
        "| pairs, qvs_confirmed | 3 |",
        "was seen again in rounds measured later (`confirmed`)",
        "begins at 1.1 or above",
        "in proportion to the logarithm",
        "## Use and limits",
        "| data | mine |",
        "| steps | 1 |",
    ):
        assert expected in card
