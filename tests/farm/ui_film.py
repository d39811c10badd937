"""A farm with a browser in front of it, and a film that is started, approved and made there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.farm.browser import Browser, open_browser
from tests.farm.one_machine import REPOSITORY, Machine, machine_up, until

__all__ = ["FILM", "Front", "front_of_a_farm", "pixels", "width_of"]

FILM = """
version: 1
project: {code: TIN, title: The Tin, fps: 24, size: 160x90}
budget: {usd: 5}
approve: [budget, picks]
defaults: {backend: sketch}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots:
      - {id: sh0010, size: LS, duration: 12f, action: A tin rolls beat one.}
      - {id: sh0020, size: CU, duration: 12f, action: Sand., takes: 2, backend: animatic,
         negative: rust}
"""
_BROKEN = """
version: 1
project: {code: RIP, title: The Rip, fps: 24, size: 160x90}
defaults: {backend: sketch}
scenes:
  - id: sc010
    slugline: EXT. SEA - DAY
    shots: [{id: sh0010, size: LS, duration: 12f, action: It is unpaintable.}]
"""
_STEP_S = "2.6"
"""A take has four steps. It gets a bar after five seconds, when as long is left: at the second."""
_GPU = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-aaaaaaaa-0000-0000-0000-000000000000)"

Pixels = NDArray[np.int16]


@dataclass
class Front:
    """A farm as somebody at a desk sees it."""

    machine: Machine
    films: Path
    browser: Browser
    gate: Path

    def let_go_on(self, step: int) -> None:
        """Have takes made up to that step, and wait there."""
        part = self.gate.with_suffix(".part")
        part.write_text(str(step), encoding="utf-8")
        part.rename(self.gate)

    def open(self, path: str) -> None:
        """Go to a page of the UI."""
        self.browser.open(self.machine.url.removesuffix("/api") + path)

    def open_deployment(self, flow: str) -> None:
        """Go there as one does: by the list."""
        self.open("/deployments")
        rows = "[...document.querySelectorAll('tr')]"
        named = f"e => e.innerText.includes('farm') && e.innerText.includes('{flow}')"
        self.browser.press(f"{rows}.find({named})?.querySelector('a')", flow)
        self.browser.see("Run", "Entrypoint")

    def open_artifact(self, run: str, key: str | None) -> dict[str, Any]:
        """Go to the page of what a run has recorded under that key, once it has; what that is."""
        found = until(lambda: self.artifacts(run).get(key))
        self.open(f"/artifacts/artifact/{found['id']}")
        return found

    def artifacts(self, run: str) -> dict[str | None, dict[str, Any]]:
        """What a run has recorded, by key."""
        found = self.machine.ask("artifacts", flow_runs={"id": {"any_": [run]}})
        return {one["key"]: one for one in found}

    def run(self, name: str) -> dict[str, Any]:
        """The newest run of that name, once there is one."""

        def found() -> dict[str, Any] | None:
            named = {"name": {"any_": [name]}}
            runs = self.machine.ask("flow_runs", flow_runs=named, sort="ID_DESC")
            return max(runs, key=lambda run: str(run["created"])) if runs else None

        return until(found)

    def suspended(self, run: str, before: str = "") -> str:
        """The question that a run waits with, once it waits with another than `before`."""

        def waits() -> str | None:
            state = self.machine.state(run)
            assert state["type"] not in ("FAILED", "CRASHED"), state
            key = state["state_details"].get("pause_key") or ""
            return key if state["name"] == "Suspended" and key != before else None

        return until(waits, 60.0)

    def resume(self, run: str) -> None:
        """Open the form that a run waits for."""
        self.open(f"/runs/flow-run/{run}")
        self.browser.click("Resume")
        self.browser.see("Resume Flow Run", "Decision", "Your name")

    def cut_off(self) -> list[str]:
        """Texts on the page that do not fit into what they stand in."""
        return list(
            self.browser.run(
                "[...document.querySelectorAll('p, label, td, th, .markdown-renderer__text')]"
                ".filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 2)"
                ".map(e => e.innerText.slice(0, 80))"
            )
        )


@contextmanager
def front_of_a_farm(folder: Path) -> Iterator[Front]:
    """`takeboard up` with a worker for films and one for a GPU, and two films to be made."""
    films = folder / "films"
    (films / "tin").mkdir(parents=True)
    (films / "tin" / "film.yaml").write_text(FILM, encoding="utf-8")
    (films / "tin" / "broken.yaml").write_text(_BROKEN, encoding="utf-8")
    tool = folder / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\necho '{_GPU}'\n")
    tool.chmod(0o755)
    gate = folder / "steps"
    gate.write_text("0", encoding="utf-8")
    plugin = REPOSITORY / "tests" / "farm" / "plugin"
    with (
        machine_up(
            folder / "home", "--root", str(films), "--gpus", "all",
            PATH=f"{tool.parent}{os.pathsep}{os.environ['PATH']}",
            PYTHONPATH=f"{REPOSITORY}{os.pathsep}{plugin}",
            SKETCH_STEP_S=_STEP_S,
            SKETCH_GATE=str(gate),
        ) as machine,
        open_browser(folder / "browser") as browser,
    ):  # fmt: skip
        yield Front(machine, films, browser, gate)


def pixels(picture: Path, size: tuple[int, int] | None = None) -> Pixels:
    """`(height, width, 3) int16 RGB` in [0, 255], scaled to `size`."""
    with Image.open(picture) as image:
        colours = image.convert("RGB")
    return np.asarray(colours.resize(size) if size else colours, dtype=np.int16)


def width_of(bar: Path) -> float:
    """How much of a bar is filled: the share of its columns that are not as its right end is."""
    middle = pixels(bar)[pixels(bar).shape[0] // 2]
    left = np.abs(middle - middle[1]).sum(axis=1) < 30
    return float(left.mean())
