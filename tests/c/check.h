/* What the C tests share: one line for each check, and a client for a server. */
#ifndef CHECK_H
#define CHECK_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "zcrm.h"

static int failures;
static _Atomic int canary_lines, canary_errors;

static inline int check(int holds, const char *what, int line) {
    printf("%s %s\n", holds ? "ok  " : "FAIL", what);
    if (!holds) {
        printf("     in line %d\n", line);
        failures++;
    }
    fflush(stdout);
    return holds;
}

#define CHECK(condition, what) check((condition) ? 1 : 0, what, __LINE__)

/* Fails when a text that is shown holds a secret of this run, or anything of a token's form. */
static inline void canary(const char *text, const char *where) {
    static const char *const secrets[] = {"ZCRM_TEST_TOKEN", "ZCRM_TEST_CLIENT_SECRET", "ZCRM_TEST_REFRESH_TOKEN", "ZCRM_TEST_GRANT_CODE"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) {
        const char *secret = getenv(secrets[i]);
        if (secret && *secret && strstr(text, secret)) CHECK(0, where);
    }
    for (const char *token = text; (token = strstr(token, "1000.")); token += 5) {
        if (strspn(token + 5, "0123456789abcdef") >= 16) CHECK(0, where);
    }
}

static inline void canary_line(void *unused, int32_t level, const char *line, size_t len) {
    (void)unused, (void)level, (void)len;
    canary_lines++;
    canary(line, "no secret is in a log line");
}

static inline void canary_error(const zcrm_error *err) {
    canary_errors++;
    canary(zcrm_error_json(err), "no secret is in an error's JSON");
    canary(zcrm_error_message(err), "no secret is in an error's message");
    canary(zcrm_error_api_code(err), "no secret is in an error's code");
}

/* Whether a call returned what it should. Prints and frees the error, and leaves NULL behind. */
static inline void expect(zcrm_status got, zcrm_status wanted, zcrm_error **err, const char *what, int line) {
    if (!check(got == wanted, what, line)) {
        printf("     wanted %s, got %s: %s\n", zcrm_status_name(wanted), zcrm_status_name(got), err ? zcrm_error_json(*err) : "");
    }
    if (err) {
        if (*err) canary_error(*err);
        zcrm_error_free(*err);
        *err = NULL;
    }
}

#define EXPECT(call, status, err, what) expect(call, status, err, what, __LINE__)

static inline int finish(void) {
    char arguments[4096] = "";
    FILE *file = fopen("/proc/self/cmdline", "r");
    size_t n = file ? fread(arguments, 1, sizeof arguments - 1, file) : 0;
    if (file) fclose(file);
    for (size_t i = 0; i < n; i++) {
        if (!arguments[i]) arguments[i] = ' ';
    }
    canary(arguments, "no secret is in the process's arguments");
    printf("looked for secrets in %d log lines and %d errors\n", canary_lines, canary_errors);
    printf(failures ? "%d checks failed\n" : "all checks hold\n", failures);
    return failures != 0;
}

static inline const char *env(const char *name) {
    const char *value = getenv(name);
    if (!value) {
        fprintf(stderr, "%s is not set\n", name);
        exit(2);
    }
    return value;
}

/* Whether the program runs many times slower than usual, under valgrind. */
static inline int is_slow(void) { return getenv("ZCRM_TEST_SLOW") != NULL; }

static inline void set(zcrm_config *config, const char *key, const char *value) {
    zcrm_error *err = NULL;
    if (zcrm_config_set(config, key, value, ZCRM_NUL, &err) != ZCRM_OK) {
        fprintf(stderr, "%s: %s\n", key, zcrm_error_message(err));
        exit(2);
    }
}

static inline zcrm_config *config_for(const char *url) {
    zcrm_config *config = NULL;
    if (zcrm_config_new(&config) != ZCRM_OK) exit(2);
    set(config, "api_domain", url);
    set(config, "accounts_url", url);
    if (strstr(url, ".invalid")) set(config, "allow_http", "on"); /* names that lead nowhere */
    set(config, "access_token", getenv("ZCRM_TEST_TOKEN") ? getenv("ZCRM_TEST_TOKEN") : "1000.test");
    set(config, "max_retries", "0");
    zcrm_config_set_log_fn(config, 5, canary_line, NULL, NULL);
    return config;
}

static inline zcrm_client *client_of(zcrm_config *config) {
    zcrm_error *err = NULL;
    zcrm_client *client = NULL;
    if (zcrm_client_new(config, &client, &err) != ZCRM_OK) {
        fprintf(stderr, "client: %s\n", zcrm_error_message(err));
        exit(2);
    }
    zcrm_config_free(config);
    return client;
}

static inline zcrm_client *client_for(const char *url) { return client_of(config_for(url)); }

static inline zcrm_client *emulator(void) { return client_for(env("ZCRM_TEST_URL")); }

static inline zcrm_target target_of(const char *module, const char *record, const char *attachment) {
    zcrm_target target = {sizeof target, ZCRM_CSTR(module), ZCRM_CSTR(record), {attachment, attachment ? ZCRM_NUL : 0}};
    return target;
}

/* A contact of the emulator without attachments. */
static inline zcrm_target contact(void) { return target_of("Contacts", env("ZCRM_TEST_RECORD"), NULL); }

static inline zcrm_source memory_source(const char *name, const void *data, size_t len) {
    zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_MEMORY, .name = ZCRM_CSTR(name), .data = data, .data_len = len};
    return source;
}

static inline zcrm_sink memory_sink(void) {
    zcrm_sink sink = {.struct_size = sizeof sink, .kind = ZCRM_TO_MEMORY};
    return sink;
}

/* Uploads a small text to the emulator's contact and writes its id. */
static inline void upload_text(zcrm_client *client, const char *name, const char *text, char id[32]) {
    zcrm_error *err = NULL;
    zcrm_result *result = NULL;
    zcrm_target target = contact();
    zcrm_source source = memory_source(name, text, strlen(text));
    zcrm_attachment stored = {.struct_size = sizeof stored};
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, &result, &err), ZCRM_OK, &err, "a small text is attached");
    EXPECT(zcrm_result_attachment(result, 0, &stored, &err), ZCRM_OK, &err, "what was stored can be read");
    snprintf(id, 32, "%s", stored.id.ptr ? stored.id.ptr : "");
    zcrm_result_free(result);
}

static inline double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static inline void sleep_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

#endif
