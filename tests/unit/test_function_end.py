"""function_end: never inside a body, always at the same place however the text arrives, and for good."""

from __future__ import annotations

import ast
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.sampling.function_end import State, function_end, scan

INSIDE = scan("def f(x):\n   ")  # as sampling leaves it: the indent has begun


@pytest.mark.parametrize(
    ("body", "rest"),
    [
        pytest.param(" return x\n", "print(f(1))\n", id="statement at column 0"),
        pytest.param(" return x\n\n\n", "def g():\n    pass\n", id="another function"),
        pytest.param(" return x\n", "```\nThat is it.", id="fence"),
        pytest.param(" return x", "```", id="fence within the line"),
        pytest.param(" return x\n", "# Test\nprint(f(1))\n", id="comment goes with what follows"),
        pytest.param(" y = 1\n# note\n    return y\n", "@d\ndef g(): ...\n", id="comment within the body"),
        pytest.param(" def g():\n        return 1\n    return g()\n", "g()\n", id="nested def"),
        pytest.param(" @cache\n    def g():\n        return 1\n    return g\n", "f()\n", id="decorator within"),
        pytest.param(" y = (\nx,\n)\n    return y\n", "f(1)", id="lines at column 0 in brackets"),
        pytest.param(" y = [\n'def g():',\n]\n    return y\n", "]", id="code in a string in brackets"),
        pytest.param(' """\ndef g():\n```\n"""\n    return x\n', "x = 1", id="docstring at column 0"),
        pytest.param(" s = '''a\nb''' \\\n+ 'c'\n    return s\n", "s", id="joined lines"),
        pytest.param(" s = 'it\\\nem'\n    return s\n", "s", id="joined within a string"),
        pytest.param(" s = '(\\'(' # ( [ \"\n    return s\n", "s", id="brackets and quotes that are none"),
        pytest.param(' return f"{d["a"]}{\',\'.join(x)}"\n', "x", id="f-string with its own quotes"),
        pytest.param(" s = 'open\n    return s\n", "s", id="a plain string ends with its line"),
        pytest.param(" y = max(x\n", "def g():\n    pass\n", id="a bracket never closed"),
        pytest.param(" return x\r\n", "print(1)\r\n", id="CRLF"),
        pytest.param(" return x\r", "print(1)\r", id="CR"),
        pytest.param(" return x)))\n", "y", id="brackets closed too often"),
        pytest.param("", "```", id="nothing written"),
    ],
)
def test_where_it_ends(body: str, rest: str) -> None:
    assert function_end(body + rest, INSIDE) == len(body)


@pytest.mark.parametrize(
    "text", ["", " return x", " return x\n", " x = (1,\n\n", " '''\nx = 1\n", " pass\n# maybe", "\n  \n"]
)
def test_not_over_yet(text: str) -> None:
    assert function_end(text, INSIDE) is None


def test_comment_at_the_very_end_goes_when_no_more_text_comes() -> None:
    assert function_end(" return x\n# Example", INSIDE) is None
    assert function_end(" return x\n# Example", INSIDE, final=True) == len(" return x\n")


def test_prompt_without_a_function_lets_one_be_written() -> None:
    text = "import math\n\n@cache\ndef f(x):\n    return x\n\nprint(f(1))\n"
    assert function_end(text, scan("# Write f.\n")) == text.index("print")
    assert function_end(text, State()) == text.index("print")
    assert function_end("import math\n# f", scan("# Write f.\n"), final=True) is None


def test_prompt_that_ends_within_its_docstring() -> None:
    text = "Doc goes on\nat column 0\n    '''\n    return x\n"
    assert function_end(text + "y", scan("def f(x):\n    '''")) == len(text)


def test_text_at_a_line_start_can_end_at_once() -> None:
    assert function_end("print(1)", scan("def f(x):\n    'Doc.'\n")) == 0


def test_time_is_linear_in_hostile_text() -> None:
    start = time.process_time()
    for text in ('"""' + '"" ' * 100_000, "'" + "\\" * 200_001, "(" * 100_000, "`" * 100_000, "#\n" * 50_000):
        function_end(text, INSIDE)
    assert time.process_time() - start < 5


NAMES = st.sampled_from("abcxyz")
TEXT = st.text(alphabet="ab\"'#(){}[]\\`:\n\r \t", max_size=12)
LINES = st.one_of(
    st.builds("{} = {!r}".format, NAMES, TEXT),
    st.builds('{} = """{}"""'.format, NAMES, TEXT.filter(lambda text: '"' not in text and "\\" not in text)),
    st.builds("{} = [\n{},\n{!r},\n]".format, NAMES, NAMES, TEXT),
    st.builds("{} = {} + \\\n{}".format, NAMES, NAMES, NAMES),
    st.builds("{} = 1  # {}".format, NAMES, TEXT.map(lambda text: text.replace("\n", "").replace("\r", ""))),
    st.just("return"),
    st.just(""),
)


def blocks(inner: st.SearchStrategy[list[str]]) -> st.SearchStrategy[list[str]]:
    heads = st.sampled_from(
        ["if a:", "def g(a, b=(1, 2)):", "for a in b:", "@a\n{pad}def h(a):", "class C:", "with a as b:"]
    )
    return st.builds(lambda head, body: [head, *["    " + line for line in body]], heads, inner)


BODIES = st.lists(
    st.recursive(st.builds(lambda line: [line], LINES), lambda inner: st.one_of(blocks(inner), inner), max_leaves=3),
    min_size=1,
    max_size=6,
).map(lambda groups: [line for group in groups for line in group])


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A body as text after `def f(x):` and the lead; valid Python, with comments at column 0 between its lines."""
    written = ["pass"]
    for line in draw(BODIES):
        pad = " " * (len(line) - len(line.lstrip(" ")))
        written.append(line.replace("{pad}", "    " + pad))
        if line.lstrip().startswith(("if", "def", "for", "@", "class", "with")):
            written.append(pad + "    pass")
        if draw(st.integers(0, 5)) == 0 and not line.endswith("\\"):
            written.append("#note (")
    body = "".join(line + "\n" if line.startswith("#") else f"    {line}\n" for line in [*written, "return x"])
    return body.removeprefix("   ")


@given(programs(), st.sampled_from(["x = 1\n", "def g():\n    pass\n", "```\n", "# Usage\nf(1)\n", "@a\n", ""]))
def test_never_within_a_well_formed_body_and_right_after_it(body: str, rest: str) -> None:
    ast.parse("def f(x):\n   " + body)
    end = function_end(body + rest, INSIDE)
    assert end == (len(body) if rest else None)


@given(
    st.lists(
        st.sampled_from(["def ", "x", "\n", "\r\n", "    ", "(", ")", '"""', "'", '"', "#", "\\", "`", "```", "@"])
    )
)
def test_any_text_ends_once_and_stays_ended_while_it_grows(pieces: list[str]) -> None:
    text = "".join(pieces)
    for before in (INSIDE, State(), scan("def f(x):\n    'Doc.'\n")):
        end = function_end(text, before, final=True)
        if end is not None:
            assert 0 <= end < len(text)
            assert function_end(text[:end], before, final=True) is None
        seen = [function_end(text[:length], before) for length in range(len(text) + 1)]
        assert {place for place in seen if place is not None} <= {end}
        first = next((length for length, place in enumerate(seen) if place is not None), len(seen))
        assert all(place is not None for place in seen[first:])
