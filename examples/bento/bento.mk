# The Bento engine of examples/bento. Included by the Makefile.

.PHONY: demo-bento

demo-bento: ## files flow from a folder to records, through a queue and two Bento workers
	@scripts/setup bento
	@examples/bento/demo.sh $(FILES)
