/* Rule 8 in a name look-up that hangs, which nothing can end: the call ends all the same, and so does the process. */
#include <netdb.h>
#include <sys/wait.h>

#include "check.h"

enum { ROUNDS = 5 };

static int hang_ms;
static volatile int begun, over;

/* The C library's look-up, in whose place this stands, asks servers that may not answer. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    (void)name, (void)service, (void)hints, (void)found;
    __atomic_fetch_add(&begun, 1, __ATOMIC_SEQ_CST);
    sleep_ms(hang_ms);
    __atomic_fetch_add(&over, 1, __ATOMIC_SEQ_CST);
    return EAI_AGAIN;
}

static zcrm_status list(zcrm_client *client, const zcrm_call *call) {
    zcrm_target target = target_of("Contacts", "123456789", NULL);
    return zcrm_attachment_list(client, &target, NULL, call, NULL, NULL);
}

struct shot { zcrm_cancel *token; double fired; int begun; };

/* Fires once the look-up has begun. */
static void *fire(void *argument) {
    struct shot *shot = argument;
    while (begun == shot->begun) sleep_ms(5);
    sleep_ms(50);
    shot->fired = now_ms();
    zcrm_cancel_fire(shot->token);
    return NULL;
}

/* A call that is cancelled in its look-up; gives the milliseconds from the cancel to its return. */
static double cancelled(zcrm_client *client) {
    struct shot shot = {NULL, 0, begun};
    pthread_t thread;
    zcrm_cancel_new(&shot.token);
    pthread_create(&thread, NULL, fire, &shot);
    zcrm_call call = {.struct_size = sizeof call, .cancel = shot.token};
    CHECK(list(client, &call) == ZCRM_E_CANCELLED, "a call is cancelled in a look-up that hangs");
    double returned = now_ms();
    pthread_join(thread, NULL);
    zcrm_cancel_free(shot.token);
    return returned - shot.fired;
}

/* A process that ends while a look-up hangs. */
static int end_meanwhile(void) {
    hang_ms = 60000;
    zcrm_client *client = client_for("http://hangs.invalid");
    cancelled(client);
    zcrm_client_free(client);
    return failures != 0 || over != 0;
}

int main(void) {
    double began = now_ms();
    int status = 0;
    pid_t child = fork();
    if (child == 0) exit(end_meanwhile());
    waitpid(child, &status, 0);
    /* Under a leak checker its status tells of the thread that is still in the look-up. */
    CHECK(WIFEXITED(status) && (is_slow() || WEXITSTATUS(status) == 0), "a process ends cleanly while a look-up hangs");
    CHECK(now_ms() - began < 30000, "and without waiting for it");

    hang_ms = is_slow() ? 8000 : 3000;
    zcrm_client *client = client_for("http://hangs.invalid");
    double fastest = 1e9;
    for (int i = 0; i < (is_slow() ? 1 : ROUNDS); i++) {
        double took = cancelled(client);
        if (took < fastest) fastest = took;
        CHECK(took < hang_ms - 1000, "it returns long before the look-up does");
    }
    printf("     fastest %.2f ms\n", fastest);
    CHECK(fastest <= (is_slow() ? 5000 : 100), "within 100 ms");
    zcrm_call call = {.struct_size = sizeof call, .timeout_ms = 100};
    CHECK(list(client, &call) == ZCRM_E_TIMEOUT, "a call's own bound holds in a look-up too");
    zcrm_client_free(client);

    zcrm_error *err = NULL;
    zcrm_config *config = config_for("http://hangs.invalid");
    set(config, "connect_timeout_ms", "100");
    client = client_of(config);
    zcrm_target target = contact();
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_E_TIMEOUT, &err, "and the bound on connecting");
    CHECK(over < begun, "look-ups still hang");
    zcrm_client_free(client);
    client = emulator();
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "another client works meanwhile");
    zcrm_client_free(client);
    while (over < begun) sleep_ms(50);
    sleep_ms(is_slow() ? 2000 : 200); /* its thread has to end for the leak checkers */
    return finish();
}
