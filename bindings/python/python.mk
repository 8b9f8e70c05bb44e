# The Python package. Included by the Makefile.
#
#   wheel            dist/zcrm-VERSION-py3-none-PLATFORM.whl and the sdist
#   command-wheel    dist/zcrm_cli-VERSION-py3-none-PLATFORM.whl: the command alone
#
# ZCRM_WHEEL_LIBRARY is the library that goes into the wheel, whose glibc decides on which systems it installs: without it, one for glibc 2.17 is
# built. PYTHON makes the build's environment.

PYTHON ?= python3
ZCRM_PYTHON := $(ZCRM_ROOT)/bindings/python
ZCRM_PYTHON_BUILD := $(ZCRM_BUILD)/python/build
ZCRM_WHEEL_LIBRARY ?=
ZCRM_PORTABLE_LIBRARY = $(ZCRM_TARGET)/$(ZCRM_HOST)/release/libzcrm.so
ZCRM_WHEELS ?= $(ZCRM_ROOT)/dist

ZCRM_HATCHLING := $(ZCRM_PYTHON_BUILD)/bin/hatchling

.PHONY: wheel command-wheel wheel-tools

wheel-tools:
	@$(ZCRM_PYTHON_BUILD)/bin/python -c "import hatchling, zopfli" 2>/dev/null || { $(PYTHON) -m venv $(ZCRM_PYTHON_BUILD) && \
		$(ZCRM_PYTHON_BUILD)/bin/pip install --quiet hatchling zopfli; } || \
		{ echo "make wheel: needs python3 with venv, and hatchling and zopfli from a package index" >&2; rm -rf $(ZCRM_PYTHON_BUILD); exit 1; }

# $(call zcrm_wheel,FOLDER,LIBRARY or command,FORMAT...): builds it with the licences of what is linked in.
define zcrm_wheel
@rm -rf $(1)/licences && $(ZCRM_ROOT)/packaging/licences/collect $(1)/licences && cp $(ZCRM_ROOT)/LICENSE-* $(1)/licences
cd $(1) && SOURCE_DATE_EPOCH=$(ZCRM_EPOCH) $(2) $(ZCRM_HATCHLING) build $(3) -d $(abspath $(ZCRM_WHEELS))
endef

wheel: wheel-tools ## the Python package, a wheel and an sdist, in dist
	@$(if $(ZCRM_WHEEL_LIBRARY),,$(ZCRM_ROOT)/packaging/portable $(ZCRM_HOST) library)
	$(call zcrm_wheel,$(ZCRM_PYTHON),ZCRM_LIBRARY=$(abspath $(or $(ZCRM_WHEEL_LIBRARY),$(ZCRM_PORTABLE_LIBRARY))))
	@$(ZCRM_PYTHON_BUILD)/bin/python $(ZCRM_PYTHON)/smaller.py $(abspath $(ZCRM_WHEELS))/zcrm-$(ZCRM_VERSION)-*.whl

command-wheel: wheel-tools ## the command as a wheel of its own, zcrm-cli, in dist
	@$(ZCRM_ROOT)/packaging/portable $(ZCRM_HOST) command
	$(call zcrm_wheel,$(ZCRM_ROOT)/cli/wheel,ZCRM_COMMAND=$(ZCRM_TARGET)/$(ZCRM_HOST)/release/zcrm ZCRM_VERSION=$(ZCRM_VERSION),-t wheel)
