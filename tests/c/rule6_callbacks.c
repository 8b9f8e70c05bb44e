/* Rule 6: callbacks run on the calling thread, during the call, never after it; their failures come back untouched. */
#include "check.h"

static zcrm_client *client;

struct state {
    size_t left, given, after;  /* bytes to give, bytes given, calls after the end */
    int over, rewinds, told, elsewhere, returned;
    zcrm_status fail;           /* what to return */
    pthread_t thread;
    uint64_t done;
    int64_t total;
    int32_t stop;
};

static void seen(struct state *s) {
    s->elsewhere += !pthread_equal(s->thread, pthread_self());
    s->after += s->over;
}

static zcrm_status give(void *user, uint8_t *buf, size_t cap, size_t *n) {
    struct state *s = user;
    seen(s);
    if (s->fail) return s->fail;
    *n = cap < s->left ? cap : s->left;
    memset(buf, 'x', *n);
    s->left -= *n;
    s->given += *n;
    return ZCRM_OK;
}

static zcrm_status overrun(void *user, uint8_t *buf, size_t cap, size_t *n) {
    (void)buf;
    seen(user);
    *n = cap + 1;
    return ZCRM_OK;
}

/* As a callback of a script whose thread is ended: it returns at once, and what it returns is 0. */
static zcrm_status broken_off(void *user, uint8_t *buf, size_t cap, size_t *n) {
    (void)buf, (void)cap, (void)n;
    seen(user);
    return ZCRM_OK;
}

static zcrm_status again(void *user) {
    struct state *s = user;
    seen(s);
    s->left += s->given;
    s->given = 0;
    s->rewinds++;
    return s->returned;
}

static zcrm_status take(void *user, const uint8_t *buf, size_t len) {
    struct state *s = user;
    seen(s);
    s->given += len > 0 && buf ? len : 0;
    return s->fail;
}

static int32_t progress(void *user, uint64_t done, int64_t total) {
    struct state *s = user;
    seen(s);
    s->told++;
    if (done < s->done) s->elsewhere += 100; /* no attempt is repeated here, so it never goes back */
    s->done = done;
    s->total = total;
    return s->stop;
}

static int32_t reenter(void *user, uint64_t done, int64_t total) {
    (void)done, (void)total;
    zcrm_error *err = NULL;
    zcrm_target target = contact();
    struct state *s = user;
    if (s->told++) return 0;
    zcrm_status status = zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err);
    CHECK(strcmp(zcrm_error_reason(err), "reentrant") == 0, "reason reentrant");
    EXPECT(status, ZCRM_E_STATE, &err, "an operation inside a callback is refused");
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    EXPECT(zcrm_auth_exchange(config, NULL, NULL, &err), ZCRM_E_STATE, &err, "an exchange too");
    zcrm_config_free(config);
    return 0;
}

static struct state here(size_t bytes) {
    struct state s = {.left = bytes, .thread = pthread_self()};
    return s;
}

static zcrm_source reader(struct state *s, int64_t length) {
    zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_READER, .name = ZCRM_STR("r.bin"), .length = length, .read = give, .rewind = again, .user = s};
    return source;
}

enum { SIZE = 300000 };

static void readers(char id[32]) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_target target = contact();
    struct state s = here(SIZE), told = here(0);
    zcrm_call call = {.struct_size = sizeof call, .progress = progress, .user = &told};
    zcrm_source source = reader(&s, SIZE);
    EXPECT(zcrm_attachment_upload(client, &target, &source, &call, &result, &err), ZCRM_OK, &err, "a reader is uploaded");
    s.over = told.over = 1;
    CHECK(s.given == SIZE && !s.elsewhere && !told.elsewhere, "its bytes were read, by the calling thread");
    CHECK(told.told >= 2 && told.done == SIZE && told.total == SIZE, "progress went up to the whole, of the whole");
    zcrm_attachment stored = {.struct_size = sizeof stored};
    zcrm_result_attachment(result, 0, &stored, NULL);
    snprintf(id, 32, "%s", stored.id.ptr);
    zcrm_result_free(result);
    sleep_ms(50);
    CHECK(!s.after && !told.after, "no callback came after the call");

    s = here(SIZE);
    source = reader(&s, -1);
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err), ZCRM_OK, &err, "a reader of unknown length is uploaded");
    s = here(SIZE - 1);
    source = reader(&s, SIZE);
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err), ZCRM_E_SOURCE_CHANGED, &err, "a reader with fewer bytes than announced");
    s = here(SIZE + 1);
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err), ZCRM_E_SOURCE_CHANGED, &err, "a reader with more bytes than announced");
    s = here(SIZE);
    source.read = overrun;
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err), ZCRM_E_CALLBACK, &err, "a reader that says it wrote too much");
    source = reader(&s, -1);
    source.read = broken_off;
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err), ZCRM_E_CALLBACK, &err, "a reader that doesn't say how much it wrote");
    source.read = give;
    source.length = -2;
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "a length below -1");
}

