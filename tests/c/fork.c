/* A process that forks after a call: parent and child both go on with the client. */
#include <sys/wait.h>

#include "check.h"

int main(void) {
    zcrm_error *err = NULL;
    zcrm_client *client = emulator();
    zcrm_target target = contact();
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a call before the fork");
    pid_t child = fork();
    if (child == 0) {
        int good = 1;
        for (int i = 0; i < 3; i++) good &= zcrm_attachment_list(client, &target, NULL, NULL, NULL, NULL) == ZCRM_OK;
        _exit(good ? 0 : 1);
    }
    for (int i = 0; i < 3; i++) EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a call of the parent");
    int status = -1;
    waitpid(child, &status, 0);
    CHECK(status == 0, "the child's calls");
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a call after the child ended");
    zcrm_client_free(client);
    return finish();
}
