# The Bento engine of examples/bento. Included by the Makefile.

.PHONY: demo-bento test-bento

demo-bento: ## files flow from a folder to records, through a queue and two Bento workers
	@scripts/setup test
	@examples/bento/demo.sh $(FILES)

test-bento: ## the tests of examples/bento, with a worker that is killed
	@examples/bento/test.sh
