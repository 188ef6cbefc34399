"""`import` and `export`: what others made comes in, and ours goes out in the shapes that others read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.asked import Where
from harness.errors import UserError
from harness.exchange.shapes import Shape, detect
from harness.paths import data_name
from harness.progress import Reporter

if TYPE_CHECKING:
    from harness.exchange.choosing import Rendering
    from harness.exchange.training_sets import SplitCount
    from harness.records import Problem

FILE_SUFFIXES = (".json", ".jsonl")
PREFERENCE, SFT = "preference", "sft"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to export and where to. The rest says which pairs or answers, as which texts, for a training set.

    push_to: OWNER/NAME on the Hub, for training sets only.
    """

    what: str
    out: Path
    task: str = "qvs"
    top_p: float = 25.0
    min_ratio: float | None = None
    confirmed: bool = True
    model_path: str | None = None
    licence: str | None = None
    push_to: str | None = None
    public: bool = False
    overwrite: bool = False


# --- import -----------------------------------------------------------------------------------------------------


def import_file(where: Where, path: Path, model: str, tell: Reporter, *, overwrite: bool, dry_run: bool) -> None:
    """Make samples.jsonl of every split from someone else's file; rows of no use go to rejected.jsonl."""
    import_files(where, [path], Shape.OUTPUTS, model, tell, overwrite=overwrite, dry_run=dry_run)


def import_files(
    where: Where,
    files: Sequence[Path],
    shape: Shape | None,
    model: str,
    tell: Reporter,
    *,
    overwrite: bool,
    dry_run: bool,
) -> None:
    """Import files of one shape (None: look what it is) into the run folders of the splits that they have rows of."""
    from harness.exchange.importing import ImportRequest
    from harness.exchange.importing import import_files as read

    for path in files:
        if not path.is_file():
            raise UserError("no such file", where=str(path), fix="give a JSONL or JSON file")
    shape = shape or detect(files)
    folder = where.paths.datasets if shape is Shape.MERGED else where.paths.samples
    request = ImportRequest(files, shape, where.problems(), folder, model, overwrite, dry_run)
    rows = read(request, tell)
    if dry_run:
        return
    following = {
        Shape.OUTPUTS: "`annotate` judges and times them",
        Shape.CHECKS: "`merge` makes labels of these verdicts and times; nothing is run",
        Shape.MERGED: "`train` reads it; it has no decided pairs (--task qvs_released or pvf, or --optim sft)",
    }[shape]
    for split in (split for split, count in rows.items() if count):
        tell.say(f"{shape}: {folder(split)}")
    tell.say(f"next: {following}")


# --- export -----------------------------------------------------------------------------------------------------


def export(where: Where, wanted: Wanted, tell: Reporter) -> None:
    """Write what is wanted of every split that is there. Raises UserError where no split has it."""
    if wanted.what in (PREFERENCE, SFT):
        _training_set(where, wanted, tell)
        return
    if wanted.push_to:
        raise UserError("only training sets are pushed", where="--push_to", fix="--what preference or --what sft")
    writers: Mapping[str, tuple[str, Callable[[str, Path], str]]] = {
        "outputs": ("samples", lambda split, out: _outputs(where, split, out)),
        "evalplus": ("samples", lambda split, out: _evalplus(where, split, out)),
        "checks": ("samples", lambda split, out: _checks(where, split, out)),
        "merged": ("merged", lambda split, out: _merged(where, split, out)),
    }
    needs, write = writers[wanted.what]
    splits = _splits(where, needs, tell)
    for split in splits:
        out = _destination(wanted, split, len(splits))
        tell.say(f"{wanted.what}, {split}: {write(split, out)} → {out}")


def _outputs(where: Where, split: str, out: Path) -> str:
    from harness.exchange.published import write_outputs

    return f"{write_outputs(where.paths.samples(split), out):,} samples"


def _evalplus(where: Where, split: str, out: Path) -> str:
    from harness.exchange.published import write_evalplus

    return f"{write_evalplus(where.paths.samples(split), _problems(where, split), out):,} samples"


def _checks(where: Where, split: str, out: Path) -> str:
    from harness.exchange.published import write_checks

    counts = write_checks(where.paths.samples(split), _problems(where, split), out)
    return ", ".join(f"{name}: {count:,}" for name, count in sorted(counts.items()))


def _merged(where: Where, split: str, out: Path) -> str:
    from harness.exchange.published import write_merged

    return f"{write_merged(where.paths.datasets(split), out):,} problems"


def _problems(where: Where, split: str) -> dict[str, Problem]:
    return {problem.task_id: problem for problem in where.problems()[split]}


def _splits(where: Where, needs: str, tell: Reporter) -> list[str]:
    """The asked-for splits whose file is there."""
    paths = {
        split: where.paths.samples(split) / "samples.jsonl"
        if needs == "samples"
        else where.paths.datasets(split) / "merged.jsonl"
        for split in dict.fromkeys(where.splits)
    }
    there = [split for split, path in paths.items() if path.exists()]
    if there:
        for split in (split for split in paths if split not in there):
            tell.say(f"{split}: there is no {needs}.jsonl, left out")
        return there
    raise UserError(
        f"there is no {needs}.jsonl of the split {' or '.join(paths)}",
        where=str(next(iter(paths.values())).parent),
        fix="check --data_path, --split, --save_path and --root, or run `sample` and `annotate` first",
    )


