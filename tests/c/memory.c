/* One transfer of argv[2] bytes by the kind argv[1]; prints the peak resident size of the process in KiB. */
#include "check.h"

static uint64_t left;

static zcrm_status give(void *user, uint8_t *buf, size_t cap, size_t *n) {
    (void)user;
    *n = cap < left ? cap : (size_t)left;
    memset(buf, 'x', *n);
    left -= *n;
    return ZCRM_OK;
}

static zcrm_status take(void *user, const uint8_t *buf, size_t len) {
    (void)user, (void)buf;
    left -= len;
    return ZCRM_OK;
}

static long peak_kib(void) {
    char line[256];
    long kib = -1;
    FILE *status = fopen("/proc/self/status", "r");
    while (status && fgets(line, sizeof line, status)) {
        if (sscanf(line, "VmHWM: %ld", &kib) == 1) break;
    }
    if (status) fclose(status);
    return kib;
}

int main(int count, char **arguments) {
    if (count != 5) return 2;
    const char *kind = arguments[1], *path = arguments[3], *id = arguments[4];
    zcrm_error *err = NULL;
    zcrm_client *client = emulator();
    zcrm_target target = target_of("Contacts", env("ZCRM_TEST_RECORD"), id);
    zcrm_source source = {.struct_size = sizeof source, .name = ZCRM_STR("memory.bin"), .path = ZCRM_CSTR(path), .read = give};
    zcrm_sink sink = {.struct_size = sizeof sink, .flags = ZCRM_OVERWRITE, .path = ZCRM_CSTR(path), .write = take};
    left = strtoull(arguments[2], NULL, 10);
    source.length = (int64_t)left;
    source.data_len = left;
    zcrm_status status = ZCRM_E_ARGUMENT;
    if (!strcmp(kind, "from-file")) source.kind = ZCRM_FROM_FILE;
    if (!strcmp(kind, "from-reader")) source.kind = ZCRM_FROM_READER;
    if (!strcmp(kind, "from-unknown")) source.kind = ZCRM_FROM_READER, source.length = -1;
    if (!strcmp(kind, "from-memory")) source.kind = ZCRM_FROM_MEMORY, source.data = calloc(left, 1);
    if (!strcmp(kind, "to-file")) sink.kind = ZCRM_TO_FILE;
    if (!strcmp(kind, "to-writer")) sink.kind = ZCRM_TO_WRITER;
    if (source.kind) status = zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err);
    if (sink.kind) status = zcrm_attachment_download(client, &target, &sink, NULL, NULL, &err);
    if (status != ZCRM_OK) {
        fprintf(stderr, "%s\n", zcrm_error_json(err));
        return 1;
    }
    /* The caller's own bytes are not the library's: pages of calloc that were only read are the shared zero page. */
    printf("%ld\n", peak_kib());
    free((void *)source.data);
    zcrm_client_free(client);
    return 0;
}
