"""How a take is denoised: which schedule, how many passes a step, one stage or two.

Distilled checkpoints walk eight fixed noise levels without guidance, and three more after the
latents were doubled (`DISTILLED_SIGMA_VALUES`, `STAGE_2_DISTILLED_SIGMA_VALUES` in
diffusers/pipelines/ltx2/utils.py). The others take a schedule of any length under guidance, or
the distilled one with the adapter of the part `distilled`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from generator.backends.base import RenderRequest
from generator.local.settings import ModelSettings

__all__ = ["VARIANTS", "Recipe", "Setup", "Stage", "recipe_of", "setup_of"]

VARIANTS = ("2.5", "2.3", "2.5-dev", "2.3-dev")
"""What `variant` may say in the models file; empty means the first."""

GUIDED_PASSES = 4
"""Of the transformer a step: words, negative, a skipped block (STG) and the modalities apart."""

_DRAFT_PICKS = (0, 4, 5, 6, 7)
"""Of the eight noise levels: the first four differ by less than 2 %, one stands for them."""

_GUIDED_STEPS = {"draft": 12, "standard": 20, "fine": 30}
"""30 is the default of the pipelines; fewer are quicker and rougher."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What the models file says of the model, as far as it changes how takes are made."""

    generation: Literal["2.3", "2.5"]
    distilled: bool
    parts: frozenset[str]

    @property
    def image_crf(self) -> int:
        """H.264 quality of pictures that it was trained to start from (diffusers, utils.py)."""
        return 18 if self.generation == "2.5" else 33

    @property
    def few_steps(self) -> bool:
        """Whether it can walk the distilled schedule at all."""
        return self.distilled or "distilled" in self.parts


@dataclass(frozen=True, slots=True)
class Stage:
    """One walk from noise to latents."""

    kind: Literal["distilled", "refine", "guided"]
    steps: int
    picks: tuple[int, ...] = ()
    """Of the schedule's noise levels, by index; for `guided` none."""

    @property
    def passes(self) -> int:
        """Of the transformer a step."""
        return GUIDED_PASSES if self.kind == "guided" else 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """A first stage at full or half size, and maybe a second at full size."""

    first: Stage
    second: Stage | None

    @property
    def guided(self) -> bool:
        """Whether a negative is read."""
        return self.first.kind == "guided"

    @property
    def steps(self) -> int:
        """Of both stages."""
        return self.first.steps + (self.second.steps if self.second else 0)

    def first_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the first stage for a take of `size`."""
        return (size[0] // 2, size[1] // 2) if self.second else size


def setup_of(model: ModelSettings, parts: Collection[str] | None = None) -> Setup:
    """What the settings say; `parts` are the ones found on disk, by default the ones named."""
    generation, _, kind = (model.variant or VARIANTS[0]).partition("-")
    return Setup(
        "2.3" if generation == "2.3" else "2.5",
        kind != "dev",
        frozenset(model.parts if parts is None else parts),
    )


def recipe_of(request: RenderRequest, setup: Setup, *, stages: int | None = None) -> Recipe:
    """The recipe of a request: its option `stages`, or `stages`, or what the profile prefers."""
    asked = stages or dict(request.options).get("stages")
    guided = not setup.few_steps or (request.profile == "fine" and not setup.distilled)
    if guided:
        first = Stage("guided", _GUIDED_STEPS[request.profile])
    elif request.profile == "draft":
        first = Stage("distilled", len(_DRAFT_PICKS), _DRAFT_PICKS)
    else:
        first = Stage("distilled", 8, tuple(range(8)))
    second = Stage("refine", 3, (0, 1, 2))
    can_refine = setup.few_steps and "upsampler" in setup.parts
    wants = int(asked) == 2 if asked else request.profile != "draft"
    return Recipe(first, second if can_refine and wants else None)
