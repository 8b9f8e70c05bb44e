//go:build zcrm_bench

#include "bench.h"

#include <string.h>

#include "_cgo_export.h"

static uint8_t chunk[64 << 10];

static zcrm_status read_chunk(void *user, uint8_t *buf, size_t cap, size_t *n) {
    uint64_t *left = user;
    size_t take = cap < sizeof chunk ? cap : sizeof chunk;
    *n = take < *left ? take : (size_t)*left;
    memcpy(buf, chunk, *n);
    *left -= *n;
    return ZCRM_OK;
}

#define TARGET \
    zcrm_target target = {.struct_size = sizeof target, .module = ZCRM_CSTR(module), .record_id = ZCRM_CSTR(record_id)}

zcrm_status zg_bench_list(zcrm_client *client, const char *module, const char *record_id, int n) {
    TARGET;
    zcrm_list_args args = {.struct_size = sizeof args, .page = 1};
    zcrm_status status = ZCRM_OK;
    for (int i = 0; i < n; i++) {
        zcrm_result *result = NULL;
        zcrm_error *error = NULL;
        status = zcrm_attachment_list(client, &target, &args, NULL, &result, &error);
        zcrm_result_free(result);
        zcrm_error_free(error);
    }
    return status;
}

zcrm_status zg_bench_upload(zcrm_client *client, const char *module, const char *record_id, uint64_t size, int n) {
    TARGET;
    for (int i = 0; i < n; i++) {
        uint64_t left = size;
        zcrm_source source = {.struct_size = sizeof source,
                              .kind = ZCRM_FROM_READER,
                              .name = ZCRM_STR("bench"),
                              .length = (int64_t)size,
                              .read = read_chunk,
                              .user = &left};
        zcrm_status status = zcrm_attachment_upload(client, &target, &source, NULL, NULL, NULL);
        if (status != ZCRM_OK) return status;
    }
    return ZCRM_OK;
}

void zg_bench_read_c(int n) {
    static uint8_t into[64 << 10];
    for (int i = 0; i < n; i++) {
        uint64_t left = sizeof into;
        size_t got;
        read_chunk(&left, into, sizeof into, &got);
        __asm__ volatile("" ::"r"(into) : "memory");
    }
}

void zg_bench_read_go(uintptr_t handle, int n) {
    static uint8_t into[64 << 10];
    for (int i = 0; i < n; i++) {
        size_t got;
        zcrmGoRead(handle, into, sizeof into, &got, 0);
    }
}
