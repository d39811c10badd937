"""The key of a take: SHA-256 of a canonical form of all that changes its pixels or sound.

The canonical form is JSON with sorted keys that a person can read:

- a dataclass or model is an object of its fields; a field at its default is left out, so a field
  that is added to the contract later leaves every existing key as it was
- a number in a field declared `float` is written as a float (1 and 1.0 are one strength), while
  in an option 1, 1.0, true and "1" stay four different values
- -0.0 is 0.0; NaN and infinity are refused; a fraction is `{"$fraction": "30000/1001"}`

Equal requests have equal keys, in every process and on every machine.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
from collections.abc import Callable, Mapping
from enum import Enum
from fractions import Fraction
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from generator.backends.base import RenderRequest
from media.errors import UsageError

__all__ = ["KEY_ENCODING", "canonical", "canonical_text", "content_digest", "request_key"]

KEY_ENCODING = "takeboard-take/1"
"""Names this canonical form; another form of the same request is another key."""

Json = Any
"""dict, list, str, int, float, bool or None, ready for `json.dumps`."""


def request_key(request: RenderRequest, backend_id: str, revision: str) -> str:
    """The take's key, in hexadecimal."""
    return _sha256(
        {
            "encoding": KEY_ENCODING,
            "backend": backend_id,
            "revision": revision,
            "request": canonical(request),
        }
    )


def content_digest(*parts: object) -> str:
    """SHA-256, in hexadecimal, of the canonical form of `parts` in this order."""
    return _sha256([canonical(part) for part in parts])


def canonical_text(form: Json) -> str:
    """A canonical form as one line of ASCII: the bytes that are hashed."""
    return json.dumps(form, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: object) -> Json:
    """The canonical form of a frozen dataclass, a model of the language or a plain value."""
    return _plain(value)


def _sha256(form: Json) -> str:
    return hashlib.sha256(canonical_text(form).encode("ascii")).hexdigest()


def _plain(value: Any) -> Json:
    cls: Any = type(value)
    return _encoder_of(cls)(value)


@cache
def _encoder_of(cls: Any) -> Callable[[Any], Json]:
    """How values of exactly this class are written."""
    encoder = _ENCODERS.get(cls)
    if encoder is not None:
        return encoder
    if dataclasses.is_dataclass(cls) or issubclass(cls, BaseModel):
        return _fields
    if issubclass(cls, Enum):
        if issubclass(cls, str):
            return lambda value: str(value.value)
        return lambda value: {"$enum": f"{cls.__name__}.{value.name}"}
    if issubclass(cls, Mapping):
        return _mapping
    raise TypeError(f"a {cls.__name__} has no canonical form")


def _float(value: float) -> Json:
    if not math.isfinite(value):
        raise UsageError(f"expected a finite number, got {value}", todo="correct the storyboard")
    # Adding 0.0 turns -0.0 into 0.0 and leaves every other number alone.
    return value + 0.0


def _mapping(value: Mapping[Any, Any]) -> Json:
    if any(type(name) is not str for name in value):
        raise TypeError("a mapping with names that are not text has no canonical form")
    return {"$map": {name: _plain(entry) for name, entry in value.items()}}


def _fields(value: Any) -> Json:
    form: dict[str, Json] = {}
    cls: Any = type(value)
    for name, encode, default in _field_encoders(cls):
        encoded = encode(getattr(value, name))
        # True == 1 == 1.0 in Python: a default of another type is another value.
        if type(encoded) is not type(default) or encoded != default:
            form[name] = encoded
    return form


_ENCODERS: Mapping[type, Callable[[Any], Json]] = types.MappingProxyType(
    {
        type(None): lambda value: None,
        bool: lambda value: value,
        int: lambda value: value,
        str: lambda value: value,
        float: _float,
        Fraction: lambda value: {"$fraction": f"{value.numerator}/{value.denominator}"},
        bytes: lambda value: {"$bytes": value.hex()},
        tuple: lambda value: [_plain(entry) for entry in value],
        frozenset: lambda value: {
            "$set": sorted((_plain(entry) for entry in value), key=canonical_text)
        },
    }
)

_NO_DEFAULT = object()
_FieldEncoder = tuple[str, Callable[[Any], Json], object]


@cache
def _field_encoders(cls: Any) -> tuple[_FieldEncoder, ...]:
    """Name, encoder by declared type, and encoded default of each field."""
    declared: Mapping[str, Any]
    if issubclass(cls, BaseModel):
        declared = {name: field.annotation for name, field in cls.model_fields.items()}
        defaults = {name: field.default for name, field in cls.model_fields.items()}
    else:
        declared = get_type_hints(cls)
        defaults = {field.name: field.default for field in dataclasses.fields(cls)}
    encoders = {name: _by_type(declared[name]) for name in defaults}
    return tuple(
        (name, encode, _NO_DEFAULT if _is_required(defaults[name]) else encode(defaults[name]))
        for name, encode in encoders.items()
    )


def _is_required(default: object) -> bool:
    return default is PydanticUndefined or default is dataclasses.MISSING


def _by_type(declared: Any) -> Callable[[Any], Json]:
    """Like `_plain`, with whole numbers written as floats or ints where that was declared."""
    if declared is float:
        return lambda value: _float(float(value))
    if declared is int:
        return lambda value: int(value)
    origin, inner = get_origin(declared), get_args(declared)
    if origin is tuple and inner:
        if len(inner) == 2 and inner[1] is Ellipsis:
            each = _by_type(inner[0])
            return lambda value: [each(entry) for entry in value]
        encoders = tuple(_by_type(one) for one in inner)
        return lambda value: [encode(entry) for encode, entry in zip(encoders, value, strict=True)]
    if origin in (Union, types.UnionType) and type(None) in inner and len(inner) == 2:
        some = _by_type(next(one for one in inner if one is not type(None)))
        return lambda value: None if value is None else some(value)
    return _plain
