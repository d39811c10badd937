"""The font that everything is written in: Noto Sans CJK, one collection for many languages."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import noto_cjk_sans_otc
from PIL import ImageFont

from media.errors import MediaError

__all__ = ["check_glyphs", "font_index", "font_path"]

# The order of the faces inside NotoSansCJK-Regular.ttc; one character may be drawn differently
# in each (Han unification).
_JP, _KR, _SC, _TC, _HK = range(5)

_TRADITIONAL = ("zh-tw", "zh-hant", "cmn-tw", "cmn-hant")
_HONG_KONG = ("zh-hk", "zh-mo", "zh-hant-hk", "zh-hant-mo", "yue")

_PIXELS = 24
_NOT_A_CHARACTER = "\U0010ffff"


def font_path() -> Path:
    """The font collection: TAKEBOARD_FONT when set, else the one that came with the wheel."""
    chosen = os.environ.get("TAKEBOARD_FONT")
    path = Path(chosen) if chosen else Path(str(noto_cjk_sans_otc.FONT_PATH))
    if not path.is_file():
        raise MediaError(
            "there is no such font",
            where=str(path),
            todo="install the noto-cjk-sans-otc package or set TAKEBOARD_FONT to a font file",
        )
    return path


def font_index(lang: str | None) -> int:
    """The face inside the collection for a BCP 47 language such as `ja`, `ko` or `zh-Hant`.

    A font of one's own (TAKEBOARD_FONT) may be a single face: then it is always face 0.
    """
    if font_path().suffix.lower() not in (".ttc", ".otc"):
        return 0
    tag = (lang or "").lower().replace("_", "-")
    if tag.startswith(_HONG_KONG):
        return _HK
    if tag.startswith(_TRADITIONAL):
        return _TC
    if tag.split("-")[0] in ("zh", "cmn"):
        return _SC
    return _KR if tag.split("-")[0] == "ko" else _JP


def check_glyphs(text: str) -> str:
    """The characters of `text` that the font cannot draw, once each, in order; "" when none.

    Such characters would come out as empty boxes without any error.
    """
    path = str(font_path())
    return "".join(character for character in dict.fromkeys(text) if not _drawn(path, character))


@lru_cache(maxsize=65536)
def _drawn(path: str, character: str) -> bool:
    if character.isspace() or not character.isprintable():
        return True
    return _pixels(path, character) != _pixels(path, _NOT_A_CHARACTER)


def _pixels(path: str, character: str) -> tuple[tuple[int, int], bytes]:
    mask = _face(path).getmask(character)
    return mask.size, bytes(mask)


@lru_cache(maxsize=4)
def _face(path: str) -> ImageFont.FreeTypeFont:
    try:
        return ImageFont.truetype(path, _PIXELS, layout_engine=ImageFont.Layout.BASIC)
    except OSError as error:
        raise MediaError("the font cannot be opened", where=path) from error
