/* Rule 7: a panic becomes a status, poisons only its client, and prints nothing. The library is built with the feature panic-probe. */
#include "check.h"

int main(void) {
    zcrm_error *err = NULL;
    zcrm_target target = contact();
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    set(config, "panic_probe", "on");
    zcrm_client *bad = client_of(config), *good = emulator();

    zcrm_status status = zcrm_attachment_list(bad, &target, NULL, NULL, NULL, &err);
    CHECK(strstr(zcrm_error_message(err), "panic probe") && strstr(zcrm_error_message(err), ".rs:"), "the error says what and where");
    EXPECT(status, ZCRM_E_PANIC, &err, "a panic is a status");
    for (int i = 0; i < 3; i++) {
        status = zcrm_photo_delete(bad, &target, NULL, NULL, &err);
        CHECK(strcmp(zcrm_error_reason(err), "poisoned") == 0, "reason poisoned");
        EXPECT(status, ZCRM_E_STATE, &err, "the client is poisoned");
    }
    CHECK(zcrm_attachment_list(bad, &target, NULL, NULL, NULL, NULL) == ZCRM_E_STATE, "also without an error object");
    EXPECT(zcrm_attachment_list(good, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "another client isn't, on the same thread");
    zcrm_client_free(bad);

    /* A batch works on threads of its own. */
    config = config_for(env("ZCRM_TEST_URL"));
    set(config, "panic_probe", "on");
    bad = client_of(config);
    char list[256];
    zcrm_batch *batch = NULL;
    zcrm_batch_new(&batch);
    snprintf(list, sizeof list, "{\"operation\":\"attachment.list\",\"module\":\"Contacts\",\"record_id\":\"%s\"}", env("ZCRM_TEST_RECORD"));
    for (const char *key = "abcdefgh"; *key; key++) zcrm_batch_add(batch, key, list, ZCRM_NUL, NULL);
    status = zcrm_batch_run(bad, batch, NULL, NULL, NULL, &err);
    CHECK(strstr(zcrm_error_message(err), "panic probe") && strstr(zcrm_error_message(err), ".rs:"), "a panic on a batch's thread says what and where");
    EXPECT(status, ZCRM_E_PANIC, &err, "it is a status where the batch was run");
    EXPECT(zcrm_batch_run(bad, batch, NULL, NULL, NULL, &err), ZCRM_E_STATE, &err, "and poisons the client");
    EXPECT(zcrm_batch_run(good, batch, NULL, NULL, NULL, &err), ZCRM_OK, &err, "and that one alone");
    zcrm_batch_free(batch);
    zcrm_client_free(bad);
    zcrm_client_free(good);
    return finish();
}
