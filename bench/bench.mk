# The bench. Included by the Makefile; what it measures and how: bench/README.md.

BENCH := build/bench
BENCH_TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
BENCH_PREFIX := $(abspath $(BENCH)/prefix)
BENCH_CC := $(CC) -std=gnu17 -O2 -Wall -Wextra -Werror
BENCH_PKG := PKG_CONFIG_PATH=$(BENCH_PREFIX)/lib/pkgconfig

.PHONY: bench bench-build bench-server bench-million bench-instructions bench-concurrency

bench: bench-build ## zcrm against libcurl, reqwest::blocking, Go, Zoho's Python SDK and the least it can cost: one table; QUICK=1 is shorter
	python3 bench/run.py

bench-instructions: bench-build ## instructions for each small call, zcrm, libcurl and the least it can cost, by callgrind
	python3 bench/instructions.py

bench-million: bench-server ## a batch of STEPS=1000000 uploads, its memory and its time, and the same again with its journal
	python3 bench/million.py

bench-concurrency: bench-server ## what max_in_flight = auto makes of what an organisation bears, for one process and for several: four minutes
	python3 bench/concurrency.py

# The library is installed into a prefix of the bench's own, and every peer uses it from there as any program would.
bench-server:
	@scripts/setup build
	mkdir -p $(BENCH)
	$(MAKE) --no-print-directory install PREFIX=$(BENCH_PREFIX)
	cargo build --release --manifest-path bench/Cargo.toml --target-dir $(BENCH_TARGET)/bench -p zcrm-bench-server
	install $(BENCH_TARGET)/bench/release/zcrm-bench-server $(BENCH)/server
	$(BENCH_CC) -static bench/launch.c -o $(BENCH)/launch
	$(BENCH_CC) bench/peers/million.c bench/peers/bench.c -o $(BENCH)/million $$($(BENCH_PKG) pkg-config --cflags --libs zcrm) -Wl,-rpath,$(BENCH_PREFIX)/lib -lpthread
	$(BENCH_CC) bench/peers/places.c -o $(BENCH)/places $$($(BENCH_PKG) pkg-config --cflags --libs zcrm) -Wl,-rpath,$(BENCH_PREFIX)/lib -lpthread

bench-build: bench-server
	@scripts/setup bench
	cargo build --release --manifest-path bench/Cargo.toml --target-dir $(BENCH_TARGET)/bench
	install $(BENCH_TARGET)/bench/release/bench-reqwest-blocking $(BENCH)/reqwest-blocking
	$(BENCH_CC) bench/peers/curl.c bench/peers/bench.c -o $(BENCH)/curl -lcurl -lcjson -lpthread
	$(BENCH_CC) bench/peers/floor.c bench/peers/bench.c -o $(BENCH)/floor $$(pkg-config --cflags --libs openssl) -lpthread
	$(BENCH_CC) bench/peers/zcrm.c bench/peers/bench.c -o $(BENCH)/zcrm $$($(BENCH_PKG) pkg-config --cflags --libs zcrm) -Wl,-rpath,$(BENCH_PREFIX)/lib -lpthread
	$(BENCH_CC) -DCOLD bench/peers/zcrm.c bench/peers/bench.c -o $(BENCH)/zcrm-cold $$($(BENCH_PKG) pkg-config --cflags zcrm) -Wl,-rpath,$(BENCH_PREFIX)/lib -lpthread
	cd bench/peers/go-nethttp && go build -o $(abspath $(BENCH))/go-nethttp .
	cd bench/peers/go-zcrm && $(BENCH_PKG) CGO_LDFLAGS=-Wl,-rpath,$(BENCH_PREFIX)/lib go build -o $(abspath $(BENCH))/go-zcrm .
	cd bindings/go && $(BENCH_PKG) CGO_LDFLAGS=-Wl,-rpath,$(BENCH_PREFIX)/lib go test -c -tags zcrm_bench -o $(abspath $(BENCH))/go-callback .
	test -d $(BENCH)/python || { python3 -m venv $(BENCH)/python && $(BENCH)/python/bin/pip install --quiet requests; }
	$(MAKE) --no-print-directory wheel ZCRM_WHEELS=$(abspath $(BENCH))/wheels
	$(BENCH)/python/bin/pip install --quiet --no-index --no-deps --force-reinstall --find-links $(BENCH)/wheels zcrm
	for v in 2 8; do test -d $(BENCH)/sdk$$v || { python3 -m venv $(BENCH)/sdk$$v && $(BENCH)/sdk$$v/bin/pip install --quiet zohocrmsdk$${v}_0; } || exit; done
