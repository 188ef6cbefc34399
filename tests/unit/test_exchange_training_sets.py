"""Data sets for other trainers: which rows, in which shards, with which card, as `datasets` loads them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import datasets
import pyarrow.parquet as pq
import pytest
import yaml
from typer.testing import CliRunner

from harness.cli import app as cli
from harness.errors import UserError
from harness.exchange.card import WARNING
from harness.exchange.choosing import PairChoice, chosen_pairs, fastest, shared_prompt
from harness.exchange.shards import whole_folder
from harness.exchange.training_sets import PREFERENCE_SCHEMA, SFT_SCHEMA, preference_rows, sft_rows, write_splits
from harness.progress import SilentReporter
from harness.records import Answer, MergedRow, QuickSlow
from harness.store import Manifest, write_rows

BODIES = ("    return 1\r\n", "    return 2\n", "    return '\U0001f40d'\n", "    return 4\n", "    pass\n")


def answer(number: int, tier: int | None) -> Answer:
    passed = tier is not None
    return Answer(
        text=BODIES[number],
        votes=100.0 * (number + 1) if passed else None,
        sample_id=10 + number,
        solution_id=f"{number:016x}",
        verdict="PASSED" if passed else "WRONG",
        integrity="weak" if number == 1 else "strong",
        low_ns=99.5 if passed else None,
        high_ns=101.5 if passed else None,
        tier=tier,
    )


def merged(name: str = "t/0") -> MergedRow:
    """Three passing answers of tiers 0, 0, 1 and two failing ones; of the two decided pairs one is confirmed."""
    return MergedRow(
        id=name,
        question="def f():\r\n",
        entry_point="f",
        answers=[answer(0, 0), answer(1, 0), answer(2, 1), answer(3, None), answer(4, None)],
        time={"count": 3.0, "avg": 200.0, "std": 100.0, "cov": 0.5},
        passing=3,
        decided=[QuickSlow(0, 2, 3.0, 2.0, 4.0, 15, confirmed=True), QuickSlow(1, 2, 1.5, 1.2, 1.8, 9)],
    )


def chosen(**choice: object) -> list[tuple[int, int]]:
    pairs = chosen_pairs(merged(), PairChoice(**choice))  # type: ignore[arg-type]
    return [(pair.chosen_sample - 10, pair.rejected_sample - 10) for pair in pairs]


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"})
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Run folders of two splits, as the stages leave them."""
    for split, count in (("train", 3), ("validation", 1)):
        folder = tmp_path / "runs" / "datasets" / "x" / "starter" / split
        write_rows(folder / "merged.jsonl", [merged(f"{split}/{number}") for number in range(count)])
        summary = {"undecided_share": 0.25, "comparisons": {"quick": 5, "same": 1, "undecided": 2}}
        (folder / "summary.json").write_text(json.dumps(summary))
        manifest = Manifest(tmp_path / "runs" / "samples" / "x" / "starter" / split)
        manifest.begin("sample:codegen", {"n_seq": 16, "temperature": 0.6})
        manifest.note("sample:codegen", model_path="someone/codegen")
        manifest.begin("annotate", {"method": "blocks"})
        warnings = [{"name": "load", "found": "a busy neighbour", "advice": "wait"}]
        manifest.note("annotate", image="box:1", base="python:3.11", warnings=warnings)
    return tmp_path / "runs"


def export(root: Path, out: Path, *options: str, what: str = "preference", code: int = 0) -> str:
    arguments = ("--what", what, "--out", str(out), "--save_path", "x", "--root", str(root))
    return run("export", *arguments, *options, code=code)


def load(out: Path, cache: Path) -> datasets.DatasetDict:
    return datasets.load_dataset(str(out), cache_dir=str(cache))


