"""Where each stage keeps its files: one place that knows the folder names (docs/results.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


def data_name(data_path: str) -> str:
    """A folder name for a data set: its built-in name, or the last part of its path or Hub id without suffix."""
    name = Path(data_path.rstrip("/")).name
    return name.split(".")[0] or "data"


@dataclass(frozen=True, slots=True)
class RunPaths:
    """The folders of one experiment (`save_path`) on one data set under one root."""

    root: Path
    save_path: str
    data: str

    def samples(self, split: str) -> Path:
        return self.root / "samples" / self.save_path / self.data / split

    def datasets(self, split: str) -> Path:
        return self.root / "datasets" / self.save_path / self.data / split

    def evals(self, split: str) -> Path:
        return self.root / "evals" / self.save_path / self.data / split

    @property
    def models(self) -> Path:
        """One folder per optimisation of this experiment's data, e.g. `sft-25`, `dpo-qvs` (docs/adr/0004)."""
        return self.root / "models" / self.save_path

    def model(self, name: str) -> Path:
        return self.models / name
