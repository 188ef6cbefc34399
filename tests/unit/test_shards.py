"""Shards and gathering: every problem in one shard, the same bytes whatever the order, and every refusal by name."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.annotation.settings import AnnotationSettings
from harness.cluster.done import Stage, mark_done, marker, read_done
from harness.cluster.gather import GATHER, gather
from harness.cluster.shards import SHARDS, Shard, shard_number
from harness.errors import UserError
from harness.progress import SilentReporter
from harness.records import ExecutionRow, FinishReason, MeasurementBlock, Problem, Sample
from harness.store import Manifest, write_rows

PROBLEMS = [Problem(f"t/{n}", f"def f{n}():\n", "def check(c): ...\n", f"f{n}", "train", "test") for n in range(12)]


@given(st.text(max_size=20), st.integers(1, 500))
def test_a_problem_is_in_exactly_one_shard(task_id: str, count: int) -> None:
    having = [number for number in range(1, count + 1) if Shard(number, count).has(task_id)]
    assert having == [shard_number(task_id, count)]


def test_membership_is_fixed_for_ever() -> None:
    """Folders of today are gathered by the program of tomorrow."""
    assert [shard_number(f"HumanEval/{n}", 4) for n in range(8)] == MEMBERSHIP


MEMBERSHIP = [3, 2, 3, 2, 2, 4, 1, 2]  # last digit of `printf HumanEval/0 | sha256sum`, modulo 4, plus 1


def test_shards_are_about_equally_large() -> None:
    sizes = [sum(Shard(number, 8).has(f"MBPP/{n}") for n in range(8_000)) for number in range(1, 9)]
    assert sum(sizes) == 8_000
    assert all(900 < size < 1_100 for size in sizes)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/", "/4", "a/b", "1/4/2", "-1/4", "1/0", "1/1000000", ""])
def test_what_is_no_shard(text: str) -> None:
    with pytest.raises(UserError, match="not a shard"):
        Shard.parse(text)


@given(st.integers(1, 100_000), st.data())
def test_a_shard_is_read_back_from_its_name(count: int, data: st.DataObject) -> None:
    shard = Shard(data.draw(st.integers(1, count)), count)
    assert Shard.parse(str(shard)) == shard
    assert Shard.of_folder(shard.folder_name) == shard


@pytest.mark.parametrize("name", ["2-of-1", "0-of-4", "1-of-", "1-of-4.old", "01-of-4", ".1-of-4"])
def test_other_folders_are_no_shards(name: str) -> None:
    assert Shard.of_folder(name) is None


# --- gathering --------------------------------------------------------------------------------------------------


def samples_of(problems: Sequence[Problem], text: str = "pass") -> list[Sample]:
    return [
        Sample(problem.task_id, number, "m", f"    {text} # {number}\n", FinishReason.EOS)
        for problem in problems
        for number in range(3)
    ]


def annotate(folder: Path, shard: Shard, problems: Sequence[Problem], samples: Path, seed: int = 1) -> None:
    own = shard.of(problems)
    if own:
        manifest = Manifest(folder)
        manifest.begin("annotate", AnnotationSettings(seed=seed).recorded(), overwrite=True)
        manifest.note("annotate", verdicts={"PASSED": 3 * len(own)}, blocks=len(own), image="i")
        rows = [
            ExecutionRow(s.task_id, s.sample_id, "m", "s", "PASSED", "strong", "", "completed", "", 1, 1, 1, 0)
            for s in samples_of(own)
        ]
        write_rows(folder / "executions.jsonl", rows)
        write_rows(
            folder / "measurements.jsonl",
            [MeasurementBlock(one.task_id, 0, 1, 1, (1, 1), False, [], "d", 0.1, "h") for one in own],
        )
    mark_done(folder, Stage.ANNOTATE, shard, own, samples)


def draw(folder: Path, shard: Shard, problems: Sequence[Problem]) -> None:
    own = shard.of(problems)
    if own:
        manifest = Manifest(folder)
        manifest.begin("sample:m", {"seed": 1})
        manifest.note("sample:m", seconds=2.0, tokens=10, finish_reasons={"eos": 3 * len(own)}, skipped=[])
        write_rows(folder / "samples.jsonl", samples_of(own))
    mark_done(folder, Stage.SAMPLE, shard, own)


def place(folder: Path, shard: Shard) -> Path:
    path = folder / SHARDS / shard.folder_name
    path.mkdir(parents=True, exist_ok=True)
    return path


def make(folder: Path, count: int, problems: Sequence[Problem] = PROBLEMS, *, sampled: bool = True) -> list[Shard]:
    """All shards of a partition, both stages, in a random order."""
    shards = [Shard(number, count) for number in range(1, count + 1)]
    for shard in random.Random(count).sample(shards, count):
        if sampled:
            draw(place(folder, shard), shard, problems)
        samples = place(folder, shard) if sampled else folder
        annotate(place(folder, shard), shard, problems, samples / "samples.jsonl")
    return shards


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".jsonl"}


def gathered(folder: Path, problems: Sequence[Problem] = PROBLEMS, **options) -> dict[str, bytes]:
    gather(problems, folder, reporter=SilentReporter(), **options)
    return files(folder)


def whole(tmp_path: Path) -> dict[str, bytes]:
    """The files of a run without shards."""
    folder = tmp_path / "whole"
    everything = Shard(1, 1)
    draw(place(folder, everything), everything, PROBLEMS)
    annotate(place(folder, everything), everything, PROBLEMS, place(folder, everything) / "samples.jsonl")
    return files(place(folder, everything))


@pytest.mark.parametrize("count", [1, 2, 5, 40])
def test_what_is_gathered_is_what_there_would_be_without_shards(count: int, tmp_path: Path) -> None:
    make(tmp_path / "run", count)
    assert gathered(tmp_path / "run") == whole(tmp_path)


def test_gathering_again_changes_nothing(tmp_path: Path) -> None:
    make(tmp_path, 3)
    first = gathered(tmp_path)
    inodes = {path.name: path.stat().st_ino for path in tmp_path.iterdir() if path.suffix == ".jsonl"}
    manifest = (tmp_path / "manifest.json").read_bytes()
    assert gather(PROBLEMS, tmp_path, reporter=SilentReporter()).changed is False
    assert files(tmp_path) == first
    assert (tmp_path / "manifest.json").read_bytes() == manifest
    assert {path.name: path.stat().st_ino for path in tmp_path.iterdir() if path.suffix == ".jsonl"} == inodes


def test_sampled_in_few_shards_and_annotated_in_many(tmp_path: Path) -> None:
    for shard in (Shard(1, 2), Shard(2, 2)):
        draw(place(tmp_path, shard), shard, PROBLEMS)
    assert set(gathered(tmp_path)) == {"samples.jsonl"}
    make(tmp_path, 5, sampled=False)
    assert gathered(tmp_path) == whole(tmp_path)


def test_facts_are_added_up(tmp_path: Path) -> None:
    make(tmp_path, 3)
    gathered(tmp_path)
    facts = Manifest(tmp_path).stage("annotate")["facts"]
    assert (facts["verdicts"], facts["blocks"], facts["image"]) == ({"PASSED": 36}, 12, "i")
    drawn = Manifest(tmp_path).stage("sample:m")["facts"]
    assert (drawn["tokens"], drawn["finish_reasons"], set(drawn["shards"])) == (30, {"eos": 36}, {"1/3", "2/3", "3/3"})
    assert Manifest(tmp_path).stage("annotate")["settings"] == AnnotationSettings().recorded()


def test_missing_and_unfinished_shards_are_named(tmp_path: Path) -> None:
    shards = make(tmp_path, 4)
    with (place(tmp_path, shards[1]) / "executions.jsonl").open("a") as stream:
        stream.write("{}\n")  # it was run again, and is being written
    marker(place(tmp_path, shards[2]), Stage.ANNOTATE).unlink()
    for path in place(tmp_path, shards[3]).iterdir():
        path.unlink()
    with pytest.raises(UserError) as refused:
        gathered(tmp_path)
    assert "1 of 4 shards are not done: 4/4 (not begun)" in refused.value.what
    draw(place(tmp_path, shards[3]), shards[3], PROBLEMS)
    with pytest.raises(UserError) as refused:
        gathered(tmp_path)
    assert "2/4 (not finished), 3/4 (not finished), 4/4 (not begun)" in refused.value.what
    assert "annotate --shard 2/4" in refused.value.fix
    assert files(tmp_path) == {}


def test_other_settings_problems_and_partitions_are_refused(tmp_path: Path) -> None:
    shards = make(tmp_path, 3)
    annotate(place(tmp_path, shards[1]), shards[1], PROBLEMS, place(tmp_path, shards[1]) / "samples.jsonl", seed=2)
    with pytest.raises(UserError, match="2/3 were made with other settings than 1/3"):
        gathered(tmp_path)
    make(tmp_path, 3)
    with pytest.raises(UserError, match="other problems"):
        gathered(tmp_path, PROBLEMS[:-1])
    draw(place(tmp_path, Shard(1, 2)), Shard(1, 2), PROBLEMS)
    with pytest.raises(UserError, match="different partitions: 1-of-2, 1-of-3"):
        gathered(tmp_path)
    assert files(tmp_path) == {}


def test_verdicts_on_other_samples_are_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "samples.jsonl", samples_of(PROBLEMS))
    make(tmp_path, 2, sampled=False)
    write_rows(tmp_path / "samples.jsonl", samples_of(PROBLEMS[:-1]) + samples_of(PROBLEMS[-1:], "return"))
    with pytest.raises(UserError, match=f"shards {Shard(shard_number('t/11', 2), 2)} judged other samples"):
        gathered(tmp_path)


def test_files_of_others_are_not_replaced(tmp_path: Path) -> None:
    make(tmp_path, 2)
    mine = tmp_path / "executions.jsonl"
    mine.write_text("mine\n")
    with pytest.raises(UserError, match="not gathered from shards"):
        gathered(tmp_path)
    assert mine.read_text() == "mine\n"
    assert gathered(tmp_path, overwrite=True) == whole(tmp_path)
    mine.write_text("changed\n")
    with pytest.raises(UserError, match="changed since"):
        gathered(tmp_path)


def test_a_shard_that_was_done_again_is_gathered_again(tmp_path: Path) -> None:
    """And a crash between the note and the file leaves a folder that can be gathered."""
    (shard,) = make(tmp_path, 1)
    before = gathered(tmp_path)
    executions = place(tmp_path, shard) / "executions.jsonl"
    executions.write_bytes(executions.read_bytes().replace(b"PASSED", b"WRONG"))
    mark_done(place(tmp_path, shard), Stage.ANNOTATE, shard, PROBLEMS, place(tmp_path, shard) / "samples.jsonl")
    assert gathered(tmp_path)["executions.jsonl"] == before["executions.jsonl"].replace(b"PASSED", b"WRONG")
    (tmp_path / "executions.jsonl").write_bytes(before["executions.jsonl"])  # noted, not yet replaced
    assert gathered(tmp_path)["executions.jsonl"] != before["executions.jsonl"]
    assert len(Manifest(tmp_path).stage(GATHER)["facts"]["files"]["executions.jsonl"]) == 2


def test_no_shards_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no shards"):
        gathered(tmp_path)


def test_a_mark_is_worth_nothing_once_settings_or_rows_are_others(tmp_path: Path) -> None:
    (shard,) = make(tmp_path, 1)
    folder = place(tmp_path, shard)
    assert read_done(folder, Stage.ANNOTATE) is not None
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["stages"]["annotate"]["settings"]["seed"] = 7
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert read_done(folder, Stage.ANNOTATE) is None
    assert read_done(folder, Stage.SAMPLE) is not None


def test_nobody_loads_ray_who_does_not_ask_for_it() -> None:
    code = (
        "import sys, harness.cli.app, harness.cli.cluster, harness.cli.stages, harness.annotation.stage\n"
        "import harness.cluster.gather, harness.cluster.host, harness.sampling.stage\n"
        "sys.exit('ray' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
