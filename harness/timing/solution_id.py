"""One id for all programs that are the same but for comments, layout, docstrings and the names of local variables.

Solutions with one id are measured once and share the label, so the rule is: the same id only where behaviour and run
time must be the same; when in doubt, different ids (which costs a measurement and nothing else).

- Parameters are renamed like other locals and keep their place, but for the cases where a call may name them: all
  parameters of the entry point (the test may use keywords; its header comes from the prompt, so samples share it),
  names that the program itself uses as a keyword (`f(a=1)`), and every parameter if it calls with `**`.
- Programs that look at their own names or docstrings (`locals()`, `__code__`, `inspect`, ...) keep both.
- Names of modules' globals, classes, class attributes and imports are kept, as are annotations.
- Not seen: names that only show in the text of an exception (`UnboundLocalError`) or by way of an obfuscated lookup.

The id may differ between Python versions (their syntax trees do); one run folder is made with one.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
import threading
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The text is untrusted and parsed on the host. Parsing runs nothing of it, and CPython >= 3.11 answers hostile nesting
# with SyntaxError, MemoryError or RecursionError (tried: 13 kinds of chain and bracket, up to 1,000,000 deep, no crash;
# 36 openings x 10 endings, no exponential time). What is left is cost, about 280 MB and 0.8 s per MB of text: hence the
# caps. What is over a cap is known by its text.
MAX_SOURCE_CHARS = 256_000
MAX_BRACKET_DEPTH = 150  # CPython itself stops at 200
MAX_TREE_DEPTH = 200

_BRACKETS = re.compile(r"[(\[{]|[)\]}]")
_SILENCE = threading.Lock()  # catch_warnings swaps a process-wide list

_OWN_NAMES_BUILTINS = frozenset({"locals", "vars", "dir", "eval", "exec", "compile", "help"})
_OWN_NAMES_MODULES = frozenset({"inspect", "doctest", "traceback", "dis", "cgitb", "pdb"})
_OWN_NAMES_ATTRIBUTES = frozenset(
    {"__code__", "__name__", "__qualname__", "__doc__", "__annotations__", "__kwdefaults__", "__closure__"}
    | {"_getframe", "f_locals", "f_code", "gi_frame", "tb_frame", "co_varnames", "settrace", "setprofile"}
)
_SKIPPED_FIELDS = frozenset({"ctx", "kind", "type_comment", "type_ignores"})
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOCAL_NAME_FIELDS = {
    ast.Name: "id", ast.arg: "arg", ast.FunctionDef: "name", ast.AsyncFunctionDef: "name", ast.ExceptHandler: "name",
    ast.MatchAs: "name", ast.MatchStar: "name", ast.MatchMapping: "rest", ast.Nonlocal: "names",
}  # fmt: skip
# Kinds of nodes that need more than their fields looked at, for speed: most are of none of these.
_OPENING = frozenset({*_FUNCTIONS, *_COMPREHENSIONS, ast.ClassDef})
_BINDING = frozenset(
    {ast.NamedExpr, ast.FunctionDef, ast.AsyncFunctionDef, ast.ExceptHandler, ast.MatchAs, ast.MatchStar}
    | {ast.MatchMapping, ast.ClassDef, ast.alias, ast.Global, ast.Nonlocal}
)
_ROUTED = _OPENING | {ast.arguments, ast.arg, ast.comprehension}
_DOCUMENTED = frozenset({ast.Module, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef})
_TELL_TALE = frozenset({ast.Name, ast.Attribute, ast.Constant, ast.Import, ast.ImportFrom})
_MAX_REMEMBERED_CHARS = 8_192  # so that what is remembered stays under some 16 MB


def solution_id(program: str, entry_point: str) -> str:
    """16 hex digits of the SHA-256 of the normalised syntax tree, of the text if it can't be parsed. Never raises.

    Short texts that come again soon, as samples do, are not looked at again.
    """
    return (_remembered if len(program) <= _MAX_REMEMBERED_CHARS else _solution_id)(program, entry_point)


def _solution_id(program: str, entry_point: str) -> str:
    tree = _parsed(program)
    canonical = "text\n" + program if tree is None else "tree\n" + _Normaliser(*tree, entry_point).text()
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:16]


_remembered = functools.lru_cache(maxsize=2_048)(_solution_id)


def parse_bounded(program: str) -> ast.Module | None:
    """The syntax tree of untrusted text, or None where it isn't Python or is too large or too deeply nested."""
    parsed = _parsed(program)
    return None if parsed is None else parsed[0]


def _parsed(program: str) -> tuple[ast.Module, list[ast.AST]] | None:
    """The tree, and its nodes level by level."""
    if len(program) > MAX_SOURCE_CHARS or _bracket_depth(program) > MAX_BRACKET_DEPTH:
        return None
    try:
        with _SILENCE, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(program)
    except (SyntaxError, ValueError, MemoryError, RecursionError, OverflowError):
        return None  # ValueError: NUL bytes, lone surrogates, numbers of too many digits
    nodes = _nodes(tree)
    return None if nodes is None else (tree, nodes)


