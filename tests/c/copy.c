/* Attachments are copied through pipes, a download into the one end and an upload out of the other, at once and with few places: each upload
   waits for a download, which waits for a place. */
#include "check.h"

enum { ATTACHMENTS = 64, WORKERS = 8, BYTES = 200000 };

static zcrm_client *client;
static char ids[ATTACHMENTS][32];
static _Atomic int next, wrong;
static uint8_t content[BYTES];

struct copy {
    int read_end, write_end;
    const char *id;
};

static zcrm_status into_pipe(void *user, const uint8_t *buf, size_t len) {
    for (size_t done = 0; done < len;) {
        ssize_t n = write(*(int *)user, buf + done, len - done);
        if (n <= 0) return ZCRM_E_IO;
        done += (size_t)n;
    }
    return ZCRM_OK;
}

static zcrm_status out_of_pipe(void *user, uint8_t *buf, size_t cap, size_t *n) {
    ssize_t got = read(*(int *)user, buf, cap);
    *n = got > 0 ? (size_t)got : 0;
    return got < 0 ? ZCRM_E_IO : ZCRM_OK;
}

static void *download(void *argument) {
    struct copy *copy = argument;
    zcrm_target from = target_of("Contacts", env("ZCRM_TEST_RECORD"), copy->id);
    zcrm_sink sink = {.struct_size = sizeof sink, .kind = ZCRM_TO_WRITER, .write = into_pipe, .user = &copy->write_end};
    wrong += zcrm_attachment_download(client, &from, &sink, NULL, NULL, NULL) != ZCRM_OK;
    close(copy->write_end);
    return NULL;
}

static void copy_one(const char *id, const char *name) {
    int ends[2];
    if (pipe(ends)) exit(2);
    struct copy copy = {ends[0], ends[1], id};
    pthread_t thread;
    pthread_create(&thread, NULL, download, &copy);
    zcrm_target to = contact();
    zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_READER, .name = ZCRM_CSTR(name), .length = BYTES, .read = out_of_pipe, .user = &copy.read_end};
    zcrm_call call = {.struct_size = sizeof call, .timeout_ms = 120000};
    wrong += zcrm_attachment_upload(client, &to, &source, &call, NULL, NULL) != ZCRM_OK;
    close(ends[0]);
    pthread_join(thread, NULL);
}

static void *work(void *unused) {
    (void)unused;
    for (int i; (i = next++) < (is_slow() ? WORKERS : ATTACHMENTS);) copy_one(ids[i], "copy");
    return NULL;
}

static void copy_all(const char *settings, const char *max_in_flight) {
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    if (max_in_flight) set(config, "max_in_flight", max_in_flight);
    client = client_of(config);
    next = wrong = 0;
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    if (!CHECK(wrong == 0, settings)) printf("     %d calls failed\n", wrong);
    zcrm_client_free(client);
}

int main(void) {
    zcrm_error *err = NULL;
    zcrm_client *first = emulator();
    zcrm_target target = contact();
    zcrm_source source = memory_source("first", content, BYTES);
    for (int i = 0; i < (is_slow() ? WORKERS : ATTACHMENTS); i++) {
        zcrm_result *result = NULL;
        zcrm_attachment stored = {.struct_size = sizeof stored};
        if (zcrm_attachment_upload(first, &target, &source, NULL, &result, &err) != ZCRM_OK) {
            EXPECT(ZCRM_E_PANIC, ZCRM_OK, &err, "what is copied is attached");
            return finish();
        }
        zcrm_result_attachment(result, 0, &stored, NULL);
        snprintf(ids[i], sizeof ids[i], "%s", stored.id.ptr);
        zcrm_result_free(result);
    }
    zcrm_client_free(first);
    copy_all("copies through pipes with the default settings", NULL);
    copy_all("copies through pipes with one place", "1");
    return finish();
}
