/* What a call says of how it went: the flags of an upload, by the typed function and as a step, candidates, and the summary of a batch. */
#include "check.h"

static const char *STEP = "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"%s\",%s\"source\":{\"base64\":\"aGVsbG8K\",\"name\":\"%s\"}}";

/* To which both attach. */
static const char *record;

static uint32_t flags_of(zcrm_status status, zcrm_result *result, zcrm_error *err, const char *what) {
    zcrm_attachment stored = {.struct_size = sizeof stored};
    EXPECT(status, ZCRM_OK, &err, what);
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "what was stored can be read");
    zcrm_result_free(result);
    return stored.flags;
}

static uint32_t typed(zcrm_client *client, const char *name, uint32_t flags) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_target target = target_of("Contacts", record, NULL);
    zcrm_source source = memory_source(name, "hello\n", 6);
    zcrm_call call = {.struct_size = sizeof call, .flags = flags};
    zcrm_status status = zcrm_attachment_upload(client, &target, &source, &call, &result, &err);
    return flags_of(status, result, err, "the typed function attaches");
}

static uint32_t step(zcrm_client *client, const char *name, const char *more) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    char json[1024];
    snprintf(json, sizeof json, STEP, record, more, name);
    zcrm_status status = zcrm_step_run(client, json, ZCRM_NUL, NULL, &result, &err);
    return flags_of(status, result, err, "a step attaches");
}

/* The emulator loses the replies of these. */
static void a_lost_reply_that_was_found_is_told_by_both(zcrm_client *client) {
    CHECK(typed(client, "typed.txt", 0) == ZCRM_UPLOAD_SETTLED, "by the typed function");
    CHECK(step(client, "step.txt", "") == ZCRM_UPLOAD_SETTLED, "and by the step");
}

static void what_was_there_is_told_by_both(zcrm_client *client) {
    CHECK(typed(client, "typed.txt", ZCRM_CALL_SKIP_EXISTING) == ZCRM_UPLOAD_SKIPPED, "by the typed function");
    CHECK(step(client, "step.txt", "\"if_exists\":\"skip\",") == ZCRM_UPLOAD_SKIPPED, "and by the step");
}

static zcrm_client *patient(void) {
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    set(config, "max_retries", "1");
    set(config, "retry_base_ms", "5");
    set(config, "settle_waits_ms", "");
    return client_of(config);
}

/* The emulator loses the replies of these, and stores them under another name. */
static void a_changed_name_is_told_by_both(zcrm_client *client) {
    const uint32_t changed = ZCRM_UPLOAD_SETTLED | ZCRM_UPLOAD_NAME_CHANGED;
    CHECK(typed(client, "renamed typed.txt", 0) == changed, "by the typed function");
    CHECK(step(client, "renamed step.txt", "") == changed, "and by the step");
}

/* The emulator answers the first sending of these with 429. */
static void a_wait_is_told_by_both(zcrm_client *client) {
    CHECK(typed(client, "waited typed.txt", 0) == ZCRM_UPLOAD_WAITED, "by the typed function");
    CHECK(step(client, "waited step.txt", "") == ZCRM_UPLOAD_WAITED, "and by the step");
}

/* The emulator loses the replies of these, and the first list after each is empty: they are sent a second time. */
static void a_second_copy_is_told_by_both(zcrm_client *client) {
    const uint32_t twice = ZCRM_UPLOAD_TWINS | ZCRM_UPLOAD_WAITED;
    CHECK(typed(client, "twice typed.txt", 0) == twice, "by the typed function");
    CHECK(step(client, "twice step.txt", "") == twice, "and by the step");
}

/* The first list shows two entries just like the first upload, whose reply is lost, and the settings forbid to compare bytes. */
static void what_may_be_a_lost_upload_is_named(void) {
    zcrm_error *err = NULL;
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    set(config, "settle_hash", "off");
    set(config, "settle_waits_ms", "");
    zcrm_client *client = client_of(config);
    zcrm_target target = contact();
    zcrm_source source = memory_source("twin.txt", "hello\n", 6);
    CHECK(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err) == ZCRM_E_OUTCOME_UNKNOWN, "whether it is stored isn't known");
    CHECK(zcrm_error_request_sent(err) == ZCRM_SENT_FULLY, "all of it had left");
    size_t n = 0;
    for (const char *id; (id = zcrm_error_candidate(err, n)); n++) {
        CHECK(strstr(zcrm_error_json(err), id) && strcmp(id, n ? "72" : "71") == 0, "a candidate has an id, which the JSON has too");
    }
    CHECK(n == 2, "both that could be it are named");
    CHECK(!zcrm_error_candidate(err, SIZE_MAX) && !zcrm_error_candidate(NULL, 0), "and no others");
    zcrm_error_free(err);
    zcrm_client_free(client);
}

