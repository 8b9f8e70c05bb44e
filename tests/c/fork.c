/* A process forks while its threads are in calls: the child goes on with the client, and with one of its own; the parent notices nothing. */
#include <signal.h>
#include <sys/wait.h>

#include "check.h"

enum { MOST = 32, FORKS = 50 };

static zcrm_client *client;
static _Atomic int stop, wrong, calls;

static void *work(void *unused) {
    (void)unused;
    zcrm_target target = contact();
    while (!stop) {
        wrong += zcrm_attachment_list(client, &target, NULL, NULL, NULL, NULL) != ZCRM_OK;
        calls++;
    }
    return NULL;
}

/* The calls of a child. What it prints would come out of the parent's buffers, so it answers by a byte; and not by its exit status, which is a
   leak checker's: what the parent holds can't be freed by the child. */
static void child(int answer) {
    alarm(20);
    zcrm_target target = contact();
    zcrm_call call = {.struct_size = sizeof call, .timeout_ms = 15000};
    char good = zcrm_attachment_list(client, &target, NULL, &call, NULL, NULL) == ZCRM_OK;
    zcrm_client *own = emulator();
    good &= zcrm_attachment_list(own, &target, NULL, &call, NULL, NULL) == ZCRM_OK;
    zcrm_client_free(own);
    good &= zcrm_attachment_list(client, &target, NULL, &call, NULL, NULL) == ZCRM_OK;
    _exit(write(answer, &good, 1) != 1);
}

static int forked(void) {
    int pipes[2];
    char good = 0;
    if (pipe(pipes)) exit(2);
    pid_t pid = fork();
    if (pid == 0) child(pipes[1]);
    close(pipes[1]);
    int answered = read(pipes[0], &good, 1) == 1 && good == 1;
    close(pipes[0]);
    waitpid(pid, NULL, 0);
    return answered;
}

static void with_busy_threads(int busy, int forks) {
    pthread_t threads[MOST];
    int answered = 0;
    char what[64];
    stop = 0;
    for (int i = 0; i < busy; i++) pthread_create(&threads[i], NULL, work, NULL);
    while (busy && !calls) sleep_ms(1);
    for (int i = 0; i < forks; i++) answered += forked();
    stop = 1;
    for (int i = 0; i < busy; i++) pthread_join(threads[i], NULL);
    snprintf(what, sizeof what, "%d forks beside %d busy threads", forks, busy);
    if (!CHECK(answered == forks, what)) printf("     %d children had no answer\n", forks - answered);
}

static zcrm_result *shared;
static zcrm_error *refused;
static _Atomic int begun;

static void *read_it(void *unused) {
    begun = 1;
    zcrm_result_json(shared, NULL);
    zcrm_error_json(refused);
    return unused;
}

/* A result and an error that a thread of the parent is just looking at for the first time can be read by the child. The page has so many rows that
   most forks fall into the time in which its JSON is made. */
static void with_results_being_read(int forks) {
    zcrm_target target = contact();
    zcrm_target other = target_of("-", "1", NULL);
    int answered = 0;
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d.txt", i);
        zcrm_source source = memory_source(name, "x", 1);
        wrong += zcrm_attachment_upload(client, &target, &source, NULL, NULL, NULL) != ZCRM_OK;
    }
    for (int i = 0; i < forks; i++) {
        pthread_t reader;
        wrong += zcrm_attachment_list(client, &target, NULL, NULL, &shared, NULL) != ZCRM_OK;
        wrong += zcrm_attachment_list(client, &other, NULL, NULL, NULL, &refused) != ZCRM_E_ARGUMENT;
        begun = 0;
        pthread_create(&reader, NULL, read_it, NULL);
        while (!begun) {}
        pid_t pid = fork();
        if (pid == 0) {
            alarm(20);
            int good = strlen(zcrm_result_json(shared, NULL)) > 1000 && zcrm_error_json(refused)[0] == '{';
            zcrm_attachment first = {.struct_size = sizeof first};
            good &= zcrm_result_attachment(shared, 0, &first, NULL) == ZCRM_OK;
            _exit(!good);
        }
        int status = 0;
        waitpid(pid, &status, 0);
        answered += WIFEXITED(status);
        pthread_join(reader, NULL);
        zcrm_result_free(shared);
        zcrm_error_free(refused);
        shared = NULL;
        refused = NULL;
    }
    CHECK(answered == forks, "a child reads what a thread of its parent is reading");
}

int main(void) {
    zcrm_error *err = NULL;
    zcrm_target target = contact();
    client = emulator();
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a call before the first fork");
    with_busy_threads(0, 3);
    for (int busy = 1; busy <= MOST && !is_slow(); busy += busy == 1 ? 3 : busy == 4 ? 4 : 24) with_busy_threads(busy, FORKS);
    with_results_being_read(is_slow() ? 3 : FORKS);
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a call after the last child ended");
    CHECK(wrong == 0, "the parent's calls");
    zcrm_client_free(client);
    return finish();
}
