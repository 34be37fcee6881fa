# Every target makes the virtual environment it needs. Installing is skipped while the lock files
# are unchanged: a stamp file in .venv is newer than they are. What installing says goes to the
# standard error: the output of `make token` is a token and nothing else.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
# Not "?=": shells and tools export variables of these names that mean something else.
HOST = 127.0.0.1
PORT = 8000
DATA = data
PACK =
ARGS =
FILE =
VERSION =

BIN := .venv/bin
# The lock files are complete, so nothing is resolved and everything is checked against its hash.
# face_recognition_models exists as a source archive only; it is built with the locked build tools.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	--require-hashes --no-deps --no-build-isolation
COMPILE := CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/pip-compile --quiet --upgrade --generate-hashes \
	--strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links
# A process for each core, and no more than four: each has a database and the networks of a pack.
PYTEST := $(BIN)/python -m pytest -q --numprocesses logical --maxprocesses 4 --dist worksteal

.DELETE_ON_ERROR:
.PHONY: help run token doctor demo test test-all fuzz check wheel release docs site bench bench-service bench-check bench-search bench-load bench-worst bench-soak bench-jobs bench-frames backup restore lock clean clean-data

help:  ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: .venv/run.stamp .env  ## Start everything: database, web server, workers (PORT=8000 HOST=127.0.0.1 PACK=dlib)
	@echo "Starting facesvc on http://$(HOST):$(PORT)"
	@exec $(if $(PACK),env FACESVC_PACK="$(PACK)") $(BIN)/python -m facesvc run --host $(HOST) --port $(PORT)

token: .venv/run.stamp .env  ## Print a token with all rights for two hours: export TOKEN=$(make token)
	@$(BIN)/python -m facesvc token

demo: .venv/dev.stamp .env  ## People of packaged photos in the service, and the page with them (PORT=8000 HOST=127.0.0.1)
	@exec $(BIN)/python -m tests.demo --host $(HOST) --port $(PORT)

doctor: .venv/run.stamp .env  ## Check whether the service has what it needs, and say what to do (ARGS=--json)
	@$(BIN)/python manage.py doctor $(ARGS)

test: .venv/dev.stamp .env  ## Run the tests, but for the slow ones (ARGS='-k identify')
	@echo "Running the tests (those that take minutes are run by make test-all)"
	@$(PYTEST) -m "not slow" $(ARGS)

test-all: .venv/dev.stamp .env  ## Run all tests (ARGS='-n 0' to run one after the other)
	@echo "Running all tests"
	@$(PYTEST) $(ARGS)

fuzz: .venv/dev.stamp .env  ## 20,000 broken bodies, 50,000 changed pictures, 100 requests to each operation
	@echo "Sending 20,000 broken bodies and decoding 50,000 changed pictures: an hour"
	@FACESVC_FUZZ_BODIES=20000 FACESVC_FUZZ_PICTURES=50000 FACESVC_API_EXAMPLES=100 \
		$(BIN)/python -m pytest -q -s tests/fuzz/test_fuzz.py tests/api/test_description.py $(ARGS)

