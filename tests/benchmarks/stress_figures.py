"""Figures and tables of the stress benchmark, from what it wrote. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.stress.records import StressResult, StressSolution
from tests.benchmarks.data.expert_human_eval import Expert, Powers
from tests.benchmarks.tables import Table, number

TOLERANCE = 0.3  # of an exponent from theory, where its interval does not hold it
BANDS = (
    ("below 0.25", -99.0, 0.25), ("0.25 to 0.75", 0.25, 0.75), ("0.75 to 1.25", 0.75, 1.25),
    ("1.25 to 1.75", 1.25, 1.75), ("1.75 to 2.25", 1.75, 2.25), ("above 2.25", 2.25, 99.0),
)  # fmt: skip
FACTORS = (1.1, 2.0, 10.0)


@dataclass(frozen=True, slots=True)
class Exponent:
    """A measured exponent with its 95% interval beside theory's, least and greatest (None: exponential growth)."""

    reads: str
    theory: Powers | None
    measured: float | None
    low: float | None
    high: float | None
    exponential: bool
    sizes: int

    @property
    def matches(self) -> bool:
        if self.theory is None:
            return self.exponential
        if self.measured is None or self.low is None or self.high is None or self.exponential:
            return False
        least, greatest = self.theory
        overlaps = self.low <= greatest and least <= self.high
        return overlaps or least - TOLERANCE <= self.measured <= greatest + TOLERANCE


@dataclass(frozen=True, slots=True)
class Duel:
    """Canonical against expert. ratio: canonical over expert, with the decision for "the expert is quick"."""

    task_id: str
    canonical: Exponent
    expert: Exponent
    base_ratio: float | None
    base_decision: str | None
    size: int | None
    ratio: float | None
    decision: str | None

    @property
    def expert_wins(self) -> bool:
        return self.decision == "quick"


def duel(expert: Expert, found: StressResult, canonical_id: str, expert_id: str) -> Duel:
    own = {one.solution_id: one for one in found.solutions}
    pair = next((one for one in found.pairs if {one.quick_id, one.slow_id} == {canonical_id, expert_id}), None)
    right = pair is not None and pair.quick_id == expert_id
    base_ratio, base_decision = (pair.base_ratio, pair.base_decision) if pair else (None, None)
    if base_ratio is not None and not right:
        base_ratio, base_decision = 1 / base_ratio, _turned(base_decision)
    return Duel(
        expert.task_id,
        _exponent(expert.canonical_reads, expert.canonical_exponent, own.get(canonical_id)),
        _exponent(expert.expert_reads, expert.expert_exponent, own.get(expert_id)),
        base_ratio,
        base_decision,
        pair.size if pair else None,
        (pair.ratio if right else 1 / pair.ratio) if pair else None,
        (pair.decision if right else _turned(pair.decision)) if pair else None,
    )


def _turned(decision: str | None) -> str | None:
    return {"quick": "slow", "slow": "quick"}.get(decision or "", decision)


def _exponent(reads: str, theory: Powers | None, own: StressSolution | None) -> Exponent:
    if own is None:
        return Exponent(reads, theory, None, None, None, False, 0)
    exponential = own.laws == ["exponential"]
    return Exponent(reads, theory, own.exponent, own.low, own.high, exponential, len(own.sizes))


# ---- tables ----------------------------------------------------------------------------------------------------------


def result_tables(written: Mapping[str, Any]) -> list[Table]:
    tables = []
    if "released" in written:
        released = written["released"]
        results = released["results"]
        tables += [
            _separation(results, f"{released['solutions']} released {released['model']} solutions"), _growth(results),
            _inputs(released["inputs"]), _problems(results),
        ]  # fmt: skip
    if "expert" in written:
        tables.append(_duels(written["expert"]["duels"]))
    return tables


def _separation(results: Sequence[Mapping[str, Any]], solutions: str) -> Table:
    timed = [one for one in results if one["separation"] is not None and one["base_separation"] is not None]
    pairs = [pair for one in timed for pair in one["pairs"]]
    rows = []
    for label, key, decided in (
        ("own calls", "base_separation", [one["base_decision"] in ("quick", "slow") for one in pairs]),
        ("stress inputs", "separation", [one["decision"] == "quick" for one in pairs]),
    ):
        found = [one[key] for one in timed]
        cells = [str(sum(value >= factor for value in found)) for factor in FACTORS]
        rows.append([label, *cells, number(median(found), 2), number(max(found), 0), f"{sum(decided)} of {len(pairs)}"])
    turned = sum(one["base_decision"] == "slow" and one["decision"] == "quick" for one in pairs)
    columns = ("timed on", *(f"problems ≥ {factor:g}×" for factor in FACTORS), "median", "largest", "pairs decided")
    note = (
        f"{solutions} of {len(results)} problems; {len(timed)} of these were timed on both. "
        f"A problem's separation is the largest ratio of a decided pair, 1 if none is. {turned} pairs are decided the "
        "other way round on larger inputs."
    )
    return Table("How far apart a problem's solutions are", columns, rows, note)