static void failures_come_back(const char *id) {
    zcrm_error *err = NULL;
    zcrm_target target = target_of("Contacts", env("ZCRM_TEST_RECORD"), id);
    struct state s = here(SIZE);
    s.fail = -4711;
    zcrm_source source = reader(&s, SIZE);
    zcrm_status status = zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err);
    CHECK(zcrm_error_callback_status(err) == -4711 && strstr(zcrm_error_json(err), "\"callback_status\":-4711"), "what read returned is in the error");
    EXPECT(status, ZCRM_E_CALLBACK, &err, "read fails");

    s = here(0);
    zcrm_sink sink = {.struct_size = sizeof sink, .kind = ZCRM_TO_WRITER, .write = take, .user = &s};
    EXPECT(zcrm_attachment_download(client, &target, &sink, NULL, NULL, &err), ZCRM_OK, &err, "a download to a writer");
    CHECK(s.given == SIZE && !s.elsewhere, "all bytes were written, by the calling thread");
    s.fail = 77;
    status = zcrm_attachment_download(client, &target, &sink, NULL, NULL, &err);
    CHECK(zcrm_error_callback_status(err) == 77, "what write returned is in the error");
    EXPECT(status, ZCRM_E_CALLBACK, &err, "write fails");

    struct state told = here(0);
    told.stop = 1;
    zcrm_call call = {.struct_size = sizeof call, .progress = progress, .user = &told};
    zcrm_sink memory = memory_sink();
    EXPECT(zcrm_attachment_download(client, &target, &memory, &call, NULL, &err), ZCRM_E_CANCELLED, &err, "progress ends a download");
    s = here(SIZE);
    source = reader(&s, SIZE);
    EXPECT(zcrm_attachment_upload(client, &target, &source, &call, NULL, &err), ZCRM_E_CANCELLED, &err, "progress ends an upload");
    told = here(0);
    call.progress = reenter;
    EXPECT(zcrm_attachment_download(client, &target, &memory, &call, NULL, &err), ZCRM_OK, &err, "the call goes on after a refused one inside it");
}

struct host { int asked, forced, dropped, lines, bad; zcrm_status fail; const char *token; };

static zcrm_status ask(void *user, int32_t force, char *buf, size_t cap, size_t *n) {
    struct host *h = user;
    h->asked++;
    h->forced += force;
    if (h->fail) return h->fail;
    *n = strlen(h->token);
    if (*n > cap) return 1;
    memcpy(buf, h->token, *n);
    return ZCRM_OK;
}

static zcrm_status ask_too_much(void *user, int32_t force, char *buf, size_t cap, size_t *n) {
    (void)user, (void)force, (void)buf;
    *n = cap + 1;
    return ZCRM_OK;
}

static void line(void *user, int32_t level, const char *text, size_t len) {
    struct host *h = user;
    h->lines++;
    h->bad += level < 1 || level > 5 || strlen(text) != len || strstr(text, env("ZCRM_TEST_TOKEN")) || strchr(text, '\n');
}

static void drop(void *user) { ((struct host *)user)->dropped++; }

