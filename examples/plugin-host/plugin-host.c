/*
 * plugin-host: runs steps from standard input, one JSON object a line, and writes one line for each to standard output, in the same order.
 *
 *   cc -o plugin-host plugin-host.c -I../../include -pthread -ldl
 *   ZCRM_ACCESS_TOKEN=... ./plugin-host -l ./libzcrm.so -n 8 < steps.ndjson > results.ndjson
 *
 * It knows zcrm only through dlopen() and zcrm_plugin_init(): an engine would load it the same way. A step that fails is a line
 * {"line":7,"error":{...}}; blank lines are passed over. Settings come from a profile (ZCRM_PROFILE names it, ZCRM_PROFILES another file of
 * profiles), then from a file of key=value lines (-c), then from the environment: ZCRM_API_DOMAIN is api_domain, and so on.
 *
 * Exit code: 0 every step was done; 1 some failed; 2 nothing could be started, or input or output broke; 3 ended by SIGINT or SIGTERM;
 * 4 none failed, and nobody knows of some whether they were done.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "zcrm.h"

enum { MAX_THREADS = 256, EMPTY = 0, FILLED, DONE };

struct slot {
    int state;
    char *line; /* the step, then its result */
    size_t len, number;
};

static zcrm_plugin_v1 zcrm;
static zcrm_client *client;
static zcrm_cancel *stop;
/* A ring of steps: lines [printed, taken) are being run, [taken, queued) wait. Everything is under one lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct slot ring[2 * MAX_THREADS];
static size_t size, queued, taken, printed;
static _Atomic int ended, failed, unknown, stopped; /* the last by a signal */

static void die(const char *what, const char *why) {
    fprintf(stderr, "plugin-host: %s: %s\n", what, why);
    exit(2);
}

static void load(const char *path) {
    zcrm_status (*init)(uint32_t, zcrm_plugin_v1 *, size_t);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library) die("library", dlerror());
    *(void **)&init = dlsym(library, "zcrm_plugin_init");
    if (!init) die(path, "is not zcrm");
    if (init(ZCRM_ABI_VERSION, &zcrm, sizeof zcrm) != ZCRM_OK || zcrm.struct_size < sizeof zcrm) die(path, "is another version of zcrm");
}

static void set(zcrm_config *config, const char *key, const char *value, const char *from) {
    zcrm_error *err = NULL;
    if (zcrm.config_set(config, key, value, ZCRM_NUL, &err) != ZCRM_OK) die(from, zcrm.error_message(err));
}

static void set_from_file(zcrm_config *config, const char *path) {
    char *line = NULL;
    size_t cap = 0;
    FILE *file = fopen(path, "r");
    if (!file) die("can't read the settings", path);
    while (getline(&line, &cap, file) > 0) {
        line[strcspn(line, "\r\n")] = 0;
        char *value = strchr(line, '=');
        if (line[0] == 0 || line[0] == '#') continue;
        if (!value) die(path, "a line is not key=value");
        *value = 0;
        set(config, line, value + 1, path);
    }
    free(line);
    fclose(file);
}

static void set_from_environment(zcrm_config *config) {
    for (char **entry = environ; *entry; entry++) {
        char key[64];
        size_t n = 0;
        const char *name = *entry + 5, *value = strchr(*entry, '=');
        if (strncmp(*entry, "ZCRM_", 5) != 0 || !value || value - name >= (long)sizeof key) continue;
        for (; name + n < value; n++) key[n] = (char)tolower((unsigned char)name[n]);
        key[n] = 0;
        if (!strcmp(key, "profile") || !strcmp(key, "profiles")) continue; /* loaded before */
        if (!strcmp(key, "library") || !strcmp(key, "module") || !strcmp(key, "record_id")) continue; /* not settings, but the examples' own */
        set(config, key, value + 1, "environment (ZCRM_…)");
    }
}

static void start_client(const char *settings) {
    zcrm_config *config = NULL;
    zcrm_error *err = NULL;
    if (zcrm.config_new(&config) != ZCRM_OK || zcrm.cancel_new(&stop) != ZCRM_OK) die("start", "no memory");
    const char *profile = getenv("ZCRM_PROFILE"), *profiles = getenv("ZCRM_PROFILES");
    if ((profile || profiles) && zcrm.config_load_profile(config, profiles, profile, &err) != ZCRM_OK) die("profile", zcrm.error_message(err));
    if (settings) set_from_file(config, settings);
    set_from_environment(config);
    if (zcrm.client_new(config, &client, &err) != ZCRM_OK) die("client", zcrm.error_message(err));
    zcrm.config_free(config);
}

/* What the exit code tells of a step: of a batch what became of its steps, as the batch itself is done. */
static void note_end(zcrm_status status, const zcrm_result *result) {
    zcrm_batch_summary of = {.struct_size = sizeof of, .failed = status != ZCRM_OK, .unknown = status == ZCRM_E_OUTCOME_UNKNOWN};
    if (status == ZCRM_OK) zcrm.result_batch(result, &of, NULL); /* of no batch it leaves them alone */
    failed |= of.failed > of.unknown || of.left;
    unknown |= of.unknown > 0;
}

