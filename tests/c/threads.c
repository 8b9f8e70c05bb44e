/* 64 threads share one client: each gets its own result, and its own error. */
#include "check.h"

enum { THREADS = 64, ROUNDS = 4 };

static zcrm_client *client;
static char id[32];

static void *work(void *argument) {
    long number = (long)argument, wrong = 0;
    char text[32], missing[32];
    snprintf(text, sizeof text, "thread %ld", number);
    snprintf(missing, sizeof missing, "900000000%ld", number);
    for (int i = 0; i < (is_slow() ? 1 : ROUNDS); i++) {
        zcrm_error *err = NULL;
        zcrm_result *result = NULL;
        zcrm_target record = contact(), shared = target_of("Contacts", env("ZCRM_TEST_RECORD"), id), none = target_of("Contacts", missing, NULL);
        zcrm_source source = memory_source(text, text, strlen(text));
        zcrm_sink sink = memory_sink();
        zcrm_attachment stored = {.struct_size = sizeof stored};
        const uint8_t *data = NULL;
        size_t n = 0;
        wrong += zcrm_attachment_upload(client, &record, &source, NULL, &result, NULL) != ZCRM_OK;
        wrong += zcrm_result_attachment(result, 0, &stored, NULL) != ZCRM_OK || strcmp(stored.file_name.ptr, text) != 0;
        zcrm_result_free(result);
        result = NULL;
        wrong += zcrm_attachment_download(client, &shared, &sink, NULL, &result, NULL) != ZCRM_OK;
        wrong += zcrm_result_data(result, &data, &n, NULL) != ZCRM_OK || n != 6 || memcmp(data, "shared", 6) != 0;
        zcrm_result_free(result);
        none.module = ZCRM_CSTR(number % 2 ? "Contacts" : "Con tacts");
        zcrm_status wanted = number % 2 ? ZCRM_E_INVALID_RECORD : ZCRM_E_ARGUMENT;
        wrong += zcrm_attachment_list(client, &none, NULL, NULL, NULL, &err) != wanted || zcrm_error_code(err) != wanted;
        zcrm_error_free(err);
    }
    return (void *)wrong;
}

int main(void) {
    pthread_t threads[THREADS];
    client = emulator();
    upload_text(client, "shared.txt", "shared", id);
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    long wrong = 0;
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        wrong += (long)result;
    }
    if (!CHECK(wrong == 0, "64 threads each get what is theirs")) printf("     %ld were wrong\n", wrong);
    zcrm_client_free(client);
    return finish();
}
