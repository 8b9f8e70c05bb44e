# The Python package. Included by the Makefile.
#
#   wheel    dist/zcrm-VERSION-py3-none-PLATFORM.whl and the sdist
#
# ZCRM_WHEEL_LIBRARY is the library that goes into the wheel, whose glibc decides on which systems it installs: without it, one for glibc 2.17 is
# built. PYTHON makes the build's environment.

PYTHON ?= python3
ZCRM_PYTHON := $(ZCRM_ROOT)/bindings/python
ZCRM_PYTHON_BUILD := $(ZCRM_BUILD)/python/build
ZCRM_WHEEL_LIBRARY ?=
ZCRM_PORTABLE_LIBRARY = $(ZCRM_TARGET)/$(ZCRM_HOST)/release/libzcrm.so
ZCRM_WHEELS ?= $(ZCRM_ROOT)/dist

.PHONY: wheel

wheel: ## the Python package, a wheel and an sdist, in dist
	@$(if $(ZCRM_WHEEL_LIBRARY),,$(ZCRM_ROOT)/packaging/portable $(ZCRM_HOST) library)
	@test -x $(ZCRM_PYTHON_BUILD)/bin/hatchling || { $(PYTHON) -m venv $(ZCRM_PYTHON_BUILD) && \
		$(ZCRM_PYTHON_BUILD)/bin/pip install --quiet hatchling; } || \
		{ echo "make wheel: needs python3 with venv, and hatchling from a package index" >&2; rm -rf $(ZCRM_PYTHON_BUILD); exit 1; }
	@rm -rf $(ZCRM_PYTHON)/licences && $(ZCRM_ROOT)/packaging/licences/collect $(ZCRM_PYTHON)/licences && cp $(ZCRM_ROOT)/LICENSE-* $(ZCRM_PYTHON)/licences
	cd $(ZCRM_PYTHON) && SOURCE_DATE_EPOCH=$(ZCRM_EPOCH) ZCRM_LIBRARY=$(abspath $(or $(ZCRM_WHEEL_LIBRARY),$(ZCRM_PORTABLE_LIBRARY))) \
		$(ZCRM_PYTHON_BUILD)/bin/hatchling build -d $(abspath $(ZCRM_WHEELS))
