"""`python -m bench`, `make bench`: the film and join benchmarks; `--quick` for fewer shots."""

from __future__ import annotations

from bench import film, join

film.main()
join.main()
