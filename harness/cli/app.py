"""`code-optimise`: reads the options and hands over to harness.cli.stages, which loads what a command needs.

Nothing heavy is imported here, so that `--help` answers at once.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from harness.cli import options as o
from harness.errors import UserError
from harness.records import TimingMethod

EXIT_USER_ERROR, EXIT_INTERRUPTED = 2, 130
STAGES, AROUND = "The pipeline, in order", "Around it"


class Commands(TyperGroup):
    """Errors that a person can act on are shown as such; everything else is a bug and keeps its traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if not actionable(error):
                raise
            show_error(error)
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
    model_path: o.ModelPath = "smollm2-135m",
    n_seq: o.NSeq = 16,
    n_iter: o.NIter = 1,
    temp: o.Temp = 0.6,
    max_new_tokens: o.MaxNewTokens = 256,
    batch_size: o.BatchSize = None,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    seed: o.Seed = 1,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Draw solutions from a model: `samples.jsonl`."""
    from harness.cli import asked, stages

    where = asked.Where(root, save_path, data_path, tuple(o.split_words(split)), limit, task_ids)
    how = asked.Drawing(model_path, n_seq, n_iter, temp, max_new_tokens, batch_size, seed)
    stages.sample(where, how, asked.reporter(), overwrite=overwrite, dry_run=dry_run)


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
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Judge the samples in the sandbox, time the ones that pass, and merge: `executions.jsonl`, `measurements.jsonl`
    (or `legacy.jsonl`), and the training data."""
    from harness.cli import asked, exchange, stages

    where = asked.Where(root, save_path, data_path, tuple(o.split_words(split)), limit, task_ids)
    if samples is not None:
        exchange.import_file(where, samples, model_name, asked.reporter(), overwrite=overwrite, dry_run=dry_run)
    used, timed = asked.Cores.parse(cores, timing_cores), asked.Timed(timing, timing_seconds)
    stages.annotate(where, seed, used, asked.reporter(), timed=timed, overwrite=overwrite, dry_run=dry_run)


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
    config: o.Config = None,
    name: o.ModelFolder = None,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    seed: o.TrainSeed = None,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Train a model on the merged data by SFT or DPO: a model folder under `models/`."""
    from harness.cli import asked, training

    where = asked.Where(root, save_path, data_path, ("train", "validation"))
    settings = {
        "optim": optim.value if optim else None,
        "top_p": top_p,
        "task": task.value if task else None,
        "augment": None if augment is None else bool(augment),
        "seed": seed,
    }
    tell = asked.reporter()
    training.train(where, model_path, config, settings, tell, name=name, overwrite=overwrite, dry_run=dry_run)


@app.command(name="eval", rich_help_panel=STAGES)
def evaluate(
    data_path: o.DataPath = "starter",
    split: o.EvalSplit = "test",
    limit: o.Limit = None,
    task_ids: o.TaskIds = None,
    model_path: o.ModelPath = "smollm2-135m",
    models: o.Models = None,
    n_seq: o.NSeq = 16,
    n_iter: o.NIter = 1,
    temp: o.Temp = 0.6,
    max_new_tokens: o.MaxNewTokens = 256,
    batch_size: o.BatchSize = None,
    save_path: o.SavePath = "default",
    root: o.Root = Path("runs"),
    seed: o.Seed = 1,
    cores: o.Cores = None,
    timing_cores: o.TimingCores = None,
    timing: o.Timing = TimingMethod.BLOCKS,
    timing_seconds: o.TimingSeconds = None,
    regen: o.Regen = o.Switch.FALSE,
    overwrite: o.Overwrite = False,
    dry_run: o.DryRun = False,
) -> None:
    """Compare the trained models with the one they started from (--model_path): pass@k, speed, length; a report."""
    from harness.cli import asked, stages

    where = asked.Where(root, save_path, data_path, (split,), limit, task_ids)
    how = asked.Drawing(model_path, n_seq, n_iter, temp, max_new_tokens, batch_size, seed)
    stages.evaluate(
        where,
        how,
        o.split_words(models) if models else None,
        asked.Cores.parse(cores, timing_cores),
        asked.reporter(),
        timed=asked.Timed(timing, timing_seconds),
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
    app(prog_name="code-optimise")


if __name__ == "__main__":
    main()
