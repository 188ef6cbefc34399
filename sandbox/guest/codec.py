"""Values that cross between judge and candidate: exact built-in types as tagged JSON, with caps.

No pickle, no marshal: decoding builds nothing but the types listed here, so a hostile frame can at worst be refused
(`CodecError`). JSON's own null, booleans, numbers, strings and arrays stand for None, bool, int, float, str and list;
every other type is an object with one key, its tag.

Encoding is canonical: a value has one encoding, and decoding accepts no other (no second spelling of a number, no
white space, no unsorted set, no key twice). So equal encodings mean equal values, and results are compared as bytes.

A subclass instance (IntEnum, namedtuple, a list with its own `__eq__`) is encoded as the plain base value: what crosses
is data, never behaviour. Anything else crosses as `Opaque`: its type name, truth and text, equal to nothing but itself.
"""

from __future__ import annotations

import itertools
import sys
from _collections import OrderedDict, defaultdict, deque

# The C parts of `json` by themselves: the package around them is many objects that each candidate would touch, and so
# copy, for every value (guest/zygote.py).
from _json import encode_basestring_ascii, make_encoder, make_scanner

TYPE_CHECKING = False
if TYPE_CHECKING:  # `typing` is large, and no candidate needs it for us
    from collections.abc import Callable, Iterable
    from typing import Any

# ---- caps: on what either side can make the other one hold or compute -----------------------------------------------
MAX_BYTES = 8 * 1024 * 1024  # of one encoded value
MAX_NODES = 500_000  # commas and opening brackets of one encoded value, those inside texts included: quick to count
MAX_DEPTH = 200
SET_LEVELS = 20  # a set counts as so many levels of depth: each level of sets encodes what is in it once more, to sort
MAX_DRAINED = 100_000  # elements taken from an iterator
MAX_TEXT = 4_000  # characters of an opaque value's text
MAX_TYPE_NAME = 200
MAX_INT_BITS = 1 << 22  # more than a million decimal digits
MAX_FRACTION_BITS = 1 << 16  # of each part: reducing a fraction takes quadratic time
MAX_DECIMAL_TEXT = 10_000  # characters
MAX_DECIMAL_EXPONENT = 100_000  # int(Decimal("1E+999999999")) would be a gigabyte
MAX_SAME_HASH = 200  # keys of one set or dict that share a hash: collisions take quadratic time
_INT64 = 1 << 63
_INF = float("inf")
_NUMBER_TEXT = 32  # no float's text is longer


class CodecError(Exception):
    """A value outside the caps or types (encoding), or bytes that no honest encoder writes (decoding)."""


class ForeignType(CodecError):
    """Encoding: a value of a type that does not cross."""


class OpaquePassed(CodecError):
    """Encoding: a value that came from the other side as opaque, and so cannot go back."""


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


def type_name(value: Opaque) -> str:
    """A function, so that a test that asks an opaque value for an attribute gets none."""
    return value._type_name


def encode(value: Any, *, opaque: bool = False) -> bytes:
    """`value` as bytes. With `opaque`, types that do not cross become opaque; otherwise they raise ForeignType."""
    try:
        data = "".join(_write(_Packer(opaque).pack(value, 0), 0)).encode("ascii")
    except (ValueError, TypeError, RecursionError, OverflowError, AttributeError) as error:
        raise CodecError(f"cannot be encoded: {type(error).__name__}") from None
    _check_size(data)
    return data


def decode(data: bytes) -> Any:
    _check_size(data)
    try:
        text = data.decode("ascii")
        packed, end = _read(text, 0)
        value = _unpack(packed, 0)
        # Whatever JSON allows to be written in more than one way: white space, escapes, numbers, a key twice.
        if end != len(text) or _dumps(packed) != text:
            raise CodecError("not the canonical encoding")
    except CodecError:
        raise
    except (
        ValueError, TypeError, ArithmeticError, RecursionError, LookupError, MemoryError, StopIteration,
    ) as error:  # fmt: skip
        raise CodecError(f"not a valid value: {type(error).__name__}") from None
    return value


