"""`make bench-end-to-end`: what training comes to, from sampling to the comparison on problems not trained on.

Two parts. `starter`: the built-in model's own solutions of the starter problems; compared on the test split. `mbpp`:
the released StarCoder-1B solutions, judged and timed here, of every second problem of MBPP's validation split that has
any; compared on the other half of these problems. Every model starts from the same base and takes the same steps.

Each step is a command of the project, said before it runs, and goes on where it stopped. Cost: CPU time of the command
and its children. Beside the usual comparison it asks what DPO optimises: of the decided pairs of problems that were not
trained on, in how many did the model shift towards the quick one, against the base?
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from tests.benchmarks.tables import Table, markdown, number, show

BASE = "smollm2-135m"
RELEASED = "released/starcoder-1b_mbpp_validation.merged.jsonl"
MBPP = "mbpp_code_optimise"
# One budget for all, for what two cores can do in an hour. The published 5e-7 is for 30 epochs of 183 problems.
BUDGET = {"max_steps": 8, "batch_size": 4, "gradient_accumulation": 1, "max_length": 256}
BUDGET |= {"gradient_checkpointing": False, "checkpoint_every": "never", "best_by": "none"}
SFT, DPO = {"optim": "sft", "learning_rate": 1.5e-5}, {"optim": "dpo", "learning_rate": 1e-5}
MODELS: dict[str, dict[str, Any]] = {
    "sft-25": SFT | {"top_p": 25},
    "dpo-qvs": DPO | {"task": "qvs"},
    "dpo-qvs-weighed": DPO | {"task": "qvs", "weigh_by": "confidence"},
    "dpo-qvs_released": DPO | {"task": "qvs_released"},
    "dpo-pvf": DPO | {"task": "pvf"},
    "dpo-all": DPO | {"task": "all"},
}
ABLATION = ("dpo-qvs-weighed", "dpo-qvs_released")  # draws to compare with dpo-qvs: on MBPP only, which has the pairs


@dataclass(frozen=True, slots=True)
class Part:
    """One data set to learn from and compare on."""

    name: str
    data_path: str
    split: str  # compared on
    n_seq: int
    tokens: int
    temperature: float
    task_ids: str | None = None  # compared on; None: the whole split

    @property
    def save_path(self) -> str:
        return f"e2e-{self.name}"


@dataclass
class Bench:
    """Where things are, and what they have cost so far (kept in `costs.json`, so that going on forgets nothing)."""

    root: Path
    costs: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self._file.exists():
            self.costs = json.loads(self._file.read_text())

    @property
    def _file(self) -> Path:
        return self.root / "costs.json"

    def run(self, step: str, *words: str) -> None:
        """One command, unless it was done before."""
        if step in self.costs:
            return
        command = [sys.executable, "-m", "harness.cli.app", *words, "--root", str(self.root)]
        print(f"$ code-optimise {shlex.join(command[3:])}", flush=True)
        begin, cpu = time.monotonic(), _children_cpu()
        subprocess.run(command, check=True)
        self.costs[step] = {"seconds": time.monotonic() - begin, "cpu_seconds": _children_cpu() - cpu}
        self.root.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self.costs, indent=1) + "\n")


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


# ---- the steps -------------------------------------------------------------------------------------------------------


def starter(bench: Bench, n_seq: int) -> Part:
    part = Part("starter", "starter", "test", n_seq, 80, 0.8)
    drawn = ("--n_seq", "16", "--temp", "0.8", "--max_new_tokens", "80", "--model_path", BASE)
    bench.run("starter sample", "sample", "--save_path", part.save_path, *drawn)
    bench.run("starter annotate", "annotate", "--save_path", part.save_path)
    return part


def mbpp(bench: Bench, data: Path, n_seq: int) -> Part:
    ids = sorted(str(json.loads(line)["id"]) for line in (data / RELEASED).read_text().splitlines())
    learnt = ids[::2]
    problems = str(data / MBPP)
    where = ("--data_path", problems, "--split", "validation", "--save_path", "e2e-mbpp")
    bench.run(
        "mbpp annotate", "annotate", *where, "--task-ids", ",".join(ids), "--samples", str(data / RELEASED),
        "--model_name", "starcoder-1b",
    )  # fmt: skip
    _halve(bench.root / "datasets" / "e2e-mbpp" / MBPP, set(learnt))
    others = [task_id for task_id in ids if task_id not in learnt]
    return Part("mbpp", problems, "validation", n_seq, 128, 0.6, ",".join(others))


def _halve(folder: Path, learnt: set[str]) -> None:
    """The merged rows to learn from as the split `train`; the others, to ask for preferences, as `held-out`."""
    rows = (folder / "validation" / "merged.jsonl").read_text().splitlines(keepends=True)
    for name, wanted in (("train", True), ("held-out", False)):
        (folder / name).mkdir(exist_ok=True)
        text = "".join(row for row in rows if (json.loads(row)["id"] in learnt) == wanted)
        (folder / name / "merged.jsonl").write_text(text)


def train(bench: Bench, part: Part, names: Sequence[str]) -> None:
    for name in names:
        recipe = bench.root / "recipes" / f"{name}.yaml"
        recipe.parent.mkdir(parents=True, exist_ok=True)
        recipe.write_text(yaml.safe_dump(BUDGET | MODELS[name], sort_keys=False))
        bench.run(
            f"{part.name} train {name}", "train", "--data_path", part.data_path, "--save_path", part.save_path,
            "--model_path", BASE, "--config", str(recipe), "--name", name,
        )  # fmt: skip


def compare(bench: Bench, part: Part, names: Sequence[str]) -> dict[str, Any]:
    chosen = ("--task-ids", part.task_ids) if part.task_ids else ()
    bench.run(
        f"{part.name} eval", "eval", "--data_path", part.data_path, "--split", part.split, "--save_path",
        part.save_path, "--model_path", BASE, "--models", ",".join(names), "--n_seq", str(part.n_seq), "--temp",
        str(part.temperature), "--max_new_tokens", str(part.tokens), *chosen,
    )  # fmt: skip
    folder = bench.root / "evals" / part.save_path / Path(part.data_path).name / part.split
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def prefer(bench: Bench, part: Part, names: Sequence[str]) -> dict[str, Any]:
    """Preferences on held-out pairs: the starter's validation split, MBPP's other half."""
    from harness.progress import SilentReporter
    from harness.sampling.models import resolve_model
    from tests.benchmarks.preferences import preferences

    split = "held-out" if part.name == "mbpp" else "validation"
    rows = bench.root / "datasets" / part.save_path / Path(part.data_path).name / split / "merged.jsonl"
    kept = bench.root / f"preferences-{part.name}.json"
    if not kept.exists():
        folders = {name: bench.root / "models" / part.save_path / name for name in names}
        base = resolve_model(BASE, SilentReporter())
        kept.write_text(json.dumps(preferences(rows, Path(base), folders), indent=1) + "\n")
    found: dict[str, Any] = json.loads(kept.read_text())
    return found


# ---- what a person sees ----------------------------------------------------------------------------------------------


def table(bench: Bench, part: Part, results: Mapping[str, Any], preferred: Mapping[str, Any]) -> Table:
    models = {model["name"]: model for model in results["models"]}
    compared = {one["model"]: one for one in results["comparisons"]}
    rows = [["base", "–", "–", *_absolute(models["base"]), *["–"] * 5]]
    for name, one in compared.items():
        cost = bench.costs[f"{part.name} train {name}"]
        speed = one["speedup"]
        rows.append(
            [
                name,
                str(BUDGET["max_steps"]),
                number(cost["cpu_seconds"], 0),
                *(_points(one["pass_at_k"].get(k)) for k in ("1", "10")),
                _ratio(speed["figure"]) + (f" p {speed['p_holm']:.2g}" if speed["p_holm"] is not None else ""),
                _share(one["optimised"]),
                f"{one['gained']}, {one['lost']}",
                _share(preferred[name]["qvs"]),
                _share(preferred[name]["pvf"]),
            ]
        )
    columns = (
        "model", "steps", "training, CPU s ↓", "pass@1, points ↑", "pass@10, points ↑", "matched speed-up ↑ (p Holm)",
        "%Opt ↑", "problems won, lost", "held-out pairs, quick over slow ↑", "passed over failed ↑",
    )  # fmt: skip
    note = (
        f"{results['problems_given']} problems × {part.n_seq} samples, T = {part.temperature}, seed 1, one run each. "
        "The base's own figures, then differences to it [95% intervals, bootstrap over problems]. Last two columns: "
        "share of pairs of solutions, of problems not trained on, whose better one gained probability against the "
        "worse one, by comparison with the base (50% is chance; mean over problems)."
    )
    return Table(f"{part.name}: trained from {BASE}, compared on {part.split}", columns, rows, note)


def _absolute(model: Mapping[str, Any]) -> list[str]:
    return [_share(model["pass_at_k"].get(k)) for k in ("1", "10")]


def _range(figure: Mapping[str, Any], scale: float, digits: int, sign: str = "") -> str:
    value, *ends = (
        None if figure[key] is None else f"{figure[key] * scale:{sign}.{digits}f}" for key in ("value", "low", "high")
    )
    return f"{value}" if None in ends else f"{value} [{ends[0]}, {ends[1]}]"


def _points(figure: Mapping[str, Any] | None) -> str:
    return "–" if figure is None or figure["value"] is None else _range(figure, 100, 1, "+")


def _share(figure: Mapping[str, Any] | None) -> str:
    return "–" if figure is None or figure["value"] is None else f"{_range(figure, 100, 1)}% n={figure['n']}"


def _ratio(figure: Mapping[str, Any]) -> str:
    return "–" if figure["value"] is None else f"{_range(figure, 1, 2)}× n={figure['n']}"


def costs(bench: Bench) -> Table:
    rows = [[step, number(one["cpu_seconds"], 0), number(one["seconds"], 0)] for step, one in bench.costs.items()]
    note = "CPU time of the command and its children; the sandbox' containers are not its children and not in it."
    return Table("What each step cost", ("step", "CPU s", "wall s"), rows, note)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.end_to_end", description=__doc__)
    parser.add_argument("--parts", default="starter,mbpp", help="starter, mbpp or both (default)")
    parser.add_argument("--models", default=",".join(MODELS), help=f"of {', '.join(MODELS)} (default: all)")
    parser.add_argument("--n_seq", type=int, default=16, help="samples a starter problem (default 16); MBPP: half")
    parser.add_argument("--root", type=Path, default=Path("runs/bench/e2e"), help="goes on with what is there")
    options = parser.parse_args(arguments)
    data = Path(os.environ.get("CODE_OPTIMISE_DATA", "../shared/data"))
    wanted = options.parts.split(",")
    if "mbpp" in wanted and not (data / RELEASED).exists():
        parser.error(f"{data / RELEASED} is not there: set CODE_OPTIMISE_DATA, or --parts starter")
    bench, names = Bench(options.root), options.models.split(",")
    shown: list[Table] = []
    content: dict[str, Any] = {"schema": 1, "budget": BUDGET, "models": {name: MODELS[name] for name in names}}
    for name in wanted:
        part = starter(bench, options.n_seq) if name == "starter" else mbpp(bench, data, max(1, options.n_seq // 2))
        trained = [one for one in names if name == "mbpp" or one not in ABLATION]
        train(bench, part, trained)
        results, preferred = compare(bench, part, trained), prefer(bench, part, trained)
        shown.append(table(bench, part, results, preferred))
        content[name] = {"part": asdict(part), "results": results, "preferences": preferred}
    shown.append(costs(bench))
    out = options.root.with_suffix(".json")
    out.write_text(json.dumps(content | {"costs": bench.costs}, indent=1) + "\n")
    out.with_suffix(".md").write_text("\n".join(markdown(one) for one in shown))
    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    for one in shown:
        show(one, console)
    console.print(f"{out} and {out.with_suffix('.md')}", markup=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
