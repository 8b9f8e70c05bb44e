/* Attaches a text to a record and lists it: URL TOKEN RECORD. */
#include <stdio.h>
#include <string.h>

#include "zcrm.h"

static int fail(zcrm_error *err) {
    fprintf(stderr, "%s\n", zcrm_error_message(err));
    zcrm_error_free(err);
    return 1;
}

int main(int argc, char **argv) {
    zcrm_config *config = NULL;
    zcrm_client *client = NULL;
    zcrm_result *list = NULL;
    zcrm_error *err = NULL;
    zcrm_target target;
    zcrm_source source;
    const char *keys[] = {"api_domain", "accounts_url", "access_token"};
    int i;
    if (argc != 4 || zcrm_abi_version() != ZCRM_ABI_VERSION || strcmp(zcrm_version(), ZCRM_VERSION) != 0) return 2;
    if (zcrm_config_new(&config) != ZCRM_OK) return 2;
    for (i = 0; i < 3; i++) {
        if (zcrm_config_set(config, keys[i], argv[i == 2 ? 2 : 1], ZCRM_NUL, &err) != ZCRM_OK) return fail(err);
    }
    if (zcrm_client_new(config, &client, &err) != ZCRM_OK) return fail(err);
    memset(&target, 0, sizeof target);
    target.struct_size = sizeof target;
    target.module = ZCRM_STR("Contacts");
    target.record_id = ZCRM_CSTR(argv[3]);
    memset(&source, 0, sizeof source);
    source.struct_size = sizeof source;
    source.kind = ZCRM_FROM_MEMORY;
    source.name = ZCRM_STR("outside.txt");
    source.data = (const uint8_t *)"C";
    source.data_len = 1;
    if (zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err) != ZCRM_OK) return fail(err);
    if (zcrm_attachment_list(client, &target, NULL, NULL, &list, &err) != ZCRM_OK) return fail(err);
    printf("%u attachments\n", (unsigned)zcrm_result_count(list));
    zcrm_result_free(list);
    zcrm_client_free(client);
    zcrm_config_free(config);
    return 0;
}
