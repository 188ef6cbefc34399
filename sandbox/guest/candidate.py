"""The candidate: loads one solution and answers the judge's calls. No test data is ever in its memory.

Everything here shares a process with the solution, which may rewrite it all; nothing that it says is believed without a
check on the other side. For timing, the recorded calls are repeated on the warden's command and under the warden's
clock, with arguments copied before the clock starts.
"""

from __future__ import annotations

import _signal
import gc
import os
import sys
from _collections import deque

from . import calls, codec, wire

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is large, and no candidate needs it for us
    from collections.abc import Callable
    from types import CodeType
    from typing import Any

    Function = Callable[..., Any]
    # One recorded call: the function, its decoded arguments, and whether its result was an iterator to be drained.
    Recorded = tuple[Function, list[Any], dict[str, Any], bool]

CALLS_FD, CONTROL_FD = 3, 4  # the second one only where the solution is timed
MAX_COPIES_BYTES = 4 * 1024 * 1024  # encoded size of the argument copies prepared at a time
JUDGED, TIMED, WEAK, PROBE = b"J", b"T", b"W", b"P"  # kinds of jobs
_Module = type(sys)


def execute(code: CodeType) -> dict[str, Any]:
    """Run the program as a module of its own; its globals. Raises what the program raises."""
    module = _Module("solution")
    sys.modules["solution"] = module
    exec(code, module.__dict__)  # this is what the sandbox is for
    return module.__dict__


def failure_frame(error: BaseException, kind: bytes = calls.RAISED) -> bytes:
    if isinstance(error, SystemExit):
        return calls.EXITED
    try:
        text = str(error)
    except BaseException:  # a hostile __str__
        text = ""
    name, *bases = (base.__name__[: codec.MAX_TYPE_NAME] for base in type(error).__mro__[: calls.MAX_BASES + 1])
    return kind + codec.encode([name, text[: calls.MAX_MESSAGE], bases])


class Server:
    """Answers the judge's calls and, where the solution is timed, keeps what is needed to repeat them."""

    def __init__(self, stream: wire.Stream, namespace: dict[str, Any], *, timed: bool = False) -> None:
        self._stream, self._namespace = stream, namespace
        self._recording = calls.Recording() if timed else None
        self.recorded: list[tuple[bytes, bool]] = []

    def serve(self) -> None:
        """Until the judge says that the test is over, or closes its end."""
        while (frame := self._stream.receive()) is not None:
            if frame == calls.FINISH:
                sys.stdout.flush()
                wire.send_frame(CALLS_FD, calls.FINISH)
                return
            wire.send_frame(CALLS_FD, self.answer(frame))

    def answer(self, frame: bytes) -> bytes:
        try:
            if frame[:1] == calls.NAME:
                return calls.encode_result(codec.encode(self._named(frame[1:].decode("utf-8")), opaque=True), b"")
            name, args, kwargs = calls.decode_call(frame)
            result = self._named(name)(*args, **kwargs)
            drained = type(result) in codec.ITERATORS
            value = codec.encode(result, opaque=True)
            changed = b""
            for argument in args:
                if isinstance(argument, calls.MUTABLE):
                    changed = self._changed(frame, args, kwargs)
                    break
        except BaseException as error:  # SystemExit and KeyboardInterrupt as well
            return failure_frame(error)
        if self._recording and self._recording.admit(frame):
            self.recorded.append((frame, drained))
        return calls.encode_result(value, changed)

    def _named(self, name: str) -> Any:
        if name not in self._namespace:
            raise NameError(f"the program defines no {name}")
        return self._namespace[name]

    @staticmethod
    def _changed(frame: bytes, args: list[Any], kwargs: dict[str, Any]) -> bytes:
        """Mutable positional arguments that no longer equal what was sent, with their present contents."""
        if calls.encode_arguments(args, kwargs, opaque=True) == calls.arguments(frame):
            return b""  # nearly always, and one encoding is enough to know
        sent = calls.decode_call(frame)[1]
        changes = []
        for index, (before, now) in enumerate(zip(sent, args, strict=True)):
            if isinstance(now, calls.MUTABLE) and codec.encode(before) != codec.encode(now, opaque=True):
                changes.append([index, now])
        return codec.encode(changes, opaque=True) if changes else b""


