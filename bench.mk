# make bench: zcrm against libcurl, reqwest::blocking, Go's net/http and Zoho's Python SDK; one table, minutes. See bench/README.md.

BENCH := build/bench
BENCH_TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
BENCH_CC := $(CC) -std=gnu17 -O2 -Wall -Wextra -Werror

.PHONY: bench bench-build bench-tools bench-instructions

bench: bench-build
	python3 bench/run.py

bench-instructions: bench-build
	python3 bench/instructions.py

bench-tools:
	bench/tools.sh

bench-build: bench-tools | $(BENCH)/lib
	cargo build --release --lib
	cargo build --release --manifest-path bench/Cargo.toml --target-dir $(BENCH_TARGET)/bench
	cp $(BENCH_TARGET)/bench/release/zcrm-bench-server $(BENCH)/server
	cp $(BENCH_TARGET)/bench/release/bench-reqwest-blocking $(BENCH)/reqwest-blocking
	cp $(BENCH_TARGET)/release/libzcrm.so $(BENCH)/lib/libzcrm.so.0
	ln -sf libzcrm.so.0 $(BENCH)/lib/libzcrm.so
	$(BENCH_CC) -static bench/launch.c -o $(BENCH)/launch
	$(BENCH_CC) bench/peers/curl.c bench/peers/bench.c -o $(BENCH)/curl -lcurl -lcjson -lpthread
	$(BENCH_CC) -Iinclude bench/peers/zcrm.c bench/peers/bench.c -o $(BENCH)/zcrm -L$(BENCH)/lib -lzcrm -Wl,-rpath,'$$ORIGIN/lib' -lpthread
	$(BENCH_CC) -Iinclude -DCOLD bench/peers/zcrm.c bench/peers/bench.c -o $(BENCH)/zcrm-cold -Wl,-rpath,'$$ORIGIN/lib' -lpthread
	cd bench/peers/go && go build -o $(abspath $(BENCH))/go-nethttp .
	test -d $(BENCH)/sdk8 || { python3 -m venv $(BENCH)/sdk8 && $(BENCH)/sdk8/bin/pip install --quiet zohocrmsdk8_0; }
	test -d $(BENCH)/sdk2 || { python3 -m venv $(BENCH)/sdk2 && $(BENCH)/sdk2/bin/pip install --quiet zohocrmsdk2_0; }

$(BENCH)/lib:
	mkdir -p $@
