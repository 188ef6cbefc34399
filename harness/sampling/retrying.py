"""What may pass and what won't, of all that can go wrong with a request, and how long to wait before the next try."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import Random
from typing import TypeVar

from harness.errors import UserError

Result = TypeVar("Result")

# 408 and 425 ask for another try by what they mean, 429 by custom. 501 and 505 say that it will never work.
_PASSING = frozenset({408, 425, 429})
_NEVER = frozenset({501, 505})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server is waited for, in seconds.

    attempts: tries of one request before the run stops, nonsense_attempts where it answers with nonsense.
    first_pause: before the second try; it doubles from try to try up to longest_pause, and a random part of it is taken
    off. longest_asked: the longest pause that a server may ask for (Retry-After). first_event: from the request to the
    first piece of text, the server's queue included. next_event: from one piece to the next.
    """

    attempts: int = 8
    nonsense_attempts: int = 3
    first_pause: float = 0.5
    longest_pause: float = 60.0
    longest_asked: float = 600.0
    connect: float = 10.0
    first_event: float = 600.0
    next_event: float = 120.0


class Trouble(Exception):
    """A request failed in a way that may pass. retry_after: seconds that the server asked for."""

    def __init__(self, what: str, *, retry_after: float | None = None) -> None:
        super().__init__(what)
        self.what, self.retry_after = what, retry_after


class Nonsense(Trouble):
    """What came is not what the interface says. Seldom better the next time."""


class Refused(Exception):
    """The server understood and won't do it. status: of HTTP."""

    def __init__(self, what: str, status: int) -> None:
        super().__init__(what)
        self.what, self.status = what, status


def failure(status: int, message: str, headers: Mapping[str, str], now: datetime) -> Trouble | Refused:
    """What an HTTP answer other than 200 means. message: the server's own words."""
    what = f"HTTP {status}{': ' if message else ''}{message}"
    if status in _PASSING or (status >= 500 and status not in _NEVER):
        return Trouble(what, retry_after=retry_after(headers.get("retry-after"), now))
    return Refused(what, status)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds from now that a Retry-After header asks for, as a number or a date; None for none or nonsense."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
        return max(0.0, ((when if when.tzinfo else when.replace(tzinfo=UTC)) - now).total_seconds())
    except (ValueError, IndexError, OverflowError):
        return None


def pause(attempt: int, asked: float | None, patience: Patience, chance: Random) -> float:
    """Seconds to wait after the attempt of this number, from 1: never less than the server asked for."""
    ours = min(patience.longest_pause, patience.first_pause * 2.0 ** min(attempt - 1, 60))
    return (asked or 0.0) + ours * (1.0 - chance.random() / 2.0)


async def persistently(
    work: Callable[[], Awaitable[Result]],
    patience: Patience,
    chance: Random,
    *,
    where: str,
    wait: Callable[[float], Awaitable[None]],
    tell: Callable[[str], None],
) -> Result:
    """What `work` gives, tried again while it is in trouble. Raises UserError once the patience is at its end.

    tell: is told of each trouble. `Refused` is let through.
    """
    attempt = 0
    while True:
        attempt += 1
        try:
            return await work()
        except Trouble as trouble:
            allowed = patience.nonsense_attempts if isinstance(trouble, Nonsense) else patience.attempts
            asked = trouble.retry_after
            if asked is not None and asked > patience.longest_asked:
                what = f"{trouble.what}; it asks to come back in {asked:.0f} s"
                raise UserError(what, where=where, fix="run the same command again then: it goes on") from trouble
            if attempt >= allowed:
                what = f"{trouble.what} (tried {attempt} time{'s' * (attempt > 1)})"
                fix = "see to the server; the rows written so far stay, and the same command goes on"
                raise UserError(what, where=where, fix=fix) from trouble
            tell(trouble.what)
            await wait(pause(attempt, asked, patience, chance))
