"""The options, each declared once. Names are the published ones; a dash may stand for every underscore and back."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from harness.exchange.shapes import Shape
from harness.records import TimingInputs, TimingMethod

DATA, MODEL, SAMPLING, TRAINING, RUN = "Data", "Model", "Sampling", "Training", "This run"


class Optim(StrEnum):
    SFT = "sft"
    DPO = "dpo"
    RLOO = "rloo"
    GRPO = "grpo"


class RewardKind(StrEnum):
    SPEED = "speed"
    PASS = "pass"  # noqa: S105  (no password)


class Draw(StrEnum):
    """The `--task` of DPO. The same words as training.selection.Task, which would load torch."""

    QVS = "qvs"
    PVF = "pvf"
    ALL = "all"
    QVS_RELEASED = "qvs_released"


class ExportedAs(StrEnum):
    OUTPUTS = "outputs"
    CHECKS = "checks"
    MERGED = "merged"
    EVALPLUS = "evalplus"
    PREFERENCE = "preference"
    SFT = "sft"


class Interface(StrEnum):
    """The same words as harness.sampling.settings.APIS."""

    AUTO = "auto"
    COMPLETIONS = "completions"
    CHAT = "chat"


class Weights(StrEnum):
    """harness.sampling.settings.DTYPES, which is not imported here."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class EngineName(StrEnum):
    """Where sampling and annotating take place."""

    LOCAL = "local"
    RAY = "ray"


class Judged(StrEnum):
    """Whose solutions get stress inputs."""

    ANNOTATE = "annotate"
    EVAL = "eval"


class Switch(StrEnum):
    """The published scripts take True and False as words."""

    TRUE = "true"
    FALSE = "false"

    def __bool__(self) -> bool:
        return self is Switch.TRUE


class Weighing(StrEnum):
    """The same words as training.selection.WeighBy, which would load torch."""

    NONE = "none"
    CONFIDENCE = "confidence"


def parse_switch(text: str | Switch) -> Switch:
    """True and False as the published scripts write them, and as people do."""
    word = str(text).lower()
    if word in ("true", "yes", "on", "1"):
        return Switch.TRUE
    if word in ("false", "no", "off", "0"):
        return Switch.FALSE
    raise typer.BadParameter(f"{text!r} is neither true nor false")


def split_words(text: str) -> list[str]:
    """ "a, b c" → ["a", "b", "c"]: names separated by commas or white space."""
    return text.replace(",", " ").split()


