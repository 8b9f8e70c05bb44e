/* Rule 4: settings are string keys; an unknown one names the nearest, a wrong value what it takes, a secret is never shown. */
#include "check.h"

static int message_has(zcrm_error *err, const char *text) { return strstr(zcrm_error_message(err), text) != NULL; }

int main(void) {
    zcrm_error *err = NULL;
    zcrm_config *config = NULL;
    zcrm_config_new(&config);

    zcrm_status status = zcrm_config_set(config, "refresh_tokn", "x", 1, &err);
    CHECK(message_has(err, "\"refresh_tokn\"") && message_has(err, "\"refresh_token\""), "an unknown key is named, and the nearest known one");
    CHECK(strcmp(zcrm_error_reason(err), "unknown_key") == 0, "reason unknown_key");
    EXPECT(status, ZCRM_E_CONFIG, &err, "and refused");
    status = zcrm_config_set(config, "api_version", "v99", 3, &err);
    CHECK(message_has(err, "api_version") && message_has(err, "v2.1"), "a wrong value names its key and what it takes");
    EXPECT(status, ZCRM_E_CONFIG, &err, "and is refused");
    status = zcrm_config_set(config, "access_token", "canary\n", ZCRM_NUL, &err);
    CHECK(!strstr(zcrm_error_json(err), "canary"), "a secret that is refused isn't shown");
    EXPECT(status, ZCRM_E_CONFIG, &err, "a token with a line end");
    EXPECT(zcrm_config_set(config, NULL, "x", 1, &err), ZCRM_E_ARGUMENT, &err, "a key that is NULL");
    EXPECT(zcrm_config_set(config, "\xff", "x", 1, &err), ZCRM_E_ARGUMENT, &err, "a key that isn't UTF-8");
    EXPECT(zcrm_config_set(config, "data_center", NULL, 1, &err), ZCRM_E_ARGUMENT, &err, "a value that is NULL with a length");
    EXPECT(zcrm_config_set(config, "data_center", NULL, ZCRM_NUL, &err), ZCRM_E_ARGUMENT, &err, "a value that is NULL and NUL-terminated");
    EXPECT(zcrm_config_set(config, "spool_dir", NULL, 0, &err), ZCRM_OK, &err, "NULL with length 0 is the empty text");
    EXPECT(zcrm_config_set(config, "data_center", "eu, and more", 2, &err), ZCRM_OK, &err, "a value that its length ends");
    EXPECT(zcrm_config_set(config, "panic_probe", "on", 2, &err), ZCRM_E_CONFIG, &err, "the tests' own key isn't in an ordinary build");
    zcrm_config_free(config);

    char url[128];
    snprintf(url, sizeof url, "%s", env("ZCRM_TEST_URL"));
    config = config_for(url);
    memset(url, 'x', sizeof url);
    zcrm_client *client = NULL;
    EXPECT(zcrm_client_new(config, &client, &err), ZCRM_OK, &err, "a value was copied");
    set(config, "api_domain", "http://127.0.0.1:1");
    zcrm_target target = contact();
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a client keeps the settings it was made with");
    zcrm_config_free(config);
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "and outlives its config");
    zcrm_client_free(client);
    return finish();
}
