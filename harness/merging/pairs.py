"""Every preference pair that training may draw from a merged row, with its evidence. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.records import MergedRow, PairKind, PairRow


def pairs_of(row: MergedRow) -> Iterator[PairRow]:
    """Decided quick-versus-slow pairs (fastest chosen first), then every passing answer against every failing one."""
    for decided in row.decided:
        chosen, rejected = row.answers[decided.quick], row.answers[decided.slow]
        yield PairRow(
            task_id=row.id,
            kind=PairKind.QVS,
            chosen_sample=chosen.sample_id,
            rejected_sample=rejected.sample_id,
            chosen_verdict=chosen.verdict,
            rejected_verdict=rejected.verdict,
            ratio=decided.ratio,
            low=decided.low,
            high=decided.high,
            rounds=decided.rounds,
            confirmed=decided.confirmed,
        )
    for chosen in row.answers[: row.passing]:
        for rejected in row.answers[row.passing :]:
            yield PairRow(
                task_id=row.id,
                kind=PairKind.PVF,
                chosen_sample=chosen.sample_id,
                rejected_sample=rejected.sample_id,
                chosen_verdict=chosen.verdict,
                rejected_verdict=rejected.verdict,
            )
