"""What holds for every test: shared machines are slow at moments, which is no property's fault."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("takeboard", deadline=None)
settings.load_profile("takeboard")
