/* The seven operations and the exchange of a grant code, through the typed functions, against the emulator. */
#include "check.h"

static void uploads(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_target target = contact();
    zcrm_attachment stored = {.struct_size = sizeof stored};
    zcrm_transfer transfer = {.struct_size = sizeof transfer};

    zcrm_call call = {.struct_size = sizeof call, .flags = ZCRM_CALL_SHA256};
    zcrm_source memory = memory_source("hello.txt", "hello\n", 6);
    EXPECT(zcrm_attachment_upload(client, &target, &memory, &call, &result, &err), ZCRM_OK, &err, "memory is attached");
    CHECK(zcrm_result_count(result) == 1, "one attachment came of it");
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "and can be read");
    CHECK(strcmp(stored.file_name.ptr, "hello.txt") == 0 && stored.bytes == 6 && !stored.is_link, "with its name and size");
    CHECK(stored.flags == 0, "with nothing out of the ordinary");
    EXPECT(zcrm_result_transfer(result, &transfer, &err), ZCRM_OK, &err, "what was moved can be read");
    CHECK(strncmp(transfer.sha256.ptr, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", 65) == 0, "with its SHA-256");
    size_t n = 0;
    const char *json = zcrm_result_json(result, &n);
    CHECK(n == strlen(json) && strstr(json, "\"operation\":\"attachment.upload\"") && strstr(json, "\"attempts\":1"), "and as JSON");
    CHECK(json == zcrm_result_json(result, NULL), "the JSON is made once");
    zcrm_result_free(result);

    call.flags = ZCRM_CALL_SKIP_EXISTING;
    EXPECT(zcrm_attachment_upload(client, &target, &memory, &call, &result, &err), ZCRM_OK, &err, "what is there need not be sent");
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "it can be read all the same");
    CHECK(stored.flags == ZCRM_UPLOAD_SKIPPED, "and it says that it was skipped");
    zcrm_result_free(result);

    char path[512];
    snprintf(path, sizeof path, "%s/from file.txt", env("ZCRM_TEST_DIR"));
    FILE *file = fopen(path, "w");
    fputs("from a file", file);
    fclose(file);
    zcrm_source from_file = {.struct_size = sizeof from_file, .kind = ZCRM_FROM_FILE, .path = ZCRM_CSTR(path)};
    EXPECT(zcrm_attachment_upload(client, &target, &from_file, NULL, &result, &err), ZCRM_OK, &err, "a file is attached");
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "and can be read");
    CHECK(strcmp(stored.file_name.ptr, "from file.txt") == 0 && stored.bytes == 11, "under its own name");
    zcrm_result_free(result);

    zcrm_source link = {.struct_size = sizeof link, .kind = ZCRM_FROM_LINK, .name = ZCRM_STR("A title"), .link_url = ZCRM_STR("https://www.example.org/a")};
    EXPECT(zcrm_attachment_upload(client, &target, &link, NULL, &result, &err), ZCRM_OK, &err, "a link is attached");
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "and can be read");
    CHECK(stored.is_link == 1 && strcmp(stored.link_url.ptr, "https://www.example.org/a") == 0 && stored.bytes == -1, "as a link");
    zcrm_result_free(result);
    EXPECT(zcrm_attachment_upload(client, &target, &link, NULL, NULL, &err), ZCRM_E_DUPLICATE_LINK, &err, "the same link is refused");
    memory.link_url = link.link_url;
    EXPECT(zcrm_attachment_upload(client, &target, &memory, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "a file and a link together are refused");
}