def test_which_pairs() -> None:
    pvf = [(quick, slow) for quick in (0, 1, 2) for slow in (3, 4)]
    assert chosen() == [(0, 2)]
    assert chosen(confirmed=False) == [(0, 2), (1, 2)]
    assert chosen(confirmed=False, min_ratio=1.2) == [(0, 2), (1, 2)]
    assert chosen(confirmed=False, min_ratio=1.21) == [(0, 2)]
    assert chosen(min_ratio=2.01) == []
    assert chosen(task="pvf") == pvf
    assert chosen(task="all") == [(0, 2), *pvf]
    assert chosen(task="qvs_released") == [(quick, slow) for quick in (0, 1) for slow in range(quick + 1, 5)]
    released = list(chosen_pairs(merged(), PairChoice("qvs_released")))
    assert [(pair.kind, pair.low) for pair in released[:3]] == [("qvs", None), ("qvs", 2.0), ("pvf", None)]
    for task in ("pvf", "qvs_released"):
        with pytest.raises(UserError, match="--min_ratio"):
            PairChoice(task, min_ratio=1.1)


@pytest.mark.parametrize(("top_p", "count"), [(1, 2), (33, 2), (34, 2), (67, 3), (100, 3)])
def test_a_tier_is_taken_whole(top_p: float, count: int) -> None:
    assert [answer.sample_id for answer in fastest(merged(), top_p)] == [10, 11, 12][:count]


def test_answers_without_tiers_are_taken_by_their_place() -> None:
    row = merged()
    row = replace(row, answers=[replace(answer, tier=None) for answer in row.answers])
    assert [len(fastest(row, top_p)) for top_p in (1, 34, 67)] == [1, 2, 3]
    assert fastest(replace(row, passing=0), 50) == []


def test_a_prompt_is_shared_where_the_shorter_one_ends() -> None:
    assert shared_prompt(("p", "a"), ("p", "b")) == ("p", "a", "b")
    assert shared_prompt(("p\n  ", "a"), ("p\n", "b")) == ("p\n", "  a", "b")
    assert shared_prompt(("p\n", "a"), ("p\n  ", "b")) == ("p\n", "a", "  b")
    with pytest.raises(ValueError, match="different problems"):
        shared_prompt(("p", "a"), ("q", "b"))


def test_pairs_load_with_their_evidence(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "out", "--task", "all")
    loaded = load(tmp_path / "out", tmp_path / "cache")
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 21, "validation": 7}
    assert loaded["train"].column_names == PREFERENCE_SCHEMA.names
    quick, failed = loaded["train"][0], loaded["train"][1]
    assert quick == {
        "prompt": "def f():\r\n",
        "chosen": BODIES[0],
        "rejected": BODIES[2],
        "task_id": "train/0",
        "kind": "qvs",
        "chosen_sample": 10,
        "rejected_sample": 12,
        "chosen_verdict": "PASSED",
        "rejected_verdict": "PASSED",
        "chosen_integrity": "strong",
        "rejected_integrity": "strong",
        "chosen_ns": 100.0,
        "rejected_ns": 300.0,
        "ratio": 3.0,
        "low": 2.0,
        "high": 4.0,
        "rounds": 15,
        "confirmed": True,
    }
    assert (failed["kind"], failed["rejected_ns"], failed["ratio"], failed["confirmed"]) == ("pvf", None, None, None)


def test_solutions_load_with_their_run_times(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "out", "--top_p", "34", what="sft")
    loaded = load(tmp_path / "out", tmp_path / "cache")
    rows = [(row["task_id"], row["completion"], row["runtime_ns"], row["tier"]) for row in loaded["validation"]]
    assert rows == [("validation/0", BODIES[0], 100.0, 0), ("validation/0", BODIES[1], 200.0, 0)]
    assert {(row["prompt"], row["low_ns"], row["copies"]) for row in loaded["train"]} == {("def f():\r\n", 99.5, 1)}


