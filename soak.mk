
# Few arenas: with one for each thread of each round, the peak of memory says more of malloc than of what was in use.
.PHONY: soak
soak: ## chaos for SECONDS=60, by turns UPLOADS=10000 and CALLS=10000 of all operations; SEED=n repeats
	@MALLOC_ARENA_MAX=2 cargo test --quiet --test faults -- --ignored --exact chaos::soak --nocapture
