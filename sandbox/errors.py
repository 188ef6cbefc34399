"""What can go wrong outside a solution. Each error says what happened, where, and what to do about it."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox can't do what was asked. The command line prints it without a traceback and exits with 2."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(": ".join(part for part in (where, what) if part) + (f"\n  fix: {fix}" if fix else ""))


class EngineError(SandboxError):
    """No Docker engine answers, or it could not be started or stopped."""


class ImageError(SandboxError):
    """The sandbox image or its base could not be built."""


class LockdownError(SandboxError):
    """A container has not got all of the lock-down that was asked for: nothing is run in it."""
