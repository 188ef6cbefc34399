"""The data set card: what is in it, how it was labelled, what the columns mean. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from harness.exchange.shards import DATA
from harness.exchange.training_sets import SplitCount

PREFERENCE, SFT = "preference", "sft"
PAPER = "https://arxiv.org/abs/2406.12502"
WARNING = (
    "The solutions were written by a model and read by nobody. Some are wrong on purpose (`rejected`), some may do "
    "harm when run, some may repeat text that the model was trained on. Run them in a sandbox only, and check the "
    "licences of the model and of the problems before you pass them on."
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_COLUMNS = {
    PREFERENCE: {
        "prompt, chosen, rejected": "text; the program is prompt + chosen, or prompt + rejected",
        "task_id": "the problem",
        "kind": "`qvs`: quick over slow, both pass (decided if there is a `ratio`); `pvf`: passed over failed",
        "chosen_sample, rejected_sample": "numbers of the samples within the problem",
        "chosen_verdict, rejected_verdict": "`PASSED`, or what went wrong; `FAILED`: imported, and why is not known",
        "chosen_integrity, rejected_integrity": "`strong`: solution and test ran in separate processes; `weak`: the "
        "test could not be split; `none`: nothing was run here",
        "chosen_ns, rejected_ns": "ns of one run, by the timing named above; null: did not pass",
        "ratio, low, high": "how many times as long the rejected one takes, with its 99% interval; null: no "
        "measurement decides the pair",
        "rounds": "blocks that the ratio rests on",
        "confirmed": "whether the order was seen again in rounds measured later for that",
    },
    SFT: {
        "prompt, completion": "text; the program is prompt + completion",
        "task_id, sample_id": "the problem, and the sample's number within it",
        "solution_id": "the same for programs that differ in comments, layout and names of locals only",
        "verdict, integrity": "`PASSED`; `strong`: solution and test ran in separate processes; `weak`: the test could "
        "not be split; `none`: nothing was run here",
        "runtime_ns, low_ns, high_ns": "ns of one run, by the timing named above, with its interval if that has one",
        "tier": "from 0, fastest; decided solutions are never in the wrong order of tiers",
        "copies": "samples with the same program",
    },
}


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What the card tells. counts, sources: by split. chosen: what was asked for, in words. licence: as the user gave
    it, or None."""

    what: str  # PREFERENCE or SFT
    name: str
    counts: Mapping[str, SplitCount]
    sources: Mapping[str, Mapping[str, str]]
    chosen: Mapping[str, str]
    licence: str | None


def dataset_card(facts: CardFacts) -> str:
    """README.md with the header that `datasets` and the Hub read. Splits without rows are not in it."""
    header = yaml.safe_dump(_header(facts), sort_keys=False, allow_unicode=True)
    use = "preference pairs for DPO and its kin" if facts.what == PREFERENCE else "solutions to fine-tune on"
    licence = facts.licence or "not given; whoever publishes this has to name one that the model and problems allow"
    parts = [
        f"---\n{header}---",
        f"# {_plain(facts.name)}: {facts.what}",
        f"Python solutions written by a code model, as {use}: correct code first, then fast (Code-Optimise, {PAPER}).",
        f"> **Warning.** {WARNING}",
        "## What is in it\n\n" + _counts(facts),
        "## What was chosen\n\n" + _table("", "", {**facts.chosen, "licence": licence}),
        *(
            f"## How it was made: {_plain(split)}\n\n" + _table("", "", source)
            for split, source in facts.sources.items()
        ),
        "## Columns\n\n" + _table("column", "meaning", {f"`{name}`": text for name, text in _columns(facts).items()}),
    ]
    return "\n\n".join(parts) + "\n"


def _header(facts: CardFacts) -> dict[str, Any]:
    rows = sum(count.rows for count in facts.counts.values())
    files = [
        {"split": split, "path": f"{DATA}/{split}-*.parquet"} for split, count in facts.counts.items() if count.rows
    ]
    size = next((name for limit, name in _SIZES if rows < limit), "1M<n<10M" if rows < 10_000_000 else "n>10M")
    header: dict[str, Any] = {"pretty_name": f"{facts.name}: {facts.what}"}
    if facts.licence:
        header["license"] = facts.licence
    return header | {
        "task_categories": ["text-generation"],
        "tags": ["code", "code-optimise", "trl", "dpo" if facts.what == PREFERENCE else "sft"],
        "size_categories": [size],
        "configs": [{"config_name": "default", "data_files": files}],
    }


def _counts(facts: CardFacts) -> str:
    lines = ["| split | problems | of them with rows | rows | by kind | integrity | left out: not Unicode |"]
    lines.append("|---|---:|---:|---:|---|---|---:|")
    for split, count in facts.counts.items():
        by_kind, integrity = (_words(counter) for counter in (count.kinds, count.integrity))
        lines.append(
            f"| {_plain(split)} | {count.problems:,} | {count.used:,} | {count.rows:,} | {by_kind} | {integrity} | "
            f"{count.not_unicode:,} |"
        )
    return "\n".join(lines) + "\n\nIntegrity counts the rows that have a solution of that kind."


def _columns(facts: CardFacts) -> Mapping[str, str]:
    return _COLUMNS[facts.what]


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "–"


def _table(left: str, right: str, rows: Mapping[str, str]) -> str:
    lines = [f"| {_plain(name)} | {_plain(value)} |" for name, value in rows.items()]
    return f"| {left} | {right} |\n|---|---|\n" + "\n".join(lines)


def _plain(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
