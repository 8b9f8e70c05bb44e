/* Many clients of many organisations in one process: what each takes while it is idle, and what those hold that have worked. */
#include <dirent.h>
#include <malloc.h>

#include "check.h"

enum { BYTES_A_CLIENT = 4096, KEPT_LANES = 64 };

static zcrm_client *clients[10000];

static size_t heap(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* Descriptors of this process whose link begins so. */
static int descriptors(const char *what) {
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char link[64];
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, link, sizeof link - 1);
        count += n > 0 && !strncmp(link, what, strlen(what));
    }
    if (dir) closedir(dir);
    return count;
}

int main(void) {
    int all = is_slow() ? 100 : 10000, working = is_slow() ? 80 : 1000;
    zcrm_client_free(emulator()); /* what the first client sets up for all */
    size_t before = heap();
    for (int i = 0; i < all; i++) {
        char name[32];
        zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
        zcrm_config_set_log_fn(config, 1, canary_line, NULL, NULL);
        snprintf(name, sizeof name, "organisation %d", i);
        set(config, "organisation", name);
        clients[i] = client_of(config);
    }
    size_t each = (heap() - before) / (size_t)all;
    printf("     %zu bytes a client\n", each);
    CHECK(is_slow() || each <= BYTES_A_CLIENT, "an idle client takes at most 4 KiB");
    CHECK(descriptors("socket:") <= 1, "and no connection");

    zcrm_target target = contact();
    int most = 0, failed = 0;
    for (int i = 0; i < working; i++) {
        zcrm_result *result = NULL;
        failed += zcrm_attachment_list(clients[i], &target, NULL, NULL, &result, NULL) != ZCRM_OK;
        zcrm_result_free(result);
        int open = descriptors("socket:");
        if (open > most) most = open;
    }
    printf("     at most %d sockets, %d event loops\n", most, descriptors("anon_inode:[eventpoll]"));
    CHECK(failed == 0, "many of them work in turn");
    CHECK(most <= KEPT_LANES + 1, "and keep no more connections than a process keeps for its next calls");
    CHECK(descriptors("anon_inode:[eventpoll]") <= 2 * (KEPT_LANES + 1), "nor event loops");
    for (int i = 0; i < all; i++) zcrm_client_free(clients[i]);
    CHECK(descriptors("socket:") <= 1 && descriptors("anon_inode:[eventpoll]") <= 1, "and nothing when they are freed");
    printf("     %zu bytes for each stay\n", (heap() - before) / (size_t)all);
    CHECK(is_slow() || heap() - before < (size_t)all * 128, "but for the shells of the freed handles");
    return finish();
}
