/* Rule 4: settings are string keys; an unknown one names the nearest, a wrong value what it takes, a secret is never shown. */
#include <sys/stat.h>

#include "check.h"

static int message_has(zcrm_error *err, const char *text) { return strstr(zcrm_error_message(err), text) != NULL; }

/* A profile of the emulator in a file of this test, with this mode. */
static const char *profiles(const char *path, mode_t mode) {
    FILE *file = fopen(path, "w");
    fprintf(file, "[default]\nmax_retrys = 1\n[work]\naccess_token = \"%s\"\napi_domain = \"%s\"\n", env("ZCRM_TEST_TOKEN"), env("ZCRM_TEST_URL"));
    fclose(file);
    chmod(path, mode);
    return path;
}

static void test_profiles(void) {
    char own[512], path[600];
    snprintf(own, sizeof own, "%s/config/zcrm", env("ZCRM_TEST_DIR"));
    char *config_home = strdup(own);
    *strrchr(config_home, '/') = 0;
    mkdir(config_home, 0700);
    mkdir(own, 0700);
    snprintf(path, sizeof path, "%s/profiles.toml", own);
    zcrm_error *err = NULL;
    zcrm_config *config = NULL;
    zcrm_client *client = NULL;
    zcrm_config_new(&config);
    EXPECT(zcrm_config_load_profile(config, "/nowhere", NULL, &err), ZCRM_E_CONFIG, &err, "a file of profiles that isn't there");
    EXPECT(zcrm_config_load_profile(config, profiles(path, 0644), "work", &err), ZCRM_E_CONFIG, &err, "one that others may read");
    zcrm_status status = zcrm_config_load_profile(config, profiles(path, 0600), NULL, &err);
    CHECK(message_has(err, path) && message_has(err, "[default]") && message_has(err, "max_retries"), "a wrong setting is named with its place");
    EXPECT(status, ZCRM_E_CONFIG, &err, "and refused");
    EXPECT(zcrm_config_load_profile(config, path, "\xff", &err), ZCRM_E_ARGUMENT, &err, "a name that isn't UTF-8");
    EXPECT(zcrm_config_load_profile(NULL, path, "work", &err), ZCRM_E_ARGUMENT, &err, "a config that is NULL");
    EXPECT(zcrm_client_new(config, &client, &err), ZCRM_E_CONFIG, &err, "none of them has set anything");
    setenv("XDG_CONFIG_HOME", config_home, 1);
    EXPECT(zcrm_config_load_profile(config, NULL, "work", &err), ZCRM_OK, &err, "the user's own file is found");
    EXPECT(zcrm_client_new(config, &client, &err), ZCRM_OK, &err, "a client of a profile");
    zcrm_target target = contact();
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "reaches its organisation");
    zcrm_client_free(client);
    EXPECT(zcrm_config_set(config, "access_token", "another", ZCRM_NUL, &err), ZCRM_OK, &err, "what is set afterwards");
    EXPECT(zcrm_client_new(config, &client, &err), ZCRM_OK, &err, "makes a client");
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_E_AUTH, &err, "and takes the place of the profile");
    zcrm_client_free(client);
    zcrm_config_free(config);
    free(config_home);
}

int main(void) {
    test_profiles();
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
    status = zcrm_config_set(config, "client_id", "\xff", 1, &err);
    CHECK(strstr(zcrm_error_message(err), "client_id") != NULL, "the setting is named");
    EXPECT(status, ZCRM_E_ARGUMENT, &err, "a value that isn't UTF-8");
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
