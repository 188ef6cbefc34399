"""solution_id: the same for what is the same program under other names and layout, different for all else."""

from __future__ import annotations

import ast
import threading
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.timing.solution_id import MAX_SOURCE_CHARS, solution_id

BASE = '''\
import math

def helper(items, scale=2):
    """Doc."""
    total = 0
    for item in items:
        total += item * scale
    return total

def f(xs, k):
    """Top k.

    >>> f([1], 1)
    """
    best = sorted(xs, key=lambda x: -x)[:k]
    squares = [s ** 2 for s in best if s]
    def inner(z):
        nonlocal squares
        squares = squares + [z]
        return z
    try:
        inner(helper(best))
    except ValueError as error:
        raise TypeError from error
    return squares, math.pi
'''

IDENTIFIERS = st.from_regex(r"[a-z][a-z0-9]{0,6}_q", fullmatch=True)  # can't collide with names in BASE


def same(a: str, b: str, entry_point: str = "f") -> bool:
    return solution_id(a, entry_point) == solution_id(b, entry_point)


def test_shape_and_fixed_value() -> None:
    identity = solution_id(BASE, "f")
    assert len(identity) == 16
    assert int(identity, 16) >= 0
    assert identity == solution_id(BASE, "f")


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["", "    ", "# note", "        # odd indent"])), max_size=6)
)
def test_blank_lines_and_comments_do_not_count(insertions: list[tuple[int, str]]) -> None:
    code = "def f(a):\n    b = a + 1\n    if b:\n        return b\n    return 0\n"
    lines = code.splitlines()
    for place, text in insertions:
        lines.insert(place % (len(lines) + 1), text)
    assert same(code, "\n".join(lines) + "\n")


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='"\\'), max_size=40))
def test_docstrings_do_not_count(text: str) -> None:
    assert same('def f(a):\n    """x"""\n    return a\n', f'def f(a):\n    """{text}"""\n    return a\n')
    assert same("def f(a):\n    return a\n", f'"""{text}"""\ndef f(a):\n    """{text}"""\n    return a\n')


