"""Which open models this machine has, where, and under which terms: `models.toml`.

    device = "cuda:0"                 # or cpu, mps; default: cuda:0 where there is one, else cpu
    acknowledged = ["minimax-h3"]     # licences that somebody has read and accepted, by id

    [models.ltx2]
    source = "/models/LTX-2.5"        # a folder, or a hub id such as Lightricks/LTX-2.5
    revision = "3f2a…"                # commit of the hub id; a folder needs none
    variant = "2.5"                   # a backend's own word for the generation of the model
    precision = "auto"                # auto | bf16 | fp8 | int8
    offload = "auto"                  # auto | none | group | sequential

    [models.ltx2.profiles.draft]      # levers that differ for takes of a profile
    precision = "fp8"

    [models.ltx2.parts.ingredients]   # further weights that the backend knows by name
    source = "/models/ltx2-ingredients"

    [models.openai_video]
    url = "http://127.0.0.1:8000"
    dialect = "sglang"

TAKEBOARD_MODELS names the file; default: `~/.config/takeboard/models.toml`. Hub ids are looked up
in the local hub cache only, unless `download = true`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from media.errors import UsageError
from storyboards.fields import did_you_mean

__all__ = [
    "PROFILES",
    "LeverSettings",
    "LocalSettings",
    "ModelSettings",
    "PartSettings",
    "Profile",
    "local_settings",
    "models_file",
]

_MAX_BYTES = 1_000_000


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PartSettings(_Table):
    """Further weights of a model, such as an adapter or a second stage."""

    source: str
    revision: str = ""
    weight_name: str = ""
    """The file inside a folder or hub id that holds several."""


Precision = Literal["auto", "bf16", "fp32", "fp8", "int8"]
Profile = Literal["draft", "standard", "fine"]

PROFILES: tuple[Profile, ...] = ("draft", "standard", "fine")


class LeverSettings(_Table):
    """Levers of one profile, where they differ from the model's."""

    precision: Precision | None = None
    attention: str | None = None
    compile: bool | None = None
    step_cache: str | None = None


class ModelSettings(_Table):
    """One backend's model on this machine."""

    source: str = ""
    revision: str = ""
    variant: str = ""
    precision: Precision = "auto"
    offload: Literal["auto", "none", "group", "sequential"] = "auto"
    attention: str = ""
    """A diffusers attention backend; empty: the pipeline's own."""
    compile: bool = False
    step_cache: str = ""
    """A step cache such as `taylorseer`; empty: none."""
    download: bool = False
    parts: Mapping[str, PartSettings] = Field(default_factory=dict)
    profiles: Mapping[Profile, LeverSettings] = Field(default_factory=dict)
    """Levers that takes of a profile are made with instead."""
    url: str = ""
    """Of a local server, for backends that call one."""
    dialect: str = ""
    model: str = ""
    """What that server calls the model."""
    key_env: str = ""
    """Environment variable that holds the server's key; the key itself is never in a file."""

    def for_profile(self, profile: Profile) -> ModelSettings:
        """The settings that takes of a profile are made with."""
        levers = self.profiles.get(profile)
        return (
            self if levers is None else self.model_copy(update=levers.model_dump(exclude_none=True))
        )


def _a_device(name: str) -> str:
    if name and not re.fullmatch(r"cpu|mps|cuda(:\d{1,3})?", name):
        raise ValueError('expected "cpu", "mps", "cuda" or a GPU by number such as "cuda:0"')
    return name


class LocalSettings(_Table):
    """The machine's models file."""

    device: Annotated[str, AfterValidator(_a_device)] = ""
    acknowledged: Annotated[tuple[str, ...], Field(max_length=64)] = ()
    models: Mapping[str, ModelSettings] = Field(default_factory=dict)

    def model(self, backend_id: str) -> ModelSettings | None:
        """What is said of a backend's model; None: nothing is."""
        return self.models.get(backend_id)


def local_settings(environ: Mapping[str, str] = os.environ) -> LocalSettings:
    """The settings of this machine, empty without a file. UsageError tells what is wrong in it."""
    path = models_file(environ)
    try:
        status = path.stat()
    except OSError:
        if environ.get("TAKEBOARD_MODELS", "").strip():
            raise UsageError("there is no such file", where=f"TAKEBOARD_MODELS={path}") from None
        return LocalSettings()
    return _read(path, status.st_mtime_ns, status.st_size)


def models_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the models file is, or would be."""
    named = environ.get("TAKEBOARD_MODELS", "").strip()
    config = environ.get("XDG_CONFIG_HOME", "").strip() or "~/.config"
    return Path(named or f"{config}/takeboard/models.toml").expanduser()


@lru_cache(maxsize=16)
def _read(path: Path, _mtime_ns: int, num_bytes: int) -> LocalSettings:
    if num_bytes > _MAX_BYTES:
        raise UsageError(f"expected at most 1 MB, found {num_bytes} bytes", where=str(path))
    try:
        return LocalSettings.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"cannot read the models file: {error}", where=str(path)) from error
    except ValidationError as error:
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise UsageError(f"{_said_of(error)}{more}", where=str(path)) from error


def _said_of(error: ValidationError) -> str:
    """The first mistake: which setting, what was expected, what was got."""
    first = error.errors()[0]
    *table, key = (str(step) for step in first["loc"] if step != "[key]")
    name = ".".join((*table, key))
    if first["type"] != "extra_forbidden":
        expected = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
        return f"{name}: {expected}, got {first['input']!r}"
    kind: type[_Table] = LocalSettings if not table else ModelSettings
    if len(table) > 2:
        kind = LeverSettings if table[2] == "profiles" else PartSettings
    known = list(kind.model_fields)
    return f"{name}: unknown setting, expected one of {', '.join(known)}{did_you_mean(key, known)}"
