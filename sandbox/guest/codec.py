"""Values that cross between judge and candidate: exact built-in types as tagged JSON, with caps.

No pickle, no marshal: decoding builds nothing but the types listed here, so a hostile frame can at worst be refused
(`CodecError`). JSON's own null, booleans, numbers, strings and arrays stand for None, bool, int, float, str and list;
every other type is an object with one key, its tag. Encoding is canonical (sets are sorted by their encoding), so equal
encodings mean equal values and results can be compared as bytes.

A subclass instance (IntEnum, namedtuple, a list with its own `__eq__`) is encoded as the plain base value: what crosses
is data, never behaviour. Anything else crosses as `Opaque`: its type name, truth and text, equal to nothing but itself.
"""

from __future__ import annotations

import sys
from _collections import OrderedDict, defaultdict, deque

# The C parts of `json` by themselves: the package around them is many objects that each candidate would touch, and so
# copy, for every value (guest/zygote.py).
from _json import encode_basestring_ascii, make_encoder, make_scanner
from itertools import islice

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is large, and no candidate needs it for us
    from collections.abc import Callable
    from typing import Any

MAX_DEPTH = 200
MAX_NODES = 2_000_000
MAX_DRAINED = 100_000  # elements taken from an iterator
MAX_TEXT = 4_000  # characters of an opaque value's text
_INT64 = 1 << 63
_INF = float("inf")


class CodecError(Exception):
    """A value outside the caps or types (encoding), or a frame that no honest encoder writes (decoding)."""


class Opaque:
    """A value of a type that does not cross. Knows its type's name, its truth and its text; equal only to itself."""

    __slots__ = ("_text", "_truth", "_type_name")

    def __init__(self, type_name: str, truth: bool, text: str) -> None:
        self._type_name, self._truth, self._text = type_name, truth, text

    def __bool__(self) -> bool:
        return self._truth

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text


class _Budget:
    """Counts nodes so that a small program cannot make the other side build a huge value."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = MAX_NODES

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise CodecError("too many elements")


def encode(value: Any, *, opaque: bool = False) -> bytes:
    """`value` as bytes. With `opaque`, types that do not cross become opaque; otherwise they raise CodecError."""
    try:
        packed = value if type(value) in _ATOMS else _pack(value, _Budget(), 0, opaque)
        return "".join(_write(packed, 0)).encode("ascii")
    except CodecError:
        raise
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise CodecError(f"cannot be encoded: {type(error).__name__}") from None


def decode(data: bytes) -> Any:
    """The value that `data` stands for. Raises CodecError and nothing else."""
    try:
        text = data.decode("ascii")
        value, end = _read(text, 0)
        if end != len(text):
            raise CodecError("something behind the value")
        return value if type(value) in _ATOMS else _unpack(value, _Budget(), 0)
    except CodecError:
        raise
    except (ValueError, TypeError, ArithmeticError, RecursionError, LookupError, MemoryError, StopIteration) as error:
        raise CodecError(f"not a valid value: {type(error).__name__}") from None


def _refuse(what: object) -> Any:
    raise CodecError(f"no JSON: {str(what)[:40]}")


class _Syntax:
    """How JSON is read: strictly."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = staticmethod(_refuse)  # NaN and the like
    memo: dict[str, str] = {}  # noqa: RUF012  # asked for by the scanner, which empties it itself


_read = make_scanner(_Syntax())  # type: ignore[arg-type]  # it takes anything with these attributes
# markers, default, string encoder, indent, separators, sort_keys, skipkeys, allow_nan
_write = make_encoder(None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, False)


def _dumps(packed: Any) -> str:
    return "".join(_write(packed, 0))


_ATOMS = frozenset({type(None), bool, str})
# Iterators that a function may well return where the test wraps it in list(), set() or a loop.
_EMPTY: dict[None, None] = {}
_ITERATOR_EXAMPLES: tuple[Any, ...] = (
    (x for x in _EMPTY), iter([]), iter(()), iter(""), iter(set()), iter(_EMPTY), iter(_EMPTY.values()),
    iter(_EMPTY.items()), iter(range(0)), map(str, []), filter(None, []), zip(), enumerate([]), reversed([]),
    islice([], 0),
)  # fmt: skip
ITERATORS = tuple(type(example) for example in _ITERATOR_EXAMPLES)
_KEYS, _VALUES, _ITEMS = type(_EMPTY.keys()), type(_EMPTY.values()), type(_EMPTY.items())


