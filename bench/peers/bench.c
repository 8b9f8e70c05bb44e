#include "bench.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

_Noreturn void bench_die(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  exit(1);
}

static const char *option(int argc, char **argv, const char *name, const char *otherwise) {
  for (int i = 1; i + 1 < argc; i += 2)
    if (!strcmp(argv[i], name)) return argv[i + 1];
  return otherwise;
}

bench_job bench_job_of(int argc, char **argv) {
  bench_job job = {
      .work = option(argc, argv, "--work", "list"),
      .base = option(argc, argv, "--base", ""),
      .ca = option(argc, argv, "--ca", ""),
      .file = option(argc, argv, "--file", ""),
      .dir = option(argc, argv, "--dir", ""),
      .calls = atol(option(argc, argv, "--calls", "1")),
      .threads = atol(option(argc, argv, "--threads", "1")),
      .places = atol(option(argc, argv, "--places", "0")),
      .size = atol(option(argc, argv, "--size", "0")),
      .entries = atol(option(argc, argv, "--entries", "20")),
      .os_roots = atoi(option(argc, argv, "--os-roots", "0")),
      .tuned = atoi(option(argc, argv, "--tuned", "0")),
  };
  if (!strncmp(job.work, "upload-", 7) && strcmp(job.work, "upload-file")) {
    job.memory = malloc((size_t)job.size);
    if (!job.memory) bench_die("memory", "none left");
    for (long i = 0; i < job.size; i++) job.memory[i] = (uint8_t)(i * 31 % 251);
  }
  return job;
}

size_t bench_read(const bench_job *job, size_t *at, void *buf, size_t cap) {
  size_t left = (size_t)job->size - *at, n = left < cap ? left : cap;
  memcpy(buf, job->memory + *at, n);
  *at += n;
  return n;
}

typedef struct share {
  const bench_job *job;
  void *shared;
  bench_thread *work;
  long thread, calls;
  bench_count count;
} share;

static void *run_share(void *p) {
  share *s = p;
  s->work(s->job, s->shared, s->thread, s->calls, &s->count);
  return NULL;
}

static double cpu(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double wall(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void bench_run(const bench_job *job, void *shared, bench_thread *work) {
  share *shares = calloc((size_t)job->threads, sizeof *shares);
  pthread_t *threads = calloc((size_t)job->threads, sizeof *threads);
  if (!shares || !threads) bench_die("memory", "none left");
  double cpu0 = cpu(), wall0 = wall();
  for (long i = 0; i < job->threads; i++)
    shares[i] = (share){job, shared, work, i, job->calls / job->threads + (i < job->calls % job->threads), {0}};
  for (long i = 1; i < job->threads; i++)
    if (pthread_create(&threads[i], NULL, run_share, &shares[i])) bench_die("thread", "can't be made");
  run_share(&shares[0]);
  bench_count all = shares[0].count;
  for (long i = 1; i < job->threads; i++) {
    pthread_join(threads[i], NULL);
    all.calls += shares[i].count.calls;
    all.bytes += shares[i].count.bytes;
    all.entries += shares[i].count.entries;
  }
  printf("{\"calls\":%llu,\"bytes\":%llu,\"entries\":%llu,\"loop_cpu\":%.6f,\"loop_wall\":%.6f}\n", (unsigned long long)all.calls,
         (unsigned long long)all.bytes, (unsigned long long)all.entries, cpu() - cpu0, wall() - wall0);
  free(shares);
  free(threads);
  free(job->memory);
}
