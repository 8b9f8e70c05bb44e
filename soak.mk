
.PHONY: soak
soak: ## chaos for SECONDS=60, by turns UPLOADS=10000 and CALLS=10000 of all operations; SEED=n repeats
	@cargo test --quiet --test faults -- --ignored --exact chaos::soak --nocapture