@given(
    st.fixed_dictionaries(
        dict.fromkeys(("total", "item", "best", "s", "z", "error", "inner", "x", "items"), IDENTIFIERS)
    )
)
def test_renamed_locals_have_the_same_id(names: dict[str, str]) -> None:
    if len(set(names.values())) < len(names):
        return  # two variables made one is another program

    class Rename(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.Name:
            node.id = names.get(node.id, node.id)
            return node

        def visit_arg(self, node: ast.arg) -> ast.arg:
            node.arg = names.get(node.arg, node.arg)
            return node

        def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
            node.name = names.get(node.name, node.name)
            self.generic_visit(node)
            return node

        def visit_ExceptHandler(self, node: ast.ExceptHandler) -> ast.ExceptHandler:
            node.name = names.get(node.name or "", node.name)
            self.generic_visit(node)
            return node

    renamed = ast.unparse(Rename().visit(ast.parse(BASE)))
    assert same(BASE, renamed)


SWAPS = [
    ("+", "-"),
    ("*", "//"),
    ("==", "<"),
    ("and", "or"),
    ("2", "3"),
    ("'a'", "'b'"),
    ("2", "2.0"),
    ("1", "True"),
    ("'a'", "b'a'"),
]


@given(
    st.sampled_from(SWAPS),
    st.sampled_from(["def f(p):\n    return p {} 2", "def f(p):\n    q = [{}]\n    return q + p"]),
)
@example(("1", "True"), "def f(p):\n    return [{}]")
def test_changed_operators_and_constants_have_another_id(swap: tuple[str, str], template: str) -> None:
    a, b = template.format(swap[0]), template.format(swap[1])
    try:
        ast.parse(a), ast.parse(b)
    except SyntaxError:
        return
    assert not same(a, b)


DIFFERENT = {
    "swapped variables": ("def f(a, b):\n    return a - b", "def f(a, b):\n    return b - a"),
    "local or global": ("def f(a):\n    g = 1\n    return g", "def f(a):\n    x = 1\n    return g"),
    "builtin or local": ("def f(a):\n    return sum", "def f(a):\n    return a"),
    "declared global": (
        "def f(a):\n    global n\n    n = 1\n    return n",
        "def f(a):\n    global m\n    m = 1\n    return m",
    ),
    "attributes": ("def f(a):\n    return a.x", "def f(a):\n    return a.y"),
    "global names": ("n = 1\ndef f(a):\n    return n", "m = 1\ndef f(a):\n    return m"),
    "keyword calls of renamed parameters": (
        "def g(a, b):\n    return a - b\ndef f(x):\n    return g(a=x, b=1)",
        "def g(b, a):\n    return b - a\ndef f(x):\n    return g(a=x, b=1)",
    ),
    "keyword calls by mapping": (
        "def g(a, b):\n    return a - b\ndef f(x):\n    return g(**x)",
        "def g(b, a):\n    return b - a\ndef f(x):\n    return g(**x)",
    ),
    "parameters of the entry point": ("def f(a):\n    return a", "def f(b):\n    return b"),
    "looks at locals": ("def f(a):\n    b = 1\n    return locals()", "def f(a):\n    c = 1\n    return locals()"),
    "looks at its docstring": (
        'def f(a):\n    """1"""\n    return f.__doc__',
        'def f(a):\n    """2"""\n    return f.__doc__',
    ),
    "self-documenting f-string": (
        "def f(a):\n    b = a\n    return f'{b=}'",
        "def f(a):\n    c = a\n    return f'{c=}'",
    ),
    "class attributes": ("class C:\n    a = 1\n    b = 2", "class C:\n    b = 1\n    a = 2"),
    "class body sees the global": (
        "def f(a):\n    x = 1\n    class C:\n        y = x\n    return C.y",
        "def f(a):\n    x = 1\n    class C:\n        y = z\n    return C.y",
    ),
    "private names are mangled": (
        "def f(a):\n    __x = 1\n    class C:\n        def m(self):\n            return __x\n    return C().m()",
        "def f(a):\n    x = 1\n    class C:\n        def m(self):\n            return x\n    return C().m()",
    ),
    "top-level code": ("def f(a):\n    return a\nprint(1)", "def f(a):\n    return a\n"),
    "shadowed in comprehension": (
        "def f(a):\n    x = 1\n    return [x for x in a], x",
        "def f(a):\n    x = 1\n    return [y for y in a], y",
    ),
    "nonlocal or own": (
        "def f(a):\n    n = 0\n    def g():\n        nonlocal n\n        n = 1\n    g()\n    return n",
        "def f(a):\n    n = 0\n    def g():\n        n = 1\n    g()\n    return n",
    ),
    "which of two nonlocals": (
        "def f(a):\n    n = m = 0\n    def g():\n        nonlocal n\n        n = 1\n    g()\n    return n",
        "def f(a):\n    n = m = 0\n    def g():\n        nonlocal m\n        m = 1\n    g()\n    return n",
    ),
    "which of two globals": (
        "def f(a):\n    global n, m\n    n = 1\n    m = 2",
        "def f(a):\n    global n, m\n    m = 1\n    n = 2",
    ),
    "first iterable belongs outside": (
        "def f(a):\n    x = a\n    return [x for x in x]",
        "def f(a):\n    x = a\n    return [y for y in y]",
    ),
    "methods don't see the class body": (
        "def f(a):\n    x = 1\n    class C:\n     x = 2\n     def m(self):\n         return x\n    return C().m()",
        "def f(a):\n    y = 1\n    class C:\n     x = 2\n     def m(self):\n         return x\n    return C().m()",
    ),
    "defaults belong outside": (
        "def f(a):\n    x = 1\n    g = lambda x=x: x\n    return g",
        "def f(a):\n    x = 1\n    g = lambda y=y: y\n    return g",
    ),
    "two texts that don't parse": ("def f(:", "def f(: "),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_different(name: str) -> None:
    assert not same(*DIFFERENT[name])


SAME = {
    "walrus leaves the comprehension": (
        "def f(a):\n    [y := x for x in a]\n    return y",
        "def f(a):\n    [p := q for q in a]\n    return p",
    ),
    "helpers' parameters": (
        "def g(a):\n    return a\ndef f(x):\n    return g(x)",
        "def g(b):\n    return b\ndef f(x):\n    return g(x)",
    ),
    "match": (
        "def f(a):\n match a:\n  case [x, *rest]:\n   return x, rest\n  case {'k': v, **w}:\n   return v, w",
        "def f(a):\n match a:\n  case [p, *q]:\n   return p, q\n  case {'k': r, **s}:\n   return r, s",
    ),
    "for, with, lambda, star": (
        "def f(a):\n    for i, j in a:\n        with i as h:\n            print(lambda *u, **w: (u, w, h, j))",
        "def f(a):\n    for k, l in a:\n        with k as o:\n            print(lambda *c, **d: (c, d, o, l))",
    ),
    "only a docstring": ('def f(a):\n    """x"""', "def f(a):\n    pass"),
    "line ends": ("def f(a):\n    return a\n", "def f(a):\r\n    return a\r\n"),
    "u prefix and quotes": ("def f(a):\n    return u'a'", 'def f(a):\n    return "a"'),
    "annotated local": ("def f(a):\n    b: int = a\n    return b", "def f(a):\n    c: int = a\n    return c"),
    "closure of a nested class": (
        "def f(a):\n    x = 1\n    class C:\n        def m(self):\n            return x\n    return C().m()",
        "def f(a):\n    y = 1\n    class C:\n        def m(this):\n            return y\n    return C().m()",
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_same(name: str) -> None:
    assert same(*SAME[name])


def test_a_program_and_its_text_never_share_an_id() -> None:
    assert not same("def f(a):\n    return a", "def f(a):\n    return a\n    \x00")


HOSTILE = [
    "",
    "\x00",
    "x = '\ud800'",
    "\udfff",
    "\ufeffx = 1",
    "x = " + "9" * 10_000,
    "x = 0x" + "f" * 10_000,
    "1e999",
    "'\\ud800'",
    "(" * 5000 + ")" * 5000,
    "-" * 100_000 + "1",
    "x" + ".a" * 100_000,
    "1" + "+1" * 50_000,
    "not " * 60_000 + "1",
    "lambda:" * 30_000 + "1",
    "1 if 1 else " * 20_000 + "1",
    "if 1:\n pass\n" + "elif 1:\n pass\n" * 10_000,
    "x" + "()" * 100_000,
    "x**" * 80_000 + "1",
    "".join(" " * i + "if 1:\n" for i in range(300)) + " " * 300 + "pass",
    "f'{" * 1000,
    "nonlocal x",
    "def f():\n global a\n nonlocal a\n a = 1",
    "class A:\n [x := 1 for y in z]",
    "return",
    "def f(a, a): pass",
    "'\\d'",
    "1if 1else 2",
    "from __future__ import braces",
    "def f(a):\n" + "    a = [" + "1," * 100_000 + "]\n",
]


@pytest.mark.parametrize("program", HOSTILE, ids=lambda program: repr(program[:12]))
def test_hostile_text_gives_an_id(program: str, recwarn: pytest.WarningsRecorder) -> None:
    begin = time.process_time()
    identity = solution_id(program, "f")
    assert time.process_time() - begin < 3
    assert len(identity) == 16
    assert identity == solution_id(program, "f")
    assert not recwarn.list


@settings(max_examples=200)
@given(st.text(max_size=80))
def test_any_text_gives_an_id(program: str) -> None:
    assert len(solution_id(program, "f")) == 16


def test_the_callers_stack_depth_does_not_change_the_id() -> None:
    program = "def f(a):\n    return " + "(" * 100 + "a" + ")" * 100 + " + 1" * 150 + "\n"

    def deep(levels: int) -> str:
        return deep(levels - 1) if levels else solution_id(program, "f")

    assert deep(800) == solution_id(program, "f")


def test_a_large_program_takes_little_time() -> None:
    unit = "def f{}(a, b):\n    c = a + b * 3\n    for i in range(10):\n        c += i\n    return c\n\n"
    large = "".join(unit.format(i) for i in range(1_000_000 // len(unit) + 1))
    assert len(large) > MAX_SOURCE_CHARS
    begin = time.process_time()
    solution_id(large, "f1")
    assert time.process_time() - begin < 1


def test_threads_agree() -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(solution_id(BASE, "f"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [solution_id(BASE, "f")] * 8
