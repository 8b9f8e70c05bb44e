/* Rule 1: a status, an error object through the last parameter, and outputs that are untouched on failure. */
#include "check.h"

static void *const MARK = (void *)0x5a5a;

/* An address that no pointer can be at is refused before anything is done. */
static void outputs_at_odd_addresses(void) {
    zcrm_error *err = NULL;
    char space[64] = {0};
    void *odd = space + 1;
    zcrm_client *client = emulator();
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    zcrm_target target = contact();
    zcrm_result *result = NULL;
    CHECK(zcrm_config_new(odd) == ZCRM_E_ARGUMENT && zcrm_cancel_new(odd) == ZCRM_E_ARGUMENT && zcrm_batch_new(odd) == ZCRM_E_ARGUMENT, "an odd handle");
    EXPECT(zcrm_client_new(config, odd, &err), ZCRM_E_ARGUMENT, &err, "an odd client");
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, odd, &err), ZCRM_E_ARGUMENT, &err, "an odd result");
    CHECK(zcrm_attachment_list(client, &target, NULL, NULL, NULL, odd) == ZCRM_E_ARGUMENT, "an odd error");
    EXPECT(zcrm_pages_new(client, &target, NULL, odd, &err), ZCRM_E_ARGUMENT, &err, "an odd walk");
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, &result, &err), ZCRM_OK, &err, "a list");
    EXPECT(zcrm_result_data(result, odd, (size_t *)space, &err), ZCRM_E_ARGUMENT, &err, "an odd pointer to bytes");
    EXPECT(zcrm_result_data(result, (const uint8_t **)space, odd, &err), ZCRM_E_ARGUMENT, &err, "an odd length");
    CHECK(zcrm_result_json(result, odd)[0] == '{', "an odd length of a text is left out");
    for (size_t i = 0; i < sizeof space; i++) failures += space[i] != 0;
    CHECK(zcrm_plugin_init(ZCRM_ABI_VERSION, odd, sizeof(zcrm_plugin_v1)) == ZCRM_E_ARGUMENT, "an odd table");
    zcrm_result_free(result);
    zcrm_config_free(config);
    zcrm_client_free(client);
}

int main(void) {
    zcrm_client *client = emulator();
    zcrm_target target = contact(), bad = target_of("Contacts", "not digits", NULL);
    zcrm_source source = memory_source("a.txt", "a", 1);
    zcrm_sink sink = memory_sink();
    zcrm_error *err = NULL;
    zcrm_result *result = MARK;

    EXPECT(zcrm_attachment_upload(client, &bad, &source, NULL, &result, &err), ZCRM_E_ARGUMENT, &err, "upload to what is no record");
    EXPECT(zcrm_attachment_list(client, &bad, NULL, NULL, &result, &err), ZCRM_E_ARGUMENT, &err, "list of what is no record");
    EXPECT(zcrm_attachment_download(client, &bad, &sink, NULL, &result, &err), ZCRM_E_ARGUMENT, &err, "download from what is no record");
    EXPECT(zcrm_attachment_delete(client, &bad, NULL, &result, &err), ZCRM_E_ARGUMENT, &err, "delete from what is no record");
    EXPECT(zcrm_photo_upload(client, &bad, &source, NULL, &result, &err), ZCRM_E_ARGUMENT, &err, "photo of what is no record");
    EXPECT(zcrm_photo_download(client, &bad, &sink, NULL, &result, &err), ZCRM_E_ARGUMENT, &err, "photo from what is no record");
    EXPECT(zcrm_photo_delete(client, &bad, NULL, &result, &err), ZCRM_E_ARGUMENT, &err, "no photo of what is no record");
    CHECK(result == MARK, "a failed operation leaves the result alone");

    zcrm_config *config = NULL;
    zcrm_client *no_client = MARK;
    CHECK(zcrm_config_new(&config) == ZCRM_OK, "a config");
    EXPECT(zcrm_client_new(config, &no_client, &err), ZCRM_E_CONFIG, &err, "a client without any credential is refused");
    CHECK(no_client == MARK, "and the client is left alone");
    zcrm_config_free(config);

    err = MARK;
    CHECK(zcrm_attachment_list(client, &target, NULL, NULL, &result, &err) == ZCRM_OK, "a list");
    CHECK(err == MARK, "success leaves the error alone");
    const uint8_t *data = MARK;
    size_t n = 77;
    zcrm_attachment entry, before;
    memset(&entry, 0x5a, sizeof entry);
    entry.struct_size = sizeof entry;
    before = entry;
    err = NULL;
    EXPECT(zcrm_result_data(result, &data, &n, &err), ZCRM_E_STATE, &err, "a list has no bytes");
    CHECK(data == MARK && n == 77, "and leaves pointer and length alone");
    EXPECT(zcrm_result_attachment(result, 9999, &entry, &err), ZCRM_E_ARGUMENT, &err, "an index behind the end");
    CHECK(memcmp(&entry, &before, sizeof entry) == 0, "leaves the struct alone");
    zcrm_result_free(result);

    CHECK(zcrm_attachment_list(client, &bad, NULL, NULL, NULL, NULL) == ZCRM_E_ARGUMENT, "err and result may be NULL on failure");
    CHECK(zcrm_attachment_list(client, &target, NULL, NULL, NULL, NULL) == ZCRM_OK, "and on success");

    zcrm_target none = target_of("Contacts", "99999999999", NULL);
    zcrm_status status = zcrm_attachment_list(client, &none, NULL, NULL, NULL, &err);
    zcrm_client_free(client);
    CHECK(status != ZCRM_OK && zcrm_error_code(err) == status, "an error has the status, and outlives its client");
    CHECK(zcrm_error_http_status(err) == 400 || zcrm_error_http_status(err) == 404, "the HTTP status");
    CHECK(zcrm_error_api_code(err)[0] != 0 && zcrm_error_reason(err)[0] != 0 && zcrm_error_message(err)[0] != 0, "Zoho's code, a reason, a message");
    CHECK(zcrm_error_request_sent(err) == 3 && zcrm_error_callback_status(err) == 0, "that it was answered, and no callback failed");
    CHECK(zcrm_error_retryable(err) == 0 && zcrm_error_retry_after_ms(err) == -1, "that trying again is no use");
    CHECK(zcrm_error_json(err)[0] == '{' && zcrm_error_json(err) == zcrm_error_json(err), "all of it as JSON, made once");
    zcrm_error_free(err);
    err = NULL;
    outputs_at_odd_addresses();
    return finish();
}