def _growth(results: Sequence[Mapping[str, Any]]) -> Table:
    solutions = [(one["axis"], own) for one in results for own in one["solutions"]]
    counts: Counter[tuple[str, str]] = Counter()
    for axis, own in solutions:
        counts[axis, _band(own)] += 1
    names = [*(name for name, _, _ in BANDS), "exponential", "fewer than 3 sizes"]
    rows = [[name, *(str(counts[axis, name]) for axis in ("length", "value"))] for name in names]
    widths = [own["high"] - own["low"] for _, own in solutions if own["exponent"] is not None]
    width = number(median(widths), 2) if widths else "–"
    note = f"Solutions by slope of log CPU time over log size. Median width of the 95% interval: {width}."
    return Table("Growth exponents", ("exponent", "in length", "in value"), rows, note)


def _band(own: Mapping[str, Any]) -> str:
    if own["exponent"] is None:
        return "fewer than 3 sizes"
    if own["laws"] == ["exponential"]:
        return "exponential"
    return next(name for name, low, high in BANDS if low <= own["exponent"] < high)


def _inputs(rows: Sequence[Mapping[str, Any]]) -> Table:
    outcomes = Counter(outcome for row in rows for size in row["sizes"] for outcome in size["inputs"])
    stops = Counter(stop["why"] for row in rows for stop in row["stops"])
    whys = Counter(row["why"] for row in rows if row["why"])
    dissents = sum(len(row["dissents"]) for row in rows)
    table = [
        ["inputs of sizes with any that is agreed on", _listing(outcomes)],
        ["solutions that got no larger inputs", _listing(stops)],
        ["solutions that contradict all others", str(dissents)],
        ["problems without larger inputs", _listing(whys)],
    ]
    return Table("What became of the inputs", ("", "how many"), table)


def _listing(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "none"


def _problems(results: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for one in results:
        exponents = sorted(own["exponent"] for own in one["solutions"] if own["exponent"] is not None)
        span = f"{exponents[0]:.2f} – {exponents[-1]:.2f}" if exponents else "–"
        size = "–" if one["size"] is None else f"{one['size']:,}"
        rows.append([
            one["task_id"], one["axis"], str(len(one["solutions"])), f"{one['base_size']:,}", size,
            number(one["base_separation"], 2), number(one["separation"], 2), span, str(len(one["dissenters"])),
            one["why"],
        ])  # fmt: skip
    columns = (
        "problem", "axis", "solutions", "own size", "stress size", "own separation", "stress separation", "exponents",
        "dissenters", "",
    )  # fmt: skip
    return Table("Each problem", columns, rows)


def _duels(found: Sequence[Mapping[str, Any]]) -> Table:
    rows, right, wins = [], 0, 0
    for row in found:
        canonical, expert = Exponent(**row["canonical"]), Exponent(**row["expert"])
        right += canonical.matches + expert.matches
        wins += row["decision"] == "quick"
        rows.append([
            row["task_id"], canonical.reads, _shown(canonical), expert.reads, _shown(expert),
            f"{number(row['base_ratio'], 2)} {row['base_decision'] or ''}",
            "–" if row["size"] is None else f"{row['size']:,}", f"{number(row['ratio'], 1)} {row['decision'] or ''}",
        ])  # fmt: skip
    columns = (
        "problem", "canonical", "measured", "expert", "measured", "own calls: ratio", "stress size",
        "there: ratio",
    )  # fmt: skip
    note = (
        f"ratio: canonical over expert; quick: decided that the expert is faster ({wins} of {len(found)} on larger "
        f"inputs). {right} of {2 * len(found)} exponents match theory (in the 95% interval, or within {TOLERANCE}); ! "
        "marks others."
    )
    return Table("HumanEval's solutions beside expert rewrites", columns, rows, note)


def _shown(one: Exponent) -> str:
    if one.measured is None or one.low is None or one.high is None:
        return "– !"
    text = "exponential" if one.exponential else f"{one.measured:.2f} [{one.low:.2f}, {one.high:.2f}]"
    return text if one.matches else f"{text} !"
