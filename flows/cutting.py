"""From takes to deliverables: sound, cut, mix, mux, captions, exports. Prefect-free."""

from __future__ import annotations

__all__ = ["CuttingRoom", "Delivered", "cut_film"]
