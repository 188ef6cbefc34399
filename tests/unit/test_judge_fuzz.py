"""The judge against a hostile peer: whatever it says, the judge comes to a known outcome, and passes only honesty."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time

import pytest
from fuzzing import examples
from hypothesis import given
from hypothesis import strategies as st
from test_codec import JSON_VALUES, mutated

from sandbox.guest import calls, candidate, codec, judge, wire

OUTCOMES = {
    "passed", "assertion", "raised", "test_raised", "syntax", "exited", "violation", "gone", "needs_one_process",
}  # fmt: skip
TEST = judge.Test(
    "def check(candidate):\n"
    "    numbers = [3, 1, 2]\n"
    "    assert candidate(numbers) == [1, 2, 3]\n"
    "    assert numbers == [1, 2, 3]\n"
    "    assert abs(candidate(4) - 2.0) < 1e-6, f'{numbers} {candidate}'\n"
    "    assert candidate('ab', key={'c': (1, 2)}) == {'ab': {1, 2}}\n",
    "",
    "f",
)
BAIT = judge.Test(  # catches all it can
    "def check(candidate):\n"
    "    for number in map(candidate, [1, 2]):\n"
    "        assert number == 5\n"
    "    try:\n"
    "        candidate(3)\n"
    "    except:\n"
    "        pass\n"
    "    assert all(map(candidate, [4, 5]))\n",
    "",
    "f",
)


def result(value: object, changed: object = None) -> bytes:
    return calls.encode_result(codec.encode(value), b"" if changed is None else codec.encode(changed))


HONEST = [result([1, 2, 3], [[0, [1, 2, 3]]]), result(2.0), result({"ab": {1, 2}}), calls.FINISH]


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(4, "big") + payload


def pieces(stream: bytes) -> list[bytes]:
    """The stream cut where a frame seems to end, so that one piece can be the answer to one question."""
    cut, start = [], 0
    while start < len(stream):
        end = start + 4 + int.from_bytes(stream[start : start + 4], "big")
        cut.append(stream[start:end])
        start = end
    return cut


def judged(test: judge.Test, stream: bytes, *, flood: bool = False) -> dict[str, object]:
    """What comes of it when the peer answers with `stream`, a frame a question, then closes its end; `flood`: all of it
    at once, without listening."""
    ours, theirs = socket.socketpair()

    def speak() -> None:
        with contextlib.suppress(OSError):
            for piece in [stream] if flood else pieces(stream):
                if not flood and not theirs.recv(1 << 16):
                    return
                theirs.sendall(piece)
            theirs.shutdown(socket.SHUT_WR)

    speaker = threading.Thread(target=speak)
    speaker.start()
    try:
        report = judge.judge_one(test, ours.fileno(), timed_pid=os.getpid())
    finally:
        ours.shutdown(socket.SHUT_RDWR)
        ours.close()
        speaker.join()
        theirs.close()
    assert report["outcome"] in OUTCOMES
    assert len(str(report["message"])) <= judge.MAX_MESSAGE
    return report


def answered(source: str, *frames: bytes, prompt: str = "") -> dict[str, object]:
    return judged(judge.Test(source, prompt, "f"), b"".join(map(framed, frames)))


def test_honest_answers_pass():
    assert judged(TEST, b"".join(map(framed, HONEST)))["outcome"] == "passed"


FRAMES = st.one_of(
    st.sampled_from(HONEST),
    mutated(st.sampled_from(HONEST)),
    st.binary(max_size=40),
    st.sampled_from([calls.EXITED, calls.SYNTAX + b"no", calls.FINISH, b"", calls.FINISH + b"F", calls.RESULT]),
    st.builds(
        lambda kind, parts: kind + codec.encode(parts),
        st.sampled_from([calls.RAISED, calls.UNLOADED]),
        st.tuples(
            st.sampled_from(["AssertionError", "StopIteration", "SystemExit", "KeyboardInterrupt", "GeneratorExit",
                             "ExceptionGroup", "UnicodeDecodeError", "Warning", "__import__", "print", "", "\ud800"]),
            st.text(max_size=9),
            st.lists(st.sampled_from(["Exception", "BaseException", "object"]), max_size=3),
        ).map(list),
    ),
    st.builds(lambda value: result(value, [[0, [1, 2, 3]]]), st.lists(st.integers(0, 4), max_size=4)),
    JSON_VALUES.map(repr).map(lambda text: calls.encode_result(text.encode("utf-8", "surrogatepass"), b"")),
)  # fmt: skip


@examples(400)
@given(st.lists(FRAMES, max_size=7), st.sampled_from([TEST, BAIT]))
def test_any_frames_come_to_a_known_outcome(frames, test):
    report = judged(test, b"".join(map(framed, frames)))
    if report["outcome"] == "passed" and test is TEST:
        values = [codec.decode(calls.split_result(frame)[0]) for frame in frames[:3]]
        assert values[0] == [1, 2, 3]
        assert abs(values[1] - 2.0) < 1e-6
        assert values[2] == {"ab": {1, 2}}
        assert frames[3] == calls.FINISH


@examples(400)
@given(st.data())
def test_one_changed_frame_among_honest_ones(data):
    at = data.draw(st.integers(0, len(HONEST) - 1))
    changed = data.draw(mutated(st.just(HONEST[at])))
    report = judged(TEST, b"".join(map(framed, [*HONEST[:at], changed, *HONEST[at + 1 :]])))
    if report["outcome"] == "passed" and changed != HONEST[at]:
        # 2.0 may become 2 or 2.0000001, and a list that the test does not look at may change.
        value = codec.decode(calls.split_result(changed)[0])
        assert value == [1, 2, 3] or abs(value - 2.0) < 1e-6


@examples(200)
@given(mutated(st.just(b"".join(map(framed, HONEST)))))
def test_a_mutated_or_cut_stream(stream):
    report = judged(TEST, stream)
    if not stream.startswith(framed(HONEST[0])[:20]):
        assert report["outcome"] != "passed"


@examples(100)
@given(st.permutations(range(4)))
def test_answers_in_another_order_do_not_pass(order):
    report = judged(TEST, b"".join(framed(HONEST[index]) for index in order))
    assert (report["outcome"] == "passed") == (order == [0, 1, 2, 3])


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_a_peer_that_ends_is_gone_and_no_violation(cut):
    stream = b"".join(map(framed, HONEST))
    assert judged(TEST, stream[:cut])["outcome"] == "gone"


@pytest.mark.parametrize("extra", [HONEST[0], calls.FINISH, b"", calls.EXITED])
@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_one_frame_too_many_does_not_pass(extra, place):
    if extra == HONEST[place]:
        return  # what comes after the last frame is not read
    report = judged(TEST, b"".join(map(framed, [*HONEST[:place], extra, *HONEST[place:]])))
    assert report["outcome"] != "passed"


def raised(name: str, *bases: str, message: str = "") -> bytes:
    return calls.RAISED + codec.encode([name, message, [*bases]])


ONE = "def check(candidate):\n    assert candidate(1) == 1\n"
CAUGHT = "def check(candidate):\n    try:\n        candidate(1)\n    except:\n        pass\n"


@pytest.mark.parametrize(
    ("frame", "outcome"),
    [
        (raised("AssertionError", "Exception", "BaseException", "object"), "raised"),
        (raised("Mine", "AssertionError", "Exception"), "raised"),
        (raised("KeyboardInterrupt", "BaseException", "object"), "raised"),
        (raised("GeneratorExit", "BaseException", "object"), "raised"),
        (raised("SystemExit", "BaseException", "object"), "raised"),
        (raised("UnicodeDecodeError", "ValueError", "Exception"), "raised"),
        (raised("ExceptionGroup", "BaseExceptionGroup", "Exception"), "raised"),
        (raised("__import__", "Exception"), "raised"),
        (raised("x" * 201, "Exception"), "violation"),
        (calls.RAISED + codec.encode(["A", "", ["Exception"] * 21]), "violation"),
        (calls.RAISED + codec.encode(["A", "m" * 2_001, []]), "violation"),
        (calls.RAISED + codec.encode([1, "", []]), "violation"),
        (calls.RAISED + codec.encode(["A", "", {"Exception": 1}]), "violation"),
        (calls.EXITED, "exited"),
        (calls.EXITED + b"x", "violation"),
        (calls.FINISH, "violation"),
        (b"L", "violation"),
        (result(1, [[-1, [2]]]), "violation"),
        (result(1, [[False, [2]]]), "violation"),
        (result(1, [[1 << 70, [2]]]), "violation"),
        (result(1, []), "violation"),
        (result(1, [[0, 1]]), "violation"),
        (result(2), "assertion"),
        (result(float("nan")), "assertion"),
        (result("1"), "assertion"),
    ],
)
def test_what_an_answer_comes_to(frame, outcome):
    assert answered(ONE, frame, calls.FINISH)["outcome"] == outcome


@pytest.mark.parametrize("frame", [calls.EXITED, b"L", b"R", calls.RAISED + b"[]", b""])
def test_a_bare_except_hides_no_violation_and_no_exit(frame):
    assert answered(CAUGHT, frame, calls.FINISH)["outcome"] in ("violation", "exited")
    assert answered(CAUGHT + "    raise ValueError\n", frame, calls.FINISH)["outcome"] in ("violation", "exited")


def test_stop_iteration_does_not_cut_a_loop_short():
    frame = raised("StopIteration", "Exception", "BaseException", "object")
    for name in ("StopIteration", "Mine"):
        frame = raised(name, "StopIteration", "Exception", "BaseException", "object")
        report = answered("def check(candidate):\n    assert all(map(candidate, [1, 2]))\n", frame, calls.FINISH)
        assert (report["outcome"], report["error"]) == ("raised", name)


def test_an_interrupt_is_not_taken_by_except_exception():
    source = CAUGHT.replace("except:", "except Exception:")
    frame = raised("KeyboardInterrupt", "BaseException", "object")
    assert answered(source, frame, calls.FINISH)["outcome"] == "raised"
    assert answered(source, raised("ValueError", "Exception"), calls.FINISH)["outcome"] == "passed"


@pytest.mark.parametrize(
    "hidden",
    [
        "x = candidate(1); candidate(x)",
        "x = candidate(1); candidate(key=x)",
        "x = candidate(1); candidate([{x: 1}])",
        "from collections import deque; x = candidate(1); candidate(deque([x]))",
    ],
)
def test_a_solution_cannot_ask_for_one_process_with_an_opaque_value(hidden):
    opaque = calls.encode_result(b'{"opaque":["A",true,"text"]}', b"")
    report = answered(f"def check(candidate):\n    {hidden}\n", opaque, calls.FINISH)
    assert report["outcome"] == "test_raised"


def test_a_solution_cannot_ask_for_one_process_by_depth_or_size():
    deep = calls.encode_result(b"[" * codec.MAX_DEPTH + b"]" * codec.MAX_DEPTH, b"")
    assert answered("def check(candidate):\n    candidate(candidate(1))\n", deep)["outcome"] == "test_raised"
    large = result([0] * (codec.MAX_NODES - 10))
    source = "def check(candidate):\n    x = candidate(1)\n    candidate(x + x)\n"
    assert answered(source, large)["outcome"] == "test_raised"


def test_one_process_is_for_what_the_test_itself_brings():
    report = answered("def check(candidate):\n    assert candidate(lambda: 0) == 0\n")
    assert report["outcome"] == "needs_one_process"
    report = answered("def check(candidate):\n    try:\n        candidate(print)\n    except: pass\n", calls.FINISH)
    assert report["outcome"] == "needs_one_process"


# ---- names that only the solution defines ----------------------------------------------------------------------------
def served(source: str, program: dict[str, object]) -> dict[str, object]:
    """Judged against the candidate's own serving code with these globals (ours, so no sandbox is needed)."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        stream = wire.Stream(theirs.fileno())
        server = candidate.Server(stream, program)
        while frame := stream.receive():
            wire.send_frame(theirs.fileno(), calls.FINISH if frame == calls.FINISH else server.answer(frame))

    speaker = threading.Thread(target=serve)
    speaker.start()
    try:
        return judge.judge_one(judge.Test(source, "", "f"), ours.fileno())
    finally:
        ours.close()
        speaker.join()
        theirs.close()