def copier(value: Any) -> Callable[[], Any] | None:
    """A quick way to a fresh copy of an argument, or None if it is immutable all through."""
    kind = type(value)
    if kind in (type(None), bool, int, float, complex, str, bytes, range):
        return None
    if kind not in (list, dict, tuple):
        if kind is frozenset or (kind in (set, bytearray, deque) and all(copier(part) is None for part in value)):
            return None if kind is frozenset else value.copy
        encoded = codec.encode(value)
        return lambda: codec.decode(encoded)
    parts = list(value.values()) if kind is dict else list(value)
    copies = [copier(part) for part in parts]
    if not any(copies):
        return None if kind is tuple else value.copy
    fresh = [copy or _returning(part) for copy, part in zip(copies, parts, strict=True)]
    if kind is list:
        return lambda: [copy() for copy in fresh]
    if kind is tuple:
        return lambda: tuple([copy() for copy in fresh])
    keyed = list(zip(value, fresh, strict=True))
    return lambda: {key: copy() for key, copy in keyed}


def _returning(value: Any) -> Callable[[], Any]:
    return lambda: value


class Repeater:
    """Repeats the recorded calls: `passes` over the whole list, with arguments made before the clock starts."""

    def __init__(self, namespace: dict[str, Any], recorded: list[tuple[bytes, bool]]) -> None:
        self._plan: list[Recorded] = []
        for frame, drained in recorded:
            name, args, kwargs = calls.decode_call(frame)
            self._plan.append((namespace[name], args, kwargs, drained))
        size = sum(len(frame) for frame, _ in recorded)
        values = [value for _, args, kwargs, _ in self._plan for value in (*args, *kwargs.values())]
        self._simple = all(copier(value) is None for value in values)
        self.passes_per_batch = sys.maxsize if self._simple else max(1, MAX_COPIES_BYTES // max(size, 1))
        self._copiers = [[copier(value) or _returning(value) for value in args] for _, args, _, _ in self._plan]
        self._prepared: list[list[Recorded]] = []
        self._passes = 0

    def prepare(self, passes: int) -> None:
        self._passes = passes
        if not self._simple:
            self._prepared = [
                [
                    (function, [copy() for copy in copiers], kwargs, drained)
                    for (function, _, kwargs, drained), copiers in zip(self._plan, self._copiers, strict=True)
                ]
                for _ in range(passes)
            ]

    def run(self) -> None:
        """The timed part. Draining an iterator is part of the work: a generator function has done none before."""
        if self._simple:
            plan = self._plan
            for _ in range(self._passes):
                for function, args, kwargs, drained in plan:
                    result = function(*args, **kwargs)
                    if drained:
                        for _ in result:
                            pass
        else:
            for one_pass in self._prepared:
                for function, args, kwargs, drained in one_pass:
                    result = function(*args, **kwargs)
                    if drained:
                        for _ in result:
                            pass

    def results(self) -> list[bytes]:
        """The encoded results of one more pass, in order."""
        self.prepare(1)
        plan = self._plan if self._simple else self._prepared[0]
        return [codec.encode(function(*args, **kwargs), opaque=True) for function, args, kwargs, _ in plan]


def serve_timing(code: CodeType, repeater: Repeater, recorded: list[tuple[bytes, bool]]) -> None:
    """The warden's timing commands.

    L: load the program anew → R. P passes → R; then a byte: run them → D. V: digest of the results of one more pass.
    """
    wire.send_frame(CONTROL_FD, repeater.passes_per_batch.to_bytes(8, "big"))
    gc.collect()
    gc.freeze()
    gc.disable()
    stream = wire.Stream(CONTROL_FD)
    while (frame := stream.receive()) is not None:
        if frame[:1] == b"P":
            repeater.prepare(int.from_bytes(frame[1:], "big"))
            os.write(CONTROL_FD, b"R")
            os.read(CONTROL_FD, 1)
            repeater.run()
            os.write(CONTROL_FD, b"D")
        elif frame == b"L":
            repeater = Repeater(execute(code), recorded)
            os.write(CONTROL_FD, b"R")
        else:
            wire.send_frame(CONTROL_FD, calls.digest_results(repeater.results()).encode())


def warm_up() -> None:
    """Run through what every run does, in the zygote: caches are filled and bytecode is specialised before forks."""
    ours, theirs = os.pipe()
    for _ in range(16):
        wire.send_frame(theirs, wire.pack_parts(JUDGED, ["/", "def f(x: int) -> int:\n    return x + 1\n"]))
        stream = wire.Stream(ours)
        _, parts = wire.unpack_parts(stream.receive() or b"")
        server = Server(stream, execute(compile(parts[1], "<solution>", "exec")))
        server.answer(calls.encode_call("f", (1,), {}))
        codec.decode(codec.encode([1, "a", 2.5, (2, 3), {"a": {1}}, [None]]))
    del sys.modules["solution"]
    os.close(ours)
    os.close(theirs)


def main() -> None:
    """Entered by a fresh fork of the zygote after `lockdown`; the job arrives on the calls socket."""
    stream = wire.Stream(CALLS_FD)
    frame = stream.receive()
    if frame is None:
        return
    kind, parts = wire.unpack_parts(frame)
    try:
        os.chdir(parts[0])
    except OSError:
        os._exit(71)
    if kind == WEAK:
        run_in_one_process(*parts[1:])
        return
    try:
        code = compile(parts[1], "<solution>", "exec")
    except Exception as error:  # NUL bytes, lone surrogates and too deep nesting come as other types
        wire.send_frame(CALLS_FD, calls.SYNTAX + str(error).encode("utf-8", "replace")[:2_000])
        return
    try:
        namespace = execute(code)
    except BaseException as error:
        sys.stdout.flush()
        wire.send_frame(CALLS_FD, failure_frame(error, calls.UNLOADED))
        return
    server = Server(stream, namespace, timed=kind == TIMED)
    server.serve()
    if kind == TIMED:
        _silence()
        serve_timing(code, Repeater(namespace, server.recorded), server.recorded)
    _stay()


def _silence() -> None:
    """While timing, output goes nowhere: draining a pipe would need the core that is being timed."""
    sys.stdout.flush()
    null = os.open("/dev/null", os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)


def _stay() -> None:
    """Until the warden ends it: one that is gone by the time of the verdict has left somebody else to answer."""
    while True:
        _signal.pause()


def run_in_one_process(program: str, test: str, entry_point: str) -> None:
    """The fallback for a test that cannot be split: program and test together, marked `weak` by the warden."""
    try:
        code = compile(program, "<solution>", "exec")
    except Exception as error:
        _report("syntax", error)
        return
    try:
        namespace = execute(code)
        exec(compile(test, "<test>", "exec"), namespace)
        namespace["check"](namespace[entry_point])
    except AssertionError as error:
        _report("assertion", error)
    except SystemExit as error:
        _report("exited", error)
    except BaseException as error:
        _report("raised", error)
    else:
        _report("passed", None)
        _stay()


def _report(outcome: str, error: BaseException | None) -> None:
    import json

    name = type(error).__name__ if error is not None else ""
    text = f"{name}: {error}" if error is not None else ""
    sys.stdout.flush()
    report = {"outcome": outcome, "error": name, "message": text[:2_000]}
    wire.send_frame(CALLS_FD, json.dumps(report).encode("ascii"))
