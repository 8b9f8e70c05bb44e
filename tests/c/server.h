/* A tiny server that behaves as badly as a test wants: it accepts, perhaps reads, perhaps answers, and then says nothing. */
#ifndef SERVER_H
#define SERVER_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "check.h"

struct server {
    int listener;
    int reads;             /* whether it reads what comes */
    const char *answer;    /* sent once the head of a request is in; NULL = nothing */
    _Atomic int requests; /* heads of requests seen */
    _Atomic int stop;
    char url[64];
    pthread_t thread;
};

static inline void server_bind(struct server *server, int backlog) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server->listener, (struct sockaddr *)&address, sizeof address) || listen(server->listener, backlog) ||
        getsockname(server->listener, (struct sockaddr *)&address, &size)) {
        perror("server");
        exit(2);
    }
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

enum { CONNECTIONS = 64 };

/* Reads from one connection, and answers when the head of a request is complete. Gives 0 when it ended. */
static inline int server_serve(struct server *server, int fd, unsigned *newlines) {
    static __thread char buffer[65536];
    ssize_t n = read(fd, buffer, sizeof buffer);
    if (n <= 0) return 0;
    for (ssize_t i = 0; i < n && *newlines < 2; i++) {
        if (buffer[i] == '\n') ++*newlines;
        else if (buffer[i] != '\r') *newlines = 0;
    }
    if (*newlines == 2) {
        *newlines = 3;
        server->requests++;
        if (server->answer && write(fd, server->answer, strlen(server->answer)) < 0) return 0;
    }
    return 1;
}

static inline void *server_run(void *argument) {
    struct server *server = argument;
    struct pollfd fds[CONNECTIONS] = {{server->listener, POLLIN, 0}};
    unsigned newlines[CONNECTIONS] = {0};
    nfds_t count = 1;
    while (!server->stop) {
        if (poll(fds, count, 10) <= 0) continue;
        for (nfds_t i = 1; i < count; i++) {
            if (fds[i].fd < 0 || !fds[i].revents || server_serve(server, fds[i].fd, &newlines[i])) continue;
            close(fds[i].fd);
            fds[i].fd = -1;
        }
        if (fds[0].revents && count < CONNECTIONS) {
            int fd = accept(server->listener, NULL, NULL);
            newlines[count] = 0;
            fds[count++] = (struct pollfd){fd, server->reads ? POLLIN : 0, 0};
        }
    }
    for (nfds_t i = 1; i < count; i++) {
        if (fds[i].fd >= 0) close(fds[i].fd);
    }
    return NULL;
}

static inline void server_start(struct server *server, int reads, const char *answer) {
    memset(server, 0, sizeof *server);
    server->reads = reads;
    server->answer = answer;
    server_bind(server, 16);
    pthread_create(&server->thread, NULL, server_run, server);
}

static inline void server_end(struct server *server) {
    server->stop = 1;
    pthread_join(server->thread, NULL);
    close(server->listener);
}

#endif
