// The seam: scalars and pointers to plain bytes come in, and the structs of zcrm.h are built here, on the C stack. So no memory of Go's
// ever holds a Go pointer that C sees.
#ifndef ZCRM_GO_SHIM_H
#define ZCRM_GO_SHIM_H

#if defined(__has_include) && !__has_include(<zcrm.h>)
#error "zcrm.h is not installed: install libzcrm, and let PKG_CONFIG_PATH name the directory that holds its zcrm.pc"
#else

#include <zcrm.h>

#if ZCRM_ABI_VERSION != 1
#error "zcrm.h has another ABI than these Go bindings, which need ABI 1: install the libzcrm that belongs to them"
#endif

#define ZG_TEXT(name) const char *name, size_t name##_len

// What applies to one call only, in memory of Go's and without a pointer.
typedef struct zg_how {
    uintptr_t cancel; // a zcrm_cancel
    int64_t timeout_ms, expected_bytes;
    size_t trace_id_len, sha256_len, triggers_len; // the texts stand one behind the other
    uint32_t flags;
    int32_t progress;
} zg_how;

// The same for every operation. handle is a cgo.Handle, and the callbacks' user pointer. how is NULL for a call that has nothing of it.
#define ZG_CALL zcrm_client *client, uintptr_t handle, const zg_how *how, const char *how_texts

#define ZG_RECORD ZG_TEXT(module), ZG_TEXT(record_id)

typedef struct zg_reply {
    zcrm_status status;
    int yield; // see yieldIf in call.go
    zcrm_result *result;
    zcrm_error *error;
} zg_reply;

// What an upload stored, in memory of Go's and without a pointer: the texts one behind the other. So the result is read and freed in the
// crossing that made it.
#define ZG_STORED_TEXTS 5
typedef struct zg_stored {
    int64_t bytes;
    int32_t is_link;
    uint32_t flags;
    uint32_t lens[ZG_STORED_TEXTS]; // id, file_name, safe_name, link_url, created_time
    char texts[220];                // 256 bytes in all
} zg_stored;

zcrm_status zg_set_token_fn(zcrm_config *config, uintptr_t hook);
zcrm_status zg_set_log_fn(zcrm_config *config, int32_t max_level, uintptr_t hook);
zcrm_status zg_set_token_store(zcrm_config *config, uintptr_t hook, zcrm_error **error);
zcrm_status zg_client_new(const zcrm_config *config, uintptr_t handle, zcrm_client **client, zcrm_error **error);

// Fills stored and gives no result, unless that is more than stored has room for. A photo is uploaded when stored is NULL.
zg_reply zg_upload(ZG_CALL, ZG_RECORD, int32_t kind, ZG_TEXT(name), ZG_TEXT(content_type), ZG_TEXT(path), ZG_TEXT(link_url),
                      const uint8_t *data, size_t data_len, int64_t length, int rewindable, zg_stored *stored);
zg_reply zg_record_list(ZG_CALL, ZG_TEXT(module), ZG_TEXT(page_token), uint32_t page, uint32_t per_page);
zg_reply zg_list(ZG_CALL, ZG_RECORD, ZG_TEXT(fields), ZG_TEXT(page_token), uint32_t page, uint32_t per_page);
zcrm_status zg_pages_new(const zcrm_client *client, ZG_RECORD, zcrm_pages **pages, zcrm_error **error);
zcrm_status zg_record_pages_new(const zcrm_client *client, ZG_TEXT(module), zcrm_pages **pages, zcrm_error **error);
zg_reply zg_pages_next(ZG_CALL, zcrm_pages *pages);
zg_reply zg_download(ZG_CALL, ZG_RECORD, ZG_TEXT(attachment_id), int photo, int32_t kind, int32_t sink_flags, ZG_TEXT(path), uint64_t max_bytes);
zg_reply zg_delete(ZG_CALL, ZG_RECORD, ZG_TEXT(attachment_id), int photo);
zg_reply zg_step(ZG_CALL, ZG_TEXT(json));
zg_reply zg_batch(ZG_CALL, zcrm_batch *batch, ZG_TEXT(journal), uint64_t credits, uint32_t parallel, int told, int asked);
zg_reply zg_exchange(const zcrm_config *config, ZG_CALL);

// All rows of a list, in an array that the caller frees. Their texts are borrowed from the result.
typedef struct zg_table {
    zcrm_status status;
    zcrm_error *error;
    zcrm_attachment *rows;
    size_t n;
} zg_table;

zg_table zg_rows(const zcrm_result *result);

#endif
#endif