_NAMES = {"outputs": "outputs.json", "evalplus": "samples.jsonl", "checks": "runs", "merged": "merged.json"}


def _destination(wanted: Wanted, split: str, splits: int) -> Path:
    """--out itself if it is named like a file, else a file (for checks, a folder) in its folder of the split."""
    as_file = wanted.out.suffix in FILE_SUFFIXES
    if as_file and (splits > 1 or wanted.what == "checks"):
        what = "checks are several files" if wanted.what == "checks" else "several splits are several files"
        raise UserError(what, where=str(wanted.out), fix="give --out a folder, or --split one split")
    out = wanted.out if as_file else wanted.out / split / _NAMES[wanted.what]
    if out.exists() and not wanted.overwrite:
        raise UserError("there is something already", where=str(out), fix="give another --out, or --overwrite")
    return out


# --- training sets ----------------------------------------------------------------------------------------------


def _training_set(where: Where, wanted: Wanted, tell: Reporter) -> None:
    from harness.exchange import hub
    from harness.exchange.card import CardFacts, dataset_card
    from harness.exchange.choosing import PairChoice
    from harness.exchange.provenance import provenance
    from harness.exchange.shards import CARD, whole_folder
    from harness.exchange.training_sets import (
        PREFERENCE_SCHEMA,
        SFT_SCHEMA,
        preference_rows,
        sft_rows,
        write_splits,
    )
    from harness.store import write_atomically

    if not 0 < wanted.top_p <= 100:
        raise UserError(f"{wanted.top_p} per cent", where="--top_p", fix="give more than 0 and at most 100")
    choice = PairChoice(wanted.task, wanted.confirmed, wanted.min_ratio)
    if wanted.push_to:
        hub.check_target(wanted.push_to)
    splits = _splits(where, "merged", tell)
    render = _rendering(wanted, tell)
    pairs = wanted.what == PREFERENCE
    rows, schema = (
        (preference_rows(choice, render), PREFERENCE_SCHEMA) if pairs else (sft_rows(wanted.top_p, render), SFT_SCHEMA)
    )
    merged = {split: where.paths.datasets(split) / "merged.jsonl" for split in splits}
    with whole_folder(wanted.out, overwrite=wanted.overwrite) as folder:
        counts = write_splits(merged, rows, schema, folder, tell)
        sources = {split: provenance(where.paths.samples(split), where.paths.datasets(split)) for split in splits}
        facts = CardFacts(wanted.what, where.save_path, counts, sources, _in_words(where, wanted), wanted.licence)
        write_atomically(folder / CARD, dataset_card(facts))
    _tell_counts(counts, wanted, tell)
    if wanted.push_to:
        tell.say(f"pushed: {hub.push(wanted.out, wanted.push_to, public=wanted.public)}")


def _rendering(wanted: Wanted, tell: Reporter) -> Rendering:
    from harness.exchange.choosing import as_they_are

    if wanted.model_path is None:
        return as_they_are
    from harness.exchange.rendering import model_rendering
    from harness.sampling.models import resolve_model

    return model_rendering(resolve_model(wanted.model_path, tell))


def _in_words(where: Where, wanted: Wanted) -> dict[str, str]:
    """What was asked for, for the card. Paths of this machine say nothing to others: names only."""
    prompts = "as the problems have them; tokens may merge where prompt and answer meet"
    if wanted.model_path is not None:
        prompts = (
            f"as {Path(wanted.model_path).name} is prompted, its chat template and the answer's beginning included"
        )
    chosen = {"problems": data_name(where.data_path), "prompts": prompts}
    if wanted.what == SFT:
        return chosen | {"solutions": f"the fastest {wanted.top_p:g}% that pass, a tier whole or not at all"}
    seen = "seen again in later rounds" if wanted.confirmed else "seen again in later rounds or not"
    least = 1 if wanted.min_ratio is None else wanted.min_ratio
    sure = f"the order is decided, {seen}, with the ratio's interval at or above {least:g}"
    quick = f"quick over slow: both pass, and {sure}"
    pairs = {
        "qvs": quick,
        "pvf": "passed over failed",
        "all": f"passed over failed; {quick}",
        "qvs_released": "the published draw: any passing one but the last over all that come later in the list; the "
        "rejected ones mostly fail, and undecided pairs (`ratio` null) are among them",
    }[wanted.task]
    return chosen | {"pairs": pairs}


def _tell_counts(counts: Mapping[str, SplitCount], wanted: Wanted, tell: Reporter) -> None:
    for split, count in counts.items():
        kinds = "".join(f", {kind} {number:,}" for kind, number in sorted(count.kinds.items()))
        tell.say(f"{wanted.what}, {split}: {count.rows:,} rows of {count.used} of {count.problems} problems{kinds}")
        if count.not_unicode:
            tell.warn(f"{split}: {count.not_unicode} rows left out: not valid Unicode")
    tell.say(f"data set: {wanted.out}")
