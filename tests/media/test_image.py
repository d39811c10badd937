import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from media.errors import MediaError
from media.image import check_image, image_size, read_image, write_image


def picture(height: int = 12, width: int = 20) -> np.ndarray:
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[:, : width // 2] = (200, 40, 10, 255)
    rgba[:, width // 2 :] = (10, 40, 200, 128)
    return rgba


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_pixels_and_alpha_survive(tmp_path: Path, name: str) -> None:
    write_image(tmp_path / name, picture())
    assert np.array_equal(read_image(tmp_path / name), picture())
    assert image_size(tmp_path / name) == (20, 12)
    assert check_image(tmp_path / name) is None
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["a.jpg", "a.webp"])
def test_lossy_formats_come_close(tmp_path: Path, name: str) -> None:
    rgb = np.full((32, 32, 3), (180, 90, 30), np.uint8)
    write_image(tmp_path / name, rgb)
    back = read_image(tmp_path / name)
    assert np.abs(back[..., :3].astype(int) - rgb).max() <= 6
    assert (back[..., 3] == 255).all()


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    back = read_image(tmp_path / "a.png")
    assert back.shape == (16, 8, 4)
    assert image_size(tmp_path / "a.png") == (8, 16)
    assert back[:8].min() == 255
    assert back[8:, :, 0].max() == 0


def test_sixteen_bits_are_scaled(tmp_path: Path) -> None:
    grey = np.full((4, 4), 32768, np.uint16)
    Image.fromarray(grey).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png")[..., 0] == 128).all()


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"words, not a picture", "something else"),
        (b"GIF89a" + bytes(50), "something else"),
        (bomb(9000, 9000), "found 9000x9000"),
        (bomb(60000, 60000), "enormous"),
    ],
)
def test_what_is_no_picture_is_said(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    assert found in (check_image(path) or "")
    with pytest.raises(MediaError, match=found):
        image_size(path)


def test_a_picture_cut_short_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_image(path, noise)
    whole = path.read_bytes()
    for kept in (400, 4000, len(whole) - 12):
        path.write_bytes(whole[:kept])
        assert "damaged" in (check_image(path) or ""), kept
    assert check_image(tmp_path / "none.png") == "there is no such file"


@pytest.mark.parametrize("at", [60, 2000, 9000])
def test_one_wrong_bit_in_a_png_is_damage(tmp_path: Path, at: int) -> None:
    path = tmp_path / "a.png"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    write_image(path, noise)
    damaged = bytearray(path.read_bytes())
    damaged[at] ^= 0x10
    path.write_bytes(damaged)
    assert "damaged" in (check_image(path) or "")


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="expected a name ending"):
        write_image(tmp_path / "a.bmp", picture())
    with pytest.raises(MediaError, match="uint8"):
        write_image(tmp_path / "a.png", picture().astype(np.float32))
    assert not list(tmp_path.iterdir())