static void lists(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_target target = contact();
    zcrm_page page = {.struct_size = sizeof page};

    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, &result, &err), ZCRM_OK, &err, "every page is listed");
    CHECK(zcrm_result_count(result) == 3, "with what was attached");
    int links = 0, sized = 0;
    for (size_t i = 0; i < zcrm_result_count(result); i++) {
        zcrm_attachment entry = {.struct_size = sizeof entry};
        EXPECT(zcrm_result_attachment(result, i, &entry, &err), ZCRM_OK, &err, "an entry can be read");
        links += entry.is_link;
        sized += entry.bytes == 6 || entry.bytes == 11;
        CHECK(entry.id.len > 10 && entry.id.ptr[entry.id.len] == 0 && entry.created_time.len > 18, "with id and time");
        CHECK(strcmp(entry.parent_id.ptr, env("ZCRM_TEST_RECORD")) == 0 && entry.owner_name.len > 0, "with record and owner");
    }
    CHECK(links == 1 && sized == 2, "one link and two files of their sizes");
    EXPECT(zcrm_result_page(result, &page, &err), ZCRM_OK, &err, "where the list stands can be read");
    CHECK(page.more_records == 0, "nothing is left");
    zcrm_result_free(result);

    zcrm_list_args args = {.struct_size = sizeof args, .page = 1, .per_page = 2};
    EXPECT(zcrm_attachment_list(client, &target, &args, NULL, &result, &err), ZCRM_OK, &err, "one page is listed");
    EXPECT(zcrm_result_page(result, &page, &err), ZCRM_OK, &err, "where it stands can be read");
    CHECK(zcrm_result_count(result) == 2 && page.more_records == 1, "two entries, and there is more");
    zcrm_list_args next = {.struct_size = sizeof next, .per_page = 2, .page_token = page.next_page_token};
    zcrm_result *rest = NULL;
    if (page.next_page_token.len == 0) next.page = 2;
    EXPECT(zcrm_attachment_list(client, &target, &next, NULL, &rest, &err), ZCRM_OK, &err, "the page after it is listed");
    CHECK(zcrm_result_count(rest) == 1, "with the last entry");
    zcrm_result_free(result);
    zcrm_result_free(rest);
}

