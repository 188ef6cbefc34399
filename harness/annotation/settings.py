"""What annotation depends on. Everything here is recorded in the manifest; other values make another run folder."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from harness.timing.decisions import DecisionSettings
from sandbox import Limits, TimingSettings


@dataclass(frozen=True, slots=True)
class AnnotationSettings:
    """min_passing, min_failing: distinct solutions that a problem must have to be worth timing.

    timing_cores: cores that time; None: all that the sandbox has but one. Where they run makes no difference to what
    is recorded as a setting, so it may change between a run and its continuation.
    """

    seed: int = 1
    min_passing: int = 2
    min_failing: int = 1
    limits: Limits = field(default_factory=Limits)
    timing: TimingSettings = field(default_factory=TimingSettings)
    decision: DecisionSettings = field(default_factory=DecisionSettings)
    timing_cores: tuple[int, ...] | None = None

    def recorded(self) -> dict[str, Any]:
        settings = asdict(self)
        del settings["timing_cores"]
        return settings
