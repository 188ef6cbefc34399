"""EvalPlus' `untrusted_check`, called as its `evaluate` does: a pool of processes, the base inputs only."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any

from channel import drive, timed
from evalplus.eval import untrusted_check

TIMEOUT_SECONDS = 3.0  # per input; its default of 1 s is raised to what the others are given


def check(job: dict[str, Any]) -> dict[str, Any]:
    cases = ast.literal_eval(job["cases"])  # text, because JSON knows no tuples and sets
    inputs, expected = [list(arguments) for arguments, _ in cases], [value for _, value in cases]
    status, _ = untrusted_check(
        "mbpp", job["prompt"] + job["completion"], inputs, job["entry_point"], expected, atol=0,
        ref_time=[0.0] * len(inputs), fast_check=True, min_time_limit=TIMEOUT_SECONDS,
    )  # fmt: skip
    names = {"pass": "passed", "fail": "failed"}
    return {"passed": status == "pass", "status": names.get(status, status), "message": ""}


def pool(function: Callable[..., Any], jobs: list[dict[str, Any]], workers: int) -> Iterator[dict[str, Any]]:
    with ProcessPoolExecutor(max_workers=workers) as executor:
        for future in as_completed([executor.submit(timed, function, job) for job in jobs]):
            yield future.result()


if __name__ == "__main__":
    drive(check, pool)
