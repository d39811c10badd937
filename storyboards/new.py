"""A new storyboard in a folder of its own, started from one of the templates."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import jinja2

from media.errors import UsageError, translate_os_errors
from media.files import publish_folder
from storyboards.fields import did_you_mean

__all__ = ["STORYBOARD_NAME", "new_storyboard", "template_names"]

STORYBOARD_NAME = "storyboard.yaml"
SCHEMA_NAME = "takeboard.schema.json"

_SUFFIX = ".yaml.j2"


def template_names() -> tuple[str, ...]:
    """The templates that a storyboard can start from."""
    names = (each.name.removesuffix(_SUFFIX) for each in _folder().iterdir())
    return tuple(sorted(name for name in names if re.fullmatch(r"\w+", name, re.ASCII)))


def new_storyboard(folder: Path, template: str, *, title: str, code: str) -> Path:
    """The storyboard just written into the new `folder`; it loads as it is.

    UsageError when the folder is there already: nothing is ever written over.
    """
    if template not in template_names():
        raise UsageError(
            f'there is no template "{template}", expected one of {", ".join(template_names())}'
            f"{did_you_mean(template, list(template_names()))}"
        )
    _require_usable(title, code)
    folder = Path(folder)
    if folder.exists() or folder.is_symlink():
        raise UsageError("the folder is there already", where=str(folder), todo="choose another")
    with translate_os_errors("make a folder", folder, UsageError):
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
    values = {"title": json.dumps(title, ensure_ascii=False), "code": json.dumps(code)}
    with publish_folder(folder) as made, translate_os_errors("write", folder):
        for source, name in _texts(template):
            (made / name).write_text(_rendered(source, values), encoding="utf-8")
        schema = files("storyboards").joinpath(SCHEMA_NAME).read_text("utf-8")
        (made / SCHEMA_NAME).write_text(schema, encoding="utf-8")
    if not (folder / STORYBOARD_NAME).is_file():
        raise UsageError("somebody else made the folder meanwhile", where=str(folder))
    return folder / STORYBOARD_NAME


def _folder() -> Path:
    return Path(str(files("templates") / "storyboards"))


def _require_usable(title: str, code: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", code, re.ASCII):
        raise UsageError(f"expected a short code such as LHT for file names, got {code[:40]!r}")
    if not 1 <= len(title.strip()) <= 200 or not title.isprintable() or _is_template(title):
        raise UsageError(f"expected a title of 1 to 200 characters on one line, got {title[:40]!r}")


def _is_template(title: str) -> bool:
    return any(mark in title for mark in ("{{", "{%", "{#"))


def _texts(template: str) -> list[tuple[str, str]]:
    """The template's texts, and the names that they get in the new folder."""
    texts = [((_folder() / f"{template}{_SUFFIX}").read_text("utf-8"), STORYBOARD_NAME)]
    table = _folder() / f"{template}.variants{_SUFFIX}"
    if table.is_file():
        texts.append((table.read_text("utf-8"), "variants.yaml"))
    return texts


def _rendered(source: str, values: dict[str, str]) -> str:
    desk = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)
    return desk.from_string(source).render({**values, "schema": SCHEMA_NAME})
