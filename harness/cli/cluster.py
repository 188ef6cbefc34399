"""Shards, and gathering them; and where `--engine` says that a stage takes place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.asked import Cores, Drawing, Timed, Where
from harness.cli.tables import pairs_of_words, print_counts
from harness.errors import UserError
from harness.progress import Reporter
from harness.records import Problem, TimingMethod

if TYPE_CHECKING:
    from harness.annotation.judged import SampleFile
    from harness.annotation.stage import Engine
    from harness.cluster.done import FileFacts
    from harness.cluster.shards import Shard
    from harness.sampling.written import Origin


def shard_of(word: str | None, *, ray: bool, samples: Path | None = None) -> Shard | None:
    """What --shard says; None where it says nothing. Raises UserError for what does not go together with it."""
    from harness.cluster.shards import Shard

    if word is None:
        return None
    if ray:
        fix = "leave one of them out: Ray divides the problems by itself"
        raise UserError("--shard and --engine ray are two ways to use more machines", where="--shard", fix=fix)
    if samples is not None:
        fix = f"import them once, `code-optimise import {samples}`, then annotate each shard without --samples"
        raise UserError("the shards would all import the same file into one folder", where="--samples", fix=fix)
    return Shard.parse(word)


def sample_shard(
    where: Where, how: Drawing, shard: Shard, tell: Reporter, *, overwrite: bool, dry_run: bool
) -> None:
    """Draw the samples of a shard's problems into the shard's own folder."""
    from harness.cluster.done import Stage, mark_done

    settings = how.settings()
    for split, problems in where.problems().items():
        folder, own = _folder(where, split, shard), shard.of(problems)
        if dry_run:
            wanted = len(own) * how.n_seq
            tell.say(f"sample {split} {shard}: {len(own)} problems × {how.n_seq} = {wanted} samples into {folder}")
            continue
        if own:
            from harness.sampling.stage import sample as draw

            draw(own, settings, folder, model_path=how.model_path, reporter=tell, overwrite=overwrite)
        done = mark_done(folder, Stage.SAMPLE, shard, own)
        tell.say(f"sample {split} {shard}: done, {_rows(done.files)} in {folder}")


def annotate_shard(
    where: Where, shard: Shard, seed: int, cores: Cores, timed: Timed, tell: Reporter, *, overwrite: bool, dry_run: bool
) -> None:
    """Judge and time the samples of a shard's problems, in the shard's own folder; `gather` merges."""
    from harness.annotation.stage import annotate
    from harness.cluster.done import Stage, mark_done

    for split, problems in where.problems().items():
        folder, own = _folder(where, split, shard), shard.of(problems)
        samples = _samples(where.paths.samples(split), folder, shard)
        if dry_run:
            tell.say(f"annotate {split} {shard}: {len(own)} problems of {samples.path} in {folder}")
            continue
        if own:
            settings = timed.settings(seed, cores)
            summary = annotate(
                own,
                folder,
                settings=settings,
                reporter=tell,
                cores=cores.all,
                overwrite=overwrite,
                samples=samples,
            )
            print_counts(f"Verdicts, {split} {shard}", summary.verdicts)
        done = mark_done(folder, Stage.ANNOTATE, shard, own, samples.path)
        tell.say(f"annotate {split} {shard}: done, {_rows(done.files)} in {folder}")


def gather(where: Where, tell: Reporter, *, overwrite: bool) -> dict[str, list[Problem]]:
    """Make the experiment's files of all shards'. The splits that were annotated, with their problems."""
    from harness.cluster.gather import gather as gather_split

    annotated = {}
    for split, problems in where.problems().items():
        folder = where.paths.samples(split)
        gathered = gather_split(problems, folder, reporter=tell, overwrite=overwrite)
        counts = pairs_of_words(gathered.rows)
        tell.say(f"gather {split}: {counts} in {folder}" + ("" if gathered.changed else " (as they were)"))
        if gathered.annotated:
            annotated[split] = problems
    return annotated


def _folder(where: Where, split: str, shard: Shard) -> Path:
    from harness.cluster.shards import SHARDS

    return where.paths.samples(split) / SHARDS / shard.folder_name


def _samples(experiment: Path, folder: Path, shard: Shard) -> SampleFile:
    """The shard's own samples where it was sampled, else its problems' rows of the experiment's."""
    from harness.annotation.judged import SampleFile
    from harness.annotation.stage import SAMPLES
    from harness.cluster.done import Stage, begun, read_done

    if begun(folder, Stage.SAMPLE):
        if read_done(folder, Stage.SAMPLE) is None:
            fix = f"run `code-optimise sample --shard {shard}` to its end first, or remove the folder"
            raise UserError("this shard's sampling is not finished", where=str(folder), fix=fix)
        return SampleFile(folder / SAMPLES)
    if not (experiment / SAMPLES).exists():
        fix = f"run `code-optimise sample --shard {shard}` first, or `sample`, or `import`"
        raise UserError("there are no samples", where=str(experiment / SAMPLES), fix=fix)
    return SampleFile(experiment / SAMPLES, shard.has)


def _rows(files: dict[str, FileFacts]) -> str:
    return pairs_of_words({name: facts.rows for name, facts in files.items()}) or "no rows"


@contextmanager
def drawing_source(how: Drawing, tell: Reporter, *, ray: bool) -> Iterator[Origin | None]:
    """The model on the Ray cluster; without `ray` None: the model as --model_path names it."""
    if not ray:
        yield None
        return
    from harness.cluster.drawing import RayOrigin

    with closing(RayOrigin(how.model_path, how.settings(), tell)) as source:
        yield source


def annotation_engine(cores: Cores, timed: Timed) -> Engine:
    """The Ray cluster as the place to annotate. Raises UserError for options that are about one machine."""
    from harness.cluster.annotating import OnRay

    options = {
        "--cores": cores.all,
        "--timing_cores": cores.timing,
        "--timing legacy": timed.method is TimingMethod.LEGACY,
        "--timing_seconds": timed.seconds,
    }
    if given := [name for name, value in options.items() if value]:
        fix = "leave them out: each node says with `ray start --resources` how many cores it gives"
        raise UserError(f"{', '.join(given)}: about one machine only", where="--engine ray", fix=fix)
    return OnRay()
