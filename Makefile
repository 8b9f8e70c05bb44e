# `make` lists the targets: every line with two # behind its name, here and in the fragments at the end.

# Where rustup and Go put themselves when no shell profile was read since.
export PATH := $(HOME)/.cargo/bin:$(HOME)/.local/go/bin:$(PATH):/usr/local/go/bin

.DEFAULT_GOAL := help
.PHONY: help demo pictures test build generated soak licences clean

help: ## list the targets
	@sed -n 's/^\([a-z][a-z-]*\):.*## *\(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F '|' '{ printf "%-27s %s\n", $$1, $$2 }'

demo: ## each command once, then every operation by a C program, against the emulator or your organisation; two minutes the first time
	@scripts/demo

pictures: ## the pictures of README.md, drawn from a run of the demo and from the figures of the last bench
	@scripts/demo --emulator >/dev/null
	PICTURE_TITLE='make demo' scripts/picture examples/c/tour.svg scripts/demo --emulator
	PICTURE_TITLE='zcrm demo' scripts/picture cli/demo.svg target/debug/zcrm demo
	bench/report.py

test: ## every test; STAGE=name runs one stage: format lint rust miri readme demo go node python mcp airflow bento install package
	@scripts/test $(STAGE)

build: ## libzcrm.so, libzcrm.a and the emulator, optimised: two to five minutes the first time
	@scripts/setup build
	@$(MAKE) --no-print-directory zcrm-release zcrm-emulator

# Few arenas: with one for each thread of each round, the peak of memory says more of malloc than of what was in use.
soak: ## chaos for SECONDS=60, by turns UPLOADS=10000 and CALLS=10000 of all operations (SEED=n repeats); then make asan, tsan, and every Node
	@scripts/setup soak
	@MALLOC_ARENA_MAX=2 cargo test --quiet --test faults -- --ignored --exact chaos::soak --nocapture
	@tests/c/asan.sh
	@tests/c/tsan.sh
	@bindings/node/test.sh every
	@bindings/node-red/test.sh every

# In this order: each is made from what was built with those before it.
generated: ## write every file that is made from the code: zcrm.h, the lists of tests/abi, the description of the steps, the command's man pages, the Python package's part, licences, tables and chart, Bento's docs
	ZCRM_WRITE_GENERATED=1 cargo test --quiet --lib the_committed_description
	ZCRM_WRITE_GENERATED=1 cargo test --quiet --test abi the_committed_header
	ZCRM_WRITE_GENERATED=1 cargo test --quiet --test abi -- the_library_exports struct_layouts
	ZCRM_WRITE_GENERATED=1 cargo test --quiet --package zcrm-cli --test around the_committed_man_pages
	python3 bindings/python/generate.py
	@cargo test --quiet --test licences >/dev/null 2>&1 || $(MAKE) --no-print-directory notices
	bench/report.py
	examples/bento/test.sh docs

licences: ## licences, sources and known faults of all dependencies; installs cargo-deny, which takes minutes
	@scripts/setup licences
	@cargo deny --version >/dev/null 2>&1 || cargo install --quiet --locked cargo-deny
	cargo deny check licenses bans sources
	@if cargo deny fetch db; then cargo deny check --disable-fetch advisories; else \
	  echo "make licences: known faults were NOT looked for: the RustSec database can't be fetched"; fi

clean: ## remove what was built
	cargo clean
	rm -rf build

include packaging/install.mk bindings/python/python.mk bench/bench.mk fuzz/fuzz.mk examples/bento/bento.mk bindings/node-red/node-red.mk examples/airflow/airflow.mk
