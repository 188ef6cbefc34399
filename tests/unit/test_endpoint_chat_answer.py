"""From an answer in prose and code to what follows the prompt."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sampling.chat_answer import answered, code_block, completion, defined

PROMPT = 'import math\n\n\ndef area(r: float) -> float:\n    """Area of a circle."""\n'
FULL = 'def area(r: float) -> float:\n    """Area."""\n    # squared\n    return math.pi * r**2\n'
BODY = "    # squared\n    return math.pi * r**2\n"
HELPED = "from functools import cache\n\n\n@cache\ndef square(r):\n    return r * r\n\n\n" + FULL


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (PROMPT + BODY, BODY),
        (PROMPT + BODY + "\n\nprint(area(1))\n", BODY + "\n\n"),
        (FULL, BODY),
        ("import math\n\n\n" + FULL + "\n\nassert area(0) == 0\nprint(area(1))\n", BODY),
        (FULL.replace("\n", "\r\n"), BODY),
        (BODY, BODY),
        ("def area(r: float):\n    return 3 * r\n", "    return 3 * r\n"),
        ("def area(\n    r: float,\n):\n    return 3 * r\n", "    return 3 * r\n"),
        (
            "def area(r: float):\n    @wrap\n    def g(): return 1\n    return g()\n",
            "    @wrap\n    def g(): return 1\n    return g()\n",
        ),
    ],
)
def test_a_code_that_needs_nothing_else_gives_the_body(code: str, expected: str) -> None:
    assert completion(code, PROMPT) == expected


@pytest.mark.parametrize(
    "code",
    [
        HELPED,
        "def area(radius):\n    return radius\n",  # another argument name
        "def area(r: float): return r\n",  # no line of its own
        "def area(r: float):\n  return r\n",  # another indent
        "def area(r: float\n    ): return r\n",
        "@cache\ndef area(r: float):\n    return r\n",
        'def area(r: float):\n    """Doc."""; return r\n',
        "class area:\n    def area(self): ...\n\ndef area(r: float):\n    return r\n",
    ],
)
def test_any_other_code_is_put_whole_after_the_prompts_function(code: str) -> None:
    found = completion(code, PROMPT)
    assert found == f"    pass\n\n\n{code}"
    ast.parse(PROMPT + found)


@given(
    st.sampled_from(["", '    """Doc."""\n', '    """A\n\n    b"""\n']),
    st.lists(
        st.sampled_from(["x = r", "if r:\n        x = '''\nq'''", "# note", "return r", "for i in r:\n        pass"]),
        min_size=1,
    ),
    st.sampled_from(
        ["", "\n\nprint(area(2))\n", "\n\nif __name__ == '__main__':\n    area(1)\n", "\n\ndef more():\n    pass\n"]
    ),
)
def test_the_program_defines_what_the_code_defines(docstring: str, statements: list[str], after: str) -> None:
    code = "def area(r: float) -> float:\n" + docstring + "".join(f"    {line}\n" for line in [*statements, "return 1"])
    code += after
    program = ast.parse(PROMPT + completion(code, PROMPT))
    last = [node for node in program.body if isinstance(node, ast.FunctionDef) and node.name == "area"][-1]
    (meant,) = (node for node in ast.parse(code).body if isinstance(node, ast.FunctionDef) and node.name == "area")
    assert ast.dump(ast.Module(without_docstring(last), [])) == ast.dump(ast.Module(without_docstring(meant), []))
    assert ("more" in code) == any(getattr(node, "name", "") == "more" for node in program.body)


def without_docstring(function: ast.FunctionDef) -> list[ast.stmt]:
    return function.body[1:] if ast.get_docstring(function) is not None else function.body


def test_the_block_with_the_function_is_taken_and_thoughts_are_not() -> None:
    answer = f"First install:\n```sh\npip install x\n```\nThen:\n\n```python\n{FULL}```\nDone."
    assert code_block(answer, "area").code == FULL
    thinking = f"<think>\nPerhaps\n```python\ndef area(r): pass\n```\n</think>\n```python\n{FULL}```"
    assert code_block(thinking, "area").code == FULL
    assert answered(thinking[:60], PROMPT) is None
    assert code_block("no code here", "area").code == "no code here"


@given(st.integers(0, 200))
def test_a_stream_is_over_when_the_block_is(cut: int) -> None:
    answer = f"Here:\n```python\n{FULL}```\nIt squares."
    end = answer.index("```\nIt") + 3
    assert (answered(answer[:cut], PROMPT) is not None) == (cut >= end)
    if cut >= end:
        assert answered(answer[:cut], PROMPT) == BODY


def test_the_function_that_a_prompt_ends_in() -> None:
    assert defined("def a(x):\n    return x\n\n\nasync def b(x):\n") == "b"
    assert defined("x = 1\n") is None
    assert completion("x = 2\n", "x = 1\n") == "x = 2\n"


@given(st.text(alphabet="`\npyd ef():<think>/x", max_size=80))
def test_any_answer_gives_a_completion(answer: str) -> None:
    block = code_block(answer, "f")
    assert isinstance(completion(block.code, "def f():\n"), str)
