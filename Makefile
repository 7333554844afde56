# For those who look after this kit. Learners only ever need ./workshop.
# Works with GNU make 3.81 (macOS) and newer.

.DEFAULT_GOAL := help

# Set, it would have every process compile thousands of modules anew.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
# The finished runner: the solution of the exercise that calls itself the product.
PRODUCT := $(patsubst exercises/%/exercise.toml,solutions/%,$(shell grep -l '^product = true' exercises/*/exercise.toml))
GROUPS := notebook data postgresql site lab test lint bench $(PRODUCT)/pyproject.toml:notebook
TYPED := kit explorer tests benchmarks tools docs/hooks.py docs/examples slides/pdf.py slides/_ext slides/demos workshop
# Each has a package `nb_runner` of its own, so each is type-checked by itself.
PROJECTS := $(wildcard solutions/*/nb_runner exercises/*/nb_runner)
PINNED := $(wildcard solutions/*/pyproject.toml)
# Most tests wait for processes more than they compute, so four files of them go at once, in the
# order that tests/conftest.py gives them: the longest first.
LANES := -n 4 --dist loadfile --no-loadscope-reorder
TESTS = $(BIN)/python -m pytest $(LANES) --durations 15 --durations-min 10
# More words for the tool behind a target: make test ARGS="-k page"
ARGS :=

.PHONY: help test thorough containers test-python test-redis check explored bench site card pictures pdf lint format lock schema clean distclean venv

help: ## Show this
	@echo "make TARGET, where TARGET is"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1|\2/p' Makefile | \
		while IFS='|' read -r target words; do printf '  %-12s %s\n' "$$target" "$$words"; done

test: lint ## Lint, and the tests, with real processes (minutes)
	$(TESTS) -m "not thorough" $(ARGS)

# Both together are what CI runs.
thorough: venv ## The rest of the tests: all orders and crash points, known answers, a whole class
	$(TESTS) -m thorough $(ARGS)

containers: venv ## The composed stack in containers; brings an engine up where root may
	$(BIN)/python -m tools.containers $(ARGS)

# What it runs there: `make check` is the quick part.
COMMAND := make test thorough

test-python: venv ## All tests with another Python, in a container: VERSION=3.13 or 3.14
	$(BIN)/python -m tools.containers.with_python $(VERSION) .ci/run $(COMMAND)

test-redis: venv ## What Redis decides, with another server: SERVER=/path/of/redis-server
	$(BIN)/python -m tools.with_redis $(SERVER) $(LANES) $(ARGS)

# Slow tests start whole runners, browsers and environments, load a year of flights, or grade work.
# `task` marks the tests of a grader, which grade a whole solution.
check: lint ## The quick part of it (a minute or two)
	$(BIN)/python -m pytest $(LANES) -m "not slow and not task" $(ARGS)

explored: venv ## Try all crash points and orders of the finished runner again, for the handbook
	$(BIN)/python -m tests.e2e.explored

bench: venv ## Measure our claims beside public peers; also ARGS="setup --json FILE"
	$(BIN)/python -m benchmarks $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m tests.e2e.chaos)

SITE := site

site: venv ## Build the handbook into site/, and the slides into site/slides/
	HANDBOOK_SLIDES=1 NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet --site-dir $(SITE)
	$(BIN)/python -m sphinx -b revealjs -q -E --fail-on-warning -d .workshop/doctrees \
		slides $(SITE)/slides

card: venv ## Write the social card anew, from the moving picture, with Chromium
	$(BIN)/python -m tools.card

pictures: venv ## Photograph the product anew, for README, handbook and slides
	$(BIN)/python -m tools.pictures

pdf: site ## Print the slides to site/slides.pdf, with Chromium
	$(BIN)/python slides/pdf.py $(SITE)/slides/talk.html $(SITE)/slides.pdf

lint: venv ## ruff, codespell, the direction of imports and mypy (strict), on everything
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/python -m tools.typecheck $(TYPED) -- $(PROJECTS)

format: venv ## Let ruff fix what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --quiet

lock: venv ## Write the locks (ours, the image's), and the layers; keeps versions, unless UPGRADE=1
	$(LOCK) pyproject.toml $(GROUPS:%=--group %) $(PINNED) $(if $(UPGRADE),--upgrade) \
		--output-file requirements.lock
	$(LOCK) $(PRODUCT)/pyproject.toml \
		--extra notify --group $(PRODUCT)/pyproject.toml:notebook --constraint requirements.lock \
		--no-annotate --output-file $(PRODUCT)/requirements.lock
	$(BIN)/python -m tools.layers

schema: venv ## Write the JSON schemas in docs/reference/ anew, from the types
	$(BIN)/python -m tools.schemas

clean: ## Remove what can be made again: .workshop, caches (work/ and .venv stay)
	rm -rf .workshop .mypy_cache .pytest_cache .ruff_cache site
	find . \( -name .venv -o -name work -o -name .git \) -prune -o \
		\( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +

distclean: clean ## Remove .venv too
	rm -rf .venv

# Sets up when there is need, and takes no time otherwise.
venv:
	@./workshop setup --all --missing >/dev/null
