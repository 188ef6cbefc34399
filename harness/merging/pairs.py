"""Every preference pair that training may draw from a merged row, with its evidence. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from harness.records import Answer, MergedRow, PairKind, PairRow, QuickSlow


def pairs_of(row: MergedRow) -> Iterator[PairRow]:
    """Decided quick-versus-slow pairs (fastest chosen first), then every passing answer against every failing one."""
    for decided in row.decided:
        yield pair_row(row.id, PairKind.QVS, row.answers[decided.quick], row.answers[decided.slow], decided)
    for chosen in row.answers[: row.passing]:
        for rejected in row.answers[row.passing :]:
            yield pair_row(row.id, PairKind.PVF, chosen, rejected, None)


def pair_row(task_id: str, kind: PairKind, chosen: Answer, rejected: Answer, decided: QuickSlow | None) -> PairRow:
    """One pair; `decided` is what was measured of it, if it was."""
    return PairRow(
        task_id=task_id,
        kind=kind,
        chosen_sample=chosen.sample_id,
        rejected_sample=rejected.sample_id,
        chosen_verdict=chosen.verdict,
        rejected_verdict=rejected.verdict,
        chosen_integrity=chosen.integrity,
        rejected_integrity=rejected.integrity,
        ratio=decided.ratio if decided else None,
        low=decided.low if decided else None,
        high=decided.high if decided else None,
        rounds=decided.rounds if decided else None,
        confirmed=decided.confirmed if decided else None,
    )