static void host_callbacks(void) {
    zcrm_error *err = NULL;
    zcrm_target target = contact();
    struct host tokens = {.token = env("ZCRM_TEST_TOKEN")}, log = {0}, first = {0}, unused = {0};
    zcrm_config *config = NULL;
    zcrm_config_new(&config);
    set(config, "api_domain", env("ZCRM_TEST_URL"));
    CHECK(zcrm_config_set_token_fn(config, NULL, &unused, drop) == ZCRM_E_ARGUMENT, "a token callback that is NULL");
    CHECK(zcrm_config_set_log_fn(config, 3, NULL, &unused, drop) == ZCRM_E_ARGUMENT, "a log callback that is NULL");
    CHECK(zcrm_config_set_log_fn(config, 0, line, &unused, drop) == ZCRM_E_ARGUMENT, "log level 0");
    CHECK(zcrm_config_set_log_fn(config, 6, line, &unused, drop) == ZCRM_E_ARGUMENT, "log level 6");
    CHECK(unused.dropped == 0, "what was refused isn't dropped: it is still the caller's");
    CHECK(zcrm_config_set_token_fn(config, ask, &first, drop) == ZCRM_OK, "a token callback");
    CHECK(zcrm_config_set_token_fn(config, ask, &tokens, drop) == ZCRM_OK && first.dropped == 1, "that is replaced is dropped");
    CHECK(zcrm_config_set_log_fn(config, 5, line, &log, drop) == ZCRM_OK, "a log callback");
    zcrm_client *hosted = client_of(config);
    CHECK(tokens.dropped == 0 && log.dropped == 0, "both live on with the client");
    EXPECT(zcrm_attachment_list(hosted, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "the host's token is good");
    CHECK(tokens.asked >= 1 && log.lines >= 1 && !log.bad, "it was asked for, and log lines came, without it");
    zcrm_client_free(hosted);
    CHECK(tokens.dropped == 1 && log.dropped == 1, "both were dropped once, with the client");

    config = config_for(env("ZCRM_TEST_URL"));
    set(config, "access_token", "1000.refused.at.once");
    struct host failing = {.fail = 42};
    zcrm_config_set_token_fn(config, ask, &failing, NULL);
    hosted = client_of(config);
    zcrm_status status = zcrm_attachment_list(hosted, &target, NULL, NULL, NULL, &err);
    CHECK(zcrm_error_callback_status(err) == 42, "what the token callback returned is in the error");
    EXPECT(status, ZCRM_E_CALLBACK, &err, "and the call fails");
    zcrm_client_free(hosted);
    zcrm_config_new(&config);
    set(config, "api_domain", env("ZCRM_TEST_URL"));
    zcrm_config_set_token_fn(config, ask_too_much, NULL, NULL);
    hosted = client_of(config);
    status = zcrm_attachment_list(hosted, &target, NULL, NULL, NULL, &err);
    CHECK(strstr(zcrm_error_message(err), "more than its buffer holds") && zcrm_error_callback_status(err) == 0, "the callback succeeded, and the error says so");
    EXPECT(status, ZCRM_E_CALLBACK, &err, "a token longer than the buffer fails the call");
    zcrm_client_free(hosted);
}

/* What a setter replaces is let go of when the setter has done: its drop may use the config, and even free it. */
struct dropped {
    zcrm_config *config;
    zcrm_client *made;
    zcrm_status set, client;
    int again, free_it;
    struct host *next;
};

static zcrm_status no_token(void *user, int32_t force, char *buf, size_t cap, size_t *n) {
    (void)user, (void)force, (void)buf, (void)cap, (void)n;
    return 1;
}

static void use_the_config(void *user) {
    struct dropped *d = user;
    d->set = zcrm_config_set(d->config, "data_center", "eu", ZCRM_NUL, NULL);
    d->client = zcrm_client_new(d->config, &d->made, NULL);
    if (d->again) zcrm_config_set_log_fn(d->config, 5, line, d->next, drop);
    if (d->free_it) zcrm_config_free(d->config);
}

static void a_drop_function_may_use_the_config(void) {
    zcrm_error *err = NULL;
    zcrm_target target = contact();
    struct host second = {0}, third = {0};
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    struct dropped first = {.config = config, .again = 1, .next = &third};
    zcrm_config_set_log_fn(config, 5, line, &first, use_the_config);
    CHECK(zcrm_config_set_log_fn(config, 5, line, &second, drop) == ZCRM_OK, "a log callback is replaced");
    CHECK(first.set == ZCRM_OK && first.client == ZCRM_OK, "while it is let go of, settings can be set and clients be made");
    CHECK(second.dropped == 0, "the client holds what the config had then");
    EXPECT(zcrm_attachment_list(first.made, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "which works");
    CHECK(second.lines > 0 && third.lines == 0, "with the callback that came next");
    zcrm_client_free(first.made);
    CHECK(second.dropped == 1, "that one is let go of with the client");
    zcrm_config_free(config);
    CHECK(third.dropped == 1, "and the last one with the config");

    config = config_for(env("ZCRM_TEST_URL"));
    struct dropped tokens = {.config = config, .free_it = 1};
    zcrm_config_set_token_fn(config, no_token, &tokens, use_the_config);
    CHECK(zcrm_config_set_token_fn(config, no_token, &second, drop) == ZCRM_OK, "one that frees the config, too");
    CHECK(tokens.client == ZCRM_OK && second.dropped == 1, "its client holds what came next");
    zcrm_client_free(tokens.made);
    CHECK(second.dropped == 2, "and lets go of it at its own end");
}

int main(void) {
    char id[32] = "";
    client = emulator();
    readers(id);
    failures_come_back(id);
    host_callbacks();
    a_drop_function_may_use_the_config();
    zcrm_client_free(client);
    return finish();
}