static void a_batch_is_summed_up(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_batch *batch = NULL;
    char json[1024];
    if (zcrm_batch_new(&batch) != ZCRM_OK) exit(2);
    snprintf(json, sizeof json, STEP, env("ZCRM_TEST_RECORD"), "", "batch.txt");
    EXPECT(zcrm_batch_add(batch, "good", json, ZCRM_NUL, &err), ZCRM_OK, &err, "a step is added");
    EXPECT(zcrm_batch_add(batch, "bad", "{}", ZCRM_NUL, &err), ZCRM_OK, &err, "and one that is refused");
    EXPECT(zcrm_batch_run(client, batch, NULL, NULL, &result, &err), ZCRM_OK, &err, "the batch runs");
    zcrm_batch_summary summary = {.struct_size = sizeof summary};
    EXPECT(zcrm_result_batch(result, &summary, &err), ZCRM_OK, &err, "its summary can be read");
    CHECK(summary.done == 1 && summary.failed == 1 && summary.unknown == 0 && summary.left == 0, "with its counts");
    CHECK(summary.from_journal == 0 && summary.attempts == 1 && summary.stopped.len == 0, "all of them");
    EXPECT(zcrm_result_transfer(result, &(zcrm_transfer){.struct_size = sizeof(zcrm_transfer)}, &err), ZCRM_E_STATE, &err, "it moved no bytes");
    zcrm_result_free(result);

    zcrm_batch_args no_credits = {.struct_size = sizeof no_credits, .credits = 1, .parallel = 1};
    EXPECT(zcrm_batch_run(client, batch, &no_credits, NULL, &result, &err), ZCRM_OK, &err, "the batch runs as far as it may");
    EXPECT(zcrm_result_batch(result, &summary, &err), ZCRM_OK, &err, "its summary can be read");
    CHECK(summary.done == 1 && summary.left == 1 && strcmp(summary.stopped.ptr, "credits_budget") == 0, "and says why a step is left");
    zcrm_result_free(result);
    zcrm_batch_free(batch);

    char both[4096];
    snprintf(both, sizeof both, "{\"operation\":\"batch\",\"steps\":[{\"key\":\"a\",\"step\":%s}]}", json);
    EXPECT(zcrm_step_run(client, both, ZCRM_NUL, NULL, &result, &err), ZCRM_OK, &err, "a batch as a step");
    EXPECT(zcrm_result_batch(result, &summary, &err), ZCRM_OK, &err, "has a summary, too");
    CHECK(summary.done == 1, "with its counts");
    zcrm_result_free(result);

    zcrm_target target = contact();
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, &result, &err), ZCRM_OK, &err, "a list");
    EXPECT(zcrm_result_batch(result, &summary, &err), ZCRM_E_STATE, &err, "has none");
    zcrm_result_free(result);
}

/* One entry of this record is called "../../etc/cron.d/x" and a line end. */
static void a_name_that_is_a_path_has_a_safe_form(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_attachment entry = {.struct_size = sizeof entry};
    zcrm_target target = target_of("Contacts", env("ZCRM_TEST_PATH_RECORD"), NULL);
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, &result, &err), ZCRM_OK, &err, "the record is listed");
    EXPECT(zcrm_result_attachment(result, 0, &entry, &err), ZCRM_OK, &err, "and its entry read");
    CHECK(strcmp(entry.file_name.ptr, "../../etc/cron.d/x\n") == 0, "its name is as Zoho has it");
    CHECK(strcmp(entry.safe_name.ptr, "x_") == 0, "and safe beside that");
    CHECK(entry.owner_id.len > 10 && entry.created_by_id.len > 10 && entry.file_id.len > 10 && entry.kind.len > 0, "ids and kind are there");
    zcrm_result_free(result);
}

int main(void) {
    zcrm_client *client = emulator();
    what_may_be_a_lost_upload_is_named();
    record = env("ZCRM_TEST_RECORD");
    a_lost_reply_that_was_found_is_told_by_both(client);
    what_was_there_is_told_by_both(client);
    record = env("ZCRM_TEST_OTHER_RECORD");
    zcrm_client *retrying = patient();
    a_changed_name_is_told_by_both(retrying);
    a_wait_is_told_by_both(retrying);
    a_second_copy_is_told_by_both(retrying);
    zcrm_client_free(retrying);
    a_batch_is_summed_up(client);
    a_name_that_is_a_path_has_a_safe_form(client);
    zcrm_client_free(client);
    return finish();
}
