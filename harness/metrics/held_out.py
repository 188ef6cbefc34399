"""Held-out gap: how many solutions do what the problem's own asserts look at, and not the task.

A model that hard-codes or guesses the shown cases passes those and fails on inputs that it was not shown (EvalPlus, Liu
et al. 2023, arXiv 2305.01210).
"""

from __future__ import annotations


def held_out_gap(judged: int, own: int, both: int) -> float | None:
    """Pass rate on the own asserts minus that on these and the held-out test, from 0 to 1; None without samples."""
    if not 0 <= both <= own <= judged:
        raise ValueError(f"{both} of {own} of {judged} samples")
    return (own - both) / judged if judged else None
