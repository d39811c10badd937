"""Farms that are drawn by chance: films with quotes and real times, models, machines."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from flows.farm.window import Planned

__all__ = [
    "Farm",
    "Film",
    "Machine",
    "draw_farm",
    "of_one_urgency",
    "with_right_quotes",
    "without_trouble",
]


@dataclass(frozen=True, slots=True)
class Film:
    """Takes with their quotes and how long they will really take."""

    name: str
    urgency: int
    begins_s: float
    takes: tuple[Planned, ...]
    real_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Machine:
    """One GPU's worker."""

    name: str
    begins_s: float = 0.0
    ends_s: float = math.inf
    """When it dies, with what it has under way."""
    cannot: frozenset[str] = frozenset()
    """Models that do not fit on it."""


@dataclass(frozen=True, slots=True)
class Farm:
    """What is played."""

    films: tuple[Film, ...]
    machines: tuple[Machine, ...]
    load_s: Mapping[str, float]
    """By model."""


def draw_farm(
    seed: int, *, num_takes: int = 1000, num_models: int = 4, num_machines: int = 64
) -> Farm:
    """Films of several urgencies and machines that come late or die, drawn from `seed`."""
    draw = random.Random(seed)
    models = [f"model{number}" for number in range(num_models)]
    films = []
    sizes = [0.30, 0.25, 0.20, 0.15, 0.10]
    for number, share in enumerate(sizes):
        urgency = (2, 2, 3, 2, 1)[number]
        begins_s = 0.0 if number < 3 else draw.uniform(0, 300)
        films.append(
            _draw_film(draw, f"f{number}", urgency, begins_s, round(num_takes * share), models)
        )
    late, dying = num_machines // 8, num_machines // 12
    machines = []
    for number in range(num_machines):
        begins = draw.uniform(0, 600) if number < late else draw.uniform(0, 10)
        ends = draw.uniform(300, 1500) if late <= number < late + dying else math.inf
        cannot = frozenset({models[-1]}) if number % 8 == 7 else frozenset[str]()
        machines.append(Machine(f"gpu{number}", begins, ends, cannot))
    load_s = {model: draw.uniform(60, 180) for model in models}
    return Farm(tuple(films), tuple(machines), load_s)


def without_trouble(farm: Farm) -> Farm:
    """The same farm with one urgency, all films there from the beginning, and no machine dying."""
    machines = tuple(replace(one, ends_s=math.inf) for one in farm.machines)
    return replace(of_one_urgency(farm), machines=machines)


def with_right_quotes(farm: Farm) -> Farm:
    """The same farm without trouble, and every take lasts as long as was quoted."""
    calm = without_trouble(farm)
    films = tuple(
        replace(film, real_s={one.id: one.seconds for one in film.takes}) for film in calm.films
    )
    return replace(calm, films=films)


def of_one_urgency(farm: Farm) -> Farm:
    """The same farm with one urgency and all films there from the beginning."""
    films = tuple(replace(one, urgency=2, begins_s=0.0) for one in farm.films)
    return replace(farm, films=films)


def _draw_film(
    draw: random.Random, name: str, urgency: int, begins_s: float, num_takes: int, models: list[str]
) -> Film:
    weights = [draw.gammavariate(1.5, 1.0) for _ in models]
    character = f"{draw.getrandbits(48):012x}x0.8"
    takes: list[Planned] = []
    real_s: dict[str, float] = {}
    while len(takes) < num_takes:
        model = draw.choices(models, weights)[0]
        adapters = draw.choice(["", "", character])
        length = draw.randint(2, 6) if draw.random() < 0.1 else 1
        after = ""
        for _ in range(min(length, num_takes - len(takes))):
            take = f"{name}.{len(takes)}"
            quoted = min(max(draw.lognormvariate(math.log(100), 0.6), 20.0), 300.0)
            takes.append(Planned(take, f"{model} {adapters}".rstrip(), quoted, after))
            real_s[take] = quoted * draw.lognormvariate(0, 0.15)
            after = take
    return Film(name, urgency, begins_s, tuple(takes), real_s)
