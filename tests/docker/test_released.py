"""The authors' released solutions, judged by us: our verdicts against theirs (needs the released data)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from harness.annotation.executing import job_for
from harness.exchange.samples import SampleImporter
from harness.problems import load_problems
from harness.records import Sample
from sandbox import Integrity, Sandbox

pytestmark = pytest.mark.docker

DATA = Path(os.environ.get("CODE_OPTIMISE_DATA", "../shared/data"))
RELEASED = DATA / "released" / "starcoder-1b_mbpp_validation.merged.jsonl"


@pytest.mark.skipif(not RELEASED.exists(), reason=f"the released data is not there ({RELEASED})")
def test_our_verdicts_agree_with_the_released_labels():
    problems = {problem.task_id: problem for problem in load_problems(str(DATA / "mbpp_code_optimise"), ["validation"])}
    samples = [row for row in SampleImporter(problems, "starcoder-1b").read(RELEASED) if isinstance(row, Sample)]
    published = [
        answer["votes"] is not None
        for line in RELEASED.read_text().splitlines()
        for answer in json.loads(line)["answers"]
    ]
    assert len(samples) == len(published) == 3_533
    with Sandbox() as sandbox:
        runs = list(sandbox.run_many(job_for(problems[sample.task_id], sample.completion) for sample in samples))
    agreeing = [run for run, passed in zip(runs, published, strict=True) if run.passed == passed]
    assert len(agreeing) >= 0.999 * len(samples)
    assert {run.integrity for run in agreeing if run.passed} == {Integrity.STRONG}
