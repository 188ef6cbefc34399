"""What annotation depends on. Everything here is recorded in the manifest; other values make another run folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from harness.records import TimingInputs, TimingMethod
from harness.timing.decisions import DecisionSettings
from harness.timing.rounds import MAX_TRIES
from sandbox import Limits, TimingSettings


@dataclass(frozen=True, slots=True)
class AnnotationSettings:
    """min_passing, min_failing: distinct solutions that a problem must have to be worth timing.

    method: LEGACY times by the published method, for comparison; `timing` and `decision` then say nothing.
    timing_cores: cores that time; None: as harness.placement chooses. timing_seconds: wall time for timing, after
    which nothing new is begun. tries: how many times as many rounds as are wanted may be spent, for some are spoilt
    (harness/timing/rounds.py). These may change between a run and its continuation, so they are not recorded.
    """

    seed: int = 1
    method: TimingMethod = TimingMethod.BLOCKS
    min_passing: int = 2
    min_failing: int = 1
    limits: Limits = field(default_factory=Limits)
    timing: TimingSettings = field(default_factory=TimingSettings)
    decision: DecisionSettings = field(default_factory=DecisionSettings)
    timing_inputs: TimingInputs = TimingInputs.OWN
    timing_cores: tuple[int, ...] | None = None
    timing_seconds: float | None = None
    tries: int = MAX_TRIES

    def recorded(self) -> dict[str, Any]:
        settings = asdict(self)
        del settings["timing_cores"], settings["timing_seconds"], settings["tries"]
        if self.timing_inputs is TimingInputs.OWN:
            del settings["timing_inputs"]  # folders that were annotated before there was a choice go on
        return settings
