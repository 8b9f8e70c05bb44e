//go:build zcrm_static

package cabi

// The archive comes first and defines everything that is needed, so the -lzcrm of zcrm.pc adds no shared library after it.

// #cgo LDFLAGS: -Wl,-Bstatic -lzcrm -Wl,-Bdynamic -Wl,--as-needed
// #cgo pkg-config: --static zcrm
import "C"
