# make reproduce   set up .venv, run the smoke graph (phantoms, offline), print where the report lies
# make test        everything that CI runs
# make docs        the site, _docs/index.html
# make lab         JupyterLab in nbs/, with the kernel covid_mtnet
# make readme      README.md from nbs/index.ipynb
# make browser     Chromium for the tests of pages, from Debian's packages, where there is none
# make lock        renew requirements.lock from settings.ini
# make clean       remove what can be made again; never runs/
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3
UV := 0.13.9
BIN := .venv/bin
STAGE = @printf '%s\n' "== $(1)"; start=$$SECONDS; $(2); printf '== %s: %s s\n' "$(1)" "$$((SECONDS - start))"

.PHONY: help setup reproduce test docs kernel lab readme browser lock clean
help:
	@sed -n 's/^# make/make/p' Makefile

# The stamp holds the hashes of what the set-up depends on: quick when nothing has changed, and whole or absent.
setup:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"covid_mtnet needs Python 3.11 to 3.13; {sys.executable} is {v[0]}.{v[1]}. Try: make PYTHON=python3.12 ...")'
	@want=$$($(PYTHON) -c 'import hashlib, pathlib, sys; print(sys.version_info[:2], *(hashlib.sha256(pathlib.Path(f).read_bytes()).hexdigest()[:16] for f in ("requirements.lock", "settings.ini", "setup.py", "pyproject.toml")))'); \
	if [ -x $(BIN)/covid-mtnet ] && [ "$$(cat .make/setup 2>/dev/null)" = "$$want" ]; then exit 0; fi; \
	echo "setting up .venv ..."; rm -f .make/setup; mkdir -p .make; \
	[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV)"; \
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .; \
	echo "$$want" > .make/setup

reproduce: setup
	@$(BIN)/covid-mtnet reproduce

test: setup
	$(call STAGE,library in sync with the notebooks,$(BIN)/python tests/check_notebooks.py)
	$(call STAGE,lessons,KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 MPLBACKEND=Agg $(BIN)/nbdev-test nbs/api --n-workers 2 2>&1 | { grep -v -E 'port.cc|cudart_stub|cuda_platform|InitializeLog|cpu_feature|AVX' || true; })
	$(call STAGE,smoke graph,$(BIN)/covid-mtnet reproduce)
	$(call STAGE,site,$(MAKE) --no-print-directory docs)
	$(call STAGE,pytest,TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder)

docs: setup
	@TF_CPP_MIN_LOG_LEVEL=3 $(BIN)/python docs/generate.py .make/docs/pages 2>.make/docs.log || { cat .make/docs.log >&2; exit 1; }
	@$(BIN)/sphinx-build -q -W --keep-going -j auto -c docs -d .make/docs/doctrees .make/docs/pages .make/docs/html
	@rm -rf _docs && mv .make/docs/html _docs
	@echo "site: _docs/index.html"

kernel: setup
	@$(BIN)/python -m ipykernel install --prefix .venv --name covid_mtnet --display-name covid_mtnet

lab: kernel
	@$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/nbs/index.ipynb --MultiKernelManager.default_kernel_name=covid_mtnet

readme: setup
	$(BIN)/jupyter nbconvert --log-level WARN --execute --inplace nbs/index.ipynb
	$(BIN)/nbdev-clean --fname nbs/index.ipynb
	$(BIN)/jupyter nbconvert --log-level WARN --to markdown --no-input --stdout nbs/index.ipynb | sed 's|](\.\./|](|g' > .make/README.md
	mv .make/README.md README.md

browser:
	@command -v chromium || command -v chromium-browser || command -v google-chrome || { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; }

lock: setup
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-annotate --extra dev --extra kaggle pyproject.toml --output-file .make/lock
	@$(BIN)/python tests/check_lock.py .make/lock
	@mv .make/lock requirements.lock

clean:
	rm -rf .venv .make _docs .snakemake build dist *.egg-info .pytest_cache .hypothesis
