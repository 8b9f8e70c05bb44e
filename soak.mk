.PHONY: soak
soak: ## chaos for SECONDS=60, of 10,000 uploads a round; SEED=n repeats a run
	cargo test --release --test faults -- --ignored --exact chaos::soak --nocapture
