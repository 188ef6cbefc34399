"""The stages, each with the state that it begins from and the command that is killed and run again."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from harness.problems.starter_set import starter_solutions
from tests.faults import equality
from tests.faults.deaths import Death, How
from tests.faults.forks import Ended, Forks

Result = TypeVar("Result")
IN_USE, WAIT_SECONDS = "in use by another run", 600.0  # cores
FAILING = ("    return None\n", "    return [\n", "    raise ValueError\n", "    while True:\n        return\n")
TRAIN, VALIDATION = list(starter_solutions())[:4], list(starter_solutions())[48:51]
RECIPE = (
    "max_steps: 6\nbatch_size: 1\ngradient_accumulation: 1\nmax_length: 256\nlearning_rate: 1.0e-3\n"
    "gradient_checkpointing: false\ncheckpoint_every: 2\nsave_total_limit: 2\n"
)
# Nothing that so small a model writes passes: what moves its weights is their decay.
ONLINE_RECIPE = (
    "max_steps: 4\nbatch_size: 4\ngradient_accumulation: 1\nlearning_rate: 1.0e-2\nweight_decay: 0.5\n"
    "gradient_checkpointing: false\ncheckpoint_every: 1\nsave_total_limit: 2\nbest_by: none\nscheduler: constant\n"
    "warmup: 0\nonline:\n  generations: 2\n  max_new_tokens: 8\n  temperature: 1.0\n  beta: 0.0\n"
)


@dataclass(frozen=True, slots=True)
class Stage:
    """words: of the command, `{files}` and `{root}` filled in. begins: after which stage. readings: see equality.

    grows: a file of the root that rows are added to, whose growth tells how far the command has come.
    """

    name: str
    words: Sequence[str]
    begins: str = ""
    readings: Mapping[str, equality.Reading] = field(default_factory=lambda: equality.ALWAYS)
    docker: bool = False
    training: bool = False
    grows: str = ""


X = ("--save_path", "x")
DRAW = ("--model_path", "{files}/tiny", "--temp", "0.8", "--max_new_tokens", "16", "--seed", "3", "--batch_size", "4")
PVF = ("--task", "pvf")
FIT = ("--model_path", "{files}/tiny", "--config", "{files}/recipe.yaml")
STARTS = [
    Stage("import judged", ("import", "{files}/judged.jsonl", *X, "--split", "train")),
    Stage("import timed", ("import", "{files}/timed.jsonl", *X, "--split", "train")),
    Stage("annotate", ("annotate", *X), begins="import", docker=True, readings=equality.NEW_TIMES),
]
STAGES = [
    Stage("import", ("import", "{files}/known.jsonl", *X)),
    Stage(
        "sample",
        ("sample", *X, "--split", "train", "--limit", "4", "--n_seq", "6", *DRAW),
        grows="samples/x/starter/train/samples.jsonl",
    ),
    Stage(
        "annotate: verdicts",
        ("annotate", *X, "--split", "train"),
        begins="import judged",
        readings=equality.NEW_TIMES,
        docker=True,
        grows="samples/x/starter/train/executions.jsonl",
    ),
    Stage(
        "annotate: times",
        ("annotate", *X, "--split", "train"),
        begins="import timed",
        readings=equality.NEW_TIMES,
        docker=True,
        grows="samples/x/starter/train/measurements.jsonl",
    ),
    Stage("merge", ("merge", *X), begins="annotate"),
    Stage("train: sft", ("train", *X, "--optim", "sft", *FIT), "annotate", equality.TRAINED, training=True),
    Stage("train: dpo", ("train", *X, "--optim", "dpo", *PVF, *FIT), "annotate", equality.TRAINED, training=True),
    Stage(
        "train: rloo",
        ("train", *X, "--optim", "rloo", "--model_path", "{files}/tiny", "--config", "{files}/online.yaml"),
        begins="annotate",
        readings=equality.TRAINED,
        docker=True,
        training=True,
        grows="models/x/rloo/rewards.jsonl",
    ),
    Stage(
        "eval",
        ("eval", *X, "--limit", "2", "--n_seq", "3", *DRAW),
        begins="train: sft",
        readings=equality.REPORTED,
        docker=True,
        grows="evals/x/starter/test/samples.jsonl",
    ),
    Stage("report", ("report", *X, "--limit", "2"), begins="eval"),
    Stage("compare", ("compare", "{root}/evals/x/starter/test:base,sft-25"), begins="eval"),
    Stage("export: outputs", ("export", "--what", "outputs", "--out", "{root}/out", *X, "--overwrite"), "annotate"),
    Stage(
        "export: preference",
        ("export", "--what", "preference", *PVF, "--out", "{root}/out", *X, "--overwrite"),
        "annotate",
    ),
    Stage(
        "stress",
        ("stress", *X, "--split", "train", "--limit", "1", "--timing_seconds", "5"),
        begins="annotate",
        readings=equality.NEW_TIMES,
        docker=True,
        grows="samples/x/starter/train/stress_inputs.jsonl",
    ),
]
BY_NAME = {stage.name: stage for stage in (*STARTS, *STAGES)}
WITHOUT_DOCKER = ("import", "sample")  # neither they nor what they begin with


class World:
    """Folders to work in. `root` is the same for all runs, because commands and paths are told in what they write."""

    def __init__(self, folder: Path, forks: Forks) -> None:
        self.files, self.root = folder / "files", folder / "root"
        self._kept, self.forks = folder / "kept", forks
        self.undisturbed: dict[str, Ended] = {}
        self.files.mkdir(parents=True)
        _write_inputs(self.files)

    def words(self, stage: Stage) -> list[str]:
        named = {"files": self.files, "root": self.root}
        first, *others = (word.format(**named) for word in stage.words)
        return [first, *others, "--root", str(self.root)]

    def begin(self, stage: Stage) -> None:
        """The root as it is before the stage."""
        before = self.expected(BY_NAME[stage.begins]) if stage.begins else None
        shutil.rmtree(self.root, ignore_errors=True)
        if before:
            shutil.copytree(before, self.root)
        else:
            self.root.mkdir()

    def expected(self, stage: Stage) -> Path:
        """The root as an undisturbed run leaves it; run now if it was not yet."""
        kept = self._kept / stage.name.replace(": ", "-").replace(" ", "-")
        if not kept.exists():
            if "{files}/tiny" in stage.words and not (self.files / "tiny").exists():
                from tests.tiny_llama import save_tiny_llama, smollm2_tokenizer  # torch takes seconds to import

                save_tiny_llama(self.files / "tiny", smollm2_tokenizer(), width=16, layers=1, heads=2)
            self.begin(stage)
            never = Death(How.NEVER, 0, str(self.root))
            ended = patiently(lambda: self.forks.run(self.words(stage), never), lambda ended: ended.printed)
            assert ended.code == 0, f"{stage.name}, undisturbed: {ended.printed}"
            self.undisturbed[stage.name] = ended
            kept.parent.mkdir(exist_ok=True)
            shutil.copytree(self.root, kept)
        return kept

    def differences(self, stage: Stage) -> list[str]:
        return equality.differences(self.expected(stage), self.root, stage.readings)


def patiently(attempt: Callable[[], Result], printed: Callable[[Result], str]) -> Result:
    """Again after a while where somebody else has the cores."""
    end = time.monotonic() + WAIT_SECONDS
    while True:
        result = attempt()
        if IN_USE not in printed(result) or time.monotonic() > end:
            return result
        time.sleep(5)


def _write_inputs(folder: Path) -> None:
    solutions = starter_solutions()
    known = {task_id: [one.code for one in solutions[task_id]] for task_id in (*TRAIN, *VALIDATION)}
    _write_completions(folder / "known.jsonl", {task_id: [*own, *FAILING[:2]] for task_id, own in known.items()})
    wrong = [f"    return {number}.5\n" for number in range(20)]
    _write_completions(folder / "judged.jsonl", {one: [known[one][0], *FAILING, *wrong] for one in TRAIN})
    _write_completions(folder / "timed.jsonl", {one: [*known[one], FAILING[0]] for one in TRAIN[:1]})
    (folder / "recipe.yaml").write_text(RECIPE)
    (folder / "online.yaml").write_text(ONLINE_RECIPE)


def _write_completions(path: Path, completions: Mapping[str, Sequence[str]]) -> None:
    with path.open("w") as stream:
        for task_id, own in completions.items():
            for text in own:
                stream.write(json.dumps({"task_id": task_id, "completion": text}) + "\n")
