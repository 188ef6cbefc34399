"""Length-prefixed frames over a file descriptor: four bytes, big-endian, then that many bytes."""

from __future__ import annotations

import json
import os
import select
from typing import Any

HEADER_BYTES = 4
MAX_FRAME_BYTES = 64 * 1024 * 1024
AT_ONCE_BYTES = 1 << 16


class FrameError(Exception):
    """The other side announced a longer frame than allowed, or ended in the middle of one."""


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def send_frame(fd: int, payload: bytes) -> None:
    write_all(fd, len(payload).to_bytes(HEADER_BYTES, "big") + payload)


def _read_exactly(fd: int, count: int) -> bytes:
    """`count` bytes, or fewer if the stream ends before."""
    chunks = []
    while count:
        chunk = os.read(fd, min(count, 1 << 20))
        if not chunk:
            break
        chunks.append(chunk)
        count -= len(chunk)
    return b"".join(chunks)


def receive_frame(fd: int, limit: int = MAX_FRAME_BYTES) -> bytes | None:
    """The next frame's payload, or None when the stream ended between frames."""
    header = _read_exactly(fd, HEADER_BYTES)
    if not header:
        return None
    length = int.from_bytes(header, "big")
    if len(header) < HEADER_BYTES or length > limit:
        raise FrameError("frame too long" if len(header) == HEADER_BYTES else "stream ended inside a frame")
    payload = _read_exactly(fd, length)
    if len(payload) < length:
        raise FrameError("stream ended inside a frame")
    return payload


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


def pack_job(job: dict[str, Any], program: str) -> bytes:
    """What a candidate is given: its settings as JSON behind their length, then the program's text as it is."""
    header = json.dumps(job).encode("ascii")
    return len(header).to_bytes(HEADER_BYTES, "big") + header + program.encode("utf-8", "surrogatepass")


def unpack_job(frame: bytes) -> tuple[dict[str, Any], str]:
    end = HEADER_BYTES + int.from_bytes(frame[:HEADER_BYTES], "big")
    return json.loads(frame[HEADER_BYTES:end]), frame[end:].decode("utf-8", "surrogatepass")


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
