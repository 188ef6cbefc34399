"""Who may import whom: the contracts of pyproject.toml hold, and the guest needs nothing but the standard library."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

from harness import records

ROOT = Path(__file__).resolve().parents[2]
GUEST = sorted((ROOT / "sandbox" / "guest").rglob("*.py"))
# Everything that loads the machine-learning stack; all the rest must work where it is not installed.
HEAVY = {"torch", "transformers", "trl", "peft", "accelerate"}


def imported(path: Path) -> set[str]:
    """The dotted names that a file imports anywhere in it; relative imports begin with dots."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


def test_the_import_contracts_hold() -> None:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", GUEST, ids=lambda path: path.name)
def test_a_guest_file_imports_the_standard_library_and_the_guest_only(path: Path) -> None:
    strangers = {  # _sha2: of Python 3.12, instead of _sha256
        name
        for name in imported(path)
        if not name.startswith(".") and name.partition(".")[0] not in {*sys.stdlib_module_names, "guest", "_sha2"}
    }
    assert strangers == set()


def test_the_guest_is_there() -> None:
    assert {path.name for path in GUEST} >= {"warden.py", "judge.py", "candidate.py"}


@pytest.mark.parametrize("module", ["sandbox", "harness.cli.app", "harness.cli.doctor", "harness.cli.stages"])
def test_no_command_waits_for_the_machine_learning_stack(module: str) -> None:
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_help_does_not_wait_for_the_docker_sdk() -> None:
    code = "import sys, harness.cli.app; print('docker' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_every_field_of_a_record_is_described() -> None:
    text = (ROOT / "docs" / "results.md").read_text()
    missing = [
        f"{name}.{field.name}"
        for name, kind in vars(records).items()
        if is_dataclass(kind) and name not in ("Problem", "ProblemLabels")
        for field in fields(kind)
        if f"`{field.name}`" not in text and f"`.{field.name}`" not in text
    ]
    assert missing == []
