/* The one symbol of a host that loads the library at run time: older, newer and wrong hosts, and a step through the table alone. */
#include "check.h"

#include <dlfcn.h>

typedef zcrm_status (*init_fn)(uint32_t, zcrm_plugin_v1 *, size_t);

static init_fn load(void) {
    void *library = dlopen(env("ZCRM_TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    init_fn init;
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    *(void **)&init = dlsym(library, "zcrm_plugin_init");
    return init;
}

static int is_untouched(const void *memory, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        if (((const unsigned char *)memory)[i] != 0xaa) return 0;
    }
    return 1;
}

static void sizes(init_fn init) {
    struct {
        zcrm_plugin_v1 table;
        void *later[4];
    } room;
    memset(&room, 0xaa, sizeof room);
    CHECK(init(ZCRM_ABI_VERSION, &room.table, sizeof room.table) == ZCRM_OK, "a table of the header's size is filled");
    CHECK(room.table.struct_size == sizeof room.table && room.table.abi == ZCRM_ABI_VERSION && room.table.reserved == 0, "and says so");
    CHECK(is_untouched(&room, sizeof room.table, sizeof room), "nothing behind it is written");

    memset(&room, 0xaa, sizeof room);
    size_t older = offsetof(zcrm_plugin_v1, error_json);
    CHECK(init(ZCRM_ABI_VERSION, &room.table, older) == ZCRM_OK, "an older host's shorter table is filled");
    CHECK(room.table.struct_size == older && room.table.error_retry_after_ms && is_untouched(&room, older, sizeof room), "as far as it goes");

    memset(&room, 0xaa, sizeof room);
    CHECK(init(ZCRM_ABI_VERSION, &room.table, sizeof room) == ZCRM_OK, "a newer host's longer table is filled");
    CHECK(room.table.struct_size == sizeof room.table && !room.later[0] && !room.later[3], "what the library doesn't have is NULL");

    memset(&room, 0xaa, sizeof room);
    CHECK(init(ZCRM_ABI_VERSION + 1, &room.table, sizeof room.table) == ZCRM_E_VERSION, "a host of another ABI is refused");
    CHECK(init(0, &room.table, sizeof room.table) == ZCRM_E_VERSION, "also one of none");
    CHECK(init(ZCRM_ABI_VERSION, NULL, sizeof room.table) == ZCRM_E_ARGUMENT, "NULL is no table");
    CHECK(init(ZCRM_ABI_VERSION, &room.table, 0) == ZCRM_E_ARGUMENT, "a table of no size is none");
    CHECK(init(ZCRM_ABI_VERSION, &room.table, SIZE_MAX) == ZCRM_E_ARGUMENT, "nor is one of every size");
    CHECK(is_untouched(&room, 0, sizeof room), "a refusal writes nothing");
}

/* Every member from the first function on is one: no NULL in between. */
static void complete(const zcrm_plugin_v1 *zcrm) {
    int missing = 0;
    for (size_t at = offsetof(zcrm_plugin_v1, version); at < sizeof *zcrm; at += sizeof(void *)) {
        void *function;
        memcpy(&function, (const char *)zcrm + at, sizeof function);
        missing += !function;
    }
    CHECK(!missing, "every function is there");
}

static void step(const zcrm_plugin_v1 *zcrm) {
    zcrm_config *config = NULL;
    zcrm_client *client = NULL;
    zcrm_cancel *cancel = NULL;
    zcrm_result *result = NULL;
    zcrm_error *err = NULL;
    char json[256];
    size_t n = 0;

    CHECK(strcmp(zcrm->version(), ZCRM_VERSION) == 0 && strstr(zcrm->describe(), "\"operations\""), "version and description");
    CHECK(zcrm->config_new(&config) == ZCRM_OK, "a config");
    CHECK(zcrm->config_set(config, "acces_token", "x", ZCRM_NUL, &err) == ZCRM_E_CONFIG && strstr(zcrm->error_message(err), "access_token"),
          "a wrong setting is refused with the right one");
    zcrm->error_free(err);
    err = NULL;
    CHECK(zcrm->config_set(config, "api_domain", env("ZCRM_TEST_URL"), ZCRM_NUL, &err) == ZCRM_OK, "a setting");
    CHECK(zcrm->config_set(config, "access_token", env("ZCRM_TEST_TOKEN"), ZCRM_NUL, &err) == ZCRM_OK, "a token");
    CHECK(zcrm->client_new(config, &client, &err) == ZCRM_OK, "a client");
    zcrm->config_free(config);

    snprintf(json, sizeof json, "{\"operation\":\"attachment.list\",\"module\":\"Contacts\",\"record_id\":\"%s\"}", env("ZCRM_TEST_RECORD"));
    CHECK(zcrm->step_run(client, json, ZCRM_NUL, NULL, &result, &err) == ZCRM_OK, "a step runs");
    const char *text = zcrm->result_json(result, &n);
    CHECK(n == strlen(text) && strstr(text, "\"attachments\":[]"), "and gives JSON");
    zcrm->result_free(result);

    CHECK(zcrm->step_run(client, "{\"operation\":\"photo.delete\",\"module\":\"Contacts\",\"record_id\":\"99\"}", ZCRM_NUL, NULL, NULL, &err) ==
              ZCRM_E_INVALID_RECORD, "a record that isn't there");
    CHECK(zcrm->error_code(err) == ZCRM_E_INVALID_RECORD && zcrm->error_http_status(err) >= 400 && zcrm->error_reason(err)[0], "has its error");
    CHECK(!zcrm->error_retryable(err) && zcrm->error_retry_after_ms(err) == -1 && zcrm->error_api_code(err)[0], "which no retry mends");
    CHECK(strstr(zcrm->error_json(err), zcrm->status_name(ZCRM_E_INVALID_RECORD)), "and is JSON too");
    zcrm->error_free(err);
    err = NULL;

    zcrm_call call = {.struct_size = sizeof call};
    CHECK(zcrm->cancel_new(&cancel) == ZCRM_OK, "a cancel token");
    call.cancel = cancel;
    zcrm->cancel_fire(cancel);
    CHECK(zcrm->step_run(client, json, ZCRM_NUL, &call, NULL, NULL) == ZCRM_E_CANCELLED, "cancels a step");
    zcrm->cancel_free(cancel);
    zcrm->client_free(client);
}

int main(void) {
    init_fn init = load();
    zcrm_plugin_v1 zcrm;
    if (!CHECK(init, "the symbol is there")) return finish();
    sizes(init);
    CHECK(init(ZCRM_ABI_VERSION, &zcrm, sizeof zcrm) == ZCRM_OK, "the table is filled");
    complete(&zcrm);
    step(&zcrm);
    return finish();
}
