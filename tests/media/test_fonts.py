from pathlib import Path

import pytest
from PIL import ImageFont

from media.errors import MediaError
from media.fonts import check_glyphs, font_index, font_path


@pytest.mark.parametrize(
    ("lang", "face"),
    [
        (None, "JP"),
        ("en", "JP"),
        ("ja-JP", "JP"),
        ("ko", "KR"),
        ("zh", "SC"),
        ("zh-Hans-CN", "SC"),
        ("zh-Hant", "TC"),
        ("zh_TW", "TC"),
        ("zh-HK", "HK"),
        ("yue", "HK"),
        ("cmn", "SC"),
    ],
)
def test_each_language_has_its_face(lang: str | None, face: str) -> None:
    font = ImageFont.truetype(str(font_path()), 20, index=font_index(lang))
    assert font.getname()[0] == f"Noto Sans CJK {face}"


def test_missing_glyphs_are_named_once_in_order() -> None:
    assert check_glyphs("Héllo, “wörld” — 東京 한국 Жы αβ…\n\t") == ""
    assert check_glyphs("a😀bनa😀") == "😀न"


def test_a_font_can_be_chosen_and_must_be_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TAKEBOARD_FONT", str(tmp_path / "mine.ttf"))
    with pytest.raises(MediaError, match="no such font"):
        font_path()
    (tmp_path / "mine.ttf").write_bytes(b"not a font")
    assert font_index("ko") == 0
    with pytest.raises(MediaError, match="cannot be opened"):
        check_glyphs("a")