static void downloads(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    char id[32], path[512], text[64] = "";
    upload_text(client, "down.txt", "to be downloaded", id);
    zcrm_target target = target_of("Contacts", env("ZCRM_TEST_RECORD"), id);
    zcrm_transfer transfer = {.struct_size = sizeof transfer};
    const uint8_t *data = NULL;
    size_t n = 0;

    zcrm_sink memory = memory_sink();
    EXPECT(zcrm_attachment_download(client, &target, &memory, NULL, &result, &err), ZCRM_OK, &err, "a download to memory");
    EXPECT(zcrm_result_data(result, &data, &n, &err), ZCRM_OK, &err, "gives its bytes");
    CHECK(n == 16 && memcmp(data, "to be downloaded", 16) == 0, "as they were sent");
    EXPECT(zcrm_result_transfer(result, &transfer, &err), ZCRM_OK, &err, "and what is known of them");
    CHECK(strcmp(transfer.file_name.ptr, "down.txt") == 0 && transfer.bytes == 16, "name and size");
    zcrm_result_free(result);

    snprintf(path, sizeof path, "%s/down.txt", env("ZCRM_TEST_DIR"));
    zcrm_sink file = {.struct_size = sizeof file, .kind = ZCRM_TO_FILE, .path = ZCRM_CSTR(path)};
    zcrm_call expected = {.struct_size = sizeof expected, .expected_bytes = 16};
    EXPECT(zcrm_attachment_download(client, &target, &file, &expected, &result, &err), ZCRM_OK, &err, "a download to a file");
    FILE *written = fopen(path, "r");
    CHECK(written && fread(text, 1, sizeof text, written) == 16 && memcmp(text, "to be downloaded", 16) == 0, "writes it");
    if (written) fclose(written);
    EXPECT(zcrm_result_transfer(result, &transfer, &err), ZCRM_OK, &err, "and names it");
    CHECK(strcmp(transfer.path.ptr, path) == 0 && transfer.length_verified == 1, "with its path; the length was verified");
    zcrm_result_free(result);
    EXPECT(zcrm_attachment_download(client, &target, &file, NULL, NULL, &err), ZCRM_E_IO, &err, "a file that exists is kept");
    file.flags = ZCRM_OVERWRITE;
    EXPECT(zcrm_attachment_download(client, &target, &file, NULL, NULL, &err), ZCRM_OK, &err, "unless it is to be overwritten");
    memory.max_bytes = 5;
    EXPECT(zcrm_attachment_download(client, &target, &memory, NULL, NULL, &err), ZCRM_E_TOO_LARGE, &err, "a bound on the bytes is kept");
    memory.max_bytes = 0;
    expected.expected_bytes = 0;
    expected.flags = ZCRM_CALL_EXPECT_BYTES;
    result = NULL;
    CHECK(zcrm_attachment_download(client, &target, &memory, &expected, &result, NULL) != ZCRM_OK && !result, "an empty file can be expected");

    zcrm_target none = target_of("Contacts", env("ZCRM_TEST_RECORD"), "123456789012345");
    EXPECT(zcrm_attachment_download(client, &none, &memory, NULL, NULL, &err), ZCRM_E_NOT_FOUND, &err, "an attachment that isn't there");
    EXPECT(zcrm_attachment_delete(client, &target, NULL, &result, &err), ZCRM_OK, &err, "an attachment is deleted");
    CHECK(strstr(zcrm_result_json(result, NULL), id) != NULL, "and named");
    CHECK(zcrm_result_data(result, &data, &n, NULL) == ZCRM_E_STATE, "which gives no bytes");
    zcrm_result_free(result);

    char ids[70], other[32];
    upload_text(client, "one.txt", "1", id);
    upload_text(client, "two.txt", "2", other);
    snprintf(ids, sizeof ids, "%s,%s", id, other);
    target = target_of("Contacts", env("ZCRM_TEST_RECORD"), ids);
    zcrm_target line = target_of("Contacts", env("ZCRM_TEST_RECORD"), "123\n");
    EXPECT(zcrm_attachment_delete(client, &line, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "an id with a line end is none");
    EXPECT(zcrm_attachment_delete(client, &target, NULL, &result, &err), ZCRM_OK, &err, "two attachments are deleted");
    CHECK(strstr(zcrm_result_json(result, NULL), id) && strstr(zcrm_result_json(result, NULL), other), "and named");
    zcrm_result_free(result);
}

static void photos(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_target target = contact();
    zcrm_source png = {.struct_size = sizeof png, .kind = ZCRM_FROM_FILE, .path = ZCRM_CSTR(env("ZCRM_TEST_PNG"))};
    zcrm_sink memory = memory_sink();
    zcrm_transfer sent = {.struct_size = sizeof sent};
    const uint8_t *data = NULL;
    size_t n = 0;
    EXPECT(zcrm_photo_upload(client, &target, &png, NULL, &result, &err), ZCRM_OK, &err, "a photo is set");
    EXPECT(zcrm_result_transfer(result, &sent, &err), ZCRM_OK, &err, "and what was sent can be read");
    zcrm_result *down = NULL;
    EXPECT(zcrm_photo_download(client, &target, &memory, NULL, &down, &err), ZCRM_OK, &err, "the photo is downloaded");
    EXPECT(zcrm_result_data(down, &data, &n, &err), ZCRM_OK, &err, "and its bytes read");
    CHECK(n == sent.bytes && n > 8 && memcmp(data, "\x89PNG", 4) == 0, "the same PNG");
    zcrm_result_free(result);
    zcrm_result_free(down);
    EXPECT(zcrm_photo_delete(client, &target, NULL, NULL, &err), ZCRM_OK, &err, "the photo is deleted");
    EXPECT(zcrm_photo_download(client, &target, &memory, NULL, NULL, &err), ZCRM_E_NOT_FOUND, &err, "and gone");
}

static void grant(void) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    set(config, "client_id", env("ZCRM_TEST_CLIENT_ID"));
    set(config, "client_secret", env("ZCRM_TEST_CLIENT_SECRET"));
    set(config, "grant_code", env("ZCRM_TEST_GRANT_CODE"));
    EXPECT(zcrm_auth_exchange(config, NULL, &result, &err), ZCRM_OK, &err, "a grant code is exchanged");
    CHECK(strstr(zcrm_result_json(result, NULL), "\"refresh_token\":\"1000.") != NULL, "for a refresh token");
    zcrm_result_free(result);
    result = NULL;
    EXPECT(zcrm_auth_exchange(config, NULL, &result, &err), ZCRM_E_AUTH, &err, "once");
    CHECK(!result, "and gives nothing the second time");
    zcrm_config_free(config);
}

int main(void) {
    zcrm_client *client = emulator();
    uploads(client);
    lists(client);
    downloads(client);
    photos(client);
    grant();
    zcrm_client_free(client);
    return finish();
}
