"""The judge: holds one problem's test, calls the solution through a proxy, decides. Never runs the solution.

It compiles the test once and serves every solution of the problem, one at a time, each on its own socket. The test's
names are filled from the prompt (the trusted part of the program); the entry point is the proxy. What comes back from
the candidate is decoded by `codec` and is data, never behaviour.

Names that neither the test nor the prompt defines can only be the solution's: a function that the test calls is a proxy
too, any other name is asked for before the test starts.
"""

from __future__ import annotations

import _socket
import ast
import builtins
import contextlib
import json
import os
import random
import select
import symtable
import sys
import types
from collections import deque

from . import calls, clocks, codec, wire

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is large
    from typing import Any

CONTROL_FD = 3
MAX_MESSAGE = calls.MAX_MESSAGE


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


class RemoteInterrupt(BaseException):
    """An exception of the solution that is no Exception (KeyboardInterrupt, say): no `except Exception` takes it."""


NOT_LOADED = (calls.SYNTAX, calls.UNLOADED, calls.EXITED)
OF_THE_SOLUTION = (Exception, RemoteInterrupt)


class Connection:
    """The judge's end of one candidate: a question, an answer."""

    def __init__(self, fd: int, entry_point: str, *, timed_pid: int = 0) -> None:
        self._stream, self._entry_point = wire.Stream(fd, calls.MAX_FRAME_BYTES), entry_point
        self._early = select.poll()
        self._early.register(fd, select.POLLIN)
        self._timed_pid = timed_pid
        self.cpu_ns = self.call_bytes = 0  # the candidate's, in calls that returned; only where it is to be timed
        self.count = 0  # calls made
        self._answered = False
        # What ends the run whatever the test makes of it: a bare `except:` in it must not hide a violation.
        self.fatal: BaseException | None = None
        self.digest = calls.CallDigest() if timed_pid else None
        self.raised: BaseException | None = None  # by the solution, last
        self._made_objects = False  # something that only the solution defines has given the test an opaque value

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.fatal:
            raise self.fatal
        call = self._encode(name, args, kwargs)
        self.count += 1
        before = clocks.cpu_ns(self._timed_pid) if self._timed_pid else 0
        value, changed, result = self._ask(call)
        if self._timed_pid:
            self.cpu_ns += clocks.cpu_ns(self._timed_pid) - before
            self.call_bytes += len(call) + len(value)
        try:
            for index, contents in calls.decode_changes(changed, len(args)) if changed else ():
                _replace_contents(args[index], contents)
        except codec.CodecError as error:
            raise self._end(Violation(f"no change of an argument: {error}")) from None
        if self.digest:
            self.digest.add(call, value)
        if name != self._entry_point and b'{"opaque":' in value:
            self._made_objects = True
        return result

    def _encode(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
        """A call as bytes. Only what the test brings itself is a reason to judge in one process: never what came from
        the solution, which could choose it, nor its size or depth."""
        try:
            return calls.encode_call(name, args, kwargs)
        except codec.ForeignType as error:
            raise self._end(NeedsOneProcess(f"the test passes {error}")) from None
        except codec.OpaquePassed as error:
            if self._made_objects:
                raise self._end(NeedsOneProcess("the test passes an object that only the solution defines")) from None
            raise TypeError(str(error)) from None
        except codec.CodecError as error:
            raise ValueError(str(error)) from None

    def global_value(self, name: str) -> Any:
        """The value of a name that only the solution defines. Raises NameError where it does not."""
        _, changed, value = self._ask(calls.NAME + name.encode("utf-8"))
        if changed:
            raise self._end(Violation("a change of no argument"))
        if not isinstance(value, codec.Opaque):
            return value
        kind = codec.type_name(value)
        if kind == "module" and name in sys.stdlib_module_names:
            return __import__(name)
        if kind in ("function", "type", "builtin_function_or_method"):
            return Proxy(self, name)
        self._made_objects = True
        return value

    def finish(self) -> None:
        """After the last answer the candidate must still be there, and have nothing else to say."""
        frame = self._exchange(calls.FINISH)
        if frame != calls.FINISH:
            error = Violation("a second answer") if self._answered else self._failure(frame)
            raise Violation("an answer to no question") if isinstance(error, OF_THE_SOLUTION) else error

    def _ask(self, question: bytes) -> tuple[bytes, bytes, Any]:
        """The answer's value and what the call changed, both still encoded, and the value decoded. Raises what the
        solution raised."""
        frame = self._exchange(question)
        if frame[:1] != calls.RESULT:
            self.raised = self._failure(frame)
            if not isinstance(self.raised, OF_THE_SOLUTION):
                self._end(self.raised)
            raise self.raised
        self._answered = True
        try:
            value, changed = calls.split_result(frame)
            return value, changed, codec.decode(value)
        except codec.CodecError as error:
            raise self._end(Violation(f"a frame that is not a result: {error}")) from None

    def _failure(self, frame: bytes) -> BaseException:
        if self._answered and frame[:1] in (calls.SYNTAX, calls.UNLOADED):
            return Violation("does not load, after an answer")
        self._answered = True
        return failure(frame)

    def _exchange(self, question: bytes) -> bytes:
        """Send a frame and wait for the one that answers it. Nothing may be there before, but word that the program
        did not load."""
        if self.fatal:
            raise self.fatal
        early = self._stream.pending or bool(self._early.poll(0))
        try:
            # A candidate that did not load has sent why and may be gone.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                wire.send_frame(self._stream.fd, question)
            frame = self._stream.receive()
        except wire.FrameCut:  # killed while it wrote, say for want of memory: that is no violation
            frame = None
        except wire.FrameError as error:
            raise self._end(Violation(str(error))) from None
        except OSError:
            frame = None
        if frame is None:
            raise self._end(Gone())
        if early and (self._answered or frame[:1] not in NOT_LOADED):
            raise self._end(Violation("spoke before it was asked"))
        return frame

    def _end(self, error: BaseException) -> BaseException:
        self.fatal = error
        return error


class Proxy:
    """Stands for one of the solution's functions in the test."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.__name__ = name
        self._connection, self._name = connection, name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._connection.call(self._name, args, kwargs)


def _replace_contents(target: Any, value: Any) -> None:
    """Give a mutable argument the contents that the call left in it."""
    if not isinstance(target, calls.MUTABLE) or not isinstance(target, type(value)):
        raise codec.CodecError("a changed argument of another type")
    if isinstance(target, (list, bytearray)):
        target[:] = value
    else:
        target.clear()
        (target.extend if isinstance(target, deque) else target.update)(value)


def failure(frame: bytes) -> BaseException:
    """The exception that a failure frame stands for: a built-in one by its name, else by its nearest built-in base."""
    kind = frame[:1]
    if frame == calls.EXITED:
        return Exited()
    if kind == calls.SYNTAX:
        return Unloadable("syntax", {"message": frame[1:].decode("utf-8", "replace")})
    if kind not in (calls.RAISED, calls.UNLOADED):
        return Violation("a frame of an unknown kind")
    try:
        names, message = calls.decode_failure(frame[1:])
    except codec.CodecError as problem:
        return Violation(f"a frame that is not an exception: {problem}")
    error = _exception(names, message)
    error.add_note(names[0])
    return Unloadable("raised", _describe(error)) if kind == calls.UNLOADED else error


def _exception(names: list[str], message: str) -> BaseException:
    if "Exception" not in names:
        return RemoteInterrupt(message)
    for name in names:
        kind = getattr(builtins, name, None) if name.isascii() else None
        if isinstance(kind, type) and issubclass(kind, Exception):
            # Raised in the test these would only end its loop: all(map(candidate, …)) would hold.
            if issubclass(kind, (StopIteration, StopAsyncIteration)):
                return RuntimeError(f"the solution raised {name}: {message}")
            return _build(kind, message)
    return RemoteError(message)


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
            self._code = compile(source, "<test>", "exec")
            self._functions, self._values = self._names_of_solution(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise BrokenTest(f"the test does not compile: {error}") from None
        if len(entry_point.encode("utf-8", "replace")) > calls.MAX_NAME_BYTES:
            raise BrokenTest("the entry point's name is too long")

    def _names_of_solution(self, source: str) -> tuple[list[str], list[str]]:
        """Names that only the solution can define: those that the test just calls, and the others."""
        if not _may_need_others(self._code, self.entry_point):
            return [], []
        known = {*dir(builtins), *self._namespace(), self.entry_point, "__name__"}
        free = _free_names(symtable.symtable(source, "<test>", "exec")) - known
        others = _used_otherwise(ast.parse(source, "<test>"))
        return sorted(free - others), sorted(free & others)

    def _namespace(self) -> dict[str, Any]:
        """Fresh globals for one run, with what the prompt defines (its helpers; its last function has no body)."""
        module = types.ModuleType("test")
        namespace = module.__dict__
        if self._prompt is not None:
            with contextlib.suppress(Exception):  # then its names are simply not there
                exec(self._prompt, namespace)  # the data set's own text, inside the sandbox
        return namespace

    def run(self, connection: Connection) -> None:
        random.seed(0)
        namespace = self._namespace()
        try:
            for name in self._functions:
                namespace[name] = Proxy(connection, name)
            for name in self._values:
                with contextlib.suppress(NameError):  # the test will meet it
                    namespace[name] = connection.global_value(name)
            proxy = namespace[self.entry_point] = Proxy(connection, self.entry_point)
            exec(self._code, namespace)
            check = namespace.get("check")
            if not callable(check):
                raise BrokenTest("the test defines no check(candidate)")
            check(proxy)
        except AssertionError as error:
            error.args = (_text(error),)  # now: its text may need the test's names
            raise
        finally:
            namespace.clear()  # its functions hold it, and it may hold large results


def _compile_prompt(prompt: str) -> types.CodeType | None:
    for text in (prompt, prompt.rstrip() + "\n    pass\n"):
        try:
            return compile(text, "<prompt>", "exec")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
    return None


def _may_need_others(code: types.CodeType, entry_point: str) -> bool:
    """Whether the test can read a global name that it does not bind itself. True is a guess on the safe side (the names
    of attributes are among those looked at); finding out exactly takes a judge longer than all else at its start."""
    inner = [part for part in code.co_consts if isinstance(part, types.CodeType)]
    names = set(code.co_names)
    bound = {part.co_name for part in inner}  # functions and classes at the top
    while inner:
        part = inner.pop()
        names.update(part.co_names)
        inner += [deeper for deeper in part.co_consts if isinstance(deeper, types.CodeType)]
    return any(not hasattr(builtins, name) for name in names - bound - {entry_point, "__name__"})


def _free_names(table: symtable.SymbolTable) -> set[str]:
    """Global names that the test reads and nowhere binds."""
    read: set[str] = set()
    bound: set[str] = set()
    tables = [table]
    while tables:
        scope = tables.pop()
        tables += scope.get_children()
        for symbol in scope.get_symbols():
            if scope is table or symbol.is_global():
                if symbol.is_assigned() or symbol.is_imported():
                    bound.add(symbol.get_name())
                elif symbol.is_referenced():
                    read.add(symbol.get_name())
    return read - bound


def _used_otherwise(tree: ast.Module) -> set[str]:
    """Names that the test reads other than to call them."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    return {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in called
    }


