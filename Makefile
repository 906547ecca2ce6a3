# The tasks of a checkout. They use the Python of the active virtual environment.
PYTHON ?= python

.PHONY: help install test lint types layers format web codegen images pages screenshots bench parity wheel ci

help:  ## list the tasks
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install:  ## install for development
	$(PYTHON) -m pip install -e ".[dev]"

test:  ## run the tests on all cores
	$(PYTHON) -m pytest -n auto

lint:  ## lint, check the formatting and the words
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) tools/words.py

types:  ## check the types of both packages
	$(PYTHON) -m basedpyright

layers:  ## hold who may import whom
	lint-imports

format:  ## format, and mend what can be mended
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

screenshots:  ## draw the images of docs/editor.md again, from the editor as it is built
	$(PYTHON) tests/web/screenshots.py

web:  ## check and build the editor into web/dist, which `safelight serve` of a checkout shows
	cd web && npm ci --include=dev && npm run check && npm run build

codegen:  ## write what is generated from the code: openapi.json, the schema, TypeScript types, fixtures
	$(PYTHON) -m safelight.http.openapi > docs/openapi.json
	$(PYTHON) -m safelight.graph.schema > docs/workflow.schema.json
	$(PYTHON) -m safelight.http.typescript > web/src/api/types.ts
	$(PYTHON) tests/web/make_fixtures.py

images:  ## draw the images of the README and of the templates again, with the model as it is now
	rm -f docs/images/first_images.png
	$(PYTHON) -m safelight run docs/images/first_images.json -o docs/images
	$(PYTHON) tools/template_inputs.py
	$(PYTHON) tools/template_images.py

pages:  ## write docs/nodes/ again; `python tools/node_pages.py --images` draws the images in it, too
	$(PYTHON) tools/node_pages.py

bench:  ## measure everything again, and write docs/benchmarks.md
	$(PYTHON) -m benchmarks --full -o docs/benchmarks.md

parity:  ## compare every family and technique with what is held to be right, and write docs/parity.md
	$(PYTHON) -m benchmarks.parity -o docs/parity.md

wheel:  ## build the wheel
	$(PYTHON) -m build

ci: lint types layers test  ## what CI runs, in this environment