def test_a_function_that_only_the_solution_defines_is_called_there():
    source = "def check(candidate):\n    assert helper(2) == candidate(2) == 4\n"
    assert served(source, {"f": lambda x: 4, "helper": lambda x: 2 * x})["outcome"] == "passed"
    missing = served(source, {"f": lambda x: 4})
    assert (missing["outcome"], missing["error"]) == ("raised", "NameError")


def test_a_value_or_module_that_only_the_solution_has():
    source = "def check(candidate):\n    assert candidate(root) == sys.getsizeof(1)\n"
    program = {"f": sys.getsizeof, "root": 1, "sys": sys}
    assert served(source, program)["outcome"] == "passed"
    del program["sys"]
    missing = served(source, program)
    assert (missing["outcome"], missing["error"]) == ("test_raised", "NameError")


def test_an_object_of_a_class_that_only_the_solution_defines_needs_one_process():
    class Pair:
        pass

    source = "def check(candidate):\n    assert candidate([Pair()]) == 1\n"
    assert served(source, {"f": len, "Pair": Pair})["outcome"] == "needs_one_process"
    assert served(source, {"f": len})["outcome"] == "raised"
    source = "def check(candidate):\n    assert candidate(root) == 1\n"
    assert served(source, {"f": lambda x: 1, "root": Pair()})["outcome"] == "needs_one_process"