def _bracket_depth(text: str) -> int:
    """The deepest nesting of brackets; those within strings and comments count, which only errs on the careful side."""
    depth = deepest = 0
    for match in _BRACKETS.finditer(text):
        depth = depth + 1 if match[0] in "([{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _nodes(tree: ast.AST) -> list[ast.AST] | None:
    """All nodes level by level, or None where there are too many levels. The `ctx` of names is not among them, but
    counts as a level."""
    found: list[ast.AST] = []
    level: list[ast.AST] = [tree]
    for depth in range(MAX_TREE_DEPTH):
        found += level
        below: list[ast.AST] = []
        for node in level:
            for name in _fields(type(node)):
                value = getattr(node, name)
                if isinstance(value, ast.AST):
                    below.append(value)
                elif type(value) is list:
                    below += [item for item in value if isinstance(item, ast.AST)]
        if not below:
            levels = depth + 1 + any("ctx" in node._fields for node in level)
            return found if levels <= MAX_TREE_DEPTH else None
        level = below
    return None


def _fields(kind: type[ast.AST]) -> tuple[str, ...]:
    """The fields that say something of the program."""
    known = _FIELDS.get(kind)
    if known is None:
        known = _FIELDS[kind] = tuple(name for name in kind._fields if name not in _SKIPPED_FIELDS)
    return known


_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}


@dataclass(eq=False, slots=True)
class _Scope:
    """One name space. `fixed` holds bound names that must keep their spelling."""

    parent: _Scope | None
    kind: str  # module, class, function, comprehension
    bound: set[str] = field(default_factory=set)
    fixed: set[str] = field(default_factory=set)
    globals: set[str] = field(default_factory=set)
    nonlocals: set[str] = field(default_factory=set)

    def owner(self, name: str) -> _Scope | None:
        """The function (or comprehension) whose local variable this name is here; None for all that isn't local."""
        scope: _Scope | None = self
        while scope is not None and scope.kind != "module":
            if name in scope.globals or (scope.kind == "class" and scope is self and name in scope.bound):
                return None
            if scope.kind != "class" and name in scope.bound and name not in scope.nonlocals:
                return scope
            scope = scope.parent
        return None