check: .venv/dev.stamp .env  ## Lint, formatting, types, layers, migrations, system checks, links of the docs
	@echo "Checking style, types, layers, migrations and configuration"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python manage.py check
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet --site-dir build/site
	@$(BIN)/hadolint docker/Dockerfile
	@$(BIN)/shellcheck .ci/run docker/*.sh deployment/scripts/*.sh
	@$(BIN)/yamllint --strict --config-file deployment/yamllint.yaml docker deployment
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker/docker-compose.yml \
		deployment/monitoring/compose.yaml
	@$(BIN)/kubernetes-validate --strict --quiet $(filter-out %/kustomization.yaml, \
		$(wildcard deployment/k8s/*.yaml))

wheel: .venv/build.stamp  ## Build the packages for pip into dist/
	@echo "Building dist/facesvc-*.whl and dist/facesvc_client-*.whl"
	@PYTHON=$(abspath $(BIN))/python deployment/scripts/wheel.sh dist

release: .venv/build.stamp  ## Make a release into dist/ (VERSION=0.3.0, ARGS=--dry-run)
	@test -n "$(VERSION)" || { echo "Which version? make release VERSION=0.3.0" >&2; exit 2; }
	@$(BIN)/python deployment/scripts/release.py "$(VERSION)" $(ARGS)

docs: .venv/run.stamp  ## Make the lists in docs/, and what the clients have of the API description
	@SECRET_KEY=the-pages-do-not-depend-on-any-key $(BIN)/python -m facesvc.generated_docs
	@SECRET_KEY=the-pages-do-not-depend-on-any-key $(BIN)/python manage.py write_clients

site: .venv/dev.stamp  ## Make docs/ a site that can be searched: open site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet --site-dir site
	@echo "Open file://$(CURDIR)/site/index.html, or put the folder site on any web server"

translations: .venv/dev.stamp  ## Put new texts of the admin pages into facesvc/locale, and compile what is translated
	@SECRET_KEY=the-pages-do-not-depend-on-any-key DJANGO_SETTINGS_MODULE=facesvc.settings $(BIN)/python -c \
		"import django; django.setup(); from tests.facesvc.operators import translations; translations.main()"

bench: .venv/bench.stamp .env  ## What a picture costs, beside InsightFace's classes and dlib: some minutes
	@echo "Measuring inference"
	@$(BIN)/python -m benchmarks.beside.pipeline $(ARGS)

bench-service: .venv/bench.stamp .env  ## A running service beside a FastAPI server around InsightFace's classes: ten minutes (ARGS=--quick)
	@echo "Measuring the service beside a FastAPI server"
	@$(BIN)/python -m benchmarks.beside.service $(ARGS)

bench-check: .venv/bench.stamp .env  ## Whether a ratio of docs/benchmarks.md got worse: some minutes
	@echo "Measuring what docs/benchmarks.md shows"
	@$(BIN)/python -m benchmarks.beside.check

bench-search: .venv/bench-search.stamp  ## Measure the search beside other stores: hours (ARGS=--quick)
	@echo "Measuring the search"
	@$(BIN)/python -W ignore -m benchmarks.search $(ARGS)

bench-load: .venv/dev.stamp .env  ## More clients than the service can serve: 200 for a minute
	@echo "Measuring the service under load"
	@$(BIN)/python -m benchmarks.load $(ARGS)

bench-worst: .venv/dev.stamp .env  ## What one user can do to all others within the limits: four minutes (ARGS="--mix all --seconds 20")
	@echo "Measuring the worst minute"
	@$(BIN)/python -m benchmarks.worst_minute $(ARGS)

bench-soak: .venv/dev.stamp .env  ## Whether the memory grows over 5,000 requests: ten minutes
	@echo "Measuring the memory of the service"
	@$(BIN)/python -m benchmarks.soak $(ARGS)

bench-jobs: .venv/dev.stamp .env  ## What the queue of jobs costs beside a plain loop: some minutes
	@echo "Measuring the queue of jobs"
	@$(BIN)/python -m benchmarks.jobs $(ARGS)

bench-frames: .venv/dev.stamp .env  ## What a frame of a call costs beside its inference: a minute
	@echo "Measuring the frames of a call"
	@$(BIN)/python -m benchmarks.frames $(ARGS)

backup: .venv/run.stamp .env  ## Save the database (FILE=faces.backup); also while it runs
	@test -n "$(FILE)" || { echo "Which file? make backup FILE=faces.backup" >&2; exit 2; }
	@$(BIN)/python manage.py backup "$(FILE)"

restore: .venv/run.stamp .env  ## Bring it back (FILE=faces.backup, ARGS=--replace); not while it runs
	@test -n "$(FILE)" || { echo "Which file? make restore FILE=faces.backup" >&2; exit 2; }
	@$(BIN)/python manage.py restore "$(FILE)" $(ARGS)

lock: .venv/dev.stamp  ## Resolve pyproject.toml into requirements/*.txt
	@echo "Resolving the newest allowed versions (photos and hnswlib.txt are kept by hand)"
	@$(COMPILE) --only-build-deps --all-build-deps --output-file requirements/build.txt pyproject.toml
	@$(COMPILE) --extra dev --constraint requirements/build.txt \
		--output-file requirements/dev.txt pyproject.toml
	@$(COMPILE) --constraint requirements/dev.txt --output-file requirements/run.txt pyproject.toml
	@$(COMPILE) --extra bench --constraint requirements/dev.txt \
		--output-file requirements/bench.txt pyproject.toml
	@$(COMPILE) --extra bench-search --constraint requirements/dev.txt \
		--output-file requirements/bench-search.txt pyproject.toml
	@rm -rf facesvc.egg-info

clean:  ## Remove the virtual environment and caches; the data folder and .env stay
	@echo "Removing .venv and caches; $(DATA)/ and .env stay (make clean-data removes $(DATA)/)"
	@rm -rf .venv build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -path ./$(DATA) -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +

clean-data:  ## Remove the data folder: all faces, the database, the models. Refused while in use
	@$(PYTHON) -m facesvc.postgres.locks $(DATA)
	@echo "Removing $(DATA)/"
	@rm -rf -- "$(DATA)"

.venv/made.stamp:
	@$(if $(PYTHON),,echo "Python 3.11 or newer is needed; none found (set PYTHON=...)" >&2; exit 1)
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + " (set PYTHON=...)")'
	@echo "Making the virtual environment in .venv" >&2
	@$(PYTHON) -m venv .venv
	@touch $@

.venv/build.stamp: requirements/build.txt | .venv/made.stamp
	@$(INSTALL) -r $<
	@touch $@

.venv/run.stamp: requirements/run.txt .venv/build.stamp
	@echo "Installing what the service needs (700 MB on disk, a minute or more the first time)" >&2
	@$(INSTALL) -r $<
	@touch $@

.venv/dev.stamp: requirements/dev.txt requirements/photos.txt .venv/build.stamp
	@echo "Installing what the service and its tests need (1 GB on disk, a minute or more the first time)" >&2
	@$(INSTALL) -r requirements/dev.txt -r requirements/photos.txt
	@touch $@ .venv/run.stamp

.venv/bench.stamp: requirements/bench.txt .venv/dev.stamp
	@$(INSTALL) -r $<
	@touch $@

# hnswlib comes as a source archive only. Without a C++ compiler the others are measured.
.venv/bench-search.stamp: requirements/bench-search.txt requirements/hnswlib.txt .venv/dev.stamp
	@echo "Installing the other vector stores"
	@$(INSTALL) -r requirements/bench-search.txt
	@$(INSTALL) -r requirements/hnswlib.txt || echo "hnswlib could not be compiled: left out" >&2
	@touch $@

# The secret that the service cannot do without, the key of the kept pictures of faces, and that of
# the templates. An existing file is never overwritten.
.env: | .venv/made.stamp
	@echo "Writing .env with new keys" >&2
	@$(BIN)/python -P $(dir $(firstword $(MAKEFILE_LIST)))facesvc/keys.py $@
