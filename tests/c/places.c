/* 2,000 threads call one client with four places: what waits holds no connection and no descriptor, and every call ends well. */
#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "check.h"

enum { THREADS = 2000, PLACES = 4, DESCRIPTORS = 256 };

static _Atomic int open_now, open_most, accepted, wrong;
static zcrm_client *client;

static void *serve(void *argument) {
    int fd = (int)(long)argument, newlines = 0;
    char buffer[4096];
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 46\r\n\r\n"
                                 "{\"data\":[],\"info\":{\"more_records\":false     }}";
    for (ssize_t n; (n = read(fd, buffer, sizeof buffer)) > 0;) {
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] == '\n') newlines++;
            else if (buffer[i] != '\r') newlines = 0;
            if (newlines < 2) continue;
            newlines = 0;
            sleep_ms(10);
            if (write(fd, answer, sizeof answer - 1) < 0) break;
        }
    }
    open_now--;
    close(fd);
    return NULL;
}

static void *accept_all(void *argument) {
    for (int fd; (fd = accept((int)(long)argument, NULL, NULL)) >= 0;) {
        pthread_t thread;
        accepted++;
        int now = ++open_now;
        if (now > open_most) open_most = now;
        pthread_create(&thread, NULL, serve, (void *)(long)fd);
        pthread_detach(thread);
    }
    return NULL;
}

static int descriptors(void) {
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (dir && readdir(dir)) n++;
    if (dir) closedir(dir);
    return n - 3; /* ., .. and the directory itself */
}

static void *work(void *unused) {
    (void)unused;
    zcrm_target target = target_of("Contacts", "1", NULL);
    wrong += zcrm_attachment_list(client, &target, NULL, NULL, NULL, NULL) != ZCRM_OK;
    return NULL;
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), threads = is_slow() ? 100 : THREADS;
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 64) || getsockname(listener, (struct sockaddr *)&address, &size)) return 2;
    pthread_t acceptor, thread[THREADS];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 256 << 10);
    pthread_create(&acceptor, NULL, accept_all, (void *)(long)listener);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    zcrm_config *config = config_for(url);
    set(config, "max_in_flight", "4"); /* PLACES */
    client = client_of(config);
    int before = descriptors();
    struct rlimit limit = {DESCRIPTORS, DESCRIPTORS};
    setrlimit(RLIMIT_NOFILE, &limit);

    int made = 0;
    while (made < threads && pthread_create(&thread[made], &small, work, NULL) == 0) made++;
    CHECK(made == threads, "the threads are made");
    for (int i = 0; i < made; i++) pthread_join(thread[i], NULL);
    if (!CHECK(wrong == 0, "each call ends well")) printf("     %d failed\n", wrong);
    if (!CHECK(open_most <= PLACES, "there are no more connections than places")) printf("     %d at once, %d in all\n", open_most, accepted);
    /* Of each connection both ends are ours; an event loop takes up to four. */
    if (!CHECK(descriptors() <= before + PLACES * 6, "what is kept is for the places")) printf("     %d, before %d\n", descriptors(), before);
    zcrm_client_free(client);
    shutdown(listener, SHUT_RDWR);
    pthread_join(acceptor, NULL);
    while (open_now) sleep_ms(1); /* the connections end with the client */
    if (!CHECK(descriptors() <= before, "nothing is kept when the client is freed")) printf("     %d, before %d\n", descriptors(), before);
    close(listener);
    return finish();
}
