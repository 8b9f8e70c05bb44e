/* Rule 5: text in is pointer and length, UTF-8; text out is NUL-terminated and borrowed. */
#include "check.h"

static zcrm_client *client;

static void refused(zcrm_source source, const char *parameter, const char *what) {
    zcrm_error *err = NULL;
    zcrm_target target = contact();
    zcrm_status status = zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err);
    CHECK(strstr(zcrm_error_message(err), parameter) != NULL, "the parameter is named");
    EXPECT(status, ZCRM_E_ARGUMENT, &err, what);
}

int main(void) {
    client = emulator();
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_target target = contact();
    zcrm_source source = memory_source("a.txt", "a", 1);

    source.name = (zcrm_str){"bad \xc3\x28.txt", ZCRM_NUL};
    refused(source, "source.name", "text that isn't UTF-8");
    source.name = (zcrm_str){"nul\0inside.txt", 14};
    refused(source, "source.name", "text with a NUL inside");
    source.name = (zcrm_str){NULL, 3};
    refused(source, "source.name", "NULL with a length");
    source.name = (zcrm_str){"x", SIZE_MAX - 1};
    refused(source, "source.name", "a length that can't be");
    static char longest[(1 << 20) + 1];
    memset(longest, 'x', sizeof longest);
    source.name = (zcrm_str){longest, sizeof longest};
    refused(source, "source.name", "a text of more than 1 MiB");
    source.name = (zcrm_str){"a.txt", 5};
    source.data = NULL;
    source.data_len = 9;
    refused(source, "source.data", "bytes at NULL");
    source.kind = ZCRM_FROM_FILE;
    source.path = (zcrm_str){"/tmp/a\0b", 8};
    refused(source, "source.path", "a path with a NUL inside");

    /* Neither text has a NUL behind it: valgrind sees a byte too many that is read. */
    char *name = malloc(13), *record = malloc(target.record_id.len = strlen(target.record_id.ptr));
    memcpy(name, "gr\xc3\xb6\xc3\x9f" "e.txtXY", 13);
    memcpy(record, target.record_id.ptr, target.record_id.len);
    target.record_id.ptr = record;
    source = memory_source("", "abc", 3);
    source.name = (zcrm_str){name, 11};
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, &result, &err), ZCRM_OK, &err, "text that its length ends");
    memset(name, 'x', 13);
    free(name);
    zcrm_attachment stored = {.struct_size = sizeof stored};
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "what was stored");
    CHECK(stored.file_name.len == 11 && strcmp(stored.file_name.ptr, "gr\xc3\xb6\xc3\x9f" "e.txt") == 0, "has the name, NUL-terminated");
    CHECK(stored.link_url.ptr && stored.link_url.len == 0 && *stored.link_url.ptr == 0, "an absent text is empty and not NULL");
    zcrm_attachment again = {.struct_size = sizeof again};
    zcrm_result_attachment(result, 0, &again, NULL);
    CHECK(again.file_name.ptr == stored.file_name.ptr, "texts stay where they are until the result is freed");
    zcrm_result_free(result);

    source = memory_source("empty.txt", NULL, 0);
    result = NULL;
    zcrm_status status = zcrm_attachment_upload(client, &target, &source, NULL, &result, &err);
    CHECK(status == ZCRM_OK || status == ZCRM_E_ARGUMENT || status == ZCRM_E_REJECTED, "no bytes at NULL are legal memory");
    zcrm_error_free(err);
    err = NULL;
    if (status == ZCRM_OK) {
        zcrm_result_attachment(result, 0, &stored, NULL);
        char id[32];
        snprintf(id, sizeof id, "%s", stored.id.ptr);
        zcrm_target file = target;
        file.attachment_id = ZCRM_CSTR(id);
        zcrm_sink sink = memory_sink();
        zcrm_result *down = NULL;
        const uint8_t *data = (const uint8_t *)id;
        size_t n = 1;
        EXPECT(zcrm_attachment_download(client, &file, &sink, NULL, &down, &err), ZCRM_OK, &err, "an empty file is downloaded");
        CHECK(zcrm_result_data(down, &data, &n, NULL) == ZCRM_OK && data == NULL && n == 0, "as NULL and 0");
        zcrm_result_free(down);
    }
    zcrm_result_free(result);

    zcrm_target line = target_of("Con\ntacts", "1", NULL);
    status = zcrm_attachment_list(client, &line, NULL, NULL, NULL, &err);
    CHECK(!strchr(zcrm_error_message(err), '\n'), "a message is one line");
    EXPECT(status, ZCRM_E_ARGUMENT, &err, "a module with a line end");
    CHECK(*zcrm_error_message(NULL) == 0 && *zcrm_error_json(NULL) == 0 && *zcrm_error_api_code(NULL) == 0 && *zcrm_error_reason(NULL) == 0, "no error has empty texts");
    CHECK(*zcrm_result_json(NULL, NULL) == 0, "and no result has an empty document");
    free(record);
    zcrm_client_free(client);
    return finish();
}
