//go:build zcrm_bench

package cabi

// #include "bench.h"
import "C"

import (
	"io"
)

// CClient makes the calls that the benchmarks compare with, without Go in between.
type CClient struct{ client *Client }

// NewCClient makes one.
func NewCClient(config Config) (CClient, error) {
	client, err := NewClient(config)
	return CClient{client}, err
}

// Close frees it.
func (c CClient) Close() { c.client.Close() }

// List lists n times; the answer is the last status.
func (c CClient) List(module, recordID string, n int) int32 {
	return int32(C.zg_bench_list(c.client.ptr, text(module+"\x00"), text(recordID+"\x00"), C.int(n)))
}

// Upload uploads size bytes n times.
func (c CClient) Upload(module, recordID string, size int64, n int) int32 {
	return int32(C.zg_bench_upload(c.client.ptr, text(module+"\x00"), text(recordID+"\x00"), C.uint64_t(size), C.int(n)))
}

// ReadInC copies 64 KiB n times by a callback of C.
func ReadInC(n int) { C.zg_bench_read_c(C.int(n)) }

// ReadInGo copies 64 KiB n times by the callback that reads a Reader.
func ReadInGo(r io.Reader, n int) {
	handle := newHandle(&state{reader: r})
	defer freeHandle(handle)
	C.zg_bench_read_go(C.uintptr_t(handle), C.int(n))
}
