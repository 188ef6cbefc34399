"""Choosing some of the problems. Pure."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from harness.errors import UserError
from harness.records import Problem


def select_problems(
    problems: Sequence[Problem], *, limit: int | None = None, task_ids: Sequence[str] | None = None
) -> list[Problem]:
    """The problems named by `task_ids` (all, if None), then the first `limit` of each split, in the given order.

    Raises UserError for ids that no problem has, naming the nearest, and for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit} leaves no problem", fix="give 1 or more, or leave --limit out")
    if task_ids is not None:
        _refuse_unknown(problems, task_ids)
        wanted = set(task_ids)
        problems = [problem for problem in problems if problem.task_id in wanted]
    if limit is None:
        return list(problems)
    taken: Counter[str] = Counter()
    chosen = []
    for problem in problems:
        if taken[problem.split] < limit:
            taken[problem.split] += 1
            chosen.append(problem)
    return chosen


def _refuse_unknown(problems: Sequence[Problem], task_ids: Sequence[str]) -> None:
    if not task_ids:
        raise UserError("--task-ids names no problem", fix="name at least one, or leave --task-ids out")
    known = [problem.task_id for problem in problems]
    unknown = [task_id for task_id in dict.fromkeys(task_ids) if task_id not in set(known)]
    if not unknown:
        return
    hints = dict.fromkeys(near for task_id in unknown for near in _nearest(task_id, known))
    splits = ", ".join(dict.fromkeys(problem.split for problem in problems)) or "none"
    raise UserError(
        f"no problem has the id {', '.join(map(repr, unknown))} (splits looked at: {splits})",
        fix=f"did you mean {', '.join(hints)}?" if hints else "look up the ids in the data, or choose other splits",
    )


def _nearest(task_id: str, known: Sequence[str]) -> list[str]:
    # People leave the data set's prefix out: `17` for `HumanEval/17`.
    by_suffix = [other for other in known if other.endswith(f"/{task_id}")]
    return (by_suffix or difflib.get_close_matches(task_id, known, n=3, cutoff=0.5))[:3]
