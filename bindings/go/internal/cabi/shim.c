#include "shim.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "_cgo_export.h"

// The call that runs on this thread: the token and log callbacks have a user pointer of the client's, and need to find it.
static _Thread_local uintptr_t running;

// Whether the goroutine on this thread is to yield, which yieldIf in call.go explains. Kept by the thread, as what matters is the
// processor that the thread has.
static int must_yield(void) {
    static _Thread_local int64_t last;
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    int64_t now = (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
    if (now - last < 5000) return 0;
    last = now;
    return 1;
}

static zcrm_status on_read(void *user, uint8_t *buf, size_t cap, size_t *n) {
    return zcrmGoRead((uintptr_t)user, buf, cap, n, must_yield());
}

static zcrm_status on_rewind(void *user) {
    return zcrmGoRewind((uintptr_t)user);
}

static zcrm_status on_write(void *user, const uint8_t *buf, size_t len) {
    return zcrmGoWrite((uintptr_t)user, (uint8_t *)buf, len, must_yield());
}

static int32_t on_progress(void *user, uint64_t done, int64_t total) {
    return zcrmGoProgress((uintptr_t)user, done, total);
}

static zcrm_status on_token(void *user, int32_t force_refresh, char *buf, size_t cap, size_t *n) {
    return zcrmGoToken((uintptr_t)user, running, force_refresh, buf, cap, n);
}

static zcrm_status on_store_get(void *user, uint8_t *buf, size_t cap, size_t *n) {
    return zcrmGoStoreGet((uintptr_t)user, running, buf, cap, n);
}

static zcrm_status on_store_put(void *user, const uint8_t *buf, size_t len) {
    return zcrmGoStorePut((uintptr_t)user, running, (uint8_t *)buf, len);
}

static zcrm_status on_store_try_lock(void *user, int32_t *locked) {
    return zcrmGoStoreTryLock((uintptr_t)user, running, locked);
}

static void on_store_unlock(void *user) {
    zcrmGoStoreUnlock((uintptr_t)user, running);
}

static int32_t on_batch_end(void *user, const char *key, zcrm_status status, const char *json, int32_t from_journal) {
    return zcrmGoBatchEnd((uintptr_t)user, (char *)key, status, (char *)json, from_journal);
}

static int32_t on_next_step(void *user, zcrm_str *key, zcrm_str *json) {
    return zcrmGoNextStep((uintptr_t)user, (char **)&key->ptr, &key->len, (char **)&json->ptr, &json->len);
}

static void on_log(void *user, int32_t level, const char *line, size_t len) {
    zcrmGoLog((uintptr_t)user, running, level, (char *)line, len);
}

static void on_drop(void *user) {
    zcrmGoDrop((uintptr_t)user);
}

zcrm_status zg_set_token_fn(zcrm_config *config, uintptr_t hook) {
    return zcrm_config_set_token_fn(config, on_token, (void *)hook, on_drop);
}

zcrm_status zg_set_log_fn(zcrm_config *config, int32_t max_level, uintptr_t hook) {
    return zcrm_config_set_log_fn(config, max_level, on_log, (void *)hook, on_drop);
}

zcrm_status zg_set_token_store(zcrm_config *config, uintptr_t hook, zcrm_error **error) {
    zcrm_token_store store = {.struct_size = sizeof store,
                              .get = on_store_get,
                              .put = on_store_put,
                              .try_lock = on_store_try_lock,
                              .unlock = on_store_unlock,
                              .user = (void *)hook,
                              .drop = on_drop};
    return zcrm_config_set_token_store(config, &store, error);
}

zcrm_status zg_client_new(const zcrm_config *config, uintptr_t handle, zcrm_client **client, zcrm_error **error) {
    uintptr_t before = running;
    running = handle;
    zcrm_status status = zcrm_client_new(config, client, error);
    running = before;
    return status;
}

static zcrm_str text(const char *ptr, size_t len) {
    return (zcrm_str){ptr, len};
}

#define TEXT(name) text(name, name##_len)

static const zcrm_call *build_call(zcrm_call *call, const zg_how *how, const char *texts, uintptr_t handle) {
    if (!how) return NULL;
    const char *sha256 = texts + how->trace_id_len, *triggers = sha256 + how->sha256_len;
    *call = (zcrm_call){.struct_size = sizeof *call,
                        .cancel = (zcrm_cancel *)how->cancel,
                        .timeout_ms = how->timeout_ms,
                        .progress = how->progress ? on_progress : NULL,
                        .user = (void *)handle,
                        .trace_id = text(texts, how->trace_id_len),
                        .expected_sha256 = text(sha256, how->sha256_len),
                        .expected_bytes = how->expected_bytes,
                        .restrict_triggers = text(triggers, how->triggers_len),
                        .flags = how->flags};
    return call;
}

#define BUILD_CALL                                                          \
    zcrm_call built;                                                        \
    const zcrm_call *call = build_call(&built, how, how_texts, handle);     \
    zg_reply reply = {ZCRM_OK, 0, NULL, NULL};                              \
    uintptr_t before = running;                                             \
    running = handle

#define FINISH                  \
    running = before;           \
    reply.yield = must_yield(); \
    return reply

// What zg_stored has no place for is left to Go: what was hashed, what was out of the ordinary, long texts and the texts of a listed row.
static int store(zg_stored *to, const zcrm_result *result) {
    zcrm_attachment row = {.struct_size = sizeof row};
    if (zcrm_result_attachment(result, 0, &row, NULL) != ZCRM_OK || row.flags & (ZCRM_UPLOAD_TWINS | ZCRM_UPLOAD_WAITED)) return 0;
    if (row.modified_time.len | row.parent_id.len | row.owner_name.len | row.owner_id.len | row.created_by_id.len | row.file_id.len | row.kind.len) return 0;
    const zcrm_str *texts[ZG_STORED_TEXTS] = {&row.id, &row.file_name, &row.safe_name, &row.link_url, &row.created_time};
    size_t at = 0;
    for (int i = 0; i < ZG_STORED_TEXTS; i++) {
        size_t len = texts[i]->len;
        if (len > sizeof to->texts - at) return 0;
        memcpy(to->texts + at, texts[i]->ptr, len);
        to->lens[i] = (uint32_t)len;
        at += len;
    }
    to->bytes = row.bytes;
    to->is_link = row.is_link;
    to->flags = row.flags;
    return 1;
}

zg_reply zg_upload(ZG_CALL, ZG_RECORD, int32_t kind, ZG_TEXT(name), ZG_TEXT(content_type), ZG_TEXT(path), ZG_TEXT(link_url),
                      const uint8_t *data, size_t data_len, int64_t length, int rewindable, zg_stored *stored) {
    zcrm_target target = {.struct_size = sizeof target, .module = TEXT(module), .record_id = TEXT(record_id)};
    zcrm_source source = {.struct_size = sizeof source,
                          .kind = kind,
                          .name = TEXT(name),
                          .content_type = TEXT(content_type),
                          .path = TEXT(path),
                          .data = data,
                          .data_len = data_len,
                          .length = length,
                          .read = on_read,
                          .rewind = rewindable ? on_rewind : NULL,
                          .user = (void *)handle,
                          .link_url = TEXT(link_url)};
    BUILD_CALL;
    if (!stored) {
        reply.status = zcrm_photo_upload(client, &target, &source, call, &reply.result, &reply.error);
    } else {
        reply.status = zcrm_attachment_upload(client, &target, &source, call, &reply.result, &reply.error);
    }
    if (reply.status == ZCRM_OK && stored && !(how && how->flags & ZCRM_CALL_SHA256) && store(stored, reply.result)) {
        zcrm_result_free(reply.result);
        reply.result = NULL;
    }
    FINISH;
}

zg_reply zg_list(ZG_CALL, ZG_RECORD, ZG_TEXT(fields), ZG_TEXT(page_token), uint32_t page, uint32_t per_page) {
    zcrm_target target = {.struct_size = sizeof target, .module = TEXT(module), .record_id = TEXT(record_id)};
    zcrm_list_args args = {
        .struct_size = sizeof args, .fields = TEXT(fields), .page_token = TEXT(page_token), .page = page, .per_page = per_page};
    BUILD_CALL;
    reply.status = zcrm_attachment_list(client, &target, &args, call, &reply.result, &reply.error);
    FINISH;
}

zg_reply zg_record_list(ZG_CALL, ZG_TEXT(module), ZG_TEXT(page_token), uint32_t page, uint32_t per_page) {
    zcrm_list_args args = {.struct_size = sizeof args, .page_token = TEXT(page_token), .page = page, .per_page = per_page};
    BUILD_CALL;
    reply.status = zcrm_record_list(client, module, module_len, &args, call, &reply.result, &reply.error);
    FINISH;
}

zcrm_status zg_record_pages_new(const zcrm_client *client, ZG_TEXT(module), zcrm_pages **pages, zcrm_error **error) {
    return zcrm_record_pages_new(client, module, module_len, NULL, pages, error);
}

zcrm_status zg_pages_new(const zcrm_client *client, ZG_RECORD, zcrm_pages **pages, zcrm_error **error) {
    zcrm_target target = {.struct_size = sizeof target, .module = TEXT(module), .record_id = TEXT(record_id)};
    return zcrm_pages_new(client, &target, NULL, pages, error);
}

zg_reply zg_pages_next(ZG_CALL, zcrm_pages *pages) {
    (void)client;
    BUILD_CALL;
    reply.status = zcrm_pages_next(pages, call, &reply.result, &reply.error);
    FINISH;
}

zg_reply zg_download(ZG_CALL, ZG_RECORD, ZG_TEXT(attachment_id), int photo, int32_t kind, int32_t sink_flags, ZG_TEXT(path), uint64_t max_bytes) {
    zcrm_target target = {
        .struct_size = sizeof target, .module = TEXT(module), .record_id = TEXT(record_id), .attachment_id = TEXT(attachment_id)};
    zcrm_sink sink = {.struct_size = sizeof sink,
                      .kind = kind,
                      .flags = sink_flags,
                      .path = TEXT(path),
                      .max_bytes = max_bytes,
                      .write = on_write,
                      .user = (void *)handle};
    BUILD_CALL;
    if (photo) {
        reply.status = zcrm_photo_download(client, &target, &sink, call, &reply.result, &reply.error);
    } else {
        reply.status = zcrm_attachment_download(client, &target, &sink, call, &reply.result, &reply.error);
    }
    FINISH;
}

zg_reply zg_delete(ZG_CALL, ZG_RECORD, ZG_TEXT(attachment_id), int photo) {
    zcrm_target target = {
        .struct_size = sizeof target, .module = TEXT(module), .record_id = TEXT(record_id), .attachment_id = TEXT(attachment_id)};
    BUILD_CALL;
    if (photo) {
        reply.status = zcrm_photo_delete(client, &target, call, &reply.result, &reply.error);
    } else {
        reply.status = zcrm_attachment_delete(client, &target, call, &reply.result, &reply.error);
    }
    FINISH;
}

zg_reply zg_step(ZG_CALL, ZG_TEXT(json)) {
    BUILD_CALL;
    reply.status = zcrm_step_run(client, json, json_len, call, &reply.result, &reply.error);
    FINISH;
}

zg_reply zg_batch(ZG_CALL, zcrm_batch *batch, ZG_TEXT(journal), uint64_t credits, uint32_t parallel, int told, int asked) {
    zcrm_batch_args args = {.struct_size = sizeof args,
                            .journal = TEXT(journal),
                            .credits = credits,
                            .ended = told ? on_batch_end : NULL,
                            .user = (void *)handle,
                            .parallel = parallel};
    BUILD_CALL;
    reply.status = asked ? zcrm_batch_set_source(batch, on_next_step, (void *)handle, &reply.error) : ZCRM_OK;
    if (reply.status == ZCRM_OK) reply.status = zcrm_batch_run(client, batch, &args, call, &reply.result, &reply.error);
    FINISH;
}

zg_reply zg_exchange(const zcrm_config *config, ZG_CALL) {
    (void)client;
    BUILD_CALL;
    reply.status = zcrm_auth_exchange(config, call, &reply.result, &reply.error);
    FINISH;
}

zg_table zg_rows(const zcrm_result *result) {
    zg_table table = {.n = zcrm_result_count(result)};
    table.rows = malloc(table.n * sizeof *table.rows);
    if (!table.rows && table.n) table.status = ZCRM_E_MEMORY;
    for (size_t i = 0; table.status == ZCRM_OK && i < table.n; i++) {
        table.rows[i].struct_size = sizeof *table.rows;
        table.status = zcrm_result_attachment(result, i, &table.rows[i], &table.error);
    }
    return table;
}
