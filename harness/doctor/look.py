"""Doctor's look at a machine: what there is to be read, and what has to be tried. And the one before a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from harness.doctor.checks import Finding, Status, examine, image
from harness.doctor.facts import LockdownFacts, MachineFacts
from harness.doctor.gather import Watch, gather
from harness.errors import UserError
from sandbox import Sandbox, SandboxError


def look(root: Path, *, core: int | None, watch_seconds: float = 0.0) -> MachineFacts:
    """All facts but the A/A run's. One container is started on `core` (None: none is), which takes half a second.

    root: where runs are kept, for the disk check. watch_seconds: how long steal and throttling are watched at least.
    """
    watch = Watch()
    facts = gather(root)
    if core is not None and facts.engine.image:
        facts = replace(facts, lockdown=try_lockdown(core))
    return watch.added_to(facts, watch_seconds)


def try_lockdown(core: int) -> LockdownFacts:
    """Start one container as for a run, and remove it. The sandbox itself checks it from inside, and refuses what is
    not locked down as it should be."""
    begin = time.monotonic()
    try:
        with Sandbox(cores=[core]):
            return LockdownFacts(seconds=time.monotonic() - begin)
    except SandboxError as error:
        # That doctor says more is no news to somebody who asks doctor.
        return LockdownFacts(error=str(error.what), fix="" if "doctor" in error.fix else error.fix)


def check_machine(root: Path, core: int, warn: Callable[[str], None]) -> list[dict[str, str]]:
    """Doctor before a run, without the A/A run: what disturbs on this machine, for the manifest. Half a second.

    Raises UserError, with all that must be mended first.
    """
    facts = look(root, core=core)
    findings = examine(facts)
    if error := refusal(findings):
        raise error
    if facts.engine.image is None:  # to doctor no error: setting up is what comes next
        missing = image(facts)
        raise UserError(f"the sandbox image is {missing.found}", fix=missing.advice)
    warnings = [finding for finding in findings if finding.status is Status.WARN]
    if warnings:
        names = ", ".join(finding.name for finding in warnings)
        count = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
        warn(f"doctor has {count} about this machine ({names}): `code-optimise doctor` says more")
    return [{"name": finding.name, "found": finding.found, "advice": finding.advice} for finding in warnings]


def refusal(findings: Sequence[Finding]) -> UserError | None:
    """Why nothing is run on this machine; None where nothing is in the way."""
    errors = [finding for finding in findings if finding.status is Status.ERROR]
    if not errors:
        return None
    if len(errors) == 1:
        return UserError(errors[0].found, where=f"doctor: {errors[0].name}", fix=errors[0].advice)
    found = "".join(f"\n  {finding.name}: {finding.found}" for finding in errors)
    fixes = "".join(f"\n  {finding.name}: {finding.advice}" for finding in errors if finding.advice)
    return UserError(f"{len(errors)} things on this machine must be mended first{found}", fix=fixes)


def merged_warnings(before: Sequence[Mapping[str, str]], now: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Warnings of a run that goes on: those of its earlier parts stay, the newest under each name."""
    return list({warning["name"]: warning for warning in (*before, *now)}.values())
