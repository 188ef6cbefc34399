"""Errors that a person at the keyboard can act on: each says what happened, where, and what to do about it."""

from __future__ import annotations


class UserError(Exception):
    """Bad input or a machine that is not ready. The command line prints it without a traceback and exits with 2."""

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(": ".join(part for part in (where, what) if part) + (f"\n  fix: {fix}" if fix else ""))


class DataError(UserError):
    """A file or row that cannot be read as what it should be; `where` names file, row and column."""
