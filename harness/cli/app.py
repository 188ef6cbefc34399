"""`code-optimise`: reads the options and hands over to harness.cli.stages, which loads what a command needs.

Nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from harness.cli import options as o
from harness.errors import UserError
from harness.records import TimingInputs, TimingMethod
from harness.storage_errors import storage_error
from harness.waiting import spin_briefly

EXIT_USER_ERROR, EXIT_INTERRUPTED = 2, 130
STAGES, AROUND = "The pipeline, in order", "Around it"


class Commands(TyperGroup):
    """Errors that a person can act on are shown as such; everything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            told = storage_error(error) or error
            if not actionable(told):
                raise
            show_error(told)
            raise typer.Exit(EXIT_USER_ERROR) from error
        except KeyboardInterrupt as interrupt:
            message("stopped; run the same command again to go on", style="yellow")
            raise typer.Exit(EXIT_INTERRUPTED) from interrupt


def actionable(error: Exception) -> bool:
    """Whether an error is meant for the person at the keyboard."""
    # Looked up, not imported: the sandbox brings the Docker SDK along, which `--help` need not wait for. While that
    # module is not loaded, nothing can have raised its error.
    sandbox_errors = sys.modules.get("sandbox.errors")
    kinds: tuple[type[Exception], ...] = (UserError, sandbox_errors.SandboxError) if sandbox_errors else (UserError,)
    return isinstance(error, kinds)


def message(text: str, *, style: str = "") -> None:
    # soft_wrap: paths and commands must survive being copied.
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style=style, markup=False)


def show_error(error: Exception) -> None:
    """What, where and the fix, each on a line of its own."""
    message(f"error: {getattr(error, 'what', error)}", style="bold red")
    for name, style in (("where", "red"), ("fix", "")):
        if text := getattr(error, name, ""):
            message(f"{name}: {text}", style=style)


app = typer.Typer(
    name="code-optimise",
    cls=Commands,
    help="Make a code model write code that is correct and fast. `make demo` shows all of it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    # One name for an option, written with underscores or dashes.
    context_settings={
        "token_normalize_func": lambda token: token.replace("-", "_"),
        "help_option_names": ["-h", "--help"],
    },
)


