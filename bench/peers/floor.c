/* The least that the small calls can cost: blocking sockets, OpenSSL, one connection for each thread, requests built beforehand, replies read by
 * their Content-Length and not looked into. Knows upload-file and list. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"

#define PAGE 200
#define REPLY (1 << 18) /* a page of a list has 140 KB */
#define AUTHORIZATION "Authorization: Zoho-oauthtoken 1000.bench.bench\r\n"
#define BOUNDARY "bench-7c1f0e5d2ab94863"
#define PART "--" BOUNDARY "\r\nContent-Disposition: form-data; name=\"file\"; filename=\"file.bin\"\r\nContent-Type: application/octet-stream\r\n\r\n"
#define END "\r\n--" BOUNDARY "--\r\n"

typedef struct address {
  char scheme[8], host[64], port[8];
} address;

typedef struct connection {
  int fd;
  SSL *tls; /* NULL over http */
  char *reply;
} connection;

typedef struct request {
  char *bytes;
  size_t len, file; /* where an upload's file is put */
} request;

_Noreturn static void die(const char *why) {
  bench_die("floor", why);
}

static address address_of(const bench_job *job) {
  address at;
  if (sscanf(job->base, "%7[a-z]://%63[^:]:%7[0-9]", at.scheme, at.host, at.port) != 3) die("--base is no scheme://host:port");
  return at;
}

static SSL_CTX *trust(const bench_job *job) {
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (!context || !SSL_CTX_load_verify_locations(context, job->ca, NULL)) die("the CA can't be read");
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_read_ahead(context, 1); /* else a record takes two reads: its head, then the rest */
  return context;
}

static int dial(const address *at) {
  struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
  if (getaddrinfo(at->host, at->port, &hints, &found)) die("the host isn't known");
  int fd = socket(found->ai_family, found->ai_socktype | SOCK_CLOEXEC, 0), on = 1;
  if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) die("can't connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  freeaddrinfo(found);
  return fd;
}

static connection connected(const address *at, SSL_CTX *context) {
  connection c = {.fd = dial(at), .reply = malloc(REPLY)};
  if (!c.reply) die("no memory left");
  if (!context) return c;
  c.tls = SSL_new(context);
  if (!c.tls || !SSL_set1_host(c.tls, at->host) || !SSL_set_tlsext_host_name(c.tls, at->host) || !SSL_set_fd(c.tls, c.fd) || SSL_connect(c.tls) != 1)
    die(ERR_reason_error_string(ERR_get_error()));
  return c;
}

static void close_connection(connection *c) {
  SSL_free(c->tls);
  close(c->fd);
  free(c->reply);
}

static size_t receive(const connection *c, size_t at) {
  ssize_t n = c->tls ? SSL_read(c->tls, c->reply + at, (int)(REPLY - at)) : recv(c->fd, c->reply + at, REPLY - at, 0);
  if (n <= 0) die("the reply ends too early, or is too long");
  return (size_t)n;
}

static void exchange(const connection *c, const request *r) {
  ssize_t sent = c->tls ? SSL_write(c->tls, r->bytes, (int)r->len) : send(c->fd, r->bytes, r->len, MSG_NOSIGNAL);
  if (sent != (ssize_t)r->len) die("the request can't be sent");
  size_t have = 0;
  char *body = NULL;
  while (!body) {
    have += receive(c, have);
    body = memmem(c->reply, have, "\r\n\r\n", 4);
  }
  const char *length = memmem(c->reply, (size_t)(body - c->reply), "Content-Length:", 15);
  if (strncmp(c->reply, "HTTP/1.1 200 ", 13) || !length) die("the server doesn't answer 200 with a Content-Length");
  size_t all = (size_t)(body + 4 - c->reply) + strtoul(length + 15, NULL, 10);
  while (have < all) have += receive(c, have);
  if (have > all) die("the reply has more than its Content-Length");
}

static request upload_request(const bench_job *job, const address *at) {
  request r;
  size_t size = (size_t)job->size;
  int file = asprintf(&r.bytes,
                      "POST /crm/v8/Contacts/1/Attachments HTTP/1.1\r\nHost: %s:%s\r\n" AUTHORIZATION
                      "Content-Type: multipart/form-data; boundary=" BOUNDARY "\r\nContent-Length: %zu\r\n\r\n" PART,
                      at->host, at->port, strlen(PART) + size + strlen(END));
  if (file < 0) die("no memory left");
  r.file = (size_t)file;
  r.len = r.file + size + strlen(END);
  if (!(r.bytes = realloc(r.bytes, r.len))) die("no memory left");
  memcpy(r.bytes + r.file + size, END, strlen(END));
  return r;
}

static request list_request(const bench_job *job, const address *at, long page) {
  request r = {0};
  int len = asprintf(&r.bytes,
                     "GET /crm/v8/Contacts/%ld/Attachments?fields=" BENCH_FIELDS "&per_page=%d&page=%ld HTTP/1.1\r\nHost: %s:%s\r\n" AUTHORIZATION "\r\n",
                     job->entries, PAGE, page, at->host, at->port);
  if (len < 0) die("no memory left");
  r.len = (size_t)len;
  return r;
}

static void read_file(const bench_job *job, const request *r) {
  int fd = open(job->file, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || read(fd, r->bytes + r->file, (size_t)job->size) != job->size) die("the file can't be read, or hasn't --size bytes");
  close(fd);
}

static void work(const bench_job *job, void *context, long thread, long calls, bench_count *count) {
  (void)thread;
  address at = address_of(job);
  int uploads = !strcmp(job->work, "upload-file");
  long n = uploads ? 1 : (job->entries + PAGE - 1) / PAGE;
  request *requests = calloc((size_t)n, sizeof *requests);
  if (!requests) die("no memory left");
  for (long i = 0; i < n; i++) requests[i] = uploads ? upload_request(job, &at) : list_request(job, &at, i + 1);
  connection c = connected(&at, context);
  for (; count->calls < (uint64_t)calls; count->calls++) {
    if (uploads) read_file(job, requests);
    for (long i = 0; i < n; i++) exchange(&c, &requests[i]);
    count->bytes += uploads ? (uint64_t)job->size : 0;
  }
  close_connection(&c);
  for (long i = 0; i < n; i++) free(requests[i].bytes);
  free(requests);
}

int main(int argc, char **argv) {
  bench_job job = bench_job_of(argc, argv);
  if (strcmp(job.work, "upload-file") && strcmp(job.work, "list")) die("knows upload-file and list alone");
  SSL_CTX *context = !strncmp(job.base, "https:", 6) ? trust(&job) : NULL;
  bench_run(&job, context, work);
  SSL_CTX_free(context);
  return 0;
}
