"""Every stage from the command line with the built-in model. That each may be killed anywhere: tests/faults."""

from __future__ import annotations

import signal
import time

import pytest

# Blocks that a busy machine disturbs are measured again, up to a bound: the pipeline then takes minutes.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

DRAW = ("--n_seq", 4, "--temp", 0.8, "--max_new_tokens", 24, "--seed", 3)
QUICK = ("--limit", 3)


def kill_when(process, path, lines):
    """SIGKILL the command as soon as the file has that many lines; whether it was still running then."""
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        if path.exists() and path.read_bytes().count(b"\n") >= lines:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True
        time.sleep(0.01)
    return False


def test_the_whole_pipeline_resumes_and_ends_in_a_report(cli, known_solutions):
    samples = cli.root / "samples/x/starter/train"
    cli.run("annotate", "--save_path", "x", "--split", "train", "--samples", known_solutions)
    summary = cli.rows("datasets/x/starter/train/merged.jsonl")
    assert len(summary) == 5
    assert all(row["passing"] >= 2 and len(row["answers"]) > row["passing"] for row in summary)
    assert sum(len(row["decided"]) for row in summary) >= 3
    before = {path.name: path.read_bytes() for path in samples.iterdir() if path.suffix == ".jsonl"}
    assert "5" in cli.run("annotate", "--save_path", "x", "--split", "train")  # nothing is done twice
    assert {path.name: path.read_bytes() for path in samples.iterdir() if path.suffix == ".jsonl"} == before

    recipe = cli.root / "tiny.yaml"
    recipe.write_text("max_steps: 2\nbatch_size: 2\ngradient_accumulation: 1\nmax_length: 256\nlearning_rate: 1.0e-5\n"
                      "gradient_checkpointing: false\ncheckpoint_every: never\nbest_by: none\n")  # fmt: skip
    for optim in (("--optim", "sft", "--top_p", 50), ("--optim", "dpo", "--task", "all")):
        cli.run("train", "--save_path", "x", "--config", recipe, *optim)
    assert {path.name for path in (cli.root / "models/x").iterdir() if path.is_dir()} == {"sft-50", "dpo-all"}

    printed = cli.run("eval", "--save_path", "x", *QUICK, *DRAW)
    folder = cli.root / "evals/x/starter/test"
    assert {row["model"] for row in cli.rows("evals/x/starter/test/samples.jsonl")} == {"base", "sft-50", "dpo-all"}
    assert len(cli.rows("evals/x/starter/test/executions.jsonl")) == 3 * 3 * 4
    assert "report.html" in printed
    html = (folder / "report.html").read_text()
    assert "dpo-all" in html
    assert "<svg" in html
    (folder / "report.html").unlink()
    cli.run("report", "--save_path", "x", *QUICK)
    assert (folder / "report.html").exists()


def test_a_killed_annotation_loses_nothing_that_was_finished(cli, known_solutions):
    words = ("annotate", "--save_path", "x", "--split", "train")
    executions = cli.root / "samples/x/starter/train/executions.jsonl"
    measurements = executions.with_name("measurements.jsonl")
    assert kill_when(cli.start(*words, "--samples", known_solutions), executions, 10)
    finished = executions.read_bytes()
    assert kill_when(cli.start(*words), measurements, 5)
    assert executions.read_bytes().startswith(finished[: finished.rfind(b"\n") + 1])
    blocks = measurements.read_bytes()
    cli.run(*words)
    assert measurements.read_bytes().startswith(blocks[: blocks.rfind(b"\n") + 1])
    keys = [(row["task_id"], row["sample_id"]) for row in cli.rows("samples/x/starter/train/executions.jsonl")]
    assert len(keys) == len(set(keys)) == len(cli.rows("samples/x/starter/train/samples.jsonl"))
    rounds = [(row["task_id"], row["round"]) for row in cli.rows("samples/x/starter/train/measurements.jsonl")]
    assert len(rounds) == len(set(rounds))


def test_other_settings_are_refused_and_named(cli):
    words = ("--save_path", "x", "--split", "test", "--limit", 1, "--max_new_tokens", 8, "--n_seq", 2)
    cli.run("sample", *words, "--temp", 0.8)
    printed = cli.run("sample", *words, "--temp", 0.5, expect=2)
    assert "temperature" in printed
    assert "--overwrite" in printed
    cli.run("sample", *words, "--temp", 0.5, "--overwrite")
