"""From takes to deliverables: sound, cut, mix, mux, captions, exports. Prefect-free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

__all__ = ["CuttingRoom", "Delivered", "cut_film"]
