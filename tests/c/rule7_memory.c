/* Rule 7 when memory runs short: what needs much of it fails with ZCRM_E_MEMORY, and works again once there is some. */
#include <errno.h>
#include <malloc.h>

#include "check.h"

enum { LARGE = 6 << 20, MANY = 10000 };

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t n);
void *__libc_memalign(size_t alignment, size_t n);

/* Blocks over this are refused. These functions stand in the place of the C library's, for the library too. */
static size_t most = SIZE_MAX;
static int refused;

static int refuses(size_t n) {
    if (n <= most) return 0;
    refused++;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t n) { return refuses(n) ? NULL : __libc_malloc(n); }
void *calloc(size_t n, size_t size) { return refuses(n * size) ? NULL : __libc_calloc(n, size); }
void *realloc(void *block, size_t n) { return n > malloc_usable_size(block) && refuses(n) ? NULL : __libc_realloc(block, n); }
int posix_memalign(void **block, size_t alignment, size_t n) {
    if (refuses(n)) return ENOMEM;
    *block = __libc_memalign(alignment, n);
    return *block ? 0 : ENOMEM;
}

static zcrm_client *client;
static zcrm_error *err;
static zcrm_result *result;
static char json[4 << 20];
static size_t left;

static zcrm_status give(void *user, uint8_t *buf, size_t cap, size_t *n) {
    (void)user;
    *n = cap < left ? cap : left;
    memset(buf, 'x', *n);
    left -= *n;
    return ZCRM_OK;
}

static zcrm_status download(void) {
    zcrm_target target = target_of("Contacts", env("ZCRM_TEST_MANY"), env("ZCRM_TEST_LARGE"));
    zcrm_sink memory = memory_sink();
    return zcrm_attachment_download(client, &target, &memory, NULL, &result, &err);
}

static zcrm_status download_step(void) {
    int n = snprintf(json, sizeof json,
                     "{\"operation\":\"attachment.download\",\"module\":\"Contacts\",\"record_id\":\"%s\",\"attachment_id\":\"%s\",\"sink\":{\"base64\":true}}",
                     env("ZCRM_TEST_MANY"), env("ZCRM_TEST_LARGE"));
    return zcrm_step_run(client, json, (size_t)n, NULL, &result, &err);
}

static zcrm_status upload_step(void) {
    int n = snprintf(json, sizeof json, "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"%s\",\"source\":{\"name\":\"a\",\"base64\":\"",
                     env("ZCRM_TEST_RECORD"));
    memset(json + n, 'A', 3 << 20);
    strcpy(json + n + (3 << 20), "\"}}");
    return zcrm_step_run(client, json, ZCRM_NUL, NULL, &result, &err);
}

static zcrm_status upload_of_reader(void) {
    zcrm_target target = contact();
    zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_READER, .name = ZCRM_STR("reader.bin"), .read = give, .length = 1 << 20};
    left = 1 << 20;
    return zcrm_attachment_upload(client, &target, &source, NULL, &result, &err);
}

static zcrm_status list(void) {
    zcrm_target target = target_of("Contacts", env("ZCRM_TEST_MANY"), NULL);
    return zcrm_attachment_list(client, &target, NULL, NULL, &result, &err);
}

static zcrm_status add_step(void) {
    static zcrm_batch *batch;
    if (!batch) zcrm_batch_new(&batch);
    return zcrm_batch_add(batch, "key", json, ZCRM_NUL, &err);
}

/* Fails while blocks over `limit` are refused, and works when they no longer are. */
static void runs_short(const char *what, zcrm_status run(void), size_t limit) {
    printf("     %s, with blocks of at most %zu bytes\n", what, limit);
    refused = 0;
    most = limit;
    zcrm_status status = run();
    most = SIZE_MAX;
    CHECK(refused > 0, "memory was refused");
    EXPECT(status, ZCRM_E_MEMORY, &err, "which is a status");
    EXPECT(run(), ZCRM_OK, &err, "with memory it works");
}

static void read_result(void) {
    zcrm_attachment row = {.struct_size = sizeof row};
    size_t n = 1;
    CHECK(zcrm_result_count(result) > MANY, "a long list");
    most = 1 << 20;
    EXPECT(zcrm_result_attachment(result, MANY, &row, &err), ZCRM_OK, &err, "a row needs no further memory");
    CHECK(*zcrm_result_json(result, &n) == 0 && n == 0, "there is none for its JSON");
    most = SIZE_MAX;
    CHECK(strlen(zcrm_result_json(result, &n)) == n && n > (1 << 20), "later there is");
}

static void done(void) {
    zcrm_result_free(result);
    result = NULL;
}

int main(void) {
    const uint8_t *data = NULL;
    size_t n = 0;
    client = emulator();
    runs_short("a download to memory without a length", download, 1 << 20); /* the server is told so for this one alone */
    done();
    runs_short("a download to memory", download, 1 << 20);
    EXPECT(zcrm_result_data(result, &data, &n, &err), ZCRM_OK, &err, "the bytes");
    CHECK(n == LARGE, "all of them");
    done();
    runs_short("a download step", download_step, 1 << 20);
    most = 1 << 20;
    CHECK(*zcrm_result_json(result, &n) == 0, "there is no memory for the file as base64");
    most = SIZE_MAX;
    CHECK(strlen(zcrm_result_json(result, &n)) > LARGE, "later there is");
    done();
    runs_short("a list", list, 1 << 20);
    read_result();
    done();
    runs_short("an upload step", upload_step, 1 << 20);
    done();
    runs_short("a step of a batch", add_step, 1 << 20);
    runs_short("an upload", upload_of_reader, 60 << 10);
    done();
    zcrm_client_free(client);
    return finish();
}
