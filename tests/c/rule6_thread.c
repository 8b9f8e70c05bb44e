/* What a call does to the thread that makes it, and to the host's signals: nothing that lasts. */
#include <signal.h>

#include "server.h"

/* pthread_cancel takes effect after the call, and not inside of it. */
static _Atomic int in_callback, returned;

static int32_t wait_for_cancel(void *user, uint64_t done, int64_t total) {
    (void)user, (void)done, (void)total;
    if (in_callback) return 0;
    in_callback = 1;
    while (in_callback == 1) usleep(1000); /* a cancellation point */
    return 0;
}

static void *uploads(void *client) {
    zcrm_target target = contact();
    zcrm_source source = memory_source("cancelled.txt", "text", 4);
    zcrm_call call = {.struct_size = sizeof call, .progress = wait_for_cancel};
    zcrm_status status = zcrm_attachment_upload(client, &target, &source, &call, NULL, NULL);
    returned = status == ZCRM_OK ? 1 : -1;
    pthread_testcancel();
    returned = -2;
    return NULL;
}

static void a_cancelled_thread_ends_after_its_call(zcrm_client *client) {
    pthread_t thread;
    void *end = NULL;
    pthread_create(&thread, NULL, uploads, client);
    while (!in_callback) sleep_ms(1);
    pthread_cancel(thread);
    sleep_ms(20);
    in_callback = 2;
    pthread_join(thread, &end);
    CHECK(returned == 1 && end == PTHREAD_CANCELED, "pthread_cancel takes effect after the call, which succeeds");
}

static zcrm_cancel *ends_it;

static void *lists(void *client) {
    zcrm_target target = contact();
    zcrm_call call = {.struct_size = sizeof call, .cancel = ends_it};
    zcrm_attachment_list(client, &target, NULL, &call, NULL, NULL);
    pthread_testcancel();
    return NULL;
}

static void a_thread_cancelled_on_the_network_ends_after_its_call(void) {
    struct server silent;
    pthread_t thread;
    void *end = NULL;
    server_start(&silent, 1, NULL);
    zcrm_config *config = config_for(silent.url);
    zcrm_cancel_new(&ends_it);
    zcrm_client *client = client_of(config);
    pthread_create(&thread, NULL, lists, client);
    while (!silent.requests) sleep_ms(1);
    pthread_cancel(thread);
    sleep_ms(20);
    zcrm_cancel_fire(ends_it);
    pthread_join(thread, &end);
    zcrm_cancel_free(ends_it);
    ends_it = NULL;
    CHECK(end == PTHREAD_CANCELED, "the same for a call that waits for the network");
    zcrm_client_free(client);
    server_end(&silent);
}

/* Destructors of thread-specific data run after those of the library's own. */
static pthread_key_t key;
static _Atomic int rounds, other_ends;

#ifdef __SANITIZE_THREAD__
enum { LEAST_ROUNDS = 1 }; /* ThreadSanitizer's own part of a thread is gone before the later ones */
#else
enum { LEAST_ROUNDS = 3 };
#endif

/* Data that is set in a destructor is destroyed in a further round, when more of the thread is gone. */
static void list_at_the_end(void *client) {
    zcrm_target target = contact();
    zcrm_status status = zcrm_attachment_list(client, &target, NULL, NULL, NULL, NULL);
    other_ends += status != ZCRM_OK && status != ZCRM_E_STATE;
    rounds++;
    if (LEAST_ROUNDS > 1) pthread_setspecific(key, client);
}

static void *lists_at_its_end(void *client) {
    pthread_setspecific(key, client);
    return lists(client);
}

static void *lists_only_at_its_end(void *client) {
    pthread_setspecific(key, client);
    return NULL;
}

