"""Whatever a command of the evaluation side takes on the command line, make passes on."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import typer

from harness.cli import app as cli

ROOT = Path(__file__).parents[2]
SWITCHES = {"measure", "overwrite", "dry_run"}
NAMES = {"eval": {"split": "EVAL_SPLIT"}, "report": {"split": "EVAL_SPLIT"}}  # where make calls it otherwise
GIVEN = {"compare": ("FOLDERS=a b",)}


def _options(command: str) -> set[str]:
    found = typer.main.get_command(cli.app).commands[command]  # type: ignore[attr-defined]
    options = {name for one in found.params for name in one.opts if name.startswith("--")}
    return {name.removeprefix("--").replace("-", "_") for name in options} - {"help"}


@pytest.mark.parametrize("command", ["eval", "report", "compare", "stress"])
def test_make_passes_every_option(command: str) -> None:
    wanted = _options(command)
    names = {option: NAMES.get(command, {}).get(option, option.upper()) for option in wanted}
    values = [f"{name}={'1' if option in SWITCHES else 'x'}" for option, name in names.items()]
    done = subprocess.run(
        ["make", "-n", command, *values, *GIVEN.get(command, ())],
        cwd=ROOT, check=True, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    (line,) = [line for line in done.stdout.splitlines() if f"code-optimise {command}" in line]
    passed = {word.removeprefix("--") for word in line.split() if word.startswith("--")}
    assert len(wanted) >= 5
    assert passed == wanted


def test_annotate_times_on_larger_calls_where_asked() -> None:
    assert "timing_inputs" in _options("annotate")
    done = subprocess.run(["make", "-n", "annotate", "TIMING_INPUTS=plus"], cwd=ROOT, capture_output=True, text=True,
                          check=True)  # fmt: skip
    assert "--timing_inputs 'plus'" in done.stdout
