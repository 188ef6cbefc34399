"""Length-prefixed frames over a file descriptor: four bytes, big-endian, then that many bytes."""

from __future__ import annotations

import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is large, and no candidate needs it for us
    from collections.abc import Sequence

HEADER_BYTES = 4
MAX_FRAME_BYTES = 64 * 1024 * 1024
AT_ONCE_BYTES = 1 << 16


class FrameError(Exception):
    """The other side announced a longer frame than allowed, or ended in the middle of one."""


class FrameCut(FrameError):
    """The stream ended inside a frame."""


def write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    while written < len(data):
        data = data[written:]
        written = os.write(fd, data)


def send_frame(fd: int, payload: bytes) -> None:
    write_all(fd, len(payload).to_bytes(HEADER_BYTES, "big") + payload)


class Stream:
    """Frames from a descriptor, one at a time; bytes that came early are kept for the next."""

    __slots__ = ("_limit", "_rest", "fd")

    def __init__(self, fd: int, limit: int = MAX_FRAME_BYTES) -> None:
        self.fd, self._limit, self._rest = fd, limit, b""

    @property
    def pending(self) -> bool:
        """Whether bytes of a next frame have come already."""
        return bool(self._rest)

    def receive(self) -> bytes | None:
        """The next frame's payload, or None when the stream ended between frames. Raises FrameError, OSError."""
        data = self._rest or os.read(self.fd, AT_ONCE_BYTES)
        if not data:
            return None
        while len(data) < HEADER_BYTES:
            data += self._more()
        end = HEADER_BYTES + int.from_bytes(data[:HEADER_BYTES], "big")
        if end > self._limit + HEADER_BYTES:
            raise FrameError("frame too long")
        if len(data) < end:
            # One buffer: a sender that drips bytes cannot make a long list of tiny pieces of it.
            buffer = bytearray(data)
            while len(buffer) < end:
                buffer += self._more()
            data = bytes(buffer)
        self._rest = data[end:]
        return data[HEADER_BYTES:end]

    def _more(self) -> bytes:
        data = os.read(self.fd, 1 << 20)
        if not data:
            raise FrameCut("stream ended inside a frame")
        return data


def readable(fd: int, timeout_ms: int = 0) -> bool:
    """True if a read would return at once (data or end of stream)."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(timeout_ms))


def frame_at_once(fd: int) -> bytes:
    """A small frame that must have arrived whole: a sender that stalls in the middle cannot hold the warden up."""
    data = os.read(fd, AT_ONCE_BYTES)
    if data and int.from_bytes(data[:HEADER_BYTES], "big") != len(data) - HEADER_BYTES:
        raise FrameError("not one whole frame")
    return data[HEADER_BYTES:]


def pack_parts(kind: bytes, parts: Sequence[str]) -> bytes:
    """One byte that says what it is, then texts, each behind its length. Lone surrogates cross as they are."""
    packed = [kind]
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        packed += [len(encoded).to_bytes(HEADER_BYTES, "big"), encoded]
    return b"".join(packed)


def unpack_parts(frame: bytes) -> tuple[bytes, list[str]]:
    parts, start = [], 1
    while start < len(frame):
        end = start + HEADER_BYTES + int.from_bytes(frame[start : start + HEADER_BYTES], "big")
        parts.append(frame[start + HEADER_BYTES : end].decode("utf-8", "surrogatepass"))
        start = end
    return frame[:1], parts


class FrameReader:
    """Whole frames from a descriptor, as far as they have arrived; `read` is called when there is something to read."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._buffer = bytearray()

    def read(self) -> list[bytes] | None:
        """The frames that are complete now, or None at the end of the stream."""
        data = os.read(self.fd, 1 << 20)
        if not data:
            return None
        self._buffer += data
        frames, start = [], 0
        while len(self._buffer) - start >= HEADER_BYTES:
            end = start + HEADER_BYTES + int.from_bytes(self._buffer[start : start + HEADER_BYTES], "big")
            if end - start > MAX_FRAME_BYTES:
                raise FrameError("frame too long")
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[start + HEADER_BYTES : end]))
            start = end
        del self._buffer[:start]
        return frames
