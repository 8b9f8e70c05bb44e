/* Steps through the ABI: the description, operations as JSON, and what is refused. */
#include "check.h"

static zcrm_status run(zcrm_client *client, const char *json, zcrm_result **result, zcrm_error **err) {
    return zcrm_step_run(client, json, strlen(json), NULL, result, err);
}

static void described(void) {
    const char *description = zcrm_step_describe();
    CHECK(strncmp(description, "{\"schema\":1,", 12) == 0, "the description is JSON of form 1");
    CHECK(description == zcrm_step_describe(), "and always the same text");
    CHECK(strstr(description, "\"attachment.upload\"") && strstr(description, "\"photo.delete\""), "it has the operations");
    CHECK(strstr(description, "ZCRM_E_OUTCOME_UNKNOWN") && strstr(description, "\"allow_paths\""), "and statuses and settings");
}

static void operations(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    char json[1024];
    zcrm_attachment stored = {.struct_size = sizeof stored};
    zcrm_transfer moved = {.struct_size = sizeof moved};
    zcrm_page page = {.struct_size = sizeof page};

    snprintf(json, sizeof json,
             "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"%s\",\"source\":{\"base64\":\"aGVsbG8K\",\"name\":\"a.txt\"}}",
             env("ZCRM_TEST_RECORD"));
    EXPECT(run(client, json, &result, &err), ZCRM_OK, &err, "a step attaches a file");
    CHECK(strstr(zcrm_result_json(result, NULL), "\"operation\":\"attachment.upload\""), "its result is JSON");
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "and can be read as that of the typed function");
    EXPECT(zcrm_result_transfer(result, &moved, &err), ZCRM_OK, &err, "with what was moved");
    CHECK(strcmp(stored.file_name.ptr, "a.txt") == 0 && moved.bytes == 6, "name and size");

    snprintf(json, sizeof json,
             "{\"operation\":\"attachment.download\",\"module\":\"Contacts\",\"record_id\":\"%s\",\"attachment_id\":\"%s\",\"sink\":{\"base64\":true}}",
             env("ZCRM_TEST_RECORD"), stored.id.ptr);
    zcrm_result_free(result);
    const uint8_t *data = NULL;
    size_t n = 0;
    EXPECT(run(client, json, &result, &err), ZCRM_OK, &err, "a step downloads it");
    CHECK(strstr(zcrm_result_json(result, NULL), "\"base64\":\"aGVsbG8K\""), "as base64");
    EXPECT(zcrm_result_data(result, &data, &n, &err), ZCRM_OK, &err, "and as bytes");
    CHECK(n == 6 && memcmp(data, "hello\n", 6) == 0, "which are the same");
    zcrm_result_free(result);

    snprintf(json, sizeof json,
             "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"%s\","
             "\"links\":[{\"url\":\"https://example.com/a\"},{\"url\":\"ftp://example.com\"},{\"url\":\"https://example.com/b\"}]}",
             env("ZCRM_TEST_RECORD"));
    EXPECT(run(client, json, &result, &err), ZCRM_OK, &err, "a step attaches links");
    CHECK(zcrm_result_count(result) == 2, "those that could be attached are counted");
    EXPECT(zcrm_result_transfer(result, &moved, &err), ZCRM_E_STATE, &err, "links move no bytes");
    zcrm_result_free(result);

    snprintf(json, sizeof json, "{\"operation\":\"attachment.list\",\"module\":\"Contacts\",\"record_id\":\"%s\"}", env("ZCRM_TEST_RECORD"));
    EXPECT(zcrm_step_run(client, json, ZCRM_NUL, NULL, &result, &err), ZCRM_OK, &err, "a NUL-terminated step lists");
    EXPECT(zcrm_result_page(result, &page, &err), ZCRM_OK, &err, "where the list stands can be read");
    CHECK(zcrm_result_count(result) == 3 && page.more_records == 0, "all three are there");
    zcrm_result_free(result);
    EXPECT(run(client, json, NULL, &err), ZCRM_OK, &err, "a result that nobody wants is no error");
}

