"""The command line as a person starts it, in a folder of its own; and a small experiment made of known solutions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.problems.starter_set import starter_solutions

COMMAND = [sys.executable, "-m", "harness.cli.app"]
FAILING = ("    return None\n", "    return [\n", "    raise ValueError\n")


class CommandLine:
    def __init__(self, root: Path) -> None:
        self.root = root

    def arguments(self, *words: object) -> list[str]:
        return [*COMMAND, str(words[0]), "--root", str(self.root), *map(str, words[1:])]

    def run(self, *words: object, expect: int = 0) -> str:
        """What a finished command printed. Fails unless it ended with `expect`."""
        done = subprocess.run(self.arguments(*words), capture_output=True, text=True, timeout=280, check=False)
        printed = done.stdout + done.stderr
        assert done.returncode == expect, printed
        return printed

    def start(self, *words: object) -> subprocess.Popen[str]:
        return subprocess.Popen(self.arguments(*words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def rows(self, *parts: str) -> list[dict]:
        path = self.root.joinpath(*parts)
        return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def cli(tmp_path):
    return CommandLine(tmp_path / "runs")


@pytest.fixture
def known_solutions(tmp_path):
    """A samples file: every reference solution of the first starter problems, and three that fail."""
    path = tmp_path / "known.jsonl"
    with path.open("w") as stream:
        for task_id, solutions in list(starter_solutions().items())[:5]:
            for code in (*(solution.code for solution in solutions), *FAILING):
                stream.write(json.dumps({"task_id": task_id, "completion": code}) + "\n")
    return path
