/* A call needs no more of its thread's stack than zcrm.h says, by http and by https. (A build without optimisation needs several times that.) */
#include "check.h"

static size_t stack(void) { return (size_t)atol(env("ZCRM_TEST_STACK_KIB")) << 10; }

struct calls {
    zcrm_client *client;
    zcrm_target target;
    int wrong;
};

static void *work(void *argument) {
    struct calls *calls = argument;
    uint8_t content[1000] = {0};
    char step[256];
    zcrm_source source = memory_source("a", content, sizeof content);
    snprintf(step, sizeof step, "{\"operation\":\"attachment.list\",\"module\":\"Contacts\",\"record_id\":\"%s\"}", calls->target.record_id.ptr);
    calls->wrong += zcrm_attachment_upload(calls->client, &calls->target, &source, NULL, NULL, NULL) != ZCRM_OK;
    calls->wrong += zcrm_attachment_list(calls->client, &calls->target, NULL, NULL, NULL, NULL) != ZCRM_OK;
    calls->wrong += zcrm_step_run(calls->client, step, ZCRM_NUL, NULL, NULL, NULL) != ZCRM_OK;
    return NULL;
}

static void on_a_small_stack(zcrm_config *config, const char *record, const char *what) {
    struct calls calls = {client_of(config), target_of("Contacts", record, NULL), 0};
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, stack());
    if (pthread_create(&thread, &small, work, &calls)) exit(2);
    pthread_join(thread, NULL);
    CHECK(calls.wrong == 0, what);
    zcrm_client_free(calls.client);
}

int main(void) {
    if (is_slow()) return finish(); /* valgrind and the sanitizers have stacks of their own */
    on_a_small_stack(config_for(env("ZCRM_TEST_URL")), env("ZCRM_TEST_RECORD"), "calls by http");
    zcrm_config *config = config_for(env("ZCRM_TEST_TLS_URL"));
    set(config, "access_token", env("ZCRM_TEST_TLS_TOKEN"));
    set(config, "ca_file", env("ZCRM_TEST_CA"));
    set(config, "os_roots", "off");
    on_a_small_stack(config, env("ZCRM_TEST_TLS_RECORD"), "calls by https");
    return finish();
}
