"""The film's colours: dusk blues, lamp ambers, and the few accents that mean something."""

from __future__ import annotations

from .ink import rgb

INK = rgb("141726")
NIGHT = rgb("0d1626")
NAVY = rgb("16273d")
SLATE = rgb("27435a")
TEAL = rgb("3d6578")
HAZE = rgb("7595a0")
PALE = rgb("b9c3bd")
PEACH = rgb("e3a881")
ROSE = rgb("b87a74")
AMBER = rgb("ffc46b")
GLOW = rgb("ffe6ae")
BRASS = rgb("b5813a")
BRASS_DARK = rgb("5a3b22")
OILSKIN = rgb("d8a02e")
OILSKIN_DARK = rgb("7d5a2c")
RUST = rgb("a5452f")
STONE = rgb("c9c6b8")
