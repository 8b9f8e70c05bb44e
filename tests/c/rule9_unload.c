/* Rule 9: a host that unloads the library all the same doesn't crash when a thread that used it ends. */
#include <dlfcn.h>
#include <netdb.h>

#include "check.h"

#define SYMBOL(name) __typeof__(&name) name##_ = (__typeof__(&name))dlsym(library, #name)

static _Atomic int begun, over;

/* In place of the C library's: a look-up that goes on after the library is unloaded. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
    (void)name, (void)service, (void)hints, (void)found;
    begun++;
    sleep_ms(is_slow() ? 5000 : 1500);
    over++;
    return EAI_AGAIN;
}

static void *use_and_unload(void *unused) {
    (void)unused;
    void *library = dlopen(env("ZCRM_TEST_LIBRARY"), RTLD_NOW | RTLD_LOCAL);
    if (!CHECK(library != NULL, "the library is loaded at run time")) return NULL;
    SYMBOL(zcrm_abi_version);
    SYMBOL(zcrm_config_new);
    SYMBOL(zcrm_config_set);
    SYMBOL(zcrm_config_free);
    SYMBOL(zcrm_client_new);
    SYMBOL(zcrm_client_free);
    SYMBOL(zcrm_attachment_list);
    CHECK(zcrm_abi_version_() == ZCRM_ABI_VERSION, "and of the right ABI");
    zcrm_config *config = NULL;
    zcrm_client *client = NULL;
    zcrm_target target = contact();
    zcrm_config_new_(&config);
    zcrm_config_set_(config, "api_domain", env("ZCRM_TEST_URL"), ZCRM_NUL, NULL);
    zcrm_config_set_(config, "access_token", env("ZCRM_TEST_TOKEN"), ZCRM_NUL, NULL);
    CHECK(zcrm_client_new_(config, &client, NULL) == ZCRM_OK, "a client");
    CHECK(zcrm_attachment_list_(client, &target, NULL, NULL, NULL, NULL) == ZCRM_OK, "lists");
    zcrm_client_free_(client);
    zcrm_config_set_(config, "api_domain", "http://hangs.invalid", ZCRM_NUL, NULL);
    zcrm_config_set_(config, "allow_http", "on", ZCRM_NUL, NULL);
    CHECK(zcrm_client_new_(config, &client, NULL) == ZCRM_OK, "another client");
    zcrm_call call = {.struct_size = sizeof call, .timeout_ms = is_slow() ? 1000 : 200};
    CHECK(zcrm_attachment_list_(client, &target, NULL, &call, NULL, NULL) == ZCRM_E_TIMEOUT, "gives up in a look-up that hangs");
    zcrm_client_free_(client);
    zcrm_config_free_(config);
    CHECK(dlclose(library) == 0, "the library is closed");
    return NULL;
}

int main(void) {
    CHECK(dlopen(env("ZCRM_TEST_LIBRARY"), RTLD_NOW | RTLD_NOLOAD) == NULL, "the library isn't there at first");
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, use_and_unload, NULL);
        pthread_join(thread, NULL);
        CHECK(1, "the thread ended");
    }
    CHECK(begun == 3 && over < begun, "a look-up goes on");
    while (over < begun) sleep_ms(50);
    sleep_ms(is_slow() ? 2000 : 200);
    CHECK(1, "and ends");
    return finish();
}
