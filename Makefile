# `make` lists the targets: every line below with two # behind the name.

# Where rustup and Go put themselves when no shell profile was read since.
export PATH := $(HOME)/.cargo/bin:$(PATH):/usr/local/go/bin

.DEFAULT_GOAL := help
.PHONY: help demo test build generated licences clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-18s %s\n", $$1, $$2 }'

demo: ## every operation once, by a C program, against the emulator (or a real organisation: see README.md)
	@scripts/demo

test: ## every test; STAGE=name runs one stage alone
	@scripts/test $(STAGE)

build: ## libzcrm.so, libzcrm.a and the emulator, optimised
	@scripts/setup build
	@$(MAKE) --no-print-directory -f install.mk zcrm-release
	cargo build --release --package zcrm-emulator

# In this order: each is made from what was built with those before it.
generated: ## write every file that is made from the code: zcrm.h, the lists of tests/abi, the description of the steps
	ZCRM_WRITE_GENERATED=1 cargo test --quiet --lib the_committed_description
	ZCRM_WRITE_GENERATED=1 cargo test --quiet --test abi the_committed_header
	ZCRM_WRITE_GENERATED=1 cargo test --quiet --test abi -- the_library_exports struct_layouts

licences: ## licences and sources of all dependencies; installs cargo-deny, which takes minutes
	@cargo deny --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-deny
	cargo deny check licenses bans sources

clean: ## remove what was built
	cargo clean
	rm -rf build

-include install.mk bench.mk bento.mk soak.mk fuzz.mk
