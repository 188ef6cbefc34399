"""The options, each declared once. Names are the published ones; a dash may stand for every underscore and back."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.records import TimingMethod

DATA, MODEL, SAMPLING, TRAINING, RUN = "Data", "Model", "Sampling", "Training", "This run"


class Optim(StrEnum):
    SFT = "sft"
    DPO = "dpo"


class Draw(StrEnum):
    """The `--task` of DPO. The same words as training.selection.Task, which would load torch."""

    QVS = "qvs"
    PVF = "pvf"
    ALL = "all"
    QVS_RELEASED = "qvs_released"


class Switch(StrEnum):
    """The published scripts take True and False as words."""

    TRUE = "true"
    FALSE = "false"

    def __bool__(self) -> bool:
        return self is Switch.TRUE


def split_words(text: str) -> list[str]:
    """ "a, b c" → ["a", "b", "c"]: names separated by commas or white space."""
    return text.replace(",", " ").split()


DataPath = Annotated[
    str,
    typer.Option(
        "--data_path",
        help="Problems: starter, human_eval, mbpp, a folder saved by `datasets`, a JSONL file, or a Hub id.",
        rich_help_panel=DATA,
    ),
]
TrainSplits = Annotated[
    str, typer.Option("--split", help="Splits, separated by commas.", metavar="NAMES", rich_help_panel=DATA)
]
EvalSplit = Annotated[
    str, typer.Option("--split", help="The split to compare on.", metavar="NAME", rich_help_panel=DATA)
]
Limit = Annotated[
    int | None, typer.Option("--limit", help="Only the first so many problems of a split.", rich_help_panel=DATA)
]
TaskIds = Annotated[
    str | None, typer.Option("--task-ids", help="Only these problems.", metavar="ID,ID,...", rich_help_panel=DATA)
]
ModelPath = Annotated[
    str,
    typer.Option(
        "--model_path", help="Built-in name (smollm2-135m), a model's folder, or a Hub id.", rich_help_panel=MODEL
    ),
]
NSeq = Annotated[int, typer.Option("--n_seq", help="Samples per problem; 1 is greedy.", rich_help_panel=SAMPLING)]
NIter = Annotated[
    int, typer.Option("--n_iter", help="Rounds to draw them in; must divide --n_seq.", rich_help_panel=SAMPLING)
]
Temp = Annotated[float, typer.Option("--temp", help="Temperature; 0 is greedy.", rich_help_panel=SAMPLING)]
MaxNewTokens = Annotated[
    int, typer.Option("--max_new_tokens", help="Longest completion, in tokens.", rich_help_panel=SAMPLING)
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch_size", help="Completions written side by side.", show_default="by device", rich_help_panel=SAMPLING
    ),
]
SavePath = Annotated[
    str, typer.Option("--save_path", help="The experiment's name, a folder under each stage's.", rich_help_panel=RUN)
]
Root = Annotated[Path, typer.Option("--root", help="Where all runs are kept.", rich_help_panel=RUN)]
Seed = Annotated[int, typer.Option("--seed", help="Source of every random choice.", rich_help_panel=RUN)]
TrainSeed = Annotated[
    int | None,
    typer.Option("--seed", help="Source of every random choice.", show_default="1", rich_help_panel=RUN),
]
Cores = Annotated[
    str | None,
    typer.Option(
        "--cores",
        help="CPU cores for the sandbox, e.g. 1,2,3.",
        show_default="all that this process may use and no other run has",
        rich_help_panel=RUN,
    ),
]
TimingCores = Annotated[
    str | None,
    typer.Option(
        "--timing_cores",
        help="Those of them that time.",
        show_default="one of each physical core; the first core is left to the host side",
        rich_help_panel=RUN,
    ),
]
Timing = Annotated[
    TimingMethod,
    typer.Option(
        "--timing",
        help="How passing solutions are timed: blocks is ours; legacy is the published method, for comparison only.",
        rich_help_panel=RUN,
    ),
]
TimingSeconds = Annotated[
    float | None,
    typer.Option(
        "--timing_seconds",
        min=1.0,
        help="Time for timing a split, after which nothing new is begun; running it again goes on.",
        show_default="as long as it takes",
        rich_help_panel=RUN,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Start over; without it, a run goes on.", rich_help_panel=RUN)
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and stop.", rich_help_panel=RUN)]
Samples = Annotated[
    Path | None,
    typer.Option(
        "--samples",
        help="Judge samples from this file (JSONL with task_id and completion, a published outputs.json or "
        "merged.jsonl) instead of what `sample` drew.",
        rich_help_panel=DATA,
    ),
]
SamplesModel = Annotated[
    str, typer.Option("--model_name", help="Who wrote the file given by --samples.", rich_help_panel=DATA)
]
MERGING = "Which problems and solutions are kept"
MinPassing = Annotated[
    int,
    typer.Option(
        "--min_passing", min=1, help="Distinct passing solutions a problem must have.", rich_help_panel=MERGING
    ),
]
MinFailing = Annotated[
    int,
    typer.Option(
        "--min_failing", min=0, help="Distinct failing solutions a problem must have.", rich_help_panel=MERGING
    ),
]
ExcludeWeak = Annotated[
    bool,
    typer.Option(
        "--exclude_weak",
        help="Leave out solutions whose test could not be kept in a process apart (integrity weak).",
        rich_help_panel=MERGING,
    ),
]
OptimOption = Annotated[
    Optim | None,
    typer.Option("--optim", help="Fine-tune on solutions, or on pairs.", show_default="sft", rich_help_panel=TRAINING),
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top_p",
        help="SFT: per cent of a problem's passing solutions to learn from, fastest first.",
        show_default="25",
        rich_help_panel=TRAINING,
    ),
]
TaskOption = Annotated[
    Draw | None,
    typer.Option(
        "--task",
        help="DPO pairs: quick over slow (both pass), passed over failed, both kinds, or the published draw of quick "
        "over slow (whose rejects mostly fail).",
        show_default="qvs",
        rich_help_panel=TRAINING,
    ),
]
Augment = Annotated[
    Switch | None,
    typer.Option(
        "--augment",
        help="Draw the solution or pair anew in every epoch.",
        show_default="true",
        case_sensitive=False,
        rich_help_panel=TRAINING,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="YAML with any training setting (recipes/); options here win.", rich_help_panel=TRAINING
    ),
]
ModelFolder = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="The model's folder under models/, where one of that name is there already with other settings.",
        show_default="after what was trained: sft-25, dpo-qvs",
        rich_help_panel=TRAINING,
    ),
]
Models = Annotated[
    str | None,
    typer.Option(
        "--models",
        help="Trained models of this --save_path to compare, e.g. sft-25,dpo-qvs.",
        show_default="all of them",
        rich_help_panel=MODEL,
    ),
]
Regen = Annotated[
    Switch,
    typer.Option(
        "--regen", help="The published name: true draws all samples anew (as --overwrite).", case_sensitive=False,
        rich_help_panel=RUN,
    ),
]  # fmt: skip
NoAa = Annotated[
    bool, typer.Option("--no-aa", help="Leave out the A/A run, which takes up to 40 s.", rich_help_panel=RUN)
]
ATTACK = "Attack the sandbox"
AttackSandbox = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Run the hostile programs: none may pass, escape, stay behind or spoil another run.",
        rich_help_panel=ATTACK,
    ),
]
Runtime = Annotated[
    str | None,
    typer.Option(
        "--runtime",
        help="The engine's runtime to attack, e.g. runsc (verdicts only: it is not for timings).",
        show_default="the engine's own",
        rich_help_panel=ATTACK,
    ),
]
AttackCores = Annotated[
    str | None,
    typer.Option(
        "--cores", help="CPU cores to do it on, all of it on each.", show_default="the last", rich_help_panel=ATTACK
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Findings and facts as JSON.", rich_help_panel=RUN)]