def _pack(value: Any, budget: _Budget, depth: int, opaque: bool) -> Any:  # one return per type
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is int:
        return value if -_INT64 <= value < _INT64 else {"int": hex(value)}
    if kind is float:
        return value if -_INF < value < _INF else {"float": repr(value)}
    if depth >= MAX_DEPTH:
        raise CodecError("nested too deeply")
    if kind is list:
        return _pack_all(value, budget, depth, opaque)
    if kind is tuple:
        return {"tuple": _pack_all(value, budget, depth, opaque)}
    if kind is dict:
        return {"dict": _pack_items(value.items(), budget, depth, opaque)}
    return _pack_other(value, budget, depth, opaque)


def _pack_all(values: Any, budget: _Budget, depth: int, opaque: bool) -> list[Any]:
    packed = [_pack(item, budget, depth + 1, opaque) for item in values]
    budget.take(len(packed))
    return packed


def _pack_items(items: Any, budget: _Budget, depth: int, opaque: bool) -> list[Any]:
    return _pack_all((part for pair in items for part in pair), budget, depth, opaque)


def _pack_sorted(values: Any, budget: _Budget, depth: int, opaque: bool) -> list[Any]:
    return sorted(_pack_all(values, budget, depth, opaque), key=_dumps)


def _pack_other(value: Any, budget: _Budget, depth: int, opaque: bool) -> dict[str, Any]:
    match value:
        case int():
            return {"int": hex(int.__int__(value))}
        case float():
            return {"float": float.__repr__(value)}
        case str():
            return {"str": str.__str__(value)}
        case complex():
            return {"complex": [repr(value.real), repr(value.imag)]}
        case bytes():
            return {"bytes": bytes(value).hex()}
        case bytearray():
            return {"bytearray": bytes(value).hex()}
        case set():
            return {"set": _pack_sorted(set.__iter__(value), budget, depth, opaque)}
        case frozenset():
            return {"frozenset": _pack_sorted(frozenset.__iter__(value), budget, depth, opaque)}
        case range():
            return {"range": [hex(value.start), hex(value.stop), hex(value.step)]}
        case deque():
            return {"deque": [value.maxlen, _pack_all(deque.__iter__(value), budget, depth, opaque)]}
        case dict():
            return {_dict_tag(value): _pack_items(dict.items(value), budget, depth, opaque)}
        case list():
            return {"list": _pack_all(list.__iter__(value), budget, depth, opaque)}
        case tuple():
            return {"tuple": _pack_all(tuple.__iter__(value), budget, depth, opaque)}
        case Opaque():
            raise CodecError("an opaque value cannot be passed on")
    for tag, kind in (("keys", _KEYS), ("values", _VALUES)):
        if isinstance(value, kind):
            return {tag: _pack_all(value, budget, depth, opaque)}
    if isinstance(value, _ITEMS):
        return {"items": _pack_items(value, budget, depth, opaque)}
    if isinstance(value, ITERATORS):
        drained = list(islice(value, MAX_DRAINED + 1))
        if len(drained) > MAX_DRAINED:
            raise CodecError(f"an iterator of more than {MAX_DRAINED} elements")
        return {"iter": _pack_all(drained, budget, depth, opaque)}
    rare = _pack_rare(value)
    if rare is not None:
        return rare
    if opaque:
        return {"opaque": [type(value).__name__[:200], bool(value), str(value)[:MAX_TEXT]]}
    raise CodecError(f"a value of type {type(value).__name__} does not cross")


def _dict_tag(value: dict[Any, Any]) -> str:
    if isinstance(value, OrderedDict):
        return "ordered_dict"
    if isinstance(value, defaultdict):
        return "default_dict"
    collections = sys.modules.get("collections")
    return "counter" if collections and isinstance(value, collections.Counter) else "dict"


def _pack_rare(value: Any) -> dict[str, Any] | None:
    """Types of modules that are not loaded for everybody: where the module is not there, no value is of its types."""
    if (module := sys.modules.get("decimal")) and isinstance(value, module.Decimal):
        return {"decimal": module.Decimal.__str__(value)}
    if (module := sys.modules.get("fractions")) and isinstance(value, module.Fraction):
        return {"fraction": [hex(value.numerator), hex(value.denominator)]}
    if module := sys.modules.get("datetime"):
        if isinstance(value, module.timedelta):
            return {"timedelta": [value.days, value.seconds, value.microseconds]}
        # A datetime is a date: the narrower type comes first.
        for tag in ("datetime", "date", "time"):
            if isinstance(value, getattr(module, tag)):
                return {tag: value.isoformat()} if getattr(value, "tzinfo", None) is None else None
    return None


