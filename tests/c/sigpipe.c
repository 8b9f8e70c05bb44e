/* A program that has SIGPIPE at its default, which ends a process, and a peer that goes away while a file is being written to it. */
#include <signal.h>
#include <sys/resource.h>

#include "server.h"

enum { ROUNDS = 60, LENGTH = 4 << 20 };

static _Atomic int stop;

/* Reads the head and a piece of the body, answers nothing, and closes in order: then the next write but one is a broken pipe. */
static void *leave(void *argument) {
    static char buffer[65536];
    int listener = *(int *)argument, round = 0;
    while (!stop) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) continue;
        for (int i = 0; i < 1 + round % 4; i++) {
            if (recv(fd, buffer, sizeof buffer, i ? MSG_DONTWAIT : 0) <= 0) break;
        }
        if (round++ % 2) shutdown(fd, SHUT_WR);
        close(fd);
    }
    return NULL;
}

static int without_descriptors;

/* A reader that brings the thread a SIGPIPE, as a write to a broken connection does, in a process that can't open another file. */
static zcrm_status breaks(void *user, uint8_t *buf, size_t cap, size_t *n) {
    (void)user, (void)buf, (void)cap;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 0;
    without_descriptors = setrlimit(RLIMIT_NOFILE, &limit) == 0;
    pthread_kill(pthread_self(), SIGPIPE);
    *n = 0;
    return 7;
}

static void with_no_descriptor_left(zcrm_client *client) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    zcrm_target target = target_of("Contacts", "1", NULL);
    zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_READER, .name = ZCRM_CSTR("a"), .length = 9, .read = breaks};
    zcrm_error *err = NULL;
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err), ZCRM_E_CALLBACK, &err, "a call after which no file can be opened");
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(without_descriptors, "its SIGPIPE ends the process no more than another's");
}

static zcrm_status zeros(void *user, uint8_t *buf, size_t cap, size_t *n) {
    size_t *left = user;
    *n = cap < *left ? cap : *left;
    memset(buf, 0, *n);
    *left -= *n;
    return ZCRM_OK;
}

/* An upload to the peer; gives whether it failed, as it must. */
static int upload(zcrm_client *client, size_t length, int reader) {
    static uint8_t data[LENGTH];
    zcrm_target target = target_of("Contacts", "1", NULL);
    zcrm_source source = memory_source("a.bin", data, length);
    size_t left = length;
    if (reader) {
        source.kind = ZCRM_FROM_READER;
        source.length = (int64_t)length;
        source.read = zeros;
        source.user = &left;
        source.data = NULL;
        source.data_len = 0;
    }
    zcrm_error *err = NULL;
    zcrm_status status = zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err);
    zcrm_error_free(err);
    return status != ZCRM_OK;
}

int main(void) {
    struct server server = {0};
    pthread_t thread;
    struct sigaction action;
    sigset_t before, after, pending;
    server_bind(&server, 16);
    pthread_create(&thread, NULL, leave, &server.listener);
    zcrm_config *config = config_for(server.url);
    set(config, "settle", "off");
    zcrm_client *client = client_of(config);
    sigaction(SIGPIPE, NULL, &action);
    CHECK(action.sa_handler == SIG_DFL, "SIGPIPE ends this process");
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    int failed = 0;
    for (int i = 0; i < ROUNDS / (is_slow() ? 6 : 1); i++) failed += upload(client, i % 3 ? LENGTH : 3000, i & 1);
    CHECK(failed == ROUNDS / (is_slow() ? 6 : 1), "a peer that leaves is an error");
    with_no_descriptor_left(client);
    CHECK(1, "the process lives");
    sigaction(SIGPIPE, NULL, &action);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    sigpending(&pending);
    CHECK(action.sa_handler == SIG_DFL, "the handler is the host's");
    CHECK(sigismember(&before, SIGPIPE) == sigismember(&after, SIGPIPE), "the signal mask is the host's");
    CHECK(!sigismember(&pending, SIGPIPE), "no signal is left behind");
    zcrm_client_free(client);
    stop = 1;
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    close(server.listener);
    return finish();
}