static void an_operation_at_a_threads_end_fails_for_itself_at_most(zcrm_client *client) {
    zcrm_error *err = NULL;
    zcrm_target target = contact();
    pthread_t threads[2];
    int n = is_slow() ? 1 : 2; /* what a thread first uses at its end glibc frees no more, and valgrind calls that a leak */
    pthread_key_create(&key, list_at_the_end);
    pthread_create(&threads[0], NULL, lists_at_its_end, client);
    if (n > 1) pthread_create(&threads[1], NULL, lists_only_at_its_end, client);
    for (int i = 0; i < n; i++) pthread_join(threads[i], NULL);
    CHECK(rounds >= LEAST_ROUNDS && !other_ends, "an operation in a destructor of a thread works, or is refused");
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "and the client goes on for the others");
    pthread_key_delete(key);
}

/* A SIGPIPE that was sent to the process is the host's, and nobody waits for a second one. */
static _Atomic int stop, calls;

static void *refused_at_once(void *client) {
    zcrm_target target = target_of("-", "1", NULL);
    while (!stop) {
        zcrm_attachment_list(client, &target, NULL, NULL, NULL, NULL);
        calls++;
    }
    return NULL;
}

static void a_sigpipe_of_the_process_is_the_hosts(zcrm_client *client) {
    enum { THREADS = 6 };
    pthread_t threads[THREADS];
    sigset_t sigpipe, before, pending;
    enum { ROUNDS = 200 };
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &before); /* the threads inherit it, so that it stays pending */
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, refused_at_once, client);
    int still = 0, eaten = 0;
    for (int i = 0; i < ROUNDS; i++) {
        int seen = calls, waited = 0;
        kill(getpid(), SIGPIPE);
        while (calls < seen + 2 * THREADS && waited++ < 3000) sleep_ms(1);
        still += waited > 3000;
        sigpending(&pending);
        eaten += !sigismember(&pending, SIGPIPE);
        sigtimedwait(&sigpipe, NULL, &(struct timespec){0, 0});
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK(!still, "no call waits for a signal");
    CHECK(!eaten, "none takes the process's away");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Signals are for the host's threads: those of a batch have them blocked. */
static _Atomic int asked, open_signals;

static zcrm_status ask(void *token, int32_t force, char *buf, size_t cap, size_t *n) {
    (void)force;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    asked++;
    open_signals += !sigismember(&mask, SIGTERM) || !sigismember(&mask, SIGUSR1) || sigismember(&mask, SIGSEGV);
    *n = strlen(token);
    if (*n > cap) return 1;
    memcpy(buf, token, *n);
    return ZCRM_OK;
}

static void threads_of_a_batch_take_no_signals(void) {
    zcrm_error *err = NULL;
    zcrm_batch *batch = NULL;
    zcrm_config *config = NULL;
    char step[256];
    zcrm_config_new(&config);
    set(config, "api_domain", env("ZCRM_TEST_URL"));
    zcrm_config_set_token_fn(config, ask, (void *)env("ZCRM_TEST_TOKEN"), NULL);
    zcrm_client *client = client_of(config);
    zcrm_batch_new(&batch);
    snprintf(step, sizeof step, "{\"operation\":\"attachment.list\",\"module\":\"Contacts\",\"record_id\":\"%s\"}", env("ZCRM_TEST_RECORD"));
    EXPECT(zcrm_batch_add(batch, "list", step, ZCRM_NUL, &err), ZCRM_OK, &err, "a step");
    EXPECT(zcrm_batch_run(client, batch, NULL, NULL, NULL, &err), ZCRM_OK, &err, "runs in a batch");
    CHECK(asked > 0 && !open_signals, "on a thread that takes none of the host's signals, but for faults");
    zcrm_batch_free(batch);
    zcrm_client_free(client);
}

int main(void) {
    zcrm_client *client = emulator();
    a_cancelled_thread_ends_after_its_call(client);
    a_thread_cancelled_on_the_network_ends_after_its_call();
    an_operation_at_a_threads_end_fails_for_itself_at_most(client);
    if (!is_slow()) a_sigpipe_of_the_process_is_the_hosts(client); /* valgrind and the sanitizers have signals of the process their own way */
    threads_of_a_batch_take_no_signals();
    zcrm_client_free(client);
    return finish();
}