def _unpack(packed: Any, budget: _Budget, depth: int) -> Any:
    kind = type(packed)
    if kind is list:
        return _unpack_all(packed, budget, depth)
    if kind is dict:
        if len(packed) != 1 or depth >= MAX_DEPTH:
            raise CodecError("not a tagged value" if len(packed) != 1 else "nested too deeply")
        ((tag, body),) = packed.items()
        return _UNPACKERS[tag](body, budget, depth)
    if kind is float and not -_INF < packed < _INF:
        raise CodecError("a bare non-finite number")
    return packed


def _unpack_all(body: Any, budget: _Budget, depth: int) -> list[Any]:
    if type(body) is not list:
        raise CodecError("an array was expected")
    if depth >= MAX_DEPTH:
        raise CodecError("nested too deeply")
    budget.take(len(body))
    return [_unpack(item, budget, depth + 1) for item in body]


def _unpack_dict(body: Any, budget: _Budget, depth: int) -> dict[Any, Any]:
    flat = _unpack_all(body, budget, depth)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _text(body: Any) -> str:
    if type(body) is not str:
        raise CodecError("a string was expected")
    return body


def _int(body: Any) -> int:
    return int(_text(body), 16)


def _fields(body: Any, *kinds: type) -> list[Any]:
    if type(body) is not list or [type(field) for field in body] != list(kinds):
        raise CodecError("fields of the wrong type")
    return body


def _opaque(body: Any) -> Opaque:
    name, truth, text = _fields(body, str, bool, str)
    return Opaque(name[:200], truth, text[:MAX_TEXT])


def _deque(body: Any, budget: _Budget, depth: int) -> deque[Any]:
    maxlen, items = body
    if maxlen is not None and type(maxlen) is not int:
        raise CodecError("fields of the wrong type")
    return deque(_unpack_all(items, budget, depth), maxlen)


def _rare(module: str, name: str) -> Any:
    return getattr(__import__(module), name)


_UNPACKERS: dict[str, Callable[[Any, _Budget, int], Any]] = {
    "int": lambda body, budget, depth: _int(body),
    "float": lambda body, budget, depth: float(_text(body)),
    "str": lambda body, budget, depth: _text(body),
    "complex": lambda body, budget, depth: complex(*map(float, _fields(body, str, str))),
    "bytes": lambda body, budget, depth: bytes.fromhex(_text(body)),
    "bytearray": lambda body, budget, depth: bytearray.fromhex(_text(body)),
    "list": _unpack_all,
    "tuple": lambda body, budget, depth: tuple(_unpack_all(body, budget, depth)),
    "set": lambda body, budget, depth: set(_unpack_all(body, budget, depth)),
    "frozenset": lambda body, budget, depth: frozenset(_unpack_all(body, budget, depth)),
    "range": lambda body, budget, depth: range(*map(_int, _fields(body, str, str, str))),
    "deque": _deque,
    "dict": _unpack_dict,
    "counter": lambda body, budget, depth: _rare("collections", "Counter")(_unpack_dict(body, budget, depth)),
    "ordered_dict": lambda body, budget, depth: OrderedDict(_unpack_dict(body, budget, depth)),
    "default_dict": lambda body, budget, depth: defaultdict(None, _unpack_dict(body, budget, depth)),
    "decimal": lambda body, budget, depth: _rare("decimal", "Decimal")(_text(body)),
    "fraction": lambda body, budget, depth: _rare("fractions", "Fraction")(*map(_int, _fields(body, str, str))),
    "datetime": lambda body, budget, depth: _rare("datetime", "datetime").fromisoformat(_text(body)),
    "date": lambda body, budget, depth: _rare("datetime", "date").fromisoformat(_text(body)),
    "time": lambda body, budget, depth: _rare("datetime", "time").fromisoformat(_text(body)),
    "timedelta": lambda body, budget, depth: _rare("datetime", "timedelta")(*_fields(body, int, int, int)),
    "keys": lambda body, budget, depth: dict.fromkeys(_unpack_all(body, budget, depth)).keys(),
    "values": lambda body, budget, depth: dict(enumerate(_unpack_all(body, budget, depth))).values(),
    "items": lambda body, budget, depth: _unpack_dict(body, budget, depth).items(),
    "iter": lambda body, budget, depth: iter(_unpack_all(body, budget, depth)),
    "opaque": lambda body, budget, depth: _opaque(body),
}
