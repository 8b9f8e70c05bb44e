/* Rule 6, where an attempt is repeated: the emulator answers every other upload with 429. */
#include "check.h"

struct state { size_t left; int rewinds; zcrm_status fail; };

static zcrm_status give(void *user, uint8_t *buf, size_t cap, size_t *n) {
    struct state *s = user;
    *n = cap < s->left ? cap : s->left;
    memset(buf, 'x', *n);
    s->left -= *n;
    return ZCRM_OK;
}

enum { SIZE = 200000 };

static zcrm_status again(void *user) {
    struct state *s = user;
    s->left = SIZE;
    s->rewinds++;
    return s->fail;
}

int main(void) {
    zcrm_error *err = NULL;
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    set(config, "max_retries", "3");
    set(config, "retry_base_ms", "1");
    zcrm_client *client = client_of(config);
    zcrm_target target = contact();
    struct state s = {.left = SIZE};
    zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_READER, .name = ZCRM_STR("r.bin"), .length = SIZE, .read = give, .rewind = again, .user = &s};
    zcrm_result *result = NULL;
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, &result, &err), ZCRM_OK, &err, "an upload that was answered 429 is repeated");
    CHECK(s.rewinds == 1, "after one rewind");
    CHECK(strstr(zcrm_result_json(result, NULL), "\"attempts\":2") != NULL, "in two attempts");
    zcrm_result_free(result);

    s = (struct state){.left = SIZE, .fail = 9};
    zcrm_status status = zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err);
    CHECK(zcrm_error_callback_status(err) == 9, "what rewind returned is in the error");
    EXPECT(status, ZCRM_E_CALLBACK, &err, "rewind fails");

    s = (struct state){.left = SIZE};
    source.rewind = NULL;
    status = zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err);
    EXPECT(status, ZCRM_E_SOURCE_CONSUMED, &err, "without rewind nothing is sent twice");
    zcrm_client_free(client);
    return finish();
}
