"""The judge: holds one problem's test, calls the solution through a proxy, decides. Never runs the solution.

It compiles the test once and serves every solution of the problem, one at a time, each on its own socket. The test's
names are filled from the prompt (the trusted part of the program); the entry point is the proxy. What comes back from
the candidate is decoded by `codec` and is data, never behaviour.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import json
import os
import random
import socket
import types
from collections import deque
from typing import Any

from . import calls, codec, wire

CONTROL_FD = 3
MAX_MESSAGE = 2_000


class Violation(BaseException):
    """The candidate broke the protocol. Not an Exception: a test's own `except Exception` must not swallow it."""


class Gone(BaseException):
    """The candidate ended before it answered."""


class Exited(BaseException):
    """The solution raised SystemExit."""


class Unloadable(BaseException):
    """The program did not get as far as a call. `outcome` and `detail` as the warden reports them."""

    def __init__(self, outcome: str, detail: dict[str, str]) -> None:
        self.outcome, self.detail = outcome, detail


class NeedsOneProcess(BaseException):
    """The test passes something to the solution that cannot cross (a function, say)."""


class BrokenTest(Exception):
    """The test itself does not compile, or defines no `check`."""


class RemoteError(Exception):
    """An exception of the solution whose type is not a built-in one."""


class Proxy:
    """Stands for the solution's function in the test."""

    def __init__(self, fd: int, name: str, *, timed: bool = False) -> None:
        self.__name__ = name
        self._stream, self._name = wire.Stream(fd, calls.MAX_VALUE_BYTES), name
        self.count = 0
        # What ends the run whatever the test makes of it: a bare `except:` in it must not hide a violation.
        self.fatal: BaseException | None = None
        self.digest = calls.CallDigest() if timed else None
        self.raised: BaseException | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            call = calls.encode_call(self._name, args, kwargs)
        except codec.CodecError as error:
            # Values that came from the solution are no reason to judge it in one process with its test.
            if _contains_opaque(args):
                raise TypeError(str(error)) from None
            raise NeedsOneProcess(f"the test passes {error}") from None
        self.count += 1
        frame = self._ask(call)
        try:
            if frame[:1] == calls.RESULT:
                return self._result(call, args, frame)
            self.raised = failure(frame)
        except BaseException as error:
            self.fatal = error
            raise
        if not isinstance(self.raised, Exception):
            self.fatal = self.raised
        raise self.raised

    def _ask(self, question: bytes) -> bytes:
        """Send a frame and wait for the one that answers it. Frames that came unasked are taken for answers too, so
        that the last one, which `finish` waits for, is never where it should be."""
        if self.fatal:
            raise self.fatal
        try:
            # A candidate that did not load has sent why and may be gone.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                wire.send_frame(self._stream.fd, question)
            frame = self._stream.receive()
        except wire.FrameError as error:
            self.fatal = Violation(str(error))
            raise self.fatal from None
        except OSError:
            frame = None
        if frame is None:
            self.fatal = Gone()
            raise self.fatal
        return frame

    def _result(self, call: bytes, args: tuple[Any, ...], frame: bytes) -> Any:
        try:
            value, changed = calls.split_result(frame)
            result = codec.decode(value)
            if changed:
                for index, replacement in codec.decode(changed):
                    _replace_contents(args[index], replacement)
        except (codec.CodecError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise Violation(f"a frame that is not a result: {error}") from None
        if self.digest:
            self.digest.add(call, value)
        return result

    def finish(self) -> None:
        """After the last answer the candidate must still be there, and have nothing else to say."""
        frame = self._ask(calls.FINISH)
        if frame != calls.FINISH:
            raise Violation("a second answer") if self.count else failure(frame)


def _contains_opaque(value: Any) -> bool:
    if isinstance(value, codec.Opaque):
        return True
    if isinstance(value, (list, tuple, set, frozenset)):
        return any(map(_contains_opaque, value))
    return isinstance(value, dict) and any(map(_contains_opaque, value.values()))


def _replace_contents(target: Any, value: Any) -> None:
    """Give a mutable argument the contents that the call left in it."""
    if type(target) is not type(value) or not isinstance(target, calls.MUTABLE):
        raise codec.CodecError("a changed argument of another type")
    if isinstance(target, (list, bytearray)):
        target[:] = value
    else:
        target.clear()
        (target.extend if isinstance(target, deque) else target.update)(value)


def failure(frame: bytes) -> BaseException:
    """The exception that a failure frame stands for: a built-in one by its name, else by its nearest built-in base."""
    kind = frame[:1]
    if kind == calls.EXITED:
        return Exited()
    if kind == calls.SYNTAX:
        return Unloadable("syntax", {"message": frame[1:].decode("utf-8", "replace")})
    if kind not in (calls.RAISED, calls.UNLOADED):
        return Violation("a frame of an unknown kind")
    try:
        type_name, message, bases = codec.decode(frame[1:])
        names = [type_name, *bases]
        message = str(message)[:MAX_MESSAGE]
        for name in names:
            candidate_type = getattr(builtins, name, None)
            if isinstance(candidate_type, type) and issubclass(candidate_type, Exception):
                error: BaseException = _build(candidate_type, message)
                break
        else:
            error = RemoteError(message)
        error.__cause__ = None
        error.add_note(str(type_name)[:200])
    except (codec.CodecError, TypeError, ValueError, AttributeError) as problem:
        return Violation(f"a frame that is not an exception: {problem}")
    return Unloadable("raised", _describe(error)) if kind == calls.UNLOADED else error


def _build(kind: type[Exception], message: str) -> Exception:
    try:
        return kind(message)
    except TypeError:  # UnicodeDecodeError and the like want more arguments
        return RemoteError(message)


class Test:
    """A compiled test and the names it may use."""

    def __init__(self, source: str, prompt: str, entry_point: str) -> None:
        self.entry_point = entry_point
        self._prompt = _compile_prompt(prompt)
        try:
            tree = ast.parse(source, "<test>")
            self._code = compile(tree, "<test>", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise BrokenTest(f"the test does not compile: {error}") from None
        known = {*dir(builtins), *self._names_of_prompt(), entry_point, "__name__"}
        self.unresolved = sorted(_free_names(tree) - known)

    def _names_of_prompt(self) -> set[str]:
        return set(self._namespace())

    def _namespace(self) -> dict[str, Any]:
        """Fresh globals for one run, with what the prompt defines (its helpers; its last function has no body)."""
        module = types.ModuleType("test")
        namespace = module.__dict__
        if self._prompt is not None:
            with contextlib.suppress(Exception):  # then its names are simply not there
                exec(self._prompt, namespace)  # the data set's own text, inside the sandbox
        return namespace

    def run(self, proxy: Proxy) -> None:
        random.seed(0)
        namespace = self._namespace()
        namespace[self.entry_point] = proxy
        exec(self._code, namespace)
        check = namespace.get("check")
        if not callable(check):
            raise BrokenTest("the test defines no check(candidate)")
        check(proxy)


def _compile_prompt(prompt: str) -> types.CodeType | None:
    for text in (prompt, prompt.rstrip() + "\n    pass\n"):
        try:
            return compile(text, "<prompt>", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _free_names(tree: ast.Module) -> set[str]:
    """Names that the test reads and nowhere binds (an over-approximation of binding: any binding anywhere counts)."""
    read: set[str] = set()
    bound: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                read.add(name)
            case ast.Name(id=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                bound.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                bound.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                bound.update((alias.asname or alias.name).split(".")[0] for alias in aliases)
    return read - bound


def judge_one(test: Test, fd: int, *, timed: bool = False) -> dict[str, Any]:
    """Run the test against the candidate on `fd`; what came of it, as the warden reports it to the host."""
    proxy = Proxy(fd, test.entry_point, timed=timed)
    outcome, detail = _outcome(test, proxy)
    report = {
        "outcome": outcome,
        "error": detail.get("error", ""),
        "message": detail.get("message", "")[:MAX_MESSAGE],
        "calls": proxy.count,
    }
    if proxy.digest:
        report |= {
            "recorded": proxy.digest.recorded,
            "calls_digest": proxy.digest.calls(),
            "results_digest": proxy.digest.results(),
        }
    return report


def _outcome(test: Test, proxy: Proxy) -> tuple[str, dict[str, str]]:  # one per outcome
    try:
        try:
            test.run(proxy)
        except Exception:
            if not proxy.fatal:
                raise
        proxy.finish()  # raises what was fatal, too
    except Unloadable as error:
        return error.outcome, error.detail
    except Violation as error:
        return "violation", {"message": str(error)}
    except Gone:
        return "gone", {}
    except (Exited, SystemExit):
        return "exited", {"message": "SystemExit"}
    except NeedsOneProcess as error:
        return "needs_one_process", {"message": str(error)}
    except BrokenTest as error:
        return "broken_test", {"message": str(error)}
    except BaseException as error:  # whatever the test lets out is its judgement
        if error is proxy.raised:
            return "raised", _describe(error)
        if isinstance(error, AssertionError):
            return "assertion", _describe(error)
        return "test_raised", _describe(error)
    return "passed", {}


def _describe(error: BaseException) -> dict[str, str]:
    notes = getattr(error, "__notes__", None)
    name = notes[0] if notes else type(error).__name__
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be had)"
    return {"error": name, "message": f"{name}: {text}" if text else name}


def main() -> None:
    """Serve the warden on the control socket: first the test, then one request with a socket per candidate."""
    request = wire.Stream(CONTROL_FD).receive()
    if request is None:
        return
    parts = json.loads(request)
    try:
        test = Test(parts["test"], parts["prompt"], parts["entry_point"])
    except BrokenTest as error:
        _reply({"broken": str(error)})
        return
    _reply({"unresolved": test.unresolved})
    control = socket.socket(fileno=CONTROL_FD)
    while True:
        message, fds, _, _ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        try:
            report = judge_one(test, fds[0], timed=message == b"T")
        finally:
            os.close(fds[0])
        _reply(report)


def _reply(report: dict[str, Any]) -> None:
    wire.send_frame(CONTROL_FD, json.dumps(report).encode("ascii"))
