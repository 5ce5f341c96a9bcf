# Spark Control. `make help` lists what there is to make.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# The first Python on the PATH that is new enough; `make PYTHON=… install` names another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$python && break; done)
IN := .venv/bin
PACKAGES := caddy chromium dbus docker.io ffmpeg iproute2 libsox-fmt-all nginx-light nodejs npm openssh-server openssl polkitd sox systemd wrk

.PHONY: help
help: ## List these commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: install
install: .venv/installed ## Make .venv with the gateway and its embedded engines

.PHONY: demo
demo: .venv/installed ## Start the gateway on 127.0.0.1:8090 with the embedded engines
	@$(IN)/spark-control serve --demo

.PHONY: check
check: .venv/installed-dev ## Format, lint, types, import floors
	$(IN)/ruff format --check .
	$(IN)/ruff check .
	$(IN)/mypy
	$(IN)/lint-imports --no-logo

.PHONY: test
test: .venv/installed-dev .venv/node/installed ## All tests
	$(IN)/python -m pytest -n 3 --dist worksteal -m 'not alone'
	$(IN)/python -m pytest -m alone

.PHONY: bench
bench: .venv/installed-dev ## The gateway beside its peers; a few minutes
	$(IN)/python -m bench.relay

.PHONY: screenshots
screenshots: .venv/installed-dev ## Pictures of the page in ./screenshots, to look at
	$(IN)/python -m tests.real.screenshots screenshots

.PHONY: dist
dist: .venv/installed-release ## The wheel and the source distribution in dist/, checked in a clean environment
	$(IN)/python -m release --anyway

.PHONY: release
release: .venv/installed-release ## Likewise, of what is committed, under a version that is new
	$(IN)/python -m release

.PHONY: docs
docs: .venv/installed-dev ## Write docs/settings.md, and the units in deploy, anew
	$(IN)/python docs/reference.py > docs/settings.md
	$(IN)/python docs/service_files.py

.PHONY: system-packages
system-packages: ## What the tests with real parts need (Debian, Ubuntu; as root or with sudo)
	sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	missing=; for package in $(PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
	command -v node >/dev/null && missing=$${missing/ nodejs/}; \
	command -v npm >/dev/null && missing=$${missing/ npm/}; \
	command -v chromium-browser google-chrome >/dev/null && missing=$${missing/ chromium/}; \
	command -v dockerd >/dev/null && missing=$${missing/ docker.io/}; \
	[ -z "$$missing" ] || { $$sudo apt-get update -q && \
		DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -q --no-install-recommends $$missing; }

.venv/made:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11, 3.12 or 3.13 is needed, and none is on the PATH."; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/installed: .venv/made pyproject.toml
	$(IN)/python -m pip install -q --disable-pip-version-check -e '.[engines]'
	@touch $@

.venv/installed-dev: .venv/made pyproject.toml
	$(IN)/python -m pip install -q --disable-pip-version-check -e '.[engines,dev]'
	@touch $@ .venv/installed

.venv/installed-release: .venv/installed-dev
	$(IN)/python -m pip install -q --disable-pip-version-check -e '.[engines,dev,release]'
	@touch $@

# The real openai package of npm, for the story that speaks JavaScript; without it that story is skipped.
.venv/node/installed: .venv/made tests/stories/node/package.json
	@mkdir -p .venv/node && cp tests/stories/node/package.json .venv/node/
	@! command -v npm >/dev/null || \
		{ npm install --prefix .venv/node --no-package-lock --no-audit --no-fund --loglevel=error && touch $@; } || \
		echo "npm could not install its openai package; the tests go on without it."