@app.command(rich_help_panel=STAGES)
def sample(
    data_path: o.DataPath = "starter",
    split: o.TrainSplits = "train,validation",
    limit: o.Limit = None,
    task_ids: o.TaskIds = None,
    model_path: o.DrawnFrom = "smollm2-135m",
    n_seq: o.NSeq = 16,
    n_iter: o.NIter = 1,
    temp: o.Temp = 0.6,
    max_new_tokens: o.MaxNewTokens = 256,
    batch_size: o.BatchSize = None,
    dtype: o.Dtype = o.Weights.AUTO,
    served_model: o.ServedName = None,
    concurrency: o.Concurrency = 8,
    api_key_env: o.ApiKeyEnv = None,
    tokenizer: o.Tokenizer = None,
    api: o.Api = o.Interface.AUTO,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    seed: o.Seed = 1,
    shard: o.ShardWord = None,
    engine: o.EngineOption = o.EngineName.LOCAL,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Draw solutions from a model: `samples.jsonl`."""
    from harness.cli import asked, cluster, stages
    from harness.sampling.settings import ServerSettings

    where = asked.Where(root, save_path, data_path, tuple(o.split_words(split)), limit, task_ids)
    server = ServerSettings(served_model, concurrency, api_key_env, tokenizer, api.value)
    how = asked.Drawing(model_path, n_seq, n_iter, temp, max_new_tokens, batch_size, seed, dtype.value, server)
    ray, tell = engine is o.EngineName.RAY, asked.reporter()
    part = cluster.shard_of(shard, ray=ray)
    if part is not None:
        cluster.sample_shard(where, how, part, tell, overwrite=overwrite, dry_run=dry_run)
        return
    with cluster.drawing_source(how, tell, ray=ray and not dry_run) as source:
        stages.sample(where, how, tell, source=source, overwrite=overwrite, dry_run=dry_run)


@app.command(rich_help_panel=STAGES)
def annotate(
    data_path: o.DataPath = "starter",
    split: o.TrainSplits = "train,validation",
    limit: o.Limit = None,
    task_ids: o.TaskIds = None,
    samples: o.Samples = None,
    model_name: o.SamplesModel = "imported",
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    seed: o.Seed = 1,
    cores: o.Cores = None,
    timing_cores: o.TimingCores = None,
    timing: o.Timing = TimingMethod.BLOCKS,
    timing_seconds: o.TimingSeconds = None,
    timing_inputs: o.TimedOn = TimingInputs.OWN,
    shard: o.ShardWord = None,
    engine: o.EngineOption = o.EngineName.LOCAL,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Judge the samples in the sandbox, time the ones that pass, and merge: `executions.jsonl`, `measurements.jsonl`
    (or `legacy.jsonl`), and the training data."""
    from harness.cli import asked, cluster, exchange, stages

    where = asked.Where(root, save_path, data_path, tuple(o.split_words(split)), limit, task_ids)
    used, timed = asked.Cores.parse(cores, timing_cores), asked.Timed(timing, timing_seconds, timing_inputs)
    ray, tell = engine is o.EngineName.RAY, asked.reporter()
    part = cluster.shard_of(shard, ray=ray, samples=samples)
    if samples is not None:
        exchange.import_file(where, samples, model_name, tell, overwrite=overwrite, dry_run=dry_run)
    if part is not None:
        cluster.annotate_shard(where, part, seed, used, timed, tell, overwrite=overwrite, dry_run=dry_run)
        return
    crew = cluster.annotation_engine(used, timed) if ray else None
    stages.annotate(where, seed, used, tell, timed=timed, engine=crew, overwrite=overwrite, dry_run=dry_run)


@app.command(rich_help_panel=STAGES)
def gather(
    data_path: o.DataPath = "starter",
    split: o.TrainSplits = "train,validation",
    limit: o.Limit = None,
    task_ids: o.TaskIds = None,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    overwrite: o.OverwriteGathered = False,
) -> None:
    """Put together what `sample --shard` and `annotate --shard` made, and merge: the folder is then as without shards.

    Again and again, with the same result. Shards that are missing or not finished are named.
    """
    from harness.cli import asked, cluster, stages

    where = asked.Where(root, save_path, data_path, tuple(o.split_words(split)), limit, task_ids)
    tell = asked.reporter()
    annotated = cluster.gather(where, tell, overwrite=overwrite)
    stages.merge_splits(where, annotated, tell)


@app.command(rich_help_panel=STAGES)
def merge(
    data_path: o.DataPath = "starter",
    split: o.TrainSplits = "train,validation",
    limit: o.Limit = None,
    task_ids: o.TaskIds = None,
    min_passing: o.MinPassing = 2,
    min_failing: o.MinFailing = 1,
    exclude_weak: o.ExcludeWeak = False,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
) -> None:
    """Make the training data from verdicts and measurements: `merged.jsonl`, labels, pairs (`annotate` does it too)."""
    from harness.cli import asked, stages
    from harness.merging.merge import MergeSettings

    where = asked.Where(root, save_path, data_path, tuple(o.split_words(split)), limit, task_ids)
    stages.merge(where, MergeSettings(min_passing, min_failing, exclude_weak), asked.reporter())


@app.command(rich_help_panel=STAGES)
def train(
    data_path: o.DataPath = "starter",
    model_path: o.ModelPath = "smollm2-135m",
    optim: o.OptimOption = None,
    top_p: o.TopP = None,
    task: o.TaskOption = None,
    augment: o.Augment = None,
    confirmed: o.Confirmed = None,
    min_ratio: o.TrainMinRatio = None,
    weigh_by: o.WeighByOption = None,
    audit: o.AuditOption = None,
    reward: o.RewardOption = None,
    config: o.Config = None,
    report_to: o.ReportTo = None,
    name: o.ModelFolder = None,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    seed: o.TrainSeed = None,
    cores: o.Cores = None,
    timing_cores: o.TimingCores = None,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Train a model: on the merged data (SFT, DPO), or on rewards from the sandbox (RLOO, GRPO)."""
    from harness.cli import asked, training

    where = asked.Where(root, save_path, data_path, ("train", "validation"))
    settings = {
        "optim": optim.value if optim else None,
        "top_p": top_p,
        "task": task.value if task else None,
        "augment": None if augment is None else bool(augment),
        "confirmed": None if confirmed is None else bool(confirmed),
        "min_ratio": min_ratio,
        "weigh_by": weigh_by.value if weigh_by else None,
        "audit": None if audit is None else bool(audit),
        "online": {"reward": reward.value} if reward else None,
        "seed": seed,
        "report_to": None if report_to is None else [name for name in o.split_words(report_to) if name != "none"],
    }
    used = asked.Cores.parse(cores, timing_cores)
    tell = asked.reporter()
    training.train(
        where, model_path, config, settings, tell, name=name, cores=used, overwrite=overwrite, dry_run=dry_run
    )


@app.command(name="eval", rich_help_panel=STAGES)
def evaluate(
    data_path: o.DataPath = "starter",
    split: o.EvalSplit = "test",
    limit: o.Limit = None,
    task_ids: o.TaskIds = None,
    model_path: o.DrawnFrom = "smollm2-135m",
    models: o.Models = None,
    n_seq: o.NSeq = 16,
    n_iter: o.NIter = 1,
    temp: o.Temp = 0.6,
    max_new_tokens: o.MaxNewTokens = 256,
    batch_size: o.BatchSize = None,
    dtype: o.Dtype = o.Weights.AUTO,
    served_model: o.ServedName = None,
    concurrency: o.Concurrency = 8,
    api_key_env: o.ApiKeyEnv = None,
    tokenizer: o.Tokenizer = None,
    api: o.Api = o.Interface.AUTO,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    seed: o.Seed = 1,
    cores: o.Cores = None,
    timing_cores: o.TimingCores = None,
    timing: o.Timing = TimingMethod.BLOCKS,
    timing_seconds: o.TimingSeconds = None,
    timing_inputs: o.TimedOn = TimingInputs.OWN,
    regen: o.Regen = o.Switch.FALSE,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Compare the trained models with the one they started from (--model_path): pass@k, speed, length; a report."""
    from harness.cli import asked, stages
    from harness.sampling.settings import ServerSettings

    where = asked.Where(root, save_path, data_path, (split,), limit, task_ids)
    server = ServerSettings(served_model, concurrency, api_key_env, tokenizer, api.value)
    how = asked.Drawing(model_path, n_seq, n_iter, temp, max_new_tokens, batch_size, seed, dtype.value, server)
    stages.evaluate(
        where,
        how,
        o.split_words(models) if models else None,
        asked.Cores.parse(cores, timing_cores),
        asked.reporter(),
        timed=asked.Timed(timing, timing_seconds, timing_inputs),
        overwrite=overwrite or bool(regen),
        dry_run=dry_run,
    )


@app.command(rich_help_panel=STAGES)
def report(
    data_path: o.DataPath = "starter",
    split: o.EvalSplit = "test",
    limit: o.Limit = None,
    task_ids: o.TaskIds = None,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
) -> None:
    """Write results and report again from what `eval` measured."""
    from harness.cli import asked, stages

    stages.report(asked.Where(root, save_path, data_path, (split,), limit, task_ids), asked.reporter())


@app.command(rich_help_panel=AROUND)
def compare(
    folders: o.ComparedFolders,
    out: o.ComparedOut = None,
    data_path: o.ComparedData = None,
    split: o.ComparedSplit = None,
    measure: o.MeasureTogether = False,
    root: o.Root = Path("runs"),
    seed: o.Seed = 1,
    cores: o.Cores = None,
    timing_cores: o.TimingCores = None,
    timing_seconds: o.TimingSeconds = None,
    timing_inputs: o.TimedOn = TimingInputs.OWN,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Compare models of several evaluations on the problems that all were sampled on: what got worse comes first."""
    from harness.cli import asked
    from harness.cli import compare as c

    wanted = c.Wanted(folders, root, out, data_path, split, seed)
    tell = asked.reporter()
    if measure:
        used, timed = asked.Cores.parse(cores, timing_cores), asked.Timed(seconds=timing_seconds, inputs=timing_inputs)
        c.measure(wanted, used, timed, tell, overwrite=overwrite, dry_run=dry_run)
    elif cores or timing_cores or timing_seconds or timing_inputs is not TimingInputs.OWN or overwrite:
        options = "--cores, --timing_cores, --timing_seconds, --timing_inputs and --overwrite"
        raise UserError(f"{options} are about measuring", fix="add --measure")
    else:
        c.compare(wanted, tell, dry_run=dry_run)


@app.command(rich_help_panel=STAGES)
def stress(
    of: o.StressOf = o.Judged.ANNOTATE,
    data_path: o.DataPath = "starter",
    split: o.StressSplits = None,
    limit: o.Limit = None,
    task_ids: o.TaskIds = None,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    seed: o.Seed = 1,
    cores: o.Cores = None,
    timing_cores: o.TimingCores = None,
    timing_seconds: o.TimingSeconds = None,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Time the passing solutions on larger inputs of the same kind, too, where algorithms show: `stress.jsonl`."""
    from harness.cli import asked, stages

    splits = split if split is not None else "test" if of is o.Judged.EVAL else "train,validation"
    where = asked.Where(root, save_path, data_path, tuple(o.split_words(splits)), limit, task_ids)
    stages.stress(
        where,
        seed,
        asked.Cores.parse(cores, timing_cores),
        asked.reporter(),
        evaluated=of is o.Judged.EVAL,
        timing_seconds=timing_seconds,
        overwrite=overwrite,
        dry_run=dry_run,
    )


@app.command(name="import", rich_help_panel=AROUND)
def import_(
    files: o.ImportedFiles,
    data_path: o.DataPath = "starter",
    split: o.TrainSplits = "train,validation",
    limit: o.Limit = None,
    task_ids: o.TaskIds = None,
    imported_as: o.ImportedAs = None,
    model_name: o.ImportedModel = "imported",
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Take over samples, verdicts with times, or training data that others made. Nothing is run.

    Rows of no use are named in `rejected.jsonl`. To judge and time foreign samples anew, `annotate` afterwards.
    """
    from harness.cli import asked, exchange

    where = asked.Where(root, save_path, data_path, tuple(o.split_words(split)), limit, task_ids)
    tell = asked.reporter()
    exchange.import_files(where, files, imported_as, model_name, tell, overwrite=overwrite, dry_run=dry_run)


@app.command(rich_help_panel=AROUND)
def export(
    what: o.Exported,
    out: o.Out,
    data_path: o.DataPath = "starter",
    split: o.TrainSplits = "train,validation",
    task: o.ExportedTask = o.Draw.QVS,
    top_p: o.ExportedTopP = 25.0,
    min_ratio: o.MinRatio = None,
    confirmed: o.Confirmed = None,
    model_path: o.RenderedFor = None,
    licence: o.Licence = None,
    push_to: o.PushTo = None,
    public: o.Public = False,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    overwrite: o.OverwriteOut = False,
) -> None:
    """Write samples, checks or training data in shapes that others read, and to the Hub if wanted."""
    from harness.cli import asked, exchange

    where = asked.Where(root, save_path, data_path, tuple(o.split_words(split)))
    wanted = exchange.Wanted(
        what=what.value,
        out=out,
        task=task.value,
        top_p=top_p,
        min_ratio=min_ratio,
        confirmed=confirmed is None or bool(confirmed),
        model_path=model_path,
        licence=licence,
        push_to=push_to,
        public=public,
        overwrite=overwrite,
    )
    exchange.export(where, wanted, asked.reporter())


@app.command(rich_help_panel=AROUND)
def demo(
    limit: o.Limit = None,
    n_seq: o.NSeq = 16,
    temp: o.Temp = 0.8,
    root: o.Root = Path("runs"),
    seed: o.Seed = 1,
    cores: o.Cores = None,
    timing_cores: o.TimingCores = None,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """All stages on a small built-in model and data set, in minutes, without an account."""
    from harness.cli import asked
    from harness.cli import demo as d

    wanted = d.Demo(root, n_seq, temp, seed, limit, asked.Cores.parse(cores, timing_cores))
    d.run(wanted, asked.reporter(), overwrite=overwrite, dry_run=dry_run)


@app.command(rich_help_panel=AROUND)
def doctor(
    root: o.Root = Path("runs"),
    no_aa: o.NoAa = False,
    sandbox: o.AttackSandbox = False,
    runtime: o.Runtime = None,
    cores: o.AttackCores = None,
    json: o.Json = False,
) -> None:
    """Say what on this machine spoils isolation or timings, and what to do. Ends with 1 if something must be mended.

    Part of it is the A/A run: the same programs under other names are timed against each other, and none may seem
    faster. Ten seconds on an idle machine, 40 at most.

    With --sandbox, attack the sandbox instead: hostile programs of every kind, beside honest ones. Minutes.
    """
    from harness.cli import asked
    from harness.cli import doctor as d

    if sandbox:
        chosen = asked.parse_cores(cores, "--cores")
        raise typer.Exit(d.attack(runtime, chosen, asked.reporter(), as_json=json))
    if runtime is not None or cores is not None:
        raise UserError("--runtime and --cores say where to attack", fix="add --sandbox")
    raise typer.Exit(d.run(root, asked.reporter(), as_json=json, aa=not no_aa))


def main() -> None:
    # A JSON file written by a child must not depend on the user's locale; neither must what we print.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    spin_briefly(os.environ)
    app(prog_name="code-optimise")


if __name__ == "__main__":
    main()
