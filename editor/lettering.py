"""Words set in lines that fit, and drawn: what titles, captions and slates are written with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from media.errors import MediaError
from media.fonts import check_glyphs, font_index, font_path

__all__ = ["Setting", "draw_setting", "font_at", "require_glyphs", "set_in_box", "shortened"]

U8 = NDArray[np.uint8]

LINE_HEIGHT = 1.28
"""Baseline to baseline, in font sizes; Noto's own 1.45 is made for accents on both sides."""

# Han, kana and Hangul may break after any character; these may not begin a line (JIS X 4051).
_CJK = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef"
_NO_START = "、。，．・：；？！」』）］｝〉》】〕々ー…％,.:;?!)]}"
_PIECES = re.compile(f"[{_CJK}][{re.escape(_NO_START)}]*|[^\\s{_CJK}]+|\\s+")


@dataclass(frozen=True, slots=True)
class Setting:
    """Text broken into lines at a font size."""

    lines: tuple[str, ...]
    font_px: int
    lang: str

    @property
    def width(self) -> int:
        """Of the longest line, in pixels."""
        font = font_at(self.font_px, self.lang)
        return max(1, round(max(font.getlength(line) for line in self.lines)))

    @property
    def line_px(self) -> int:
        """From one baseline to the next."""
        return max(1, round(self.font_px * LINE_HEIGHT))

    @property
    def height(self) -> int:
        """Of all lines, in pixels."""
        return self.line_px * len(self.lines)


def set_in_box(text: str, lang: str, box: tuple[int, int], largest: int, smallest: int) -> Setting:
    """`text` in the largest font from `largest` down to `smallest` that fits `box` (w, h).

    A word is broken only when it is too long for a line in the smallest font. Lines come out
    about equally long. MediaError when there is too much text for the box.
    """
    fitting = _set(text, lang, box[0], smallest, break_words=True)
    low, high = smallest + 1, largest
    while low <= high:
        font_px = (low + high) // 2
        setting = _set(text, lang, box[0], font_px, break_words=False)
        if setting is not None and setting.height <= box[1]:
            fitting, low = setting, font_px + 1
        else:
            high = font_px - 1
    if fitting is not None and fitting.height <= box[1]:
        return fitting
    raise MediaError(
        f"{len(text)} characters do not fit into {box[0]}x{box[1]} pixels",
        where=f"the words {text[:30]!r}",
        todo="shorten them, or give them in several titles",
    )


def draw_setting(
    setting: Setting,
    colour: tuple[int, int, int],
    *,
    align: str = "center",
    stroke_px: int = 0,
    shadow_px: int = 0,
) -> Image.Image:
    """The lines as RGBA with straight alpha, with a margin for outline and shadow around them.

    The margin is `stroke_px + 2 * shadow_px` on every side.
    """
    margin = stroke_px + 2 * shadow_px
    size = (setting.width + 2 * margin, setting.height + 2 * margin)
    font = font_at(setting.font_px, setting.lang)
    # Clear, but of the letters' colour, so that their soft edges do not darken.
    words = Image.new("RGBA", size, (*(colour if not stroke_px else (0, 0, 0)), 0))
    pen = ImageDraw.Draw(words)
    for index, line in enumerate(setting.lines):
        room = setting.width - font.getlength(line)
        x = margin + (room / 2 if align == "center" else 0)
        baseline = margin + setting.line_px * index + setting.font_px * 1.0
        pen.text(
            (x, baseline),
            line,
            fill=(*colour, 255),
            font=font,
            anchor="ls",
            stroke_width=stroke_px,
            stroke_fill=(0, 0, 0, 235),
        )
    if not shadow_px:
        return words
    soft = words.getchannel("A").filter(ImageFilter.GaussianBlur(shadow_px))
    dark = Image.new("RGBA", size, (0, 0, 0, 0))
    dark.putalpha(soft.point([min(255, round(level * 0.85)) for level in range(256)]))
    return Image.alpha_composite(dark, words)


def require_glyphs(text: str, where: str) -> None:
    """MediaError that names the characters which the font cannot draw."""
    missing = check_glyphs(text)
    if missing:
        named = ", ".join(f"{character} (U+{ord(character):04X})" for character in missing[:8])
        raise MediaError(
            f"the font has no {named}",
            where=where,
            todo="change the text, or set TAKEBOARD_FONT to a font that has them",
        )


def shortened(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """`text`, cut at its end with an ellipsis when it is wider than `width` pixels."""
    if font.getlength(text) <= width:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if font.getlength(text[:middle].rstrip() + "…") <= width:
            low = middle
        else:
            high = middle - 1
    return text[:low].rstrip(" ,;:·") + "…" if low else ""


@lru_cache(maxsize=64)
def font_at(font_px: int, lang: str) -> ImageFont.FreeTypeFont:
    """The face for the language, `font_px` pixels to the em."""
    path = font_path()
    try:
        return ImageFont.truetype(str(path), font_px, index=font_index(lang))
    except OSError as error:
        raise MediaError("the font cannot be opened", where=str(path)) from error


def _set(text: str, lang: str, width: int, font_px: int, *, break_words: bool) -> Setting | None:
    font = font_at(font_px, lang)
    lines: list[str] = []
    for paragraph in text.replace("\t", " ").splitlines():
        wrapped = _wrapped(paragraph, font, width, break_words)
        if wrapped is None:
            return None
        lines += _balanced(paragraph, font, width, wrapped)
    return Setting(tuple(lines) or ("",), font_px, lang)


def _balanced(
    paragraph: str, font: ImageFont.FreeTypeFont, width: int, lines: list[str]
) -> list[str]:
    """The same number of lines in the narrowest column that holds them."""
    if not 1 < len(lines) < 7:
        return lines
    low, high = width // 2, width
    while high - low > max(2, width // 100):
        middle = (low + high) // 2
        narrower = _wrapped(paragraph, font, middle, break_words=False)
        if narrower is not None and len(narrower) == len(lines):
            lines, high = narrower, middle
        else:
            low = middle
    return lines


def _wrapped(
    paragraph: str, font: ImageFont.FreeTypeFont, width: int, break_words: bool
) -> list[str] | None:
    """Lines at most `width` pixels wide; None when a word would have to be broken."""
    lines: list[str] = []
    line = ""
    for piece in _PIECES.findall(paragraph):
        if font.getlength((line + piece).rstrip()) <= width:
            line += piece if line or not piece.isspace() else ""
            continue
        if line.strip():
            lines.append(line.rstrip())
        line = piece.lstrip()
        while font.getlength(line.rstrip()) > width:
            if not break_words:
                return None
            fitting = max(1, _fitting(line, font, width))
            lines.append(line[:fitting])
            line = line[fitting:]
            if len(line) <= 1:
                break
    if line.strip() or not lines:
        lines.append(line.rstrip())
    return lines


def _fitting(word: str, font: ImageFont.FreeTypeFont, width: int) -> int:
    count = 0
    while count < len(word) and font.getlength(word[: count + 1]) <= width:
        count += 1
    return count
