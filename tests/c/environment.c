/* Nothing of the library reads the environment once a client is made: another thread of the host may be changing it. (The system's own look-up of
   names does, as it does for every program.) */
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static _Atomic int watched, reads;

/* What the program defines takes the place of the C library's function, for the library too. */
char *getenv(const char *name) {
    static char *(*real)(const char *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "getenv");
    Dl_info caller;
    if (watched && dladdr(__builtin_return_address(0), &caller) && strstr(caller.dli_fname, "libzcrm")) {
        if (!reads++) printf("     %s is read\n", name);
    }
    return real(name);
}

static zcrm_status three_bytes(void *user, uint8_t *buf, size_t cap, size_t *n) {
    (void)cap;
    *n = *(int *)user ? 0 : 3;
    if (*n) memcpy(buf, "abc", 3);
    *(int *)user = 1;
    return ZCRM_OK;
}

static zcrm_client *by_name(const char *port) {
    char url[64];
    snprintf(url, sizeof url, "http://localhost:%s", port);
    zcrm_config *config = config_for(url);
    set(config, "proxy", "env");
    return client_of(config);
}

int main(void) {
    zcrm_error *err = NULL;
    watched = 1;
    zcrm_config *first = config_for(env("ZCRM_TEST_URL"));
    set(first, "proxy", "env");
    zcrm_config_free(first);
    CHECK(reads > 0, "this program sees who reads: a setting that says so does");
    zcrm_client *client = by_name(strrchr(env("ZCRM_TEST_URL"), ':') + 1);
    reads = 0;

    zcrm_target target = contact();
    int ended = 0;
    zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_READER, .name = ZCRM_CSTR("a"), .length = -1, .read = three_bytes, .user = &ended};
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a call that makes a connection");
    CHECK(reads == 0, "a connection, and the look-up of a name");
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err), ZCRM_OK, &err, "an upload of unknown length");
    CHECK(reads == 0, "a temporary file");
    zcrm_batch *batch = NULL;
    char step[256];
    snprintf(step, sizeof step, "{\"operation\":\"attachment.list\",\"module\":\"Contacts\",\"record_id\":\"%s\"}", env("ZCRM_TEST_RECORD"));
    EXPECT(zcrm_batch_new(&batch), ZCRM_OK, NULL, "a batch");
    for (int i = 0; i < 4; i++) {
        char key[2] = {(char)('0' + i), 0};
        EXPECT(zcrm_batch_add(batch, key, step, ZCRM_NUL, &err), ZCRM_OK, &err, "a step");
    }
    EXPECT(zcrm_batch_run(client, batch, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a batch of four steps");
    CHECK(reads == 0, "threads of a batch");
    zcrm_batch_free(batch);
    /* The child tells by a pipe: under valgrind it ends badly for what it leaves of its parent's. */
    int answer[2], good = 0;
    CHECK(pipe(answer) == 0, "a pipe");
    pid_t child = fork();
    if (child == 0) {
        good = zcrm_attachment_list(client, &target, NULL, NULL, NULL, NULL) == ZCRM_OK && reads == 0;
        _exit(write(answer[1], &good, sizeof good) != sizeof good);
    }
    close(answer[1]);
    CHECK(read(answer[0], &good, sizeof good) == sizeof good && good, "the first call of a forked child");
    waitpid(child, NULL, 0);
    close(answer[0]);
    zcrm_client_free(client);
    return finish();
}