class _Normaliser:
    """Two walks over the tree, both with a stack of their own: who binds what, then the text with locals numbered."""

    def __init__(self, tree: ast.Module, nodes: Sequence[ast.AST], entry_point: str) -> None:
        self._tree = tree
        self._entry_point = entry_point
        self._module = _Scope(None, "module")
        self._inner: dict[ast.AST, _Scope] = {}  # the scope that a node opens
        self._first_generators: set[ast.AST] = set()  # their iterable belongs to the scope around the comprehension
        self._numbers: dict[tuple[_Scope, str], int] = {}
        keywords = [node.arg for node in nodes if type(node) is ast.keyword]
        self._keywords = {name for name in keywords if name is not None}
        self._any_keyword = len(self._keywords) < len(set(keywords))  # a `**mapping` among the calls
        documented = {node: _docstring(node) for node in nodes if type(node) in _DOCUMENTED}
        self._documented = {node for node, docstring in documented.items() if docstring is not None}
        docstrings = set(documented.values())
        tell_tale = (node for node in nodes if type(node) in _TELL_TALE and node not in docstrings)
        self._verbatim = any(map(_sees_own_names, tell_tale))

    def text(self) -> str:
        self._collect()
        out: list[str] = []
        stack: list[tuple[object, _Scope]] = [(self._tree, self._module)]
        while stack:
            value, scope = stack.pop()
            if type(value) is ast.Constant:
                out.append(_constant(value.value))
            elif isinstance(value, ast.AST):
                out.append(type(value).__name__)
                stack += self._parts(value, scope)[::-1]
            elif type(value) is list:
                out.append(f"[{len(value)}")
                stack += [(item, scope) for item in reversed(value)]
            else:
                out.append("-" if value is None else f"={value}")
        return "\n".join(out)

    def _parts(self, node: ast.AST, scope: _Scope) -> list[tuple[object, _Scope]]:
        """A node's fields in their fixed order, each with the scope that it is evaluated in, local names numbered."""
        if isinstance(node, ast.Name):
            return [(self._spelling(node.id, scope), scope)]
        named = _LOCAL_NAME_FIELDS.get(type(node))
        if named is None and node not in self._documented:
            return [(value, where) for _, value, where in self._routed(node, scope)]
        parts: list[tuple[object, _Scope]] = []
        for name, value, where in self._routed(node, scope):
            if name == named and value is not None:
                spelled = [self._spelling(n, where) for n in value] if isinstance(value, list) else None
                parts.append((self._spelling(str(value), where) if spelled is None else spelled, where))
            elif name == "body" and node in self._documented and isinstance(value, list) and not self._verbatim:
                parts.append((value[1:] or [ast.Pass()], where))
            else:
                parts.append((value, where))
        return parts

    def _spelling(self, name: str, scope: _Scope) -> str:
        owner = None if self._verbatim else scope.owner(name)
        if owner is None or name in owner.fixed or (name.startswith("__") and not name.endswith("__")):
            return name  # two leading underscores: mangled inside classes
        number = self._numbers.setdefault((owner, name), len(self._numbers))
        return f"<{number}>"

    def _collect(self) -> None:
        stack: list[tuple[ast.AST, _Scope]] = [(self._tree, self._module)]
        while stack:
            node, scope = stack.pop()
            if isinstance(node, ast.Name):
                if not isinstance(node.ctx, ast.Load):
                    scope.bound.add(node.id)
                continue
            kind = type(node)
            if kind in _OPENING or hasattr(node, "type_params"):
                self._open(node, scope)
            if kind in _BINDING:
                self._bind(node, scope)
            for _, value, where in self._routed(node, scope):
                if type(value) is list:
                    stack += [(child, where) for child in value if isinstance(child, ast.AST)]
                elif isinstance(value, ast.AST):
                    stack.append((value, where))

    def _open(self, node: ast.AST, scope: _Scope) -> None:
        if isinstance(node, _FUNCTIONS):
            self._inner[node] = self._inner[node.args] = inner = _Scope(scope, "function")
            entry = scope.kind == "module" and getattr(node, "name", None) == self._entry_point
            listed = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            names = {argument.arg for argument in (*listed, node.args.vararg, node.args.kwarg) if argument is not None}
            inner.bound |= names
            inner.fixed |= names if entry or self._any_keyword else names & self._keywords
        elif isinstance(node, _COMPREHENSIONS):
            self._inner[node] = _Scope(scope, "comprehension")
            self._first_generators.add(node.generators[0])
        elif isinstance(node, ast.ClassDef):
            self._inner[node] = _Scope(scope, "class")
        if getattr(node, "type_params", None):
            self._verbatim = True  # scopes of generic functions (Python 3.12) aren't followed

    @staticmethod
    def _bind(node: ast.AST, scope: _Scope) -> None:
        match node:
            case ast.NamedExpr(target=ast.Name(id=name)):
                while scope.kind == "comprehension" and scope.parent is not None:
                    scope = scope.parent
                scope.bound.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                scope.bound.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                scope.bound.add(name)
            case ast.MatchMapping(rest=str(name)):
                scope.bound.add(name)
            case ast.ClassDef(name=name):
                scope.bound.add(name)
                scope.fixed.add(name)
            case ast.alias(name=name, asname=asname):
                scope.bound.add(asname or name.split(".")[0])
                scope.fixed.add(asname or name.split(".")[0])
            case ast.Global(names=names):
                scope.globals.update(names)
            case ast.Nonlocal(names=names):
                scope.nonlocals.update(names)

    def _routed(self, node: ast.AST, scope: _Scope) -> list[tuple[str, Any, _Scope]]:
        """(field, value, scope that it is evaluated in) for each field of a node that is met in `scope`."""
        kind = type(node)
        usual, others = scope, _NO_SCOPES
        if kind in _ROUTED:
            usual, others = self._scopes_of(node, scope)
        return [(name, getattr(node, name), others.get(name, usual)) for name in _fields(kind)]

    def _scopes_of(self, node: ast.AST, scope: _Scope) -> tuple[_Scope, Mapping[str, _Scope]]:
        """The scope that a node's fields are evaluated in, and the fields with another one."""
        inner = self._inner.get(node, scope)
        around = scope.parent or scope
        match node:
            case ast.arguments():
                outer = inner.parent or inner
                return inner, {"defaults": outer, "kw_defaults": outer}
            case ast.arg():
                return scope, {"annotation": around}
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                return scope, {"args": inner, "body": inner}
            case ast.ClassDef():
                return scope, {"body": inner}
            case ast.comprehension():
                return scope, {"iter": around} if node in self._first_generators else {}
        return inner, {}  # a comprehension as a whole


_NO_SCOPES: Mapping[str, _Scope] = {}


def _sees_own_names(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name):
            return name in _OWN_NAMES_BUILTINS
        case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
            return name in _OWN_NAMES_ATTRIBUTES
        case ast.Import(names=aliases):
            return any(alias.name.split(".")[0] in _OWN_NAMES_MODULES for alias in aliases)
        case ast.ImportFrom(module=module, names=aliases):
            words = {alias.name for alias in aliases} & (_OWN_NAMES_ATTRIBUTES | _OWN_NAMES_BUILTINS)
            return bool(words) or (module or "").split(".")[0] in _OWN_NAMES_MODULES
    return False


def _docstring(node: ast.AST) -> ast.AST | None:
    match node:
        case (
            ast.Module(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
            | ast.FunctionDef(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
            | ast.AsyncFunctionDef(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
            | ast.ClassDef(body=[ast.Expr(value=ast.Constant(value=str()) as docstring), *_])
        ):
            return docstring
    return None


def _constant(value: object) -> str:
    """Unambiguous on one line: 1, True and 1.0 differ. Integers in hex, because decimal has a limit of digits."""
    shown = hex(value) if type(value) is int else repr(value)
    return f"{type(value).__name__}:{shown}"
