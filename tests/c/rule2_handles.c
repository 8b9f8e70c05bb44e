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

/* Only builds with debug assertions keep a freed handle's memory, so only they find this out for certain. */
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

int main(void) {
    zcrm_config_free(NULL);
    zcrm_client_free(NULL);
    zcrm_cancel_free(NULL);
    zcrm_result_free(NULL);
    zcrm_error_free(NULL);
    CHECK(1, "every free function accepts NULL");
    free_during_a_call();
    wrong_handles();
    if (getenv("ZCRM_TEST_DEBUG_BUILD")) freed_handles();

    zcrm_client *client = emulator();
    zcrm_result *result = NULL;
    zcrm_target target = contact();
    CHECK(zcrm_attachment_list(client, &target, NULL, NULL, &result, NULL) == ZCRM_OK, "a list");
    zcrm_client_free(client);
    CHECK(zcrm_result_json(result, NULL)[0] == '{', "a result outlives its client");
    zcrm_result_free(result);
    return finish();
}
