"""The scalars of the language: words of closed lists, names, times, sizes and checked text.

Every validator answers in words for a person ("expected ..., got ..."); the loader adds
file, line and column.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from media.timebase import Duration, parse_duration, parse_fps
from storyboards.words import (
    ANGLE_ALIASES,
    CAMERA_MOVE_ALIASES,
    SHOT_SIZE_ALIASES,
    TRANSITION_ALIASES,
    Angle,
    CameraMove,
    ShotSize,
    TransitionKind,
)

__all__ = [
    "Angle",
    "BackendName",
    "CameraMove",
    "Code",
    "Fps",
    "FrameSize",
    "Identifier",
    "Length",
    "Offset",
    "RefPath",
    "ShotSize",
    "Text",
    "TransitionKind",
    "did_you_mean",
]


Word = TypeVar("Word", bound=StrEnum)


_LONGEST_HINT, _MOST_HINTS = 64, 500


def did_you_mean(name: str, known: list[str]) -> str:
    """`, did you mean "x"?` for the nearest of `known`, or nothing."""
    near = difflib.get_close_matches(name[:_LONGEST_HINT], known[:_MOST_HINTS], n=1, cutoff=0.6)
    return f', did you mean "{near[0]}"?' if near else ""


def _word(enum: type[Word], aliases: Mapping[str, Word], upper: bool = False) -> Any:
    """An annotated type that reads a word of `enum` or one of its aliases."""
    names = [word.value for word in enum]

    def read(value: object) -> Word:
        if isinstance(value, enum):
            return value
        if not isinstance(value, str):
            raise ValueError(f"expected one of {', '.join(names)}, got {type(value).__name__}")
        plain = re.sub(r"[\s-]+", "_", value.strip())
        if (plain.upper() if upper else plain.lower()) in names:
            return enum(plain.upper() if upper else plain.lower())
        if plain.lower() in aliases:
            return aliases[plain.lower()]
        hint = did_you_mean(plain.upper() if upper else plain.lower(), names + list(aliases))
        raise ValueError(f"expected one of {', '.join(names)}, got {value[:40]!r}{hint}")

    schema = {"type": "string", "enum": [*names, *aliases]}
    return Annotated[enum, BeforeValidator(read), WithJsonSchema(schema)]


ShotSizeWord = _word(ShotSize, SHOT_SIZE_ALIASES, upper=True)
AngleWord = _word(Angle, ANGLE_ALIASES)
CameraMoveWord = _word(CameraMove, CAMERA_MOVE_ALIASES)
TransitionWord = _word(TransitionKind, TRANSITION_ALIASES)


def _text(longest: int, one_line: bool = False) -> Any:
    """Printable text of 1 to `longest` characters; control characters would break a filter."""

    def read(value: object) -> str:
        if value is None or isinstance(value, (dict, list)):
            got = "a list" if isinstance(value, list) else "a mapping" if value else "nothing"
            raise ValueError(f"expected text, got {got}")
        if not isinstance(value, str):
            raise ValueError(f'expected text, got {value!r}; put it in quotes: "{value}"')
        text = unicodedata.normalize("NFC", value.strip())
        if not text:
            raise ValueError("expected text, got nothing")
        if len(text) > longest:
            raise ValueError(f"expected at most {longest} characters, got {len(text)}")
        allowed = "" if one_line else "\n\t"
        for char in text:
            if unicodedata.category(char) in ("Cc", "Cs", "Co", "Cn") and char not in allowed:
                raise ValueError(f"expected printable text, got the character U+{ord(char):04X}")
        return text

    schema = {"type": "string", "minLength": 1, "maxLength": longest}
    return Annotated[str, BeforeValidator(read), WithJsonSchema(schema)]


Text = _text(4000)
ShortText = _text(200, one_line=True)

_IDENTIFIER = r"[A-Za-z][A-Za-z0-9_-]{0,63}"


def _identifier(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(_IDENTIFIER, value, re.ASCII):
        return value
    shown = repr(value)[:60]
    raise ValueError(
        f"expected a name of letters, digits, _ and - that starts with a letter, got {shown}"
    )


Identifier = Annotated[
    str,
    BeforeValidator(_identifier),
    WithJsonSchema({"type": "string", "pattern": f"^{_IDENTIFIER}$"}),
]


_BACKEND_NAME = r"[A-Za-z][A-Za-z0-9_.-]{0,63}"


def _backend_name(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(_BACKEND_NAME, value, re.ASCII):
        return value
    shown = repr(value)[:60]
    raise ValueError(f"expected a backend's name, such as ltx2 or animatic, got {shown}")


BackendName = Annotated[
    str,
    BeforeValidator(_backend_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_BACKEND_NAME}$"}),
]
"""Names of models as their makers write them, such as kling-1.6, may be asked for and missed."""


def _shot_ref(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(f"{_IDENTIFIER}(/{_IDENTIFIER})?", value, re.ASCII):
        return value
    raise ValueError(
        f'expected a shot such as "sh0020" (same scene) or "sc010/sh0020", got {value!r}'
    )


ShotRef = Annotated[
    str,
    BeforeValidator(_shot_ref),
    WithJsonSchema({"type": "string", "pattern": f"^{_IDENTIFIER}(/{_IDENTIFIER})?$"}),
]


def _code(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", value, re.ASCII):
        return value
    raise ValueError(f"expected a short code such as LHT for file names, got {value!r}")


Code = Annotated[
    str,
    BeforeValidator(_code),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$"}),
]

_DURATION_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string", "pattern": r"^\s*[+-]?\d+(\.\d+)?\s*(ms|s|f)?\s*$"},
        {"type": "number"},
    ]
}


def _positive(value: object) -> Duration:
    duration = value if isinstance(value, Duration) else parse_duration(value)
    if duration.amount <= 0:
        raise ValueError(f"expected more than zero, got {duration}")
    return duration


def _not_negative(value: object) -> Duration:
    duration = value if isinstance(value, Duration) else parse_duration(value)
    if duration.amount < 0:
        raise ValueError(f"expected zero or more, got {duration}")
    return duration


def _exact_text(duration: Duration) -> str:
    """The text that reads as the same duration; `str` rounds it for people."""
    # A duration as written is a decimal number, of milliseconds at its finest unit.
    digits = next(n for n in range(400) if 10**n % duration.amount.denominator == 0)
    number = str(int(duration.amount * 10**digits)).rjust(digits + 1, "0")
    whole, part = number[: len(number) - digits], number[len(number) - digits :]
    return f"{whole}.{part}{duration.unit}" if part else f"{whole}{duration.unit}"


_WRITTEN = PlainSerializer(_exact_text, return_type=str, when_used="json")

Length = Annotated[Duration, BeforeValidator(_positive), _WRITTEN, WithJsonSchema(_DURATION_SCHEMA)]
"""How long something lasts: more than zero."""
Offset = Annotated[
    Duration, BeforeValidator(_not_negative), _WRITTEN, WithJsonSchema(_DURATION_SCHEMA)
]
"""When something happens after its shot starts: zero or more."""

Fps = Annotated[
    Fraction,
    BeforeValidator(parse_fps),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]}),
]


def _frame_size(value: object) -> tuple[int, int]:
    expected = 'expected a size such as "1280x720", even and from 64x64 to 8192x8192'
    match = re.fullmatch(r"\s*(\d{2,5})\s*[xX×]\s*(\d{2,5})\s*", str(value), re.ASCII)
    if match is None:
        raise ValueError(f"{expected}, got {str(value)[:40]!r}")
    width, height = int(match[1]), int(match[2])
    if not (64 <= width <= 8192 and 64 <= height <= 8192) or width % 2 or height % 2:
        raise ValueError(f"{expected}, got {width}x{height}")
    return width, height


FrameSize = Annotated[
    tuple[int, int],
    BeforeValidator(_frame_size),
    WithJsonSchema({"type": "string", "pattern": r"^\d{2,5}x\d{2,5}$"}),
]


def _ref_path(value: object) -> str:
    expected = "expected a file inside the storyboard's folder, such as refs/mara.png"
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{expected}, got {value!r}")
    path = value.strip()
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", path) or path.startswith("//"):
        raise ValueError(f"{expected}, got the address {path[:80]!r}; save the file there first")
    if path.startswith(("/", "\\", "~")) or ".." in path.replace("\\", "/").split("/"):
        raise ValueError(f"{expected}, got {path[:80]!r}, which leads outside it")
    if len(path) > 500 or any(unicodedata.category(char) == "Cc" for char in path):
        raise ValueError(f"{expected}, got a name too long or with control characters")
    return path


RefPath = Annotated[str, BeforeValidator(_ref_path), WithJsonSchema({"type": "string"})]
"""A file named by the storyboard; the checks resolve it and confine it to the folder."""


def _aspect(value: object) -> Fraction:
    match = re.fullmatch(r"\s*(\d{1,4}(?:\.\d+)?)\s*:\s*(\d{1,4}(?:\.\d+)?)\s*", str(value))
    if match and float(match[2]) > 0 and 0.2 <= float(match[1]) / float(match[2]) <= 5:
        return Fraction(match[1]) / Fraction(match[2])
    raise ValueError(f'expected an aspect such as "16:9", "9:16", "1:1", "2.39:1", got {value!r}')


Aspect = Annotated[
    Fraction,
    BeforeValidator(_aspect),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?:\d+(\.\d+)?$"}),
]


def _lang(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})?", value, re.ASCII):
        return value
    raise ValueError(f"expected a language such as en, fr or pt-BR (BCP 47), got {value!r}")


Lang = Annotated[
    str,
    BeforeValidator(_lang),
    WithJsonSchema({"type": "string", "pattern": "^[a-z]{2,3}(-[A-Za-z0-9]{2,8})?$"}),
]
