"""The files in docs/farm are of this version: they name what Prefect and Takeboard know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import prefect.settings
import pytest
import yaml
from typer.testing import CliRunner

from flows.cli import app

ROOT = Path(__file__).parents[2]
COMPOSE, KUBERNETES = ROOT / "docs/farm/compose.yaml", ROOT / "docs/farm/kubernetes.yaml"
FILES = pytest.mark.parametrize("file", [COMPOSE, KUBERNETES], ids=lambda path: path.stem)


def compose_services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


@FILES
def test_the_server_is_the_version_that_is_tested(file: Path) -> None:
    pins = re.findall(r"^prefect==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert re.findall(r"prefecthq/prefect:([\d.]+)-", file.read_text()) == pins


@FILES
def test_settings_are_ones_that_exist(file: Path) -> None:
    named = set(re.findall(r"\b(?:PREFECT|TAKEBOARD)_[A-Z0-9_]+", file.read_text()))
    docs = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    of_the_file = {"TAKEBOARD_PASSWORD", "TAKEBOARD_MACHINE", "TAKEBOARD_LISTEN"}
    for name in named - of_the_file:
        assert hasattr(prefect.settings, name) if name.startswith("PREFECT") else name in docs, name


def test_workers_are_started_with_words_that_they_take() -> None:
    commands = {one["command"] for one in compose_services().values() if "build" in one}
    commands |= {" ".join(args) for args in _worker_args()}
    assert commands == {"worker --pool cpu", "worker --pool gpu"}
    for command in commands:
        shown = CliRunner().invoke(app, [*command.split(), "--help"])
        assert shown.exit_code == 0, shown.output


def test_a_worker_s_container_keeps_its_name() -> None:
    workers = [one for one in compose_services().values() if "build" in one]
    assert {one["hostname"] for one in workers} == {"${TAKEBOARD_MACHINE:-farm}"}
    kinds = {one["metadata"]["name"]: one["kind"] for one in _kubernetes()}
    assert kinds["takeboard-cpu"] == kinds["takeboard-gpu"] == "StatefulSet"


def _kubernetes() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(KUBERNETES.read_text()))


def _worker_args() -> Iterator[list[str]]:
    for one in _kubernetes():
        if one["kind"] == "StatefulSet":
            yield one["spec"]["template"]["spec"]["containers"][0]["args"]
