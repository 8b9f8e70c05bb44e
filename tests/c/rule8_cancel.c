/* Rule 8: a call ends within 100 ms after its token is fired, in every phase, whatever the network does. */
#include "server.h"

static const char STALLED[] = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 100000000\r\n\r\nthe first bytes";
static const char BUSY[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";

enum { ROUNDS = 9, LARGE = 64 << 20 };

typedef zcrm_status operation(zcrm_client *client, const zcrm_call *call);

static zcrm_status list(zcrm_client *client, const zcrm_call *call) {
    zcrm_target target = target_of("Contacts", "123456789", NULL);
    return zcrm_attachment_list(client, &target, NULL, call, NULL, NULL);
}

static zcrm_status upload(zcrm_client *client, const zcrm_call *call) {
    static uint8_t bytes[LARGE];
    zcrm_target target = target_of("Contacts", "123456789", NULL);
    zcrm_source source = memory_source("large.bin", bytes, LARGE);
    return zcrm_attachment_upload(client, &target, &source, call, NULL, NULL);
}

static zcrm_status download(zcrm_client *client, const zcrm_call *call) {
    char path[512];
    snprintf(path, sizeof path, "%s/cancelled.bin", env("ZCRM_TEST_DIR"));
    zcrm_target target = target_of("Contacts", "123456789", "987654321");
    zcrm_sink sink = {.struct_size = sizeof sink, .kind = ZCRM_TO_FILE, .path = ZCRM_CSTR(path)};
    zcrm_status status = zcrm_attachment_download(client, &target, &sink, call, NULL, NULL);
    if (access(path, F_OK) == 0) CHECK(0, "a cancelled download leaves no file");
    return status;
}

struct shot { zcrm_cancel *token; double fired; };

static void *fire_later(void *argument) {
    struct shot *shot = argument;
    sleep_ms(is_slow() ? 1500 : 120);
    shot->fired = now_ms();
    zcrm_cancel_fire(shot->token);
    return NULL;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static zcrm_client *impatient_client(const char *url) {
    zcrm_config *config = config_for(url);
    set(config, "max_retries", "5");
    set(config, "retry_base_ms", "30000");
    return client_of(config);
}

/* A client that has to ask the silent server for a token first. */
static zcrm_client *client_without_token(const char *url) {
    zcrm_config *config = NULL;
    zcrm_config_new(&config);
    set(config, "accounts_url", url);
    set(config, "client_id", "1000.a");
    set(config, "client_secret", "b");
    set(config, "refresh_token", "1000.c.d");
    return client_of(config);
}

/* The machine may be busy: the median must keep the promise, and the slowest must stay within a generous bound. */
static void phase_of(const char *name, zcrm_client *connect(const char *url), const char *url, operation *run) {
    double took[ROUNDS];
    int rounds = is_slow() ? 1 : ROUNDS, cancelled = 0;
    for (int i = 0; i < rounds; i++) {
        zcrm_client *client = connect(url);
        struct shot shot = {NULL, 0};
        zcrm_cancel_new(&shot.token);
        pthread_t thread;
        pthread_create(&thread, NULL, fire_later, &shot);
        zcrm_call call = {.struct_size = sizeof call, .cancel = shot.token};
        cancelled += run(client, &call) == ZCRM_E_CANCELLED;
        double returned = now_ms();
        pthread_join(thread, NULL);
        took[i] = returned - shot.fired;
        zcrm_cancel_free(shot.token);
        zcrm_client_free(client);
    }
    qsort(took, (size_t)rounds, sizeof *took, ascending);
    printf("     %-24s median %6.2f ms, slowest %6.2f ms of %d\n", name, took[rounds / 2], took[rounds - 1], rounds);
    CHECK(cancelled == rounds && took[0] > 0, name);
    CHECK(took[rounds / 2] <= (is_slow() ? 5000 : 100), "within 100 ms in the median");
    CHECK(took[rounds - 1] <= (is_slow() ? 5000 : 1000), "never much later");
}

struct waiting { zcrm_client *client; zcrm_call call; zcrm_status status; };

static void *wait_for_token(void *argument) {
    struct waiting *w = argument;
    w->status = list(w->client, &w->call);
    return NULL;
}

/* One call asks for the token, the others wait for what it gets: each can be cancelled by itself. */
static void behind_a_token_request(const char *url) {
    struct waiting all[3] = {{.client = client_without_token(url)}};
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        zcrm_cancel *token = NULL;
        zcrm_cancel_new(&token);
        all[i] = (struct waiting){all[0].client, {.struct_size = sizeof(zcrm_call), .cancel = token}, -1};
        pthread_create(&threads[i], NULL, wait_for_token, &all[i]);
        sleep_ms(is_slow() ? 1000 : 100);
    }
    for (int i = 2; i >= 0; i--) {
        double fired = now_ms();
        zcrm_cancel_fire(all[i].call.cancel);
        pthread_join(threads[i], NULL);
        CHECK(all[i].status == ZCRM_E_CANCELLED && now_ms() - fired < (is_slow() ? 5000 : 1000), "a call that waits for another one's token is cancelled alone");
        zcrm_cancel_free((zcrm_cancel *)all[i].call.cancel);
    }
    zcrm_client_free(all[0].client);
}

static void phase(const char *name, const char *url, operation *run) { phase_of(name, impatient_client, url, run); }

/* A listener whose queue is full: the connection is neither made nor refused. */
static void during_connect(void) {
    struct server server = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fillers[8];
    server_bind(&server, 0);
    getsockname(server.listener, (struct sockaddr *)&address, &size);
    for (int i = 0; i < 8; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        if (connect(fillers[i], (struct sockaddr *)&address, size) == 0) continue;
    }
    phase("while connecting", server.url, list);
    for (int i = 0; i < 8; i++) close(fillers[i]);
    close(server.listener);
}

static void tokens(void) {
    struct server server;
    server_start(&server, 1, NULL);
    zcrm_client *client = client_for(server.url);
    zcrm_cancel *fired = NULL, *fresh = NULL;
    zcrm_cancel_new(&fired);
    zcrm_cancel_new(&fresh);
    zcrm_cancel_fire(fired);
    zcrm_cancel_fire(fired);
    zcrm_call call = {.struct_size = sizeof call, .cancel = fired};
    for (int i = 0; i < 2; i++) {
        double began = now_ms();
        CHECK(list(client, &call) == ZCRM_E_CANCELLED && download(client, &call) == ZCRM_E_CANCELLED && upload(client, &call) == ZCRM_E_CANCELLED, "a fired token ends a call before it starts");
        CHECK(now_ms() - began < (is_slow() ? 5000 : 300), "at once");
    }
    CHECK(server.requests == 0, "and nothing is sent");
    call.cancel = fresh;
    call.timeout_ms = 50;
    CHECK(list(client, &call) == ZCRM_E_TIMEOUT, "another token is another call's");
    CHECK(list(client, &call) == ZCRM_E_TIMEOUT, "a token that wasn't fired can be used again");
    zcrm_cancel_free(fired);
    zcrm_cancel_free(fresh);
    zcrm_client_free(client);
    server_end(&server);
}

int main(void) {
    struct server server;
    tokens();
    during_connect();
    server_start(&server, 0, NULL);
    phase("while the body is sent", server.url, upload);
    server_end(&server);
    server_start(&server, 1, NULL);
    phase("while a reply is awaited", server.url, list);
    phase_of("while a token is awaited", client_without_token, server.url, list);
    behind_a_token_request(server.url);
    char secure[80];
    snprintf(secure, sizeof secure, "https%s", strchr(server.url, ':'));
    phase("in the TLS handshake", secure, list);
    server_end(&server);
    server_start(&server, 1, STALLED);
    phase("during a download", server.url, download);
    server_end(&server);
    server_start(&server, 1, BUSY);
    phase("in back-off", server.url, list);
    CHECK(server.requests >= 1, "the server had answered");
    server_end(&server);
    return finish();
}
