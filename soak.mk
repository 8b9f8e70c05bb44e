.PHONY: soak
soak: ## chaos for SECONDS=60, in rounds of UPLOADS=10000; SEED=n repeats a run
	@cargo test --quiet --test faults -- --ignored --exact chaos::soak --nocapture