DataPath = Annotated[
    str,
    typer.Option(
        "--data_path",
        help="Problems: starter, human_eval, mbpp, human_eval_plus, mbpp_plus, a folder saved by `datasets`, a JSONL "
        "file, or a Hub id.",
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
DrawnFrom = Annotated[
    str,
    typer.Option(
        "--model_path",
        help="Built-in name (smollm2-135m), a model's folder, a Hub id, or the address of a server that has the model: "
        "http://host:port/v1 (OpenAI's interface: vLLM, TGI, llama.cpp, transformers serve).",
        rich_help_panel=MODEL,
    ),
]
SERVER = "A model behind an address"
ServedName = Annotated[
    str | None,
    typer.Option(
        "--served_model",
        help="Its name there.",
        show_default="the only one there is",
        rich_help_panel=SERVER,
    ),
]
Concurrency = Annotated[int, typer.Option("--concurrency", min=1, help="Requests at a time.", rich_help_panel=SERVER)]
ApiKeyEnv = Annotated[
    str | None,
    typer.Option(
        "--api_key_env",
        metavar="NAME",
        help="The environment variable that holds the key, e.g. OPENAI_API_KEY. Keys are neither kept nor shown.",
        show_default="no key is sent",
        rich_help_panel=SERVER,
    ),
]
Tokenizer = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        help="The model's tokenizer (built-in name, folder, Hub id): prompts are then those of a local model, and "
        "tokens are counted.",
        show_default="none: bare prompts",
        rich_help_panel=SERVER,
    ),
]
Api = Annotated[
    Interface,
    typer.Option(
        "--api",
        help="Ask for completions or for answers to a chat; auto: completions where the server has them.",
        rich_help_panel=SERVER,
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
        "--batch_size", help="Completions written side by side.", show_default="128", rich_help_panel=SAMPLING
    ),
]
Dtype = Annotated[
    Weights,
    typer.Option("--dtype", help="Of the weights; auto: float32 on a CPU, else bfloat16.", rich_help_panel=SAMPLING),
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
TimedOn = Annotated[
    TimingInputs,
    typer.Option(
        "--timing_inputs",
        help="What solutions are timed on: the calls of the problem's own test, or of its held-out one (plus), which "
        "are more and larger, for the solutions that pass it.",
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
MACHINES = "More machines than one"
ShardWord = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Only the I-th of N parts of the problems, in a folder of its own; `gather` puts all N together.",
        show_default="all problems",
        rich_help_panel=MACHINES,
    ),
]
EngineOption = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="local: this machine. ray: the Ray cluster that this machine belongs to (or RAY_ADDRESS).",
        rich_help_panel=MACHINES,
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Start over; without it, a run goes on.", rich_help_panel=RUN)
]
OverwriteGathered = Annotated[
    bool,
    typer.Option("--overwrite", help="Also replace files that were not gathered from shards.", rich_help_panel=RUN),
]
StressOf = Annotated[
    Judged, typer.Option("--of", help="Whose judged solutions: annotate's or eval's.", rich_help_panel=DATA)
]
StressSplits = Annotated[
    str | None,
    typer.Option(
        "--split",
        help="Splits, separated by commas.",
        metavar="NAMES",
        show_default="train,validation of annotate, test of eval",
        rich_help_panel=DATA,
    ),
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
    typer.Option(
        "--optim",
        help="Fine-tune on solutions (sft) or on pairs (dpo), or on rewards for what it writes meanwhile (rloo, grpo).",
        show_default="sft",
        rich_help_panel=TRAINING,
    ),
]
RewardOption = Annotated[
    RewardKind | None,
    typer.Option(
        "--reward",
        help="RLOO, GRPO: what a solution that passes is worth: more the faster it is, or all the same.",
        show_default="speed",
        rich_help_panel=TRAINING,
    ),
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
        parser=parse_switch,
        metavar="true|false",
        rich_help_panel=TRAINING,
    ),
]
Confirmed = Annotated[
    Switch | None,
    typer.Option(
        "--confirmed",
        help="DPO, qvs and all: draw only quick-over-slow pairs whose order was seen again in later rounds.",
        show_default="true",
        parser=parse_switch,
        metavar="true|false",
        rich_help_panel=TRAINING,
    ),
]
TrainMinRatio = Annotated[
    float | None,
    typer.Option(
        "--min_ratio",
        min=0.0,
        help="DPO, qvs and all: draw only pairs whose 99% interval of slow over quick lies at or above it.",
        show_default="1",
        rich_help_panel=TRAINING,
    ),
]
WeighByOption = Annotated[
    Weighing | None,
    typer.Option(
        "--weigh_by",
        help="DPO, qvs and all: draw a problem's pairs equally often, or by how far that interval stays from 1.",
        show_default="none",
        rich_help_panel=TRAINING,
    ),
]
AuditOption = Annotated[
    Switch | None,
    typer.Option(
        "--audit",
        help="Keep on record what each step was really given, to be checked and unrolled (python -m training.audit).",
        show_default="false",
        parser=parse_switch,
        metavar="true|false",
        rich_help_panel=TRAINING,
    ),
]
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", help="YAML with any training setting (recipes/); options here win.", rich_help_panel=TRAINING
    ),
]
ReportTo = Annotated[
    str | None,
    typer.Option(
        "--report_to",
        help="Trackers, by commas: tensorboard, trackio, wandb (pip install 'code-optimise[trackers]'), or none.",
        show_default="none",
        metavar="NAMES",
        rich_help_panel=TRAINING,
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
COMPARING = "Comparing"
ComparedFolders = Annotated[
    list[str],
    typer.Argument(
        metavar="FOLDER[:MODEL,...]...",
        help="Folders that `eval` made (<root>/evals/<save_path>/<data>/<split>), with some of their models or all. "
        "The first model is the base.",
    ),
]
ComparedOut = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Where to write.", show_default="a folder under <root>/compare", rich_help_panel=COMPARING
    ),
]
ComparedData = Annotated[
    str | None,
    typer.Option(
        "--data_path", help="The problems, if they have moved.", show_default="as recorded", rich_help_panel=COMPARING
    ),
]
ComparedSplit = Annotated[
    str | None,
    typer.Option("--split", help="Their split.", show_default="as recorded", rich_help_panel=COMPARING),
]
MeasureTogether = Annotated[
    bool,
    typer.Option(
        "--measure",
        help="Judge and time all their samples together in the sandbox: run times that were taken apart can't be "
        "compared as they are. --cores, --timing_cores, --timing_seconds, --timing_inputs and --overwrite "
        "belong to it.",
        rich_help_panel=COMPARING,
    ),
]
IMPORT_EXPORT = "Import and export"
ImportedFiles = Annotated[list[Path], typer.Argument(metavar="FILE...", help="JSONL files, or JSON lists.")]
ImportedAs = Annotated[
    Shape | None,
    typer.Option(
        "--as",
        help="outputs: samples, whatever else the rows say (outputs.json, EvalPlus and HumanEval samples); "
        "checks: samples with verdicts and times (runs/check_0.json to check_4.json, all at once); "
        "merged: training data (merged.json, *.merged.jsonl).",
        show_default="by the columns of the rows",
        rich_help_panel=IMPORT_EXPORT,
    ),
]
ImportedModel = Annotated[
    str, typer.Option("--model_name", help="Who wrote the solutions.", rich_help_panel=IMPORT_EXPORT)
]
Exported = Annotated[
    ExportedAs,
    typer.Option(
        "--what",
        help="The published shapes (outputs, checks, merged), samples for EvalPlus, or a data set for other trainers: "
        "preference pairs, or solutions (sft), in Parquet with a card.",
        rich_help_panel=IMPORT_EXPORT,
    ),
]
Out = Annotated[
    Path,
    typer.Option(
        "--out",
        help="A folder; for outputs, merged and evalplus of one split also a file (.json, .jsonl).",
        rich_help_panel=IMPORT_EXPORT,
    ),
]
ExportedTask = Annotated[
    Draw,
    typer.Option(
        "--task",
        help="preference: all pairs that DPO with this --task may draw; of qvs, those seen again in later rounds.",
        rich_help_panel=IMPORT_EXPORT,
    ),
]
ExportedTopP = Annotated[
    float,
    typer.Option(
        "--top_p",
        help="sft: per cent of a problem's passing solutions, fastest first, whole tiers.",
        rich_help_panel=IMPORT_EXPORT,
    ),
]
MinRatio = Annotated[
    float | None,
    typer.Option(
        "--min_ratio",
        min=0.0,
        help="preference: of qvs, only pairs whose 99% interval of slow over quick lies at or above it.",
        show_default="1",
        rich_help_panel=IMPORT_EXPORT,
    ),
]
RenderedFor = Annotated[
    str | None,
    typer.Option(
        "--model_path",
        help="Prompts as this model is given them in sampling: its chat template, and the answer begun, so that "
        "tokens don't merge where prompt and answer meet.",
        show_default="as the problems have them",
        rich_help_panel=IMPORT_EXPORT,
    ),
]
Licence = Annotated[
    str | None,
    typer.Option(
        "--licence",
        help="For the card, e.g. cc-by-4.0.",
        show_default="the card says that none is given",
        rich_help_panel=IMPORT_EXPORT,
    ),
]
PushTo = Annotated[
    str | None,
    typer.Option(
        "--push_to",
        metavar="OWNER/NAME",
        help="Also upload the data set to the Hub, as a private repository.",
        show_default="nowhere",
        rich_help_panel=IMPORT_EXPORT,
    ),
]
Public = Annotated[
    bool, typer.Option("--public", help="With --push_to: for everybody to see.", rich_help_panel=IMPORT_EXPORT)
]
OverwriteOut = Annotated[
    bool, typer.Option("--overwrite", help="Replace an earlier export.", rich_help_panel=IMPORT_EXPORT)
]
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
