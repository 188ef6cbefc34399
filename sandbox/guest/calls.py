"""The messages between judge and candidate, one frame each. The first byte says what it is.

judge → candidate   C name_length(1) name arguments    call a function; arguments = codec of [args] or [args, kwargs]
                    N name                             ask for the value of a global name
                    F                                  the test is over
candidate → judge   S message                          the program does not compile
                    Y codec of [type, message, bases]  it raised while loading
                    X codec of [type, message, bases]  what was asked for raised
                    E                                  it raised SystemExit
                    R length(4) value changed          the result; `changed` = codec of [[index, value], …]: mutable
                                                       positional arguments that the call changed in place;
                                                       nothing where there are none
                    F                                  understood: nothing was said out of turn

Both sides digest what was called and what came back, so that a timed repetition can be checked against the judged run.
"""

from __future__ import annotations

from _collections import deque

try:  # the interpreter's own: `hashlib` would bring OpenSSL's library, 5 ms and its memory, into every process
    from _sha2 import sha256  # type: ignore[import-not-found]
except ImportError:  # before Python 3.12
    from _sha256 import sha256  # type: ignore[import-not-found]

from . import codec

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is large, and no candidate needs it for us
    from collections.abc import Sequence
    from typing import Any

CALL, NAME, FINISH, SYNTAX, UNLOADED, RAISED, EXITED, RESULT = b"C", b"N", b"F", b"S", b"Y", b"X", b"E", b"R"

# The caps on values are the codec's.
MAX_FRAME_BYTES = 2 * codec.MAX_BYTES + 5  # of what the candidate sends: a result, and what the call changed
MAX_NAME_BYTES = 255
MAX_BASES = 20  # names of base classes that cross with an exception
MAX_MESSAGE = 2_000  # characters of an exception's text
MAX_RECORDED_CALLS = 1_000
MAX_RECORDED_BYTES = 8 * 1024 * 1024
MUTABLE = (list, dict, set, bytearray, deque)


def encode_call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    encoded_name = name.encode("utf-8")
    return CALL + bytes([len(encoded_name)]) + encoded_name + encode_arguments(args, kwargs)


def decode_call(frame: bytes) -> tuple[str, list[Any], dict[str, Any]]:
    end = 2 + frame[1]
    given = codec.decode(frame[end:])
    return frame[2:end].decode("utf-8"), given[0], given[1] if len(given) > 1 else {}


def arguments(frame: bytes) -> bytes:
    """A call's arguments, still encoded."""
    return frame[2 + frame[1] :]


def encode_arguments(args: Sequence[Any], kwargs: dict[str, Any], *, opaque: bool = False) -> bytes:
    return codec.encode([list(args), kwargs] if kwargs else [list(args)], opaque=opaque)


def encode_result(value: bytes, changed: bytes) -> bytes:
    return RESULT + len(value).to_bytes(4, "big") + value + changed


def split_result(frame: bytes) -> tuple[bytes, bytes]:
    end = 5 + int.from_bytes(frame[1:5], "big")
    if end > len(frame):
        raise codec.CodecError("a result shorter than it says")
    return frame[5:end], frame[end:]


def decode_changes(changed: bytes, count: int) -> list[tuple[int, Any]]:
    """Which of `count` positional arguments a call changed, in order, and what is in them now."""
    changes = codec.decode(changed)
    if type(changes) is not list or not changes:
        raise codec.CodecError("changes that are none")
    last = -1
    for change in changes:
        if type(change) is not list or len(change) != 2 or type(change[0]) is not int or not last < change[0] < count:
            raise codec.CodecError("a change of something that is no argument")
        last = change[0]
    return [(index, value) for index, value in changes]


def decode_failure(body: bytes) -> tuple[list[str], str]:
    """The names of an exception's type and its bases, nearest first, and its text."""
    failure = codec.decode(body)
    if type(failure) is not list or [type(part) for part in failure] != [str, str, list]:
        raise codec.CodecError("fields of the wrong type")
    name, message, bases = failure
    names = [name, *bases]
    if len(bases) > MAX_BASES or len(message) > MAX_MESSAGE:
        raise codec.CodecError("too long")
    if not all(type(name) is str and len(name) <= codec.MAX_TYPE_NAME for name in names):
        raise codec.CodecError("names that are none")
    return names, message


class Recording:
    """Which of the calls that returned are recorded, to be repeated for timing: the first ones, up to two bounds."""

    def __init__(self) -> None:
        self.recorded = 0
        self._bytes = 0

    def admit(self, call: bytes) -> bool:
        if self.recorded >= MAX_RECORDED_CALLS or self._bytes + len(call) > MAX_RECORDED_BYTES:
            self._bytes = MAX_RECORDED_BYTES  # from here on nothing is recorded: a prefix, not a selection
            return False
        self.recorded += 1
        self._bytes += len(call)
        return True


class CallDigest(Recording):
    """Digests of the recorded calls: of what was called, and of what came back."""

    def __init__(self) -> None:
        super().__init__()
        self._calls, self._results = sha256(), sha256()

    def add(self, call: bytes, value: bytes) -> None:
        if self.admit(call):
            self._calls.update(len(call).to_bytes(4, "big") + call)
            self._results.update(len(value).to_bytes(4, "big") + value)

    def calls(self) -> str:
        return str(self._calls.hexdigest()[:32])

    def results(self) -> str:
        return str(self._results.hexdigest())


def digest_results(values: list[bytes]) -> str:
    """The results digest of a repetition, to compare with `CallDigest.results()`."""
    digest = sha256()
    for value in values:
        digest.update(len(value).to_bytes(4, "big") + value)
    return str(digest.hexdigest())
