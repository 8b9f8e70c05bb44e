/* A batch of 20,000 uploads that asks for its steps: it takes a few bytes of memory for each, with a journal and without, and when that has them done. */
#include <malloc.h>
#include <strings.h>
#include <sys/stat.h>

#include "server.h"

enum { FIRST = 2000, BYTES_A_STEP = 48 }; /* 32 for the batch, and what the organisation remembers of an upload for half an hour */

static long count = 20000;

/* Reads requests to their end, and says of each that it is stored under a new id. */
static void *serve(void *argument) {
    static _Atomic unsigned long long ids = 5000000000000000000ULL;
    int fd = (int)(intptr_t)argument;
    char buffer[65536], reply[512], body[256];
    size_t have = 0;
    for (ssize_t n; (n = read(fd, buffer + have, sizeof buffer - 1 - have)) > 0;) {
        have += (size_t)n;
        buffer[have] = 0;
        char *end = strstr(buffer, "\r\n\r\n"), *length = strcasestr(buffer, "\r\ncontent-length:");
        if (!end || !length) continue;
        size_t whole = (size_t)(end + 4 - buffer) + strtoul(length + 17, NULL, 10);
        if (have < whole) continue;
        have = 0; /* nothing follows before the reply */
        int size = snprintf(body, sizeof body, "{\"data\":[{\"code\":\"SUCCESS\",\"details\":{\"id\":\"%llu\"},\"message\":\"x\",\"status\":\"success\"}]}", ids++);
        size = snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", size, body);
        if (write(fd, reply, (size_t)size) != size) break;
    }
    close(fd);
    return NULL;
}

static void *listen_on(void *argument) {
    struct server *server = argument;
    for (int fd; (fd = accept(server->listener, NULL, NULL)) >= 0;) {
        pthread_t thread;
        pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd);
        pthread_detach(thread);
    }
    return NULL;
}

struct run {
    long given, told, done, from_journal;
    size_t first, last;
    char key[32], json[256];
};

static int32_t next(void *user, zcrm_str *key, zcrm_str *json) {
    struct run *run = user;
    if (run->given == count) return 0;
    snprintf(run->key, sizeof run->key, "step %ld", run->given);
    snprintf(run->json, sizeof run->json,
             "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"%ld\",\"source\":{\"base64\":\"eHh4\",\"name\":\"%ld.txt\"}}",
             1 + run->given / 50, run->given);
    run->given++;
    *key = (zcrm_str)ZCRM_CSTR(run->key);
    *json = (zcrm_str)ZCRM_CSTR(run->json);
    return 1;
}

static size_t heap(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static int32_t ended(void *user, const char *key, zcrm_status status, const char *json, int32_t from_journal) {
    struct run *run = user;
    (void)key, (void)json;
    run->done += status == ZCRM_OK;
    run->from_journal += from_journal;
    if (++run->told == FIRST) run->first = heap();
    if (run->told == count) run->last = heap();
    return 0;
}

static void takes_little(const zcrm_client *client, const char *journal, int done_before, const char *what) {
    struct run run = {0};
    zcrm_batch *batch = NULL;
    zcrm_error *err = NULL;
    zcrm_batch_new(&batch);
    zcrm_batch_set_source(batch, next, &run, NULL);
    zcrm_batch_args args = {.struct_size = sizeof args, .journal = {journal, journal ? ZCRM_NUL : 0}, .parallel = 4, .ended = ended, .user = &run};
    EXPECT(zcrm_batch_run(client, batch, &args, NULL, NULL, &err), ZCRM_OK, &err, what);
    CHECK(run.done == count && run.from_journal == (done_before ? count : 0), "every step is done, and is told");
    if (!is_slow()) {
        double each = run.last > run.first ? (double)(run.last - run.first) / (double)(count - FIRST) : 0;
        printf("     %.1f bytes a step\n", each);
        CHECK(each <= BYTES_A_STEP, "and little of it stays in memory");
    }
    zcrm_batch_free(batch);
}

int main(void) {
    struct server server = {0};
    pthread_t thread;
    char journal[512], dir[] = "/dev/shm/zcrm-XXXXXX"; /* in memory, where that is possible: each step waits for the disk */
    if (is_slow()) count = 200;
    snprintf(journal, sizeof journal, "%s/journal", mkdtemp(dir) ? dir : env("ZCRM_TEST_DIR"));
    server_bind(&server, 16);
    pthread_create(&thread, NULL, listen_on, &server);
    zcrm_config *config = config_for(server.url);
    zcrm_config_set_log_fn(config, 1, canary_line, NULL, NULL); /* each line of two requests would be looked at */
    zcrm_client *client = client_of(config);
    takes_little(client, NULL, 0, "a batch without a journal");
    takes_little(client, journal, 0, "one with a journal");
    takes_little(client, journal, 1, "the same when the journal has it done");
    zcrm_client_free(client);
    shutdown(server.listener, SHUT_RDWR);
    pthread_join(thread, NULL);
    unlink(journal);
    rmdir(dir);
    return finish();
}