def _check_size(data: bytes) -> None:
    """Before anything is built: the memory that a value takes is bounded by these two numbers."""
    if len(data) > MAX_BYTES:
        raise CodecError("too many bytes")
    if len(data) > MAX_NODES and data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_NODES:
        raise CodecError("too many elements")


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


def _has_surrogate_pair(text: str) -> bool:
    """Two surrogates in a row would come back as one character. Without `re`, which is a megabyte for every candidate
    to inherit."""
    if text.isascii():
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # it has surrogates
        pairs = itertools.pairwise(text)
        return any("\ud800" <= high <= "\udbff" and "\udc00" <= low <= "\udfff" for high, low in pairs)
    return False


# Types of the standard library that tests pass by name ("remove the ints from this tuple").
_TYPES = {
    kind.__name__: kind for kind in (bool, int, float, complex, str, bytes, list, tuple, set, frozenset, dict)
}  # fmt: skip
_TYPE_NAMES = {kind: name for name, kind in _TYPES.items()}

_EMPTY: dict[None, None] = {}
# Iterators that a function may well return where the test wraps it in list(), set() or a loop.
_ITERATOR_EXAMPLES: tuple[Any, ...] = (
    (x for x in _EMPTY), iter([]), iter(()), iter(""), iter("\u0100"), iter(b""), iter(bytearray()), iter(set()),
    iter(_EMPTY), iter(_EMPTY.values()), iter(_EMPTY.items()), reversed(_EMPTY), reversed(_EMPTY.values()),
    reversed(_EMPTY.items()), iter(range(0)), iter(range(1 << 64)), iter(deque()), reversed(deque()), map(str, []),
    filter(None, []), zip(), enumerate([]), reversed([]), reversed(()), iter(int, 0),
)  # fmt: skip
_ITERTOOLS = (
    itertools.accumulate, itertools.chain, itertools.combinations, itertools.combinations_with_replacement,
    itertools.compress, itertools.dropwhile, itertools.filterfalse, itertools.islice, itertools.pairwise,
    itertools.permutations, itertools.product, itertools.repeat, itertools.starmap, itertools.takewhile,
    itertools.zip_longest,
)  # fmt: skip
ITERATORS: frozenset[type] = frozenset({*map(type, _ITERATOR_EXAMPLES), *_ITERTOOLS})
_VIEWS: dict[type, str] = {type(_EMPTY.keys()): "keys", type(_EMPTY.values()): "values"}
_ITEMS = type(_EMPTY.items())


