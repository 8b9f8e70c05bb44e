/* A token store that the host provides: two clients, as two processes would have them, need one token. */
#include "check.h"

struct store {
    uint8_t document[8192];
    size_t len;
    int held, gets, puts, locks, drops;
    zcrm_status fail;
};

static zcrm_status get(void *user, uint8_t *buf, size_t cap, size_t *n) {
    struct store *s = user;
    s->gets++;
    if (s->len <= cap) memcpy(buf, s->document, s->len);
    *n = s->len;
    return s->fail;
}

static zcrm_status put(void *user, const uint8_t *buf, size_t len) {
    struct store *s = user;
    if (len > sizeof s->document) return 1;
    memcpy(s->document, buf, s->len = len);
    s->puts++;
    return ZCRM_OK;
}

static zcrm_status try_lock(void *user, int32_t *locked) {
    struct store *s = user;
    /* The first two tries find it held by somebody else. */
    *locked = !s->held && ++s->locks > 2;
    s->held |= *locked;
    return ZCRM_OK;
}

static void unlock(void *user) { ((struct store *)user)->held = 0; }

static void dropped(void *user) { ((struct store *)user)->drops++; }

static zcrm_config *config_with(struct store *s) {
    zcrm_error *err = NULL;
    zcrm_config *config = NULL;
    zcrm_config_new(&config);
    const char *url = env("ZCRM_TEST_URL");
    set(config, "api_domain", url);
    set(config, "accounts_url", url);
    set(config, "client_id", env("ZCRM_TEST_CLIENT_ID"));
    set(config, "client_secret", env("ZCRM_TEST_CLIENT_SECRET"));
    set(config, "refresh_token", env("ZCRM_TEST_REFRESH_TOKEN"));
    zcrm_token_store store = {.struct_size = sizeof store, .get = get, .put = put, .try_lock = try_lock, .unlock = unlock, .user = s, .drop = dropped};
    EXPECT(zcrm_config_set_token_store(config, &store, &err), ZCRM_OK, &err, "a token store is set");
    store.put = NULL;
    EXPECT(zcrm_config_set_token_store(config, &store, &err), ZCRM_E_ARGUMENT, &err, "one without put is refused");
    EXPECT(zcrm_config_set_token_store(config, NULL, &err), ZCRM_E_ARGUMENT, &err, "none is refused");
    return config;
}

int main(void) {
    zcrm_error *err = NULL;
    struct store s = {0};
    zcrm_target target = contact();
    for (int i = 0; i < 2; i++) {
        zcrm_client *client = client_of(config_with(&s));
        EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a list with a token from the store");
        zcrm_client_free(client);
    }
    CHECK(s.puts == 1, "one token was asked for, and put into the store");
    CHECK(!s.held && s.locks > 2, "under the lock, which was waited for and given back");
    CHECK(s.drops == 2, "each client let go of the store");
    s.document[s.len] = 0;
    CHECK(!strstr((char *)s.document, env("ZCRM_TEST_REFRESH_TOKEN")) && !strstr((char *)s.document, env("ZCRM_TEST_CLIENT_SECRET")), "no other secret is in it");

    s.fail = 9;
    zcrm_client *client = client_of(config_with(&s));
    zcrm_status status = zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err);
    CHECK(zcrm_error_callback_status(err) == 9, "what get returned is in the error");
    EXPECT(status, ZCRM_E_CALLBACK, &err, "get fails");
    zcrm_client_free(client);
    return finish();
}