def judge_one(test: Test, fd: int, *, timed_pid: int = 0) -> dict[str, Any]:
    """Run the test against the candidate on `fd`; what came of it, as the warden reports it to the host.

    timed_pid: the candidate's, where it is to be timed afterwards.
    """
    connection = Connection(fd, test.entry_point, timed_pid=timed_pid)
    outcome, detail = _outcome(test, connection)
    report = {
        "outcome": outcome,
        "error": detail.get("error", "")[: codec.MAX_TYPE_NAME],
        "message": detail.get("message", "")[:MAX_MESSAGE],
        "calls": connection.count,
    }
    if connection.digest:
        report |= {
            "recorded": connection.digest.recorded,
            "calls_digest": connection.digest.calls(),
            "results_digest": connection.digest.results(),
            "judged_cpu_ns": connection.cpu_ns,
            "call_bytes": connection.call_bytes,
        }
    connection.raised = connection.fatal = None  # with their tracebacks they hold all that the test held
    return report


def _outcome(test: Test, connection: Connection) -> tuple[str, dict[str, str]]:  # one per outcome
    try:
        try:
            test.run(connection)
        except BaseException:
            if not connection.fatal:
                raise
        connection.finish()  # raises what was fatal, too
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
        if error is connection.raised:
            return "raised", _describe(error)
        if isinstance(error, AssertionError):
            return "assertion", _describe(error)
        return "test_raised", _describe(error)
    return "passed", {}


def _text(error: BaseException) -> str:
    try:
        return str(error)[:MAX_MESSAGE]
    except Exception:
        return "(its text cannot be had)"


def _describe(error: BaseException) -> dict[str, str]:
    notes = getattr(error, "__notes__", None)
    name = str(notes[0]) if notes else type(error).__name__
    text = _text(error)
    return {"error": name, "message": f"{name}: {text}" if text else name}


def warm_up() -> None:
    """Run through what every judge does at its start, in the zygote (see `candidate.warm_up`)."""
    for _ in range(16):
        Test("def check(candidate):\n    assert candidate(1) == 2\n", "def f(x: int) -> int:\n", "f")._namespace()


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
    _reply({})
    control = _socket.socket(fileno=CONTROL_FD)
    room = _socket.CMSG_LEN(4)
    while True:
        message, ancillary, _, _ = control.recvmsg(8, room)
        if not message:
            return
        fd = int.from_bytes(ancillary[0][2], sys.byteorder)
        try:
            report = judge_one(test, fd, timed_pid=int.from_bytes(message, "big"))
        finally:
            os.close(fd)
        _reply(report)


def _reply(report: dict[str, Any]) -> None:
    wire.send_frame(CONTROL_FD, json.dumps(report).encode("ascii"))