# ---- encoding --------------------------------------------------------------------------------------------------------
class _Packer:
    """A value as what JSON can hold. Counts, so that a value that shares its parts is not written out without end."""

    __slots__ = ("_left", "_opaque")

    def __init__(self, opaque: bool) -> None:
        self._left, self._opaque = MAX_NODES, opaque

    def pack(self, value: Any, depth: int) -> Any:  # one return per type
        kind = type(value)
        if kind is int:
            return value if -_INT64 <= value < _INT64 else {"int": _hex(value, MAX_INT_BITS)}
        if kind is str:
            return value if value.isascii() else _pack_text(value)
        if kind is list:
            return self._all(value, depth)
        if kind is bool or value is None:
            return value
        if kind is tuple:
            return {"tuple": self._all(value, depth)}
        if kind is float:
            return value if -_INF < value < _INF else {"float": repr(value)}
        if kind is dict:
            return {"dict": self._items(value.items(), depth)}
        if kind is set:
            return {"set": self._sorted(value, depth)}
        return self._other(value, kind, depth)

    def _all(self, values: Iterable[Any], depth: int) -> list[Any]:
        if depth >= MAX_DEPTH:
            raise CodecError("nested too deeply")
        depth += 1
        pack = self.pack
        # The commonest elements without a call of their own.
        packed = [
            item
            if ((kind := type(item)) is int and -_INT64 <= item < _INT64) or (kind is str and item.isascii())
            else pack(item, depth)
            for item in values
        ]
        self._left -= len(packed)
        if self._left < 0:
            raise CodecError("too many elements")
        return packed

    def _items(self, items: Iterable[tuple[Any, Any]], depth: int) -> list[Any]:
        return self._all([part for pair in items for part in pair], depth)

    def _sorted(self, values: Iterable[Any], depth: int) -> list[Any]:
        return _in_order(self._all(values, depth + SET_LEVELS))

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        if kind in ITERATORS:
            drained = list(itertools.islice(value, MAX_DRAINED + 1))
            if len(drained) > MAX_DRAINED:
                raise CodecError(f"an iterator of more than {MAX_DRAINED} elements")
            return {"iter": self._all(drained, depth)}
        if kind in _VIEWS:
            return {_VIEWS[kind]: self._all(value, depth)}
        if kind is _ITEMS:
            return {"items": self._items(value, depth)}
        if kind is type and value in _TYPE_NAMES:
            return {"type": _TYPE_NAMES[value]}
        match value:
            case int():
                return self.pack(int.__int__(value), depth)
            case float():
                return self.pack(float.__float__(value), depth)
            case str():
                return self.pack(str.__str__(value), depth)
            case complex():
                return {"complex": [repr(value.real), repr(value.imag)]}
            case bytes():
                return {"bytes": bytes.hex(value)}
            case bytearray():
                return {"bytearray": bytearray.hex(value)}
            case set():
                return {"set": self._sorted(set.__iter__(value), depth)}
            case frozenset():
                return {"frozenset": self._sorted(frozenset.__iter__(value), depth)}
            case range():
                return {"range": [_hex(part, MAX_INT_BITS) for part in (value.start, value.stop, value.step)]}
            case deque():
                return {"deque": [value.maxlen, self._all(deque.__iter__(value), depth)]}
            case dict():
                return {_dict_tag(value): self._items(dict.items(value), depth)}
            case list():
                return self._all(list.__iter__(value), depth)
            case tuple():
                return {"tuple": self._all(tuple.__iter__(value), depth)}
            case Opaque():
                raise OpaquePassed("an opaque value cannot be passed on")
        rare = _pack_rare(value)
        if rare is not None:
            return rare
        if self._opaque:
            return {"opaque": [type(value).__name__[:MAX_TYPE_NAME], bool(value), str(value)[:MAX_TEXT]]}
        raise ForeignType(f"a value of type {type(value).__name__} does not cross")


def _hex(value: int, max_bits: int) -> str:
    if value.bit_length() > max_bits:
        raise CodecError("too large a number")
    return hex(value)


def _pack_text(value: str) -> str | dict[str, str]:
    if _has_surrogate_pair(value):
        return {"surrogates": value.encode("utf-32-be", "surrogatepass").hex()}
    return value


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
        return {"decimal": _decimal_text(value)}
    if (module := sys.modules.get("fractions")) and isinstance(value, module.Fraction):
        return {"fraction": [_hex(part, MAX_FRACTION_BITS) for part in (value.numerator, value.denominator)]}
    if module := sys.modules.get("datetime"):
        if isinstance(value, module.timedelta):
            return {"timedelta": [value.days, value.seconds, value.microseconds]}
        # A datetime is a date: the narrower type comes first.
        for tag in ("datetime", "date", "time"):
            kind = getattr(module, tag)
            if isinstance(value, kind):
                return {tag: kind.isoformat(value)} if getattr(value, "tzinfo", None) is None else None
    return None


def _decimal_text(value: Any) -> str:
    text = str(value)
    if len(text) > MAX_DECIMAL_TEXT or (value.is_finite() and abs(value.adjusted()) > MAX_DECIMAL_EXPONENT):
        raise CodecError("too large a decimal")
    return text


