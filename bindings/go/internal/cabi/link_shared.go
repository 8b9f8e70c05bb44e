//go:build !zcrm_static

package cabi

// #cgo pkg-config: zcrm
import "C"
