# The Bento engine of examples/bento. Included by the Makefile.

.PHONY: demo-bento soak-bento

demo-bento: ## files flow from a folder to records, through a queue and two Bento workers
	@scripts/setup bento
	@examples/bento/demo.sh $(FILES)

soak-bento: ## the workers of the queue under everything that can fail, for SECONDS=3600; ZCRM_CHAOS_SEED=n repeats
	@scripts/setup bento
	@examples/bento/test.sh soak $(or $(filter-out 60,$(SECONDS)),3600)
