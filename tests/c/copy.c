/* Attachments are copied through pipes, a download into the one end and an upload out of the other, at once and with few places: each upload
   waits for a download, which waits for a place. In one process, and between two that share their places. */
#include <poll.h>
#include <sys/wait.h>

#include "check.h"

enum { ATTACHMENTS = 64, WORKERS = 8, BYTES = 200000 };

static zcrm_client *client;
static char ids[ATTACHMENTS][32];
static _Atomic int next, wrong;
static int copies;
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
    for (int i; (i = next++) < copies;) copy_one(ids[i], "copy");
    return NULL;
}

static zcrm_client *client_with_one_place(int shared) {
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    set(config, "max_in_flight", "1");
    char file[1024];
    snprintf(file, sizeof file, "%s/token", env("ZCRM_TEST_DIR"));
    if (shared) set(config, "token_file", file);
    return client_of(config);
}

static void copy_all(const char *settings, int attachments, zcrm_client *with) {
    copies = is_slow() ? WORKERS : attachments;
    client = with;
    next = wrong = 0;
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++) pthread_create(&threads[i], NULL, work, NULL);
    for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
    if (!CHECK(wrong == 0, settings)) printf("     %d calls failed\n", wrong);
    zcrm_client_free(client);
}

/* Two processes: the other one downloads into the pipe what it is told, one attachment after the other. */
struct other {
    int told, bytes; /* pipes' ends: for ids, and for what is downloaded */
    pid_t pid;
};

static void download_what_is_told(int told, int bytes) {
    char id[32];
    client = client_with_one_place(1);
    while (read(told, id, sizeof id) == sizeof id) {
        alarm(120);
        struct copy copy = {-1, dup(bytes), id};
        download(&copy);
    }
    zcrm_client_free(client);
    _exit(0);
}

static struct other other_process(void) {
    int told[2], bytes[2];
    if (pipe(told) || pipe(bytes)) exit(2);
    pid_t pid = fork();
    if (pid == 0) {
        close(told[1]);
        close(bytes[0]);
        download_what_is_told(told[0], bytes[1]);
    }
    close(told[0]);
    close(bytes[1]);
    return (struct other){told[1], bytes[0], pid};
}

struct piped {
    const struct other *other;
    const char *id; /* to be told to the other process; NULL once it is */
    size_t left;
};

static void tell(struct piped *piped) {
    if (piped->id && write(piped->other->told, piped->id, sizeof ids[0]) != sizeof ids[0]) exit(2);
    piped->id = NULL;
}

static zcrm_status out_of_other(void *user, uint8_t *buf, size_t cap, size_t *n) {
    struct piped *piped = user;
    tell(piped);
    ssize_t got = read(piped->other->bytes, buf, cap < piped->left ? cap : piped->left);
    if (got < 0) return ZCRM_E_IO;
    piped->left -= (size_t)got;
    *n = (size_t)got;
    return ZCRM_OK;
}

/* Either the upload has the place, and its reader waits for the download; or the download, whose writer waits for the upload. */
static void copy_between_processes(const struct other *other, int upload_first, const char *what) {
    zcrm_error *err = NULL;
    client = client_with_one_place(1);
    for (int i = 0; i < 3; i++) {
        struct piped piped = {other, ids[i], BYTES};
        if (!upload_first) {
            tell(&piped);
            if (poll(&(struct pollfd){.fd = other->bytes, .events = POLLIN}, 1, 60000) != 1) exit(2);
        }
        zcrm_target to = contact();
        zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_READER, .name = ZCRM_CSTR("copy"), .length = BYTES, .read = out_of_other, .user = &piped};
        zcrm_call call = {.struct_size = sizeof call, .timeout_ms = 60000};
        EXPECT(zcrm_attachment_upload(client, &to, &source, &call, NULL, &err), ZCRM_OK, &err, what);
    }
    zcrm_client_free(client);
}

int main(void) {
    zcrm_error *err = NULL;
    struct other other = other_process(); /* before this one has made anything */
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
    copy_all("copies through pipes with the default settings", ATTACHMENTS, emulator());
    copy_all("copies through pipes with one place", ATTACHMENTS, client_with_one_place(0));
    copy_all("copies through pipes with one place that processes share", 2 * WORKERS, client_with_one_place(1));
    copy_between_processes(&other, 1, "a copy between two processes whose upload has the only place");
    copy_between_processes(&other, 0, "a copy between two processes whose download has the only place");
    close(other.told);
    waitpid(other.pid, NULL, 0);
    return finish();
}
