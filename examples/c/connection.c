#include "connection.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *variable, *key;
} SETTINGS[] = {
    {"ZCRM_ACCESS_TOKEN", "access_token"}, {"ZCRM_CLIENT_ID", "client_id"},       {"ZCRM_CLIENT_SECRET", "client_secret"},
    {"ZCRM_REFRESH_TOKEN", "refresh_token"}, {"ZCRM_DATA_CENTER", "data_center"}, {"ZCRM_ENVIRONMENT", "environment"},
    {"ZCRM_ACCOUNTS_URL", "accounts_url"}, {"ZCRM_API_DOMAIN", "api_domain"},     {"ZCRM_API_VERSION", "api_version"},
    {"ZCRM_CA_FILE", "ca_file"},
};

const char *variable(const char *name) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

int environment_is_complete(void) {
    static const char *const refresh[] = {"ZCRM_CLIENT_ID", "ZCRM_CLIENT_SECRET", "ZCRM_REFRESH_TOKEN"};
    int complete = variable("ZCRM_ACCESS_TOKEN") != NULL;
    for (size_t i = 0; !complete && i < 3; i++) {
        if (variable(refresh[i]) == NULL) {
            fprintf(stderr,
                    "tour: %s is not set. Set ZCRM_ACCESS_TOKEN, or all of ZCRM_CLIENT_ID, ZCRM_CLIENT_SECRET and ZCRM_REFRESH_TOKEN.\n", refresh[i]);
            return 0;
        }
    }
    if (variable("ZCRM_RECORD_ID") == NULL) {
        fprintf(stderr, "tour: ZCRM_RECORD_ID is not set. Give the id of a record of ZCRM_MODULE (Contacts by default) to work on: the digits\n"
                        "      at the end of its address in the browser.\n");
        return 0;
    }
    return 1;
}

zcrm_client *connect_from_environment(void) {
    zcrm_config *config = NULL;
    zcrm_client *client = NULL;
    zcrm_error *error = NULL;
    zcrm_status status = zcrm_config_new(&config);
    for (size_t i = 0; status == ZCRM_OK && i < sizeof SETTINGS / sizeof *SETTINGS; i++) {
        const char *value = variable(SETTINGS[i].variable);
        if (value != NULL) status = zcrm_config_set(config, SETTINGS[i].key, value, ZCRM_NUL, &error);
    }
    if (status == ZCRM_OK) status = zcrm_client_new(config, &client, &error);
    if (status != ZCRM_OK) fprintf(stderr, "tour: %s: %s\n", zcrm_status_name(status), zcrm_error_message(error));
    zcrm_error_free(error);
    zcrm_config_free(config);
    return client;
}
