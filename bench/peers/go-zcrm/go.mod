module zcrm/bench/binding

go 1.23

require github.com/zcrm/zcrm/bindings/go v0.0.0

replace github.com/zcrm/zcrm/bindings/go => ../../../bindings/go