def test_shards_hold_all_rows_in_order(tmp_path: Path) -> None:
    path = tmp_path / "merged.jsonl"
    write_rows(path, [merged(f"t/{number}") for number in range(700)])
    rows = preference_rows(PairChoice("all"))
    write_splits({"train": path}, rows, PREFERENCE_SCHEMA, tmp_path / "out", SilentReporter(), shard_bytes=200_000)
    shards = sorted((tmp_path / "out" / "data").iterdir())
    assert len(shards) > 1
    assert [path.name for path in shards] == [
        f"train-{number:05d}-of-{len(shards):05d}.parquet" for number in range(len(shards))
    ]
    names = [name for shard in shards for name in pq.read_table(shard, columns=["task_id"])["task_id"].to_pylist()]
    assert names == [f"t/{number}" for number in range(700) for _ in range(7)]


def test_text_that_is_not_unicode_is_left_out_and_counted(tmp_path: Path) -> None:
    row, path = merged(), tmp_path / "merged.jsonl"
    row.answers[0] = replace(row.answers[0], text="    return '\ud800'\n")
    write_rows(path, [row])
    counts = write_splits({"train": path}, sft_rows(100), SFT_SCHEMA, tmp_path / "out", SilentReporter())
    count = counts["train"]
    assert (count.rows, count.not_unicode, count.used) == (2, 1, 1)


def test_the_card_says_what_it_is(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "out", "--task", "all", "--licence", "cc-by-4.0", "--min_ratio", "1.5")
    text = (tmp_path / "out" / "README.md").read_text()
    _, header, body = text.split("---\n", 2)
    read = yaml.safe_load(header)
    assert read["license"] == "cc-by-4.0"
    assert read["size_categories"] == ["n<1K"]
    assert [files["split"] for files in read["configs"][0]["data_files"]] == ["train", "validation"]
    for words in (
        WARNING,
        "| train | 3 | 3 | 21 | pvf 18, qvs 3 | strong 21, weak 6 | 0 |",
        "someone/codegen",
        "n_seq 16, temperature 0.6",
        "box:1 (base python:3.11)",
        "interleaved blocks",
        "25.0% of 8 compared pairs",
        "a busy neighbour",
        "at or above 1.5",
    ):
        assert words in body, words
    for column in PREFERENCE_SCHEMA.names:
        assert column in body


def test_a_card_without_a_licence_says_so(root: Path, tmp_path: Path) -> None:
    export(root, tmp_path / "out", what="sft")
    text = (tmp_path / "out" / "README.md").read_text()
    assert "license:" not in text
    assert "licence | not given" in text


def test_an_export_is_replaced_only_when_asked_and_nothing_else_ever(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(root, out, "--task", "pvf")
    assert "there is an export already" in export(root, out, code=2)
    export(root, out, "--overwrite")
    assert len(load(out, tmp_path / "cache")["train"]) == 3
    (out / "mine.txt").write_text("")
    assert "there is something else" in export(root, out, "--overwrite", code=2)
    assert (out / "mine.txt").exists()


def test_a_failed_export_leaves_what_was_there(root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(root, out)
    before = (out / "README.md").read_bytes()
    assert "no problem gives a row" in export(root, out, "--overwrite", "--min_ratio", "9", code=2)
    assert (out / "README.md").read_bytes() == before


def test_a_folder_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    def stopped() -> None:
        with whole_folder(tmp_path / "new", overwrite=False) as folder:
            (folder / "half").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--top_p", "0"], "per cent"),
        (["--split", "test"], "no merged.jsonl of the split test"),
        (["--task", "pvf", "--min_ratio", "1.1"], "no measured ratio"),
        (["--what", "outputs"], "no samples.jsonl"),
        (["--what", "outputs", "--push_to", "a/b"], "only training sets are pushed"),
        (["--what", "merged", "--out", "x.json"], "several splits"),
    ],
)
def test_what_cannot_be_exported_says_why(root: Path, tmp_path: Path, options: list[str], words: str) -> None:
    assert words in export(root, tmp_path / "out", *options, code=2)
