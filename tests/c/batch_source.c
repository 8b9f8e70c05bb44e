/* A batch that asks for its steps: when, on which thread, and what the function that it asks may do. */
#include "check.h"

enum { COUNT = 12 };

static zcrm_client *client;

/* What the functions of a batch share. `next` gives the steps `from` to `to`. */
struct talk {
    zcrm_batch *batch;
    zcrm_cancel *cancel;
    int from, to;
    int answer;          /* what next() returns instead of a step at the end */
    int fails_at, fires_at, blocks_at, frees_at, meddles_at; /* the number of the step with which it does so */
    const char *bad_key; /* given in place of the key of step 1 */
    char key[32], json[512];
    int asked, told, done, refused, from_journal, most_open, after_the_end, elsewhere;
    zcrm_status inside[4];
    pthread_t thread;
};

static struct talk talk(int to) { return (struct talk){.to = to, .fails_at = -1, .fires_at = -1, .blocks_at = -1, .frees_at = -1, .meddles_at = -1, .thread = pthread_self()}; }

static void *fire_soon(void *cancel) {
    sleep_ms(50);
    zcrm_cancel_fire(cancel);
    return NULL;
}

static void *run_it_too(void *argument) {
    struct talk *t = argument;
    t->inside[3] = zcrm_batch_run(client, t->batch, NULL, NULL, NULL, NULL);
    return NULL;
}

static int32_t next(void *user, zcrm_str *key, zcrm_str *json) {
    struct talk *t = user;
    pthread_t thread;
    int i = t->from;
    t->elsewhere |= !pthread_equal(t->thread, pthread_self());
    t->after_the_end += t->answer == 0 && t->asked > 0 && i > t->to;
    if (i == t->fires_at) zcrm_cancel_fire(t->cancel);
    if (i == t->blocks_at) {
        pthread_create(&thread, NULL, fire_soon, t->cancel);
        pthread_join(thread, NULL);
    }
    if (i == t->frees_at) zcrm_batch_free(t->batch);
    if (i == t->meddles_at) {
        t->inside[0] = zcrm_batch_add(t->batch, "new", "{}", ZCRM_NUL, NULL);
        t->inside[1] = zcrm_batch_set_source(t->batch, NULL, NULL, NULL);
        t->inside[2] = zcrm_batch_run(client, t->batch, NULL, NULL, NULL, NULL);
        pthread_create(&thread, NULL, run_it_too, t);
        pthread_join(thread, NULL);
    }
    if (i == t->fails_at) return -7;
    t->from++;
    if (i >= t->to) return t->answer;
    t->asked++;
    if (t->asked - t->told > t->most_open) t->most_open = t->asked - t->told;
    snprintf(t->key, sizeof t->key, "s%d", i);
    snprintf(t->json, sizeof t->json,
             "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"%s\",\"source\":{\"base64\":\"eHh4\",\"name\":\"%d.txt\"}}",
             env("ZCRM_TEST_RECORD"), i);
    *key = (zcrm_str)ZCRM_CSTR(t->key);
    *json = (zcrm_str)ZCRM_CSTR(t->json);
    if (i == 1 && t->bad_key) *key = (zcrm_str)ZCRM_CSTR(t->bad_key);
    return 1;
}

static int32_t ended(void *user, const char *key, zcrm_status status, const char *json, int32_t from_journal) {
    struct talk *t = user;
    t->told++;
    t->done += status == ZCRM_OK;
    t->refused += status == ZCRM_E_ARGUMENT && strstr(json, "ZCRM_E_ARGUMENT") != NULL;
    t->from_journal += from_journal;
    t->elsewhere |= !pthread_equal(t->thread, pthread_self()) || !key;
    return 0;
}

static zcrm_batch *asking(struct talk *t) {
    zcrm_error *err = NULL;
    zcrm_batch_new(&t->batch);
    EXPECT(zcrm_batch_set_source(t->batch, next, t, &err), ZCRM_OK, &err, "a batch is given a function that it asks");
    return t->batch;
}

static zcrm_batch_summary run(struct talk *t, const char *journal) {
    zcrm_batch_summary sum = {.struct_size = sizeof sum};
    zcrm_batch_args args = {.struct_size = sizeof args, .journal = {journal, journal ? ZCRM_NUL : 0}, .parallel = 3, .ended = ended, .user = t};
    zcrm_call call = {.struct_size = sizeof call, .cancel = t->cancel};
    zcrm_result *result = NULL;
    zcrm_error *err = NULL;
    EXPECT(zcrm_batch_run(client, t->batch, &args, &call, &result, &err), ZCRM_OK, &err, "it runs");
    static char stopped[32];
    if (!result) return sum;
    zcrm_result_batch(result, &sum, NULL);
    snprintf(stopped, sizeof stopped, "%s", sum.stopped.ptr);
    sum.stopped.ptr = stopped;
    zcrm_result_free(result);
    return sum;
}