def test_arguments_changed_in_place_are_seen_by_the_test():
    def sort(numbers: list[int]) -> None:
        numbers.sort()

    source = "def check(candidate):\n    x = [2, 1]\n    candidate(x)\n    assert x == [1, 2]\n"
    assert served(source, {"f": sort})["outcome"] == "passed"
    assert served(source, {"f": lambda x: None})["outcome"] == "assertion"


# ---- size and time ---------------------------------------------------------------------------------------------------
def test_an_endless_announced_frame_is_refused_before_it_is_read():
    header = (calls.MAX_FRAME_BYTES + 1).to_bytes(4, "big")
    assert judged(TEST, header + b"R" * 1_000)["outcome"] == "violation"


def test_what_is_not_a_value_is_refused_quickly():
    keys = sorted((5 + index) * sys.hash_info.modulus for index in range(40_000))
    collisions = codec.encode(keys)
    start = time.perf_counter()
    for value in (b"[" * codec.MAX_BYTES, b"[]," * 2_000_000, b'{"set":%s}' % collisions, b"9" * 2_000_000):
        frame = framed(calls.encode_result(value, b""))
        assert judged(TEST, frame, flood=True)["outcome"] == "violation"
    assert time.perf_counter() - start < 10


def test_a_hanging_peer_is_ended_from_outside():
    ours, theirs = socket.socketpair()
    threading.Timer(0.2, theirs.shutdown, [socket.SHUT_RDWR]).start()  # the warden's part
    theirs.sendall(framed(HONEST[0])[:7])
    assert judge.judge_one(TEST, ours.fileno())["outcome"] == "gone"
    ours.close()
    theirs.close()
