"""Whether this machine can run a model as it is set up, asked for every shot of a plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from generator.backends.base import Licence
from generator.keys import content_digest
from generator.local.levers import LeverSupport, lever_refusal
from generator.local.settings import PROFILES, LocalSettings, ModelSettings, local_settings
from generator.local.sources import Need, identity_of, is_told, what_is_missing

__all__ = ["Needs", "Readiness", "licence_refusal"]

Needs = Sequence[Need] | Callable[[ModelSettings], Sequence[Need]]
"""What a model needs, or what it needs under given settings."""

_PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors")

_REMEMBERED_S = 1.0


@dataclass(slots=True)
class Readiness:
    """What the models file and the disk say of one backend's model."""

    backend_id: str
    licence: Licence
    needs: Needs
    levers: LeverSupport
    fixed_settings: LocalSettings | None
    _asked: dict[str, tuple[float, ModelSettings, str]] = field(default_factory=dict)

    @property
    def settings(self) -> LocalSettings:
        """The machine's, read anew when the file changes."""
        return local_settings() if self.fixed_settings is None else self.fixed_settings

    @property
    def model(self) -> ModelSettings:
        """What the models file says of the backend's model; empty where it says nothing."""
        return self.settings.model(self.backend_id) or ModelSettings()

    @property
    def model_needs(self) -> Sequence[Need]:
        """What the model needs under its settings."""
        return self.needs(self.model) if callable(self.needs) else self.needs

    @property
    def unready(self) -> str:
        """Why it cannot render on this machine as it is set up, and what to do; empty: it can.

        Of a model that another machine has told of, that machine has answered.
        """
        if is_told(self.model):
            return ""
        return (
            self._remembered("packages", _lacking_packages)
            or licence_refusal(self.licence, self.settings.acknowledged)
            or self._remembered("files", self._lacking_files)
            or self._refused_lever()
        )

    @property
    def weights(self) -> str:
        """The weights and the settings that change pixels, as one word of every take's key."""
        model = self.model
        identity = self._remembered("weights", lambda: identity_of(model, self.model_needs))
        made_with = {profile: _seen_levers(model.for_profile(profile)) for profile in PROFILES}
        settings: tuple[str, ...] = (model.variant, *_seen_levers(model))
        if len({*made_with.values(), settings[1:]}) > 1:
            settings += tuple(str(made_with[profile]) for profile in PROFILES)
        if settings == ("", "auto", "", ""):
            return identity
        return f"{identity}.{content_digest(*settings)[:8]}"

    def _lacking_files(self) -> str:
        lacking = what_is_missing(self.model, self.model_needs)
        if not lacking or self.model.source:
            return lacking
        return (
            f"{lacking}, then name its folder as source of [models.{self.backend_id}] in the file"
        )

    def _refused_lever(self) -> str:
        for profile in PROFILES:
            refused = lever_refusal(self.model.for_profile(profile), self.levers)
            if refused:
                own = profile in self.model.profiles
                return f"profiles.{profile}: {refused}" if own else refused
        return ""

    def _remembered(self, what: str, ask: Callable[[], str]) -> str:
        """What the disk says, asked at most once a second: a plan asks for every shot."""
        model, now = self.model, time.monotonic()
        asked = self._asked.get(what)
        if asked is None or asked[1] != model or now - asked[0] > _REMEMBERED_S:
            asked = self._asked[what] = (now, model, ask())
        return asked[2]


def _seen_levers(model: ModelSettings) -> tuple[str, str, str]:
    """Those that change pixels."""
    return (model.precision, model.attention, model.step_cache)


def _lacking_packages() -> str:
    lacking = [name for name in _PACKAGES if find_spec(name) is None]
    return f"needs {', '.join(lacking)}: install takeboard[gpu]" if lacking else ""


def licence_refusal(licence: Licence, acknowledged: Sequence[str]) -> str:
    """Why the licence must be acknowledged first, and how; empty: it need not be, or is."""
    if not licence.needs_acknowledgement or licence.id in acknowledged:
        return ""
    terms = []
    if licence.excluded_territories:
        terms.append(f"excludes {', '.join(licence.excluded_territories)}")
    if licence.revenue_cap_usd is not None:
        terms.append(f"is free below ${licence.revenue_cap_usd:,} of revenue a year")
    said = f"{' and '.join(terms)}" if terms else "has terms to be read"
    read = f" ({licence.url})" if licence.url else ""
    return (
        f"the licence {licence.id} {said}{read}: where it allows your use, add "
        f'acknowledged = ["{licence.id}"] to the models file'
    )
