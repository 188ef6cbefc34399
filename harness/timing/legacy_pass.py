"""One pass of the published timing method: the text of this file is the program that the sandbox runs.

Standard library only: `harness.timing.legacy` sends the text and adds a last line that calls `report` with the
solution's source. What is timed, and the rule for when to stop, are the published ones (docs/adr/0002 says what is
wrong with them): source text is `exec`ed, compilation included, under the process's own clock. The solution can do what
it likes to all of this, so nothing that comes out can be trusted.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import time
from collections.abc import Sequence

REPETITIONS = 50  # of the source text in a block
MAX_BLOCKS = 1_001
MAX_SPREAD = 0.1  # a block counts if its standard deviation is at most this share of its mean
BLOCK_SECONDS = 3.0  # wall time after which an alarm ends a block
PASS_SECONDS = 4.0  # wall time after which a pass was given up


class TimeoutException(Exception):
    """An Exception as the published one is: a solution that catches everything catches this as well."""


def mean_and_std(times: Sequence[int]) -> tuple[float, float]:
    """Mean and standard deviation (of a population, as numpy's default is), in the unit of `times`."""
    mean = sum(times) / len(times)
    return mean, (sum((one - mean) ** 2 for one in times) / len(times)) ** 0.5


def settled(mean: float, std: float) -> bool:
    """Whether a block with these figures counts, as published."""
    return mean > 0 and std / mean <= MAX_SPREAD


def time_block(source: str, namespace: dict[str, object]) -> list[int]:
    """CPU ns of each repetition, in order. Raises what the source raises."""
    # The published clock is `process_time_ns`. Where CPU time is limited, as in the sandbox, Linux advances that with
    # its tick only, every 4 ms; the thread's clock is exact and says the same of a program without threads.
    clock, times = time.thread_time_ns, []
    for _ in range(REPETITIONS):
        begin = clock()
        exec(source, namespace)  # noqa: S102  # what the method times; it runs in the sandbox
        times.append(clock() - begin)
    return times


def one_pass(source: str) -> dict[str, object]:
    """Blocks until one counts: its mean and standard deviation in ns; or why there is none. `blocks` were finished."""
    end = time.monotonic() + PASS_SECONDS
    blocks = 0
    namespace: dict[str, object] = {}  # one for all, as in HumanEval's harness, which the published one is made from
    try:
        while blocks < MAX_BLOCKS:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutException
            signal.setitimer(signal.ITIMER_REAL, min(BLOCK_SECONDS, left))
            times = time_block(source, namespace)
            signal.setitimer(signal.ITIMER_REAL, 0)
            blocks += 1
            mean, std = mean_and_std(times)
            if settled(mean, std):
                return {"outcome": "measured", "avg_ns": mean, "std_ns": std, "blocks": blocks}
        outcome = "unstable"
    except TimeoutException:
        outcome = "timeout"
    except BaseException:
        outcome = "failed"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"outcome": outcome, "avg_ns": None, "std_ns": None, "blocks": blocks}


def _ring(*_: object) -> None:
    raise TimeoutException


def report(source: str) -> None:
    """Run a pass with the solution's output going nowhere, and write what came of it as the one line of output."""
    signal.signal(signal.SIGALRM, _ring)
    output, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    swallowed = io.StringIO()  # as published: printing costs what it costs there
    with contextlib.redirect_stdout(swallowed), contextlib.redirect_stderr(swallowed):
        result = one_pass(source)
    os.write(output, json.dumps(result).encode("ascii") + b"\n")
