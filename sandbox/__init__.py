"""Run model-written code in locked-down containers: verdicts that cannot be forged, times read from outside.

    from sandbox import Job, Sandbox

    job = Job(
        program="def double(x):\\n    return 2 * x\\n",
        test="def check(candidate):\\n    assert candidate(4) == 8\\n",
        entry_point="double",
    )
    with Sandbox(cores=[0]) as sb:
        print(sb.run(job).verdict)  # PASSED

Needs a Docker engine and the image (`python -m sandbox engine up`, `python -m sandbox image build`). No ML imports.
"""

from sandbox.api import Sandbox, timing_cores
from sandbox.container import allowed_cores
from sandbox.errors import EngineError, ImageError, SandboxError
from sandbox.types import (
    Block,
    BlockTiming,
    Execution,
    Integrity,
    Job,
    Limits,
    Termination,
    TimedSolution,
    Timing,
    TimingSettings,
    Verdict,
)

__all__ = [
    "Block",
    "BlockTiming",
    "EngineError",
    "Execution",
    "ImageError",
    "Integrity",
    "Job",
    "Limits",
    "Sandbox",
    "SandboxError",
    "Termination",
    "TimedSolution",
    "Timing",
    "TimingSettings",
    "Verdict",
    "allowed_cores",
    "timing_cores",
]
