# The nodes for Node-RED. Included by the Makefile.

.PHONY: demo-node-red

demo-node-red: ## a Node-RED whose flow attaches a file from a web page to a contact of the emulator
	@scripts/setup build
	@bindings/node-red/test.sh demo
