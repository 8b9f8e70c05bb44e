/* A process that forks after a call: parent and child both go on with the client. */
#include <sys/wait.h>

#include "check.h"

int main(void) {
    zcrm_error *err = NULL;
    zcrm_client *client = emulator();
    zcrm_target target = contact();
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a call before the fork");
    int pipes[2];
    if (pipe(pipes)) return 2;
    pid_t child = fork();
    if (child == 0) {
        char good = 1;
        for (int i = 0; i < 3; i++) good &= zcrm_attachment_list(client, &target, NULL, NULL, NULL, NULL) == ZCRM_OK;
        /* Not by the exit status, which is a leak checker's: what the parent holds can't be freed by the child. */
        _exit(write(pipes[1], &good, 1) != 1);
    }
    for (int i = 0; i < 3; i++) EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a call of the parent");
    char good = 0;
    close(pipes[1]);
    CHECK(read(pipes[0], &good, 1) == 1 && good == 1, "the child's calls");
    waitpid(child, NULL, 0);
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a call after the child ended");
    zcrm_client_free(client);
    return finish();
}