/* Runs one step, and puts the line to print in its place. */
static void run(struct slot *slot) {
    zcrm_call call = {.struct_size = sizeof call, .cancel = stop};
    zcrm_result *result = NULL;
    zcrm_error *err = NULL;
    char *text;
    zcrm_status status = zcrm.step_run(client, slot->line, slot->len, &call, &result, &err);
    int n = status == ZCRM_OK ? asprintf(&text, "%s", zcrm.result_json(result, NULL))
                              : asprintf(&text, "{\"line\":%zu,\"error\":%s}", slot->number, zcrm.error_json(err));
    if (n < 0) die("result", "no memory");
    note_end(status, result);
    zcrm.result_free(result);
    zcrm.error_free(err);
    free(slot->line);
    slot->line = text;
}

/* Prints what is done and next in order; the lock is held. */
static void print_done(void) {
    for (; printed < taken && ring[printed % size].state == DONE; printed++) {
        if (puts(ring[printed % size].line) < 0) die("output can't be written", strerror(errno));
        free(ring[printed % size].line);
        ring[printed % size].state = EMPTY;
    }
    if (fflush(stdout) == EOF) die("output can't be written", strerror(errno));
    pthread_cond_broadcast(&changed);
}

static void *work(void *unused) {
    pthread_mutex_lock(&lock);
    for (;;) {
        while (taken == queued && !ended) pthread_cond_wait(&changed, &lock);
        if (taken == queued) break; /* nothing waits, and nothing comes any more */
        struct slot *slot = &ring[taken++ % size];
        pthread_mutex_unlock(&lock);
        run(slot);
        pthread_mutex_lock(&lock);
        slot->state = DONE;
        print_done();
    }
    pthread_mutex_unlock(&lock);
    return unused;
}

/* On SIGINT or SIGTERM what runs is cancelled, in an orderly way: no half file is left. Whoever reads the results has a second for them;
 * a printer whose reader doesn't read holds the lock. */
static void *await_signal(void *signals) {
    sigwait(signals, &(int){0});
    stopped = 1;
    zcrm.cancel_fire(stop);
    for (int told = 0, tries = 0; !told && tries < 100; tries++) {
        usleep(10000);
        if (pthread_mutex_trylock(&lock) != 0) continue;
        told = printed == queued;
        pthread_mutex_unlock(&lock);
    }
    _exit(3);
}

static void read_steps(void) {
    char *line = NULL;
    size_t cap = 0, number = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) >= 0; line = NULL, cap = 0) {
        while (n > 0 && isspace((unsigned char)line[n - 1])) n--;
        number++;
        if (n == 0) {
            free(line);
            continue;
        }
        pthread_mutex_lock(&lock);
        while (ring[queued % size].state != EMPTY) pthread_cond_wait(&changed, &lock);
        ring[queued++ % size] = (struct slot){FILLED, line, (size_t)n, number};
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    free(line);
    if (ferror(stdin)) die("input can't be read", strerror(errno));
    pthread_mutex_lock(&lock);
    ended = 1;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

int main(int count, char **arguments) {
    const char *library = getenv("ZCRM_LIBRARY"), *settings = NULL;
    int option, describe = 0, threads = 4;
    while ((option = getopt(count, arguments, "l:c:n:dh")) != -1) {
        if (option == 'l') library = optarg;
        if (option == 'c') settings = optarg;
        if (option == 'n') threads = atoi(optarg);
        if (option == 'd') describe = 1;
        if (option == 'h' || option == '?') die("usage", "plugin-host [-l library] [-c settings] [-n threads] [-d (print what steps there are)]");
    }
    if (fcntl(STDIN_FILENO, F_GETFD) < 0 || fcntl(STDOUT_FILENO, F_GETFD) < 0) die("standard input or output", "is closed");
    if (threads < 1 || threads > MAX_THREADS) die("-n", "give 1 to 256 threads");
    load(library ? library : "libzcrm.so.0");
    if (describe && (puts(zcrm.describe()) < 0 || fflush(stdout) == EOF)) die("output can't be written", strerror(errno));
    if (describe) return 0;
    start_client(settings);
    pthread_t workers[MAX_THREADS], waiter;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    size = 2 * (size_t)threads;
    pthread_create(&waiter, NULL, await_signal, &signals);
    for (int i = 0; i < threads; i++)
        if (pthread_create(&workers[i], NULL, work, NULL)) die("thread", "can't be started");
    read_steps();
    for (int i = 0; i < threads; i++) pthread_join(workers[i], NULL);
    zcrm.client_free(client);
    return stopped ? 3 : failed ? 1 : unknown ? 4 : 0;
}