static void it_is_asked_when_there_is_room(void) {
    struct talk t = talk(COUNT);
    zcrm_batch_summary sum = (asking(&t), run(&t, NULL));
    CHECK(sum.done == COUNT && sum.left == 0 && !*sum.stopped.ptr, "every step that it gives is done");
    CHECK(!t.elsewhere, "it is asked on the thread that runs the batch");
    CHECK(t.most_open <= 3, "and for no more steps than are under way at once");
    CHECK(t.asked == COUNT && t.from == COUNT + 1 && !t.after_the_end, "and not again after it said that there are no more");
    t.from = 0;
    CHECK(run(&t, NULL).done == COUNT, "a batch that is run again asks again");
    zcrm_batch_add(t.batch, "added", "{\"operation\":\"nonsense\"}", ZCRM_NUL, NULL);
    t.from = t.told = t.refused = 0;
    t.bad_key = "added";
    sum = run(&t, NULL);
    CHECK(sum.done == COUNT && sum.failed == 1 && t.refused == 1, "beside what it gives the batch has the steps that were added");
    zcrm_batch_set_source(t.batch, NULL, NULL, NULL);
    sum = run(&t, NULL);
    CHECK(sum.done == 0 && sum.failed == 1, "and only these when it has no function to ask any more");
    zcrm_batch_free(t.batch);
}

static void a_bad_step_is_told_and_the_others_are_run(void) {
    const char *keys[] = {"s0", "\xff"};
    for (int i = 0; i < 2; i++) {
        struct talk t = talk(4);
        t.bad_key = keys[i];
        zcrm_batch_summary sum = (asking(&t), run(&t, NULL));
        CHECK(sum.done == 3 && sum.failed == 1 && t.refused == 1 && t.told == 4, "a key that was there, or is no text");
        zcrm_batch_free(t.batch);
    }
}

static int32_t nothing_in_it(void *user, zcrm_str *key, zcrm_str *json) {
    int *asked = user;
    if (*asked == 1) *key = (zcrm_str)ZCRM_STR("no JSON");
    if (*asked == 2) *key = (zcrm_str)ZCRM_STR("no UTF-8"), *json = (zcrm_str){"\xff\xfe", 2};
    if (*asked == 3) *key = (zcrm_str)ZCRM_STR("no length"), *json = (zcrm_str){NULL, 5};
    return (*asked)++ < 4;
}

static void a_step_that_is_none_is_told_too(void) {
    int asked = 0;
    struct talk t = talk(0);
    zcrm_batch_new(&t.batch);
    zcrm_batch_set_source(t.batch, nothing_in_it, &asked, NULL);
    zcrm_batch_summary sum = run(&t, NULL);
    CHECK(sum.failed == 4 && t.refused == 4 && asked == 5, "a step without key, or without JSON");
    zcrm_batch_free(t.batch);
}

static void a_function_that_fails_stops_the_batch(const char *journal) {
    struct talk t = talk(COUNT);
    t.fails_at = 5;
    zcrm_batch_summary sum = (asking(&t), run(&t, journal));
    CHECK(sum.done == 5 && t.told == 5 && sum.left == 1 && !strcmp(sum.stopped.ptr, "source"), "what it had given is done, and the rest is left");
    t.fails_at = -1;
    t.from = 0;
    sum = run(&t, journal);
    CHECK(sum.done == COUNT && t.from_journal == 5 && sum.left == 0, "and done by the next run, with its journal");
    zcrm_batch_free(t.batch);
}

static void a_cancel_ends_the_asking(void) {
    for (int blocks = 0; blocks < 2; blocks++) {
        struct talk t = talk(COUNT);
        zcrm_cancel_new(&t.cancel);
        *(blocks ? &t.blocks_at : &t.fires_at) = 4;
        zcrm_batch_summary sum = (asking(&t), run(&t, NULL));
        CHECK(t.asked == 5 && !strcmp(sum.stopped.ptr, "cancelled"), "it isn't asked after a cancel, also one that came while it blocked");
        CHECK(sum.left >= 2 && sum.done + sum.left == 6, "the step that it gave then is left, and so is what it wasn't asked for");
        zcrm_batch_free(t.batch);
        zcrm_cancel_free(t.cancel);
    }
}

static void what_it_does_to_the_batch(void) {
    struct talk t = talk(COUNT);
    t.meddles_at = 3;
    zcrm_batch_summary sum = (asking(&t), run(&t, NULL));
    for (int i = 0; i < 4; i++) CHECK(t.inside[i] == ZCRM_E_STATE, "inside of it nothing is added, changed or run, also not by another thread");
    CHECK(sum.done == COUNT, "and the batch goes on");
    zcrm_batch_free(t.batch);
    t = talk(COUNT);
    t.frees_at = 3;
    CHECK((asking(&t), run(&t, NULL)).done == COUNT, "a batch that it frees runs to its end");
}

int main(void) {
    char journal[512];
    snprintf(journal, sizeof journal, "%s/journal", env("ZCRM_TEST_DIR"));
    client = emulator();
    it_is_asked_when_there_is_room();
    a_bad_step_is_told_and_the_others_are_run();
    a_step_that_is_none_is_told_too();
    a_function_that_fails_stops_the_batch(journal);
    a_cancel_ends_the_asking();
    what_it_does_to_the_batch();
    zcrm_error *err = NULL;
    EXPECT(zcrm_batch_set_source(NULL, next, NULL, &err), ZCRM_E_ARGUMENT, &err, "no batch");
    zcrm_client_free(client);
    return finish();
}
