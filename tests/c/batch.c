/* Batches: many steps with one call, a journal, a pause, a cancel. */
#include "check.h"

enum { COUNT = 12 };

struct told {
    int done, failed, from_journal, cancel_at;
    pthread_t thread;
    int elsewhere;
};

static int32_t ended(void *user, const char *key, zcrm_status status, const char *json, int32_t from_journal) {
    struct told *told = user;
    told->elsewhere |= !pthread_equal(told->thread, pthread_self());
    told->done += status == ZCRM_OK && strstr(json, "\"operation\":\"attachment.upload\"") != NULL;
    told->failed += status != ZCRM_OK && strstr(json, "\"name\":\"ZCRM_E_") != NULL && strcmp(key, "bad") == 0;
    told->from_journal += from_journal;
    return told->done == told->cancel_at;
}

static zcrm_batch *uploads(const char *dir) {
    zcrm_batch *batch = NULL;
    zcrm_batch_new(&batch);
    for (int i = 0; i < COUNT; i++) {
        char path[512], key[32], step[1024];
        snprintf(path, sizeof path, "%s/%d.txt", dir, i);
        FILE *file = fopen(path, "w");
        if (!file) exit(2);
        fprintf(file, "file %d", i);
        fclose(file);
        snprintf(key, sizeof key, "file %d", i);
        snprintf(step, sizeof step, "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"%s\",\"source\":{\"path\":\"%s\"}}",
                 env("ZCRM_TEST_RECORD"), path);
        if (zcrm_batch_add(batch, key, step, ZCRM_NUL, NULL) != ZCRM_OK) exit(2);
    }
    return batch;
}

static int has(const zcrm_result *result, const char *text) { return strstr(zcrm_result_json(result, NULL), text) != NULL; }

/* What is told of an end may do to the batch and its client what it likes. */
struct meddler {
    zcrm_batch *batch;
    zcrm_client *client;
    int ends, refused, free_them;
};

static int32_t meddle(void *user, const char *key, zcrm_status status, const char *json, int32_t from_journal) {
    struct meddler *m = user;
    (void)status, (void)json, (void)from_journal;
    m->ends += key[0] == 'm';
    for (int i = 0; i < 200; i++) m->refused += zcrm_batch_add(m->batch, "new", "{}", ZCRM_NUL, NULL) == ZCRM_E_STATE;
    if (m->free_them && m->ends == 1) {
        zcrm_batch_free(m->batch);
        zcrm_client_free(m->client);
    }
    return 0;
}

static void a_batch_is_safe_from_its_own_callback(const char *url, int free_them) {
    enum { STEPS = 30 };
    zcrm_error *err = NULL;
    struct meddler m = {.client = client_for(url), .free_them = free_them};
    zcrm_batch_new(&m.batch);
    char key[16];
    for (int i = 0; i < STEPS; i++) {
        snprintf(key, sizeof key, "m%d", i);
        EXPECT(zcrm_batch_add(m.batch, key, "{\"operation\":\"nonsense\"}", ZCRM_NUL, &err), ZCRM_OK, &err, "a step is added");
    }
    zcrm_batch_args args = {.struct_size = sizeof args, .ended = meddle, .user = &m};
    EXPECT(zcrm_batch_run(m.client, m.batch, &args, NULL, NULL, &err), ZCRM_OK, &err, "a batch runs to its end");
    CHECK(m.ends == STEPS, "and tells each end");
    if (free_them) return;
    CHECK(m.refused == 200 * STEPS, "while it runs nothing is added");
    EXPECT(zcrm_batch_add(m.batch, "after", "{}", ZCRM_NUL, &err), ZCRM_OK, &err, "but afterwards");
    zcrm_batch_free(m.batch);
    zcrm_client_free(m.client);
}

static void *go_on(void *batch) {
    usleep(100000);
    zcrm_batch_pause(batch, 0);
    return NULL;
}

