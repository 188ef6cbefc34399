"""Shards from the command line and by the recipes: killed, run again and gathered, the folder is as without shards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

RECIPES = Path(__file__).resolve().parents[2] / "recipes/cluster"
COMMON = ("--save_path", "x", "--split", "train")
# What a scheduler and a remote shell do, on this machine: run a script once per job of an array; run a command.
SBATCH = """#!/bin/sh
set -eu
count=1
while :; do
    case "$1" in
        --array=0-*) count=$((${1#--array=0-} + 1)) ;;
        --*) ;;
        *) break ;;
    esac
    shift
done
number=0
while [ "$number" -lt "$count" ]; do
    SLURM_ARRAY_TASK_ID=$number SLURM_ARRAY_TASK_COUNT=$count sh "$@" >&2
    number=$((number + 1))
done
echo 4711
"""
SSH = '#!/bin/sh\nexec flock "$0" sh -c "$2"\n'  # one after the other: they all have the same cores


def verdicts(cli) -> dict[tuple[str, int], str]:
    rows = cli.rows("samples/x/starter/train/executions.jsonl")
    found = {(row["task_id"], row["sample_id"]): row["verdict"] for row in rows}
    assert len(found) == len(rows)
    return found


@pytest.fixture
def imported(cli, tmp_path: Path, known_solutions: Path) -> Path:
    """The samples of four problems, in the experiment's own folder."""
    rows = [json.loads(line) for line in known_solutions.read_text().splitlines()]
    tasks = list(dict.fromkeys(row["task_id"] for row in rows))[:4]
    path = tmp_path / "few.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows if row["task_id"] in tasks))
    cli.run("import", path, *COMMON)
    return cli.root / "samples/x/starter/train"


@pytest.fixture
def as_on_a_cluster(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs a recipe with this machine as all of the cluster; what it printed."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("sbatch", SBATCH), ("ssh", SSH)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("CODE_OPTIMISE", str(Path(sys.executable).with_name("code-optimise")))

    def run(recipe: str, *options: object, **environment: str) -> str:
        words = [str(RECIPES / recipe), "--root", str(cli.root), *COMMON, *map(str, options)]
        done = subprocess.run(
            words, env=os.environ | environment, capture_output=True, text=True, timeout=280, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def test_shards_are_killed_run_again_and_gathered(cli, imported) -> None:
    shard = imported / "shards/1-of-2"
    process = cli.start("annotate", *COMMON, "--shard", "1/2")
    end = time.monotonic() + 120
    while not ((shard / "measurements.jsonl").exists() and (shard / "measurements.jsonl").stat().st_size):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    printed = cli.run("gather", *COMMON, expect=2)
    assert "1/2 (not finished), 2/2 (not begun)" in printed
    cli.run("annotate", *COMMON, "--shard", "1/2")
    printed = cli.run("gather", *COMMON, expect=2)
    assert "1 of 2 shards are not done: 2/2 (not begun)" in printed
    assert "annotate --shard 2/2" in printed
    assert not (imported / "executions.jsonl").exists()

    cli.run("annotate", *COMMON, "--shard", "2/2")
    cli.run("gather", *COMMON)
    judged = verdicts(cli)
    samples = cli.rows("samples/x/starter/train/samples.jsonl")
    assert set(judged) == {(row["task_id"], row["sample_id"]) for row in samples}
    merged = cli.rows("datasets/x/starter/train/merged.jsonl")
    assert len(merged) == 4
    files = {path.name: path.read_bytes() for path in imported.glob("*.jsonl")}
    assert "as they were" in cli.run("gather", *COMMON)
    cli.run("annotate", *COMMON)  # without shards: nothing is left to do
    assert {path.name: path.read_bytes() for path in imported.glob("*.jsonl")} == files

    cli.run("annotate", *COMMON, "--shard", "2/3")
    assert "different partitions" in cli.run("gather", *COMMON, expect=2)


def test_the_slurm_recipe_samples_annotates_and_gathers(cli, as_on_a_cluster) -> None:
    draw = "--n_seq 2 --temp 0.8 --max_new_tokens 8"
    printed = as_on_a_cluster("slurm.sh", "--limit", 4, SHARDS="2", SAMPLE_ARGS=draw)
    assert "gather train: samples.jsonl 8, executions.jsonl 8" in printed
    samples = cli.rows("samples/x/starter/train/samples.jsonl")
    assert set(verdicts(cli)) == {(row["task_id"], row["sample_id"]) for row in samples}


def test_the_ssh_recipe_annotates_on_every_machine(cli, imported, as_on_a_cluster) -> None:
    as_on_a_cluster("ssh.sh", HOSTS="alpha beta gamma")
    assert {path.name for path in (imported / "shards").iterdir()} == {"1-of-3", "2-of-3", "3-of-3"}
    assert len(verdicts(cli)) == len(cli.rows("samples/x/starter/train/samples.jsonl"))


def test_what_does_not_go_together_is_refused(cli, imported, known_solutions) -> None:
    for options, said in (
        (("--shard", "3/2"), "not a shard"),
        (("--shard", "1/2", "--engine", "ray"), "two ways"),
        (("--shard", "1/2", "--samples", known_solutions), "code-optimise import"),
        (("--engine", "ray", "--cores", "0"), "--cores: about one machine only"),
    ):
        assert said in cli.run("annotate", *COMMON, *options, expect=2)
    assert "no shards" in cli.run("gather", *COMMON, expect=2)