def _in_order(packed: list[Any]) -> list[Any]:
    """A set's elements in the one order that counts: plain integers and plain texts by value, others by encoding."""
    if len(packed) < 2:
        return packed
    kinds = set(map(type, packed))
    return sorted(packed) if kinds in ({int}, {str}) else sorted(packed, key=_dumps)


# ---- decoding --------------------------------------------------------------------------------------------------------
def _unpack(packed: Any, depth: int) -> Any:
    kind = type(packed)
    if kind is list:
        return _unpack_all(packed, depth)
    if kind is dict:
        if len(packed) != 1:
            raise CodecError("not a tagged value")
        ((tag, body),) = packed.items()
        return _UNPACKERS[tag](body, depth)
    if kind is int:
        if not -_INT64 <= packed < _INT64:
            raise CodecError("a bare number that is too large")
    elif kind is str and _has_surrogate_pair(packed):
        raise CodecError("bare surrogates")
    return packed


def _unpack_all(body: Any, depth: int) -> list[Any]:
    if type(body) is not list:
        raise CodecError("an array was expected")
    if depth >= MAX_DEPTH:
        raise CodecError("nested too deeply")
    depth += 1
    return [
        item
        if ((kind := type(item)) is int and -_INT64 <= item < _INT64) or (kind is str and item.isascii())
        else _unpack(item, depth)
        for item in body
    ]


def _exactly(written: Any, body: Any) -> None:
    if written != body:
        raise CodecError("not the canonical form")


def _text(body: Any, limit: int = MAX_BYTES) -> str:
    if type(body) is not str or len(body) > limit:
        raise CodecError("a short text was expected" if limit < MAX_BYTES else "a text was expected")
    return body


def _fields(body: Any, *kinds: type) -> list[Any]:
    if type(body) is not list or [type(field) for field in body] != list(kinds):
        raise CodecError("fields of the wrong type")
    return body


