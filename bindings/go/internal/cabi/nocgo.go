//go:build !cgo

package cabi

// The compiler's complaint about this name is the message that a build without cgo gives.
var _ = zcrm_needs_cgo__set_CGO_ENABLED_to_1_and_install_a_C_compiler_and_libzcrm
