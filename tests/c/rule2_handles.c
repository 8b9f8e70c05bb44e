/* Rule 2: handles are opaque, free accepts NULL, a client may be freed while calls run, and wrong handles are found out. */
#include "server.h"

static zcrm_client *shared;
static zcrm_cancel *token;

static void *call_it(void *result) {
    zcrm_target target = contact();
    zcrm_call call = {.struct_size = sizeof call, .cancel = token};
    *(zcrm_status *)result = zcrm_attachment_list(shared, &target, NULL, &call, NULL, NULL);
    return NULL;
}

static void free_during_a_call(void) {
    struct server server;
    server_start(&server, 1, NULL);
    shared = client_for(server.url);
    zcrm_cancel_new(&token);
    zcrm_status status = -1;
    pthread_t thread;
    pthread_create(&thread, NULL, call_it, &status);
    while (server.requests == 0) sleep_ms(1);
    zcrm_client_free(shared);
    sleep_ms(20);
    zcrm_cancel_fire(token);
    zcrm_cancel_free(token);
    pthread_join(thread, NULL);
    CHECK(status == ZCRM_E_CANCELLED, "client and token are freed while a call runs, which ends as it should");
    server_end(&server);
}

static void wrong_handles(void) {
    zcrm_error *err = NULL;
    zcrm_target target = contact();
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    zcrm_client *client = NULL;
    zcrm_result *result = NULL;
    EXPECT(zcrm_attachment_list((const zcrm_client *)config, &target, NULL, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "a config is no client");
    EXPECT(zcrm_client_new(config, &client, &err), ZCRM_OK, &err, "a client");
    EXPECT(zcrm_client_new((const zcrm_config *)client, &client, &err), ZCRM_E_ARGUMENT, &err, "a client is no config");
    char text[64] = "this is text and not a handle of any kind";
    EXPECT(zcrm_attachment_list((const zcrm_client *)text, &target, NULL, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "text is no client");
    EXPECT(zcrm_attachment_list((const zcrm_client *)(text + 1), &target, NULL, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "nor is what isn't aligned");
    CHECK(zcrm_error_code((const zcrm_error *)text) == ZCRM_OK && zcrm_result_count((const zcrm_result *)text) == 0, "nor error or result");
    zcrm_client_free((zcrm_client *)config);
    zcrm_config_free((zcrm_config *)client);
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, &result, &err), ZCRM_OK, &err, "freeing by the wrong function does nothing");
    zcrm_result_free(result);
    zcrm_config_free(config);
    zcrm_client_free(client);
}

static void freed_handles(void) {
    zcrm_error *err = NULL;
    zcrm_target target = contact();
    zcrm_client *client = emulator();
    zcrm_cancel *cancel = NULL;
    zcrm_config *config = NULL;
    zcrm_client_free(client);
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "a freed client is refused");
    zcrm_client_free(client);
    zcrm_cancel_new(&cancel);
    zcrm_cancel_free(cancel);
    zcrm_cancel_free(cancel);
    zcrm_cancel_fire(cancel);
    zcrm_config_new(&config);
    zcrm_config_free(config);
    EXPECT(zcrm_config_set(config, "data_center", "eu", ZCRM_NUL, &err), ZCRM_E_ARGUMENT, &err, "a freed config is refused");
    zcrm_config_free(config);
    CHECK(1, "freeing twice does nothing");
}

/* One thread begins a call while another one frees what the call is about to use, 3,000 times at every distance. */
static zcrm_client *racing;
static zcrm_cancel *racing_cancel;
static zcrm_error *racing_error;
static zcrm_result *racing_result;
static _Atomic int go;

static void *begins(void *other) {
    (void)other;
    zcrm_target target = target_of("Contacts", "1", NULL);
    zcrm_call call = {.struct_size = sizeof call, .cancel = racing_cancel};
    go = 1;
    zcrm_error *err = NULL;
    zcrm_status status = zcrm_attachment_list(racing, &target, NULL, &call, NULL, &err);
    zcrm_error_message(racing_error);
    zcrm_result_json(racing_result, NULL);
    int right = status == ZCRM_E_ARGUMENT || status == ZCRM_E_CANCELLED || status == ZCRM_E_NETWORK;
    if (!right) printf("     %s: %s\n", zcrm_status_name(status), zcrm_error_message(err));
    zcrm_error_free(err);
    return right ? NULL : &go;
}

static void freed_at_any_moment(void) {
    zcrm_error *err = NULL;
    int rounds = is_slow() && !getenv("ZCRM_TEST_SANITIZED") ? 200 : 3000, wrong = 0;
    zcrm_config *config = config_for("http://127.0.0.1:1");
    zcrm_client *emulated = emulator();
    zcrm_target target = contact();
    for (int i = 0; i < rounds; i++) {
        pthread_t thread;
        void *failed = NULL;
        go = 0;
        if (zcrm_client_new(config, &racing, &err) != ZCRM_OK || zcrm_cancel_new(&racing_cancel) != ZCRM_OK) exit(2);
        zcrm_attachment_list(racing, NULL, NULL, NULL, NULL, &racing_error);
        if (i % 100 == 0) zcrm_attachment_list(emulated, &target, NULL, NULL, &racing_result, NULL);
        pthread_create(&thread, NULL, begins, NULL);
        while (!go) {}
        for (volatile int spin = 0; spin < i % 300 * 20; spin++) {}
        zcrm_cancel_fire(racing_cancel);
        zcrm_client_free(racing);
        zcrm_cancel_free(racing_cancel);
        zcrm_error_free(racing_error);
        zcrm_result_free(racing_result);
        pthread_join(thread, &failed);
        racing_result = NULL;
        wrong += failed != NULL;
    }
    CHECK(wrong == 0, "whatever the moment, a call ends well or is refused");
    zcrm_client_free(emulated);
    zcrm_config_free(config);
}

static int32_t free_them(void *user, uint64_t done, int64_t total) {
    (void)user, (void)done, (void)total;
    zcrm_client_free(shared);
    zcrm_cancel_free(token);
    return 0;
}

static void freed_in_a_callback(void) {
    zcrm_error *err = NULL;
    shared = emulator();
    zcrm_cancel_new(&token);
    zcrm_target target = contact();
    zcrm_source source = memory_source("freed.txt", "text", 4);
    zcrm_call call = {.struct_size = sizeof call, .cancel = token, .progress = free_them};
    EXPECT(zcrm_attachment_upload(shared, &target, &source, &call, NULL, &err), ZCRM_OK, &err, "a call whose callback frees its client goes on");
}

int main(void) {
    zcrm_config_free(NULL);
    zcrm_client_free(NULL);
    zcrm_cancel_free(NULL);
    zcrm_result_free(NULL);
    zcrm_error_free(NULL);
    CHECK(1, "every free function accepts NULL");
    free_during_a_call();
    wrong_handles();
    freed_handles();
    freed_at_any_moment();
    freed_in_a_callback();

    zcrm_client *client = emulator();
    zcrm_result *result = NULL;
    zcrm_target target = contact();
    CHECK(zcrm_attachment_list(client, &target, NULL, NULL, &result, NULL) == ZCRM_OK, "a list");
    zcrm_client_free(client);
    CHECK(zcrm_result_json(result, NULL)[0] == '{', "a result outlives its client");
    zcrm_result_free(result);
    return finish();
}