def _int(body: Any, max_bits: int = MAX_INT_BITS) -> int:
    value = int(_text(body, max_bits // 4 + 4), 16)
    _exactly(_hex(value, max_bits), body)
    return value


def _large_int(body: Any, depth: int) -> int:
    value = _int(body)
    if -_INT64 <= value < _INT64:
        raise CodecError("a small number in a large one's form")
    return value


def _float(body: Any) -> float:
    value = float(_text(body, _NUMBER_TEXT))
    _exactly(repr(value), body)
    return value


def _special_float(body: Any, depth: int) -> float:
    value = _float(body)
    if -_INF < value < _INF:
        raise CodecError("a finite number in the others' form")
    return value


def _surrogates(body: Any, depth: int) -> str:
    value = bytes.fromhex(_text(body)).decode("utf-32-be", "surrogatepass")
    _exactly(_pack_text(value), {"surrogates": body})
    return value


def _bytes(body: Any, depth: int) -> bytes:
    value = bytes.fromhex(_text(body))
    _exactly(value.hex(), body)
    return value


def _distinct(keys: list[Any]) -> list[Any]:
    """Keys of a set or dict, before one is built of them: hashable, and not of a kind that makes that slow."""
    if len(keys) > MAX_SAME_HASH:
        counts: dict[int, int] = {}
        for value in map(hash, keys):
            counts[value] = counts.get(value, 0) + 1
        if max(counts.values()) > MAX_SAME_HASH:
            raise CodecError("too many keys with the same hash")
    return keys


def _unpack_dict(body: Any, depth: int) -> dict[Any, Any]:
    flat = _unpack_all(body, depth)
    result = dict(zip(_distinct(flat[::2]), flat[1::2], strict=True))
    if 2 * len(result) != len(flat):
        raise CodecError("a key twice")
    return result


def _unpack_set(body: Any, depth: int, kind: Callable[[list[Any]], Any] = set) -> Any:
    keys = _distinct(_unpack_all(body, depth + SET_LEVELS))
    result = kind(keys)
    if len(result) != len(keys):
        raise CodecError("an element twice")
    _exactly(_in_order(body), body)
    return result


def _keys_view(body: Any, depth: int) -> Any:
    keys = _distinct(_unpack_all(body, depth))
    result = dict.fromkeys(keys)
    if len(result) != len(keys):
        raise CodecError("a key twice")
    return result.keys()


def _range(body: Any, depth: int) -> range:
    return range(*map(_int, _fields(body, str, str, str)))


def _deque(body: Any, depth: int) -> deque[Any]:
    if type(body) is not list:
        raise CodecError("an array was expected")
    maxlen, packed = body
    if maxlen is not None and type(maxlen) is not int:
        raise CodecError("fields of the wrong type")
    items = _unpack_all(packed, depth)
    result = deque(items, maxlen)
    if len(result) != len(items):
        raise CodecError("more elements than fit")
    return result


def _complex(body: Any, depth: int) -> complex:
    return complex(*map(_float, _fields(body, str, str)))


def _rare(module: str, name: str) -> Any:
    return getattr(__import__(module), name)


def _decimal(body: Any, depth: int) -> Any:
    value = _rare("decimal", "Decimal")(_text(body, MAX_DECIMAL_TEXT))
    _exactly(_decimal_text(value), body)
    return value


def _fraction(body: Any, depth: int) -> Any:
    parts = [_int(part, MAX_FRACTION_BITS) for part in _fields(body, str, str)]
    value = _rare("fractions", "Fraction")(*parts)
    _exactly([value.numerator, value.denominator], parts)
    return value


def _when(name: str) -> Callable[[Any, int], Any]:
    def unpack(body: Any, depth: int) -> Any:
        value = _rare("datetime", name).fromisoformat(_text(body, _NUMBER_TEXT))
        _exactly(value.isoformat(), body)
        if getattr(value, "tzinfo", None) is not None:
            raise CodecError("a time with a zone")
        return value

    return unpack


def _timedelta(body: Any, depth: int) -> Any:
    value = _rare("datetime", "timedelta")(*_fields(body, int, int, int))
    _exactly([value.days, value.seconds, value.microseconds], body)
    return value


def _iterator(body: Any, depth: int) -> Any:
    items = _unpack_all(body, depth)
    if len(items) > MAX_DRAINED:
        raise CodecError("too long an iterator")
    return iter(items)


def _opaque(body: Any, depth: int) -> Opaque:
    name, truth, text = _fields(body, str, bool, str)
    return Opaque(_text(name, MAX_TYPE_NAME), truth, _text(text, MAX_TEXT))


_UNPACKERS: dict[str, Callable[[Any, int], Any]] = {
    "int": _large_int,
    "float": _special_float,
    "surrogates": _surrogates,
    "complex": _complex,
    "bytes": _bytes,
    "bytearray": lambda body, depth: bytearray(_bytes(body, depth)),
    "tuple": lambda body, depth: tuple(_unpack_all(body, depth)),
    "set": _unpack_set,
    "frozenset": lambda body, depth: _unpack_set(body, depth, frozenset),
    "range": _range,
    "deque": _deque,
    "dict": _unpack_dict,
    "counter": lambda body, depth: _rare("collections", "Counter")(_unpack_dict(body, depth)),
    "ordered_dict": lambda body, depth: OrderedDict(_unpack_dict(body, depth)),
    "default_dict": lambda body, depth: defaultdict(None, _unpack_dict(body, depth)),
    "decimal": _decimal,
    "fraction": _fraction,
    "datetime": _when("datetime"),
    "date": _when("date"),
    "time": _when("time"),
    "timedelta": _timedelta,
    "keys": _keys_view,
    "values": lambda body, depth: dict(enumerate(_unpack_all(body, depth))).values(),
    "items": lambda body, depth: _unpack_dict(body, depth).items(),
    "iter": _iterator,
    "type": lambda body, depth: _TYPES[_text(body, MAX_TYPE_NAME)],
    "opaque": _opaque,
}
