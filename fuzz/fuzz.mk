# Fuzzing, AddressSanitizer, ThreadSanitizer and Miri. Included by the Makefile; fuzz/src says what each target checks.

SECONDS ?= 60
TARGETS ?=

.PHONY: fuzz fuzz-corpus asan tsan miri

fuzz: ## every fuzz target for SECONDS=60 each, or TARGETS="list step": one line for each, and how to reproduce what fails
	@scripts/setup fuzz
	@fuzz/run.sh $(SECONDS) $(TARGETS)

fuzz-corpus: ## after make fuzz: the committed corpus, chosen again from what was found
	@fuzz/minimise.sh $(TARGETS)

asan: ## the C programs of tests/c and the library, both under AddressSanitizer
	@tests/c/asan.sh

tsan: ## the same under ThreadSanitizer, Rust's standard library included
	@tests/c/tsan.sh

miri: ## the corpus of the C ABI under Miri, on a nightly toolchain; takes minutes
	@fuzz/miri.sh
