/* The system gives no thread for a while, as in a container with a limit: a call that needs one fails for now, and the client goes on later. */
#include <dlfcn.h>
#include <errno.h>

#include "check.h"

static _Atomic int none;

/* What the program defines takes the place of the C library's function, for the library too. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *argument) {
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return none ? EAGAIN : real(thread, attributes, start, argument);
}

int main(void) {
    char url[64];
    snprintf(url, sizeof url, "http://localhost:%s", strrchr(env("ZCRM_TEST_URL"), ':') + 1);
    zcrm_client *client = client_for(url);
    zcrm_target target = contact();
    zcrm_error *err = NULL;
    none = 1;
    CHECK(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err) == ZCRM_E_NETWORK, "no thread to look a name up");
    CHECK(zcrm_error_retryable(err) && strstr(zcrm_error_message(err), "gives no thread"), "the error says so, and that later it may work");
    zcrm_error_free(err);
    err = NULL;
    none = 0;
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "the same client later");
    zcrm_client_free(client);
    return finish();
}