/* A step's result says what was out of the ordinary, as the typed call's does; and a call may say for its step that it may have been done before. */
static void flags(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_attachment stored = {.struct_size = sizeof stored};
    zcrm_call again = {.struct_size = sizeof again, .flags = ZCRM_CALL_AGAIN};
    const char *form = "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"%s\",%s"
                       "\"source\":{\"base64\":\"aGVsbG8K\",\"name\":\"flags.txt\"}}";
    char json[1024];

    snprintf(json, sizeof json, form, env("ZCRM_TEST_RECORD"), "");
    EXPECT(run(client, json, &result, &err), ZCRM_OK, &err, "a step attaches a file");
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "which is read");
    CHECK(stored.flags == 0, "with nothing out of the ordinary");
    zcrm_result_free(result);

    EXPECT(zcrm_step_run(client, json, ZCRM_NUL, &again, &result, &err), ZCRM_OK, &err, "the call says that it may have been done before");
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "and the attachment is found");
    CHECK(stored.flags == ZCRM_UPLOAD_SKIPPED, "and skipped");
    zcrm_result_free(result);

    snprintf(json, sizeof json, form, env("ZCRM_TEST_RECORD"), "\"again\":true,");
    EXPECT(run(client, json, &result, &err), ZCRM_OK, &err, "so does the step");
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "with the same result");
    CHECK(stored.flags == ZCRM_UPLOAD_SKIPPED, "and the same flag");
    zcrm_result_free(result);
}

static void refusals(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_result *result = (zcrm_result *)&err;

    CHECK(run(client, "{\"operation\":\"photo.delete\",\"module\":\"Contacts\"}", &result, &err) == ZCRM_E_ARGUMENT, "a missing field is refused");
    CHECK(strcmp(zcrm_error_reason(err), "step_input") == 0 && strstr(zcrm_error_message(err), "record_id"), "by its name");
    CHECK(strstr(zcrm_error_json(err), "\"details\":{\"json_path\":\"$.record_id\"}"), "and its JSON path");
    CHECK(result == (zcrm_result *)&err, "the output is untouched");
    zcrm_error_free(err);
    err = NULL;

    CHECK(run(client,
              "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"1\",\"source\":{\"path\":\"/etc/passwd\"}}",
              NULL, &err) == ZCRM_E_ARGUMENT, "a path is refused where none is allowed");
    CHECK(strcmp(zcrm_error_reason(err), "path_not_allowed") == 0, "with the reason");
    zcrm_error_free(err);
    err = NULL;

    EXPECT(zcrm_step_run(client, NULL, 0, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "no JSON is refused");
    EXPECT(zcrm_step_run(client, NULL, 5, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "NULL with a length is refused");
    EXPECT(zcrm_step_run(client, "\xff\xfe", 2, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "what isn't UTF-8 is refused");
    EXPECT(zcrm_step_run(NULL, "{}", 2, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "NULL is no client");
    EXPECT(zcrm_step_run((zcrm_client *)client, "{}", 2, NULL, NULL, NULL), ZCRM_E_ARGUMENT, NULL, "who wants no error object gets none");
}

static void cancelled(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_cancel *cancel = NULL;
    zcrm_call call = {.struct_size = sizeof call};
    char json[256];
    zcrm_cancel_new(&cancel);
    zcrm_cancel_fire(cancel);
    call.cancel = cancel;
    snprintf(json, sizeof json, "{\"operation\":\"attachment.list\",\"module\":\"Contacts\",\"record_id\":\"%s\"}", env("ZCRM_TEST_RECORD"));
    EXPECT(zcrm_step_run(client, json, ZCRM_NUL, &call, NULL, &err), ZCRM_E_CANCELLED, &err, "a cancelled step says so");
    zcrm_cancel_free(cancel);
}

int main(void) {
    zcrm_client *client = emulator();
    described();
    operations(client);
    flags(client);
    refusals(client);
    cancelled(client);
    zcrm_client_free(client);
    return finish();
}
