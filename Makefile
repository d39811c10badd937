# Two commands on a fresh machine: `make film` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FILM ?= storyboards/examples/lighthouse/film.yaml

.PHONY: film preview test check bench schema clean

film: $(VENV)/.ready
	$(BIN)/takeboard produce $(FILM)

preview: $(VENV)/.ready
	$(BIN)/takeboard preview $(FILM)

test: $(VENV)/.ready-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(VENV)/.ready-dev
	scripts/check

bench: $(VENV)/.ready-dev
	$(BIN)/python -m bench

schema: $(VENV)/.ready
	$(BIN)/takeboard schema --out storyboards/takeboard.schema.json

$(VENV)/.ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else f"Takeboard needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}; try: make PYTHON=python3.12")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,gpu]'
	@touch $@

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
