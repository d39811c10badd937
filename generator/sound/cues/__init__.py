"""The cues that can be synthesised, and the English words that call them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from generator.sound.cues import nature, places, things
from generator.sound.cues.grains import Mono, Rng

__all__ = ["CUES", "Event", "Texture"]


@dataclass(frozen=True, slots=True)
class Texture:
    """A sound that goes on: `make(samples, rng, pace)` gives `(2, samples)`, circular."""

    words: str
    """Words that call it, separated by spaces; `_` stands for a space inside one."""
    make: Callable[[int, Rng, float], Mono]
    natural_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Event:
    """A sound that happens: `strike(rng)` gives `(samples,)`."""

    words: str
    strike: Callable[[Rng], Mono]
    every_s: float
    """From one to the next, on average, when it goes on as ambience."""
    times: int = 1
    """How often it happens as an effect of its natural length."""
    regular: bool = False
    """Whether it keeps time."""


CUES: dict[str, Texture | Event] = {
    "surf": Texture("surf wave sea ocean shore breaker", nature.surf, 8),
    "wind": Texture("wind gust breeze gale windy", nature.wind, 5),
    "rain": Texture("rain drizzle downpour rainfall", nature.rain, 4),
    "thunder": Event("thunder thunderclap storm lightning", nature.thunder, 11),
    "stream": Texture("river stream brook creek waterfall fountain", nature.stream, 4),
    "birds": Texture("bird birdsong songbird sparrow robin dawn_chorus", nature.birds, 4),
    "gulls": Texture("gull seagull", nature.gulls, 4),
    "crickets": Texture("cricket cicada insect", nature.crickets, 4),
    "fire": Texture("fire crackle campfire fireplace flame bonfire ember", nature.fire, 4),
    "room tone": Texture("room_tone roomtone room silence interior", places.room_tone, 5),
    "traffic": Texture("traffic city street highway road downtown", places.traffic, 5),
    "crowd": Texture(
        "crowd walla chatter murmur people audience restaurant cafe bar market babble",
        places.crowd, 4),
    "train": Texture("train railway subway carriage locomotive", places.train, 5),
    "engine": Texture("engine car motor truck idle boat tractor van", places.engine, 4),
    "machine": Texture(
        "machine hum server fan ventilation generator fridge machinery computer buzz",
        places.machine, 4),
    "clock": Event("clock tick ticking ticktock watch", things.tick, 1.0, 4, True),
    "footsteps on gravel": Event(
        "gravel_footstep footstep_on_gravel footsteps_on_gravel gravel",
        things.footstep_gravel, 0.58, 5, True),
    "footsteps on wood": Event(
        "wooden_footstep footstep_on_wood footsteps_on_wood floorboard wooden_step",
        things.footstep_wood, 0.58, 5, True),
    "footsteps": Event("footstep step walk footfall stride", things.footstep, 0.56, 5, True),
    "door": Event("door gate slam", things.door, 9),
    "creak": Event("creak squeak groan", things.creak, 5),
    "knock": Event("knock rap", things.knock, 7),
    "glass": Event("glass shatter smash window_breaks", things.glass, 9),
    "impact": Event("impact thud thump bang hit crash punch fall", things.impact, 6),
    "whoosh": Event("whoosh swoosh swish whip", things.whoosh, 5),
    "click": Event("click switch button latch snap", things.click, 3),
    "bell": Event("bell chime toll church", things.bell, 4.5),
    "foghorn": Event("foghorn fog_horn ship_horn ship's_horn", things.foghorn, 14),
    "horn": Event("horn honk car_horn", things.horn, 8),
    "heartbeat": Event("heartbeat heart pulse", things.heartbeat, 0.86, 4, True),
    "phone": Event("phone telephone ringtone ring", things.phone, 6, 1, True),
    "typing": Event("typing type keyboard typewriter keys", things.key, 0.17, 14),
    "water drops": Event("drip drop droplet leak dripping", nature.drop, 1.3, 3),
    "pour": Texture("pour pouring fill_a_glass", nature.pour, 3),
    "cloth": Texture("cloth clothes fabric rustle rustling curtain", places.cloth, 1.5),
    "applause": Texture("applause clap ovation", places.applause, 4),
}  # fmt: skip
