/* Rule 7: NULL in every place, unknown numbers and contradictions are errors that name the parameter; nothing crashes. */
#include "check.h"

static zcrm_error *err;

static void refused(zcrm_status status, const char *parameter, const char *what) {
    if (!CHECK(status == ZCRM_E_ARGUMENT && strstr(zcrm_error_message(err), parameter), what)) {
        printf("     %s, %s\n", zcrm_status_name(status), zcrm_error_message(err));
    }
    zcrm_error_free(err);
    err = NULL;
}

int main(void) {
    zcrm_client *client = emulator();
    zcrm_target t = contact();
    zcrm_source source = memory_source("a.txt", "a", 1);
    zcrm_sink sink = memory_sink();
    zcrm_result *r = NULL;

    refused(zcrm_attachment_upload(NULL, &t, &source, NULL, &r, &err), "client", "attachment_upload without client");
    refused(zcrm_attachment_upload(client, NULL, &source, NULL, &r, &err), "target", "attachment_upload without target");
    refused(zcrm_attachment_upload(client, &t, NULL, NULL, &r, &err), "source", "attachment_upload without source");
    refused(zcrm_attachment_list(NULL, &t, NULL, NULL, &r, &err), "client", "attachment_list without client");
    refused(zcrm_attachment_list(client, NULL, NULL, NULL, &r, &err), "target", "attachment_list without target");
    refused(zcrm_attachment_download(NULL, &t, &sink, NULL, &r, &err), "client", "attachment_download without client");
    refused(zcrm_attachment_download(client, NULL, &sink, NULL, &r, &err), "target", "attachment_download without target");
    refused(zcrm_attachment_download(client, &t, NULL, NULL, &r, &err), "sink", "attachment_download without sink");
    refused(zcrm_attachment_download(client, &t, &sink, NULL, &r, &err), "attachment_id", "attachment_download without attachment");
    refused(zcrm_attachment_delete(NULL, &t, NULL, &r, &err), "client", "attachment_delete without client");
    refused(zcrm_attachment_delete(client, NULL, NULL, &r, &err), "target", "attachment_delete without target");
    refused(zcrm_attachment_delete(client, &t, NULL, &r, &err), "attachment_id", "attachment_delete without attachment");
    refused(zcrm_photo_upload(NULL, &t, &source, NULL, &r, &err), "client", "photo_upload without client");
    refused(zcrm_photo_upload(client, NULL, &source, NULL, &r, &err), "target", "photo_upload without target");
    refused(zcrm_photo_upload(client, &t, NULL, NULL, &r, &err), "source", "photo_upload without source");
    refused(zcrm_photo_download(NULL, &t, &sink, NULL, &r, &err), "client", "photo_download without client");
    refused(zcrm_photo_download(client, NULL, &sink, NULL, &r, &err), "target", "photo_download without target");
    refused(zcrm_photo_download(client, &t, NULL, NULL, &r, &err), "sink", "photo_download without sink");
    refused(zcrm_photo_delete(NULL, &t, NULL, &r, &err), "client", "photo_delete without client");
    refused(zcrm_photo_delete(client, NULL, NULL, &r, &err), "target", "photo_delete without target");
    refused(zcrm_auth_exchange(NULL, NULL, &r, &err), "config", "auth_exchange without config");

    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    refused(zcrm_config_set(NULL, "data_center", "eu", 2, &err), "config", "config_set without config");
    refused(zcrm_config_set(config, NULL, "eu", 2, &err), "key", "config_set without key");
    refused(zcrm_config_set(config, "data_center", NULL, 2, &err), "value", "config_set without value");
    refused(zcrm_client_new(NULL, &client, &err), "config", "client_new without config");
    refused(zcrm_client_new(config, NULL, &err), "out", "client_new without out");
    CHECK(zcrm_config_set_token_fn(NULL, NULL, NULL, NULL) == ZCRM_E_ARGUMENT, "config_set_token_fn without config");
    CHECK(zcrm_config_set_log_fn(NULL, 3, NULL, NULL, NULL) == ZCRM_E_ARGUMENT, "config_set_log_fn without config");
    CHECK(zcrm_config_new(NULL) == ZCRM_E_ARGUMENT && zcrm_cancel_new(NULL) == ZCRM_E_ARGUMENT, "config_new and cancel_new without out");
    zcrm_cancel_fire(NULL);
    zcrm_config_free(config);

    zcrm_attachment entry = {.struct_size = sizeof entry};
    zcrm_transfer transfer = {.struct_size = sizeof transfer};
    zcrm_page page = {.struct_size = sizeof page};
    const uint8_t *data = NULL;
    size_t n = 7;
    refused(zcrm_result_attachment(NULL, 0, &entry, &err), "result", "result_attachment without result");
    refused(zcrm_result_transfer(NULL, &transfer, &err), "result", "result_transfer without result");
    refused(zcrm_result_page(NULL, &page, &err), "result", "result_page without result");
    refused(zcrm_result_data(NULL, &data, &n, &err), "result", "result_data without result");
    CHECK(zcrm_result_count(NULL) == 0 && *zcrm_result_json(NULL, &n) == 0 && n == 0, "result_count and result_json without result");
    CHECK(zcrm_attachment_list(client, &t, NULL, NULL, &r, NULL) == ZCRM_OK, "a list");
    refused(zcrm_result_attachment(r, zcrm_result_count(r), &entry, &err), "index", "result_attachment behind the end");
    refused(zcrm_result_attachment(r, SIZE_MAX, &entry, &err), "index", "result_attachment far behind the end");
    refused(zcrm_result_data(r, NULL, &n, &err), "data", "result_data without data");
    refused(zcrm_result_data(r, &data, NULL, &err), "n", "result_data without n");
    refused(zcrm_result_page(r, NULL, &err), "out", "result_page without out");
    zcrm_result_free(r);
    r = NULL;
    CHECK(zcrm_error_code(NULL) == ZCRM_OK && zcrm_error_http_status(NULL) == 0 && zcrm_error_retryable(NULL) == 0 && zcrm_error_retry_after_ms(NULL) == -1 &&
              zcrm_error_request_sent(NULL) == 0 && zcrm_error_callback_status(NULL) == 0,
          "every error function without error");

    source.kind = 0;
    refused(zcrm_attachment_upload(client, &t, &source, NULL, &r, &err), "source.kind", "a source of kind 0");
    source.kind = 99;
    refused(zcrm_photo_upload(client, &t, &source, NULL, &r, &err), "source.kind", "a source of kind 99");
    source.kind = ZCRM_FROM_FILE;
    refused(zcrm_attachment_upload(client, &t, &source, NULL, &r, &err), "source.path", "a file without a path");
    source.kind = ZCRM_FROM_READER;
    refused(zcrm_attachment_upload(client, &t, &source, NULL, &r, &err), "source.read", "a reader without read");
    source.kind = ZCRM_FROM_LINK;
    refused(zcrm_attachment_upload(client, &t, &source, NULL, &r, &err), "source.link_url", "a link without URL");
    source.link_url = ZCRM_STR("https://www.example.org/");
    CHECK(zcrm_photo_upload(client, &t, &source, NULL, &r, NULL) == ZCRM_E_ARGUMENT, "a photo that is a link");
    zcrm_target attachment = target_of("Contacts", env("ZCRM_TEST_RECORD"), "123456789");
    sink.kind = 0;
    refused(zcrm_attachment_download(client, &attachment, &sink, NULL, &r, &err), "sink.kind", "a sink of kind 0");
    sink.kind = -1;
    refused(zcrm_photo_download(client, &t, &sink, NULL, &r, &err), "sink.kind", "a sink of kind -1");
    sink.kind = ZCRM_TO_WRITER;
    refused(zcrm_photo_download(client, &t, &sink, NULL, &r, &err), "sink.write", "a writer without write");
    sink = memory_sink();
    sink.flags = 2;
    refused(zcrm_photo_download(client, &t, &sink, NULL, &r, &err), "sink.flags", "an unknown flag of a sink");
    zcrm_target three = target_of("Contacts", env("ZCRM_TEST_RECORD"), "1,,2");
    CHECK(zcrm_attachment_delete(client, &three, NULL, &r, NULL) == ZCRM_E_ARGUMENT, "an empty id among several");

    zcrm_call call = {.struct_size = sizeof call, .timeout_ms = -1};
    refused(zcrm_attachment_list(client, &t, NULL, &call, &r, &err), "call.timeout_ms", "a negative timeout");
    call = (zcrm_call){.struct_size = sizeof call, .flags = 1u << 31};
    refused(zcrm_attachment_list(client, &t, NULL, &call, &r, &err), "call.flags", "an unknown flag of a call");
    call = (zcrm_call){.struct_size = sizeof call, .reserved = 1};
    refused(zcrm_attachment_list(client, &t, NULL, &call, &r, &err), "call.reserved", "a reserved field that is set");
    call = (zcrm_call){.struct_size = sizeof call, .expected_bytes = -1};
    refused(zcrm_attachment_list(client, &t, NULL, &call, &r, &err), "call.expected_bytes", "a negative size");
    call = (zcrm_call){.struct_size = sizeof call, .expected_sha256 = ZCRM_STR("abc")};
    refused(zcrm_attachment_list(client, &t, NULL, &call, &r, &err), "call.expected_sha256", "a SHA-256 that is too short");
    call = (zcrm_call){.struct_size = sizeof call, .expected_sha256 = ZCRM_STR("z891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03")};
    refused(zcrm_attachment_list(client, &t, NULL, &call, &r, &err), "call.expected_sha256", "a SHA-256 that isn't hexadecimal");
    CHECK(r == NULL, "no result came of any of these");
    zcrm_client_free(client);
    return finish();
}
