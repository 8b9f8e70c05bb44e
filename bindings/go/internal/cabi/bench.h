// What the benchmarks compare the seam with: the same calls, made by C without Go.
#ifndef ZCRM_GO_BENCH_H
#define ZCRM_GO_BENCH_H

#include "shim.h"

zcrm_status zg_bench_list(zcrm_client *client, const char *module, const char *record_id, int n);
zcrm_status zg_bench_upload(zcrm_client *client, const char *module, const char *record_id, uint64_t size, int n);
void zg_bench_read_c(int n);
void zg_bench_read_go(uintptr_t handle, int n);

#endif