int main(void) {
    const char *dir = env("ZCRM_TEST_DIR");
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    set(config, "allow_paths", dir);
    set(config, "settle_waits_ms", "20,50"); /* a second run looks for what the first had begun after these */
    zcrm_client *client = client_of(config);
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    char journal[512];
    int n = snprintf(journal, sizeof journal, "%s/journal", dir);

    zcrm_batch *batch = uploads(dir);
    struct told told = {.thread = pthread_self(), .cancel_at = 5};
    zcrm_batch_args args = {.struct_size = sizeof args, .journal = {journal, (size_t)n}, .parallel = 2, .ended = ended, .user = &told};
    EXPECT(zcrm_batch_run(client, batch, &args, NULL, &result, &err), ZCRM_OK, &err, "a batch that its callback cancels");
    CHECK(has(result, "\"stopped\":\"cancelled\"") && !has(result, "\"left\":0"), "leaves steps to the next run");
    CHECK(!told.elsewhere, "its callback runs on the calling thread");
    zcrm_result_free(result);

    told = (struct told){.thread = pthread_self(), .cancel_at = -1};
    EXPECT(zcrm_batch_run(client, batch, &args, NULL, &result, &err), ZCRM_OK, &err, "the next run");
    CHECK(told.done == COUNT && told.from_journal >= 5, "does the others and tells those that were done");
    CHECK(has(result, "\"done\":12") && has(result, "\"left\":0"), "and counts them all");
    zcrm_result_free(result);

    zcrm_attachment_list(client, &(zcrm_target){.struct_size = sizeof(zcrm_target), .module = ZCRM_STR("Contacts"), .record_id = ZCRM_CSTR(env("ZCRM_TEST_RECORD"))},
                         NULL, NULL, &result, &err);
    CHECK(zcrm_result_count(result) == COUNT, "each file is on the record once");
    zcrm_result_free(result);

    zcrm_batch_add(batch, "bad", "{\"operation\":\"nonsense\"}", ZCRM_NUL, NULL);
    told = (struct told){.thread = pthread_self(), .cancel_at = -1};
    zcrm_batch_pause(batch, 1);
    pthread_t thread;
    pthread_create(&thread, NULL, go_on, batch);
    EXPECT(zcrm_batch_run(client, batch, &args, NULL, NULL, &err), ZCRM_OK, &err, "a held batch with a bad step, let go on by another thread");
    pthread_join(thread, NULL);
    CHECK(told.done == COUNT && told.failed == 1, "tells the bad one's error");

    EXPECT(zcrm_batch_add(batch, NULL, "{}", ZCRM_NUL, &err), ZCRM_E_ARGUMENT, &err, "a step without a key");
    EXPECT(zcrm_batch_add(batch, "k", NULL, 2, &err), ZCRM_E_ARGUMENT, &err, "a key without a step");
    EXPECT(zcrm_batch_run(client, NULL, NULL, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "no batch");
    args.reserved = 1;
    EXPECT(zcrm_batch_run(client, batch, &args, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "a reserved field that is set");
    args = (zcrm_batch_args){.struct_size = sizeof args, .journal = ZCRM_STR("/nonexistent/journal")};
    EXPECT(zcrm_batch_run(client, batch, &args, NULL, NULL, &err), ZCRM_E_IO, &err, "a journal that can't be made");
    CHECK(zcrm_batch_new(NULL) == ZCRM_E_ARGUMENT, "nowhere to put a batch");

    zcrm_call call = {.struct_size = sizeof call, .flags = ZCRM_CALL_SKIP_EXISTING};
    zcrm_target target = contact();
    zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_MEMORY, .name = ZCRM_STR("0.txt"), .data = (const uint8_t *)"file 0", .data_len = 6};
    EXPECT(zcrm_attachment_upload(client, &target, &source, &call, &result, &err), ZCRM_OK, &err, "an upload of what is there already");
    CHECK(has(result, "\"skipped\":true"), "is skipped by its name and size on request");
    zcrm_result_free(result);
    source.data = (const uint8_t *)"file X";
    call.flags = ZCRM_CALL_SKIP_SAME_BYTES;
    EXPECT(zcrm_attachment_upload(client, &target, &source, &call, &result, &err), ZCRM_OK, &err, "an upload of other bytes under that name");
    CHECK(has(result, "\"skipped\":false"), "is not, when the bytes are to be compared");
    zcrm_result_free(result);

    a_batch_is_safe_from_its_own_callback(env("ZCRM_TEST_URL"), 0);
    a_batch_is_safe_from_its_own_callback(env("ZCRM_TEST_URL"), 1);
    zcrm_batch_pause(NULL, 1);
    zcrm_batch_free(NULL);
    zcrm_batch_free(batch);
    zcrm_client_free(client);
    return finish();
}
