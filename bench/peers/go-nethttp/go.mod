module zcrm/bench/nethttp

go 1.23
