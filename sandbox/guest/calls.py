"""The messages between judge and candidate, one frame each. The first byte says what it is.

judge → candidate   C name_length(1) name arguments    call a function; arguments = codec of [args] or [args, kwargs]
                    F                                  the test is over
candidate → judge   S message                          the program does not compile
                    Y codec of [type, message, bases]  it raised while loading
                    X codec of [type, message, bases]  the call raised
                    E                                  it raised SystemExit
                    R length(4) value changed          the result; `changed` = codec of [[index, value], …]: mutable
                                                       positional arguments that the call changed in place
                    F                                  understood: nothing was said out of turn

Both sides digest what was called and what came back, so that a timed repetition can be checked against the judged run.
"""

from __future__ import annotations

from _collections import deque

from . import codec

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is large, and no candidate needs it for us
    from typing import Any

CALL, FINISH, SYNTAX, UNLOADED, RAISED, EXITED, RESULT = b"C", b"F", b"S", b"Y", b"X", b"E", b"R"

MAX_VALUE_BYTES = 16 * 1024 * 1024
MAX_RECORDED_CALLS = 1_000
MAX_RECORDED_BYTES = 8 * 1024 * 1024
MUTABLE = (list, dict, set, bytearray, deque)


def encode_call(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    encoded_name = name.encode("utf-8")
    arguments = codec.encode([list(args), kwargs] if kwargs else [list(args)])
    return CALL + bytes([len(encoded_name)]) + encoded_name + arguments


def decode_call(frame: bytes) -> tuple[str, list[Any], dict[str, Any]]:
    end = 2 + frame[1]
    arguments = codec.decode(frame[end:])
    return frame[2:end].decode("utf-8"), arguments[0], arguments[1] if len(arguments) > 1 else {}


def encode_result(value: bytes, changed: bytes) -> bytes:
    return RESULT + len(value).to_bytes(4, "big") + value + changed


def split_result(frame: bytes) -> tuple[bytes, bytes]:
    end = 5 + int.from_bytes(frame[1:5], "big")
    if end > len(frame):
        raise codec.CodecError("a result shorter than it says")
    return frame[5:end], frame[end:]


class CallDigest:
    """Digests of the calls that returned: of what was called, and of what came back. Bounded like the recording."""

    def __init__(self) -> None:
        # Not at the top: OpenSSL's library would be in the memory of every candidate, and only timed runs digest.
        import hashlib

        self._calls, self._results = hashlib.sha256(), hashlib.sha256()
        self.recorded = 0
        self._bytes = 0

    def add(self, call: bytes, value: bytes) -> bool:
        """Count one returned call; False if it is past the bounds and not part of the recording."""
        if self.recorded >= MAX_RECORDED_CALLS or self._bytes + len(call) > MAX_RECORDED_BYTES:
            self._bytes = MAX_RECORDED_BYTES  # from here on nothing is recorded: a prefix, not a selection
            return False
        self.recorded += 1
        self._bytes += len(call)
        self._calls.update(len(call).to_bytes(4, "big") + call)
        self._results.update(len(value).to_bytes(4, "big") + value)
        return True

    def calls(self) -> str:
        return self._calls.hexdigest()[:32]

    def results(self) -> str:
        return self._results.hexdigest()


def digest_results(values: list[bytes]) -> str:
    """The results digest of a repetition, to compare with `CallDigest.results()`."""
    import hashlib

    digest = hashlib.sha256()
    for value in values:
        digest.update(len(value).to_bytes(4, "big") + value)
    return digest.hexdigest()
