/* A batch that asks for its steps: --calls uploads of --file, --threads at once, with the journal --dir/journal unless --dir is "". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "bench.h"
#include "zcrm.h"

static zcrm_error *failure;

static void check(zcrm_status status) {
  if (status != ZCRM_OK) bench_die("zcrm", zcrm_error_message(failure));
}

typedef struct steps {
  const char *file;
  long next, all;
  char key[32], json[4096];
} steps;

static int32_t next(void *user, zcrm_str *key, zcrm_str *json) {
  steps *s = user;
  if (s->next == s->all) return 0;
  key->len = (size_t)snprintf(s->key, sizeof s->key, "job-%ld", s->next);
  json->len = (size_t)snprintf(s->json, sizeof s->json,
                               "{\"operation\":\"attachment.upload\",\"module\":\"Contacts\",\"record_id\":\"%ld\",\"source\":{\"path\":\"%s\",\"name\":\"%ld.bin\"}}",
                               2 + s->next / 50, s->file, s->next);
  key->ptr = s->key;
  json->ptr = s->json;
  s->next++;
  return 1;
}

static int32_t ended(void *user, const char *key, zcrm_status status, const char *json, int32_t from_journal) {
  (void)user, (void)from_journal;
  if (status != ZCRM_OK) bench_die(key, json);
  return 0;
}

/* A field of /proc/self/status, in KiB. */
static long status(const char *field) {
  char line[256];
  long kib = 0;
  FILE *file = fopen("/proc/self/status", "r");
  while (file && fgets(line, sizeof line, file))
    if (!strncmp(line, field, strlen(field))) kib = atol(line + strlen(field));
  if (file) fclose(file);
  return kib;
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

static zcrm_batch_summary run(const zcrm_client *client, const bench_job *job, long calls, const char *journal) {
  zcrm_batch *batch = NULL;
  zcrm_result *result = NULL;
  static steps s;
  s = (steps){.file = job->file, .all = calls};
  check(zcrm_batch_new(&batch));
  check(zcrm_batch_set_source(batch, next, &s, &failure));
  zcrm_batch_args args = {
      .struct_size = sizeof args, .journal = {journal, journal ? ZCRM_NUL : 0}, .parallel = (uint32_t)job->threads, .ended = ended};
  check(zcrm_batch_run(client, batch, &args, NULL, &result, &failure));
  zcrm_batch_summary sum = {.struct_size = sizeof sum};
  check(zcrm_result_batch(result, &sum, &failure));
  zcrm_batch_free(batch);
  zcrm_result_free(result);
  if (sum.done != (uint64_t)calls || sum.failed || sum.left) bench_die("batch", "not all steps are done");
  return sum;
}

int main(int argc, char **argv) {
  bench_job job = bench_job_of(argc, argv);
  char journal[4096], allowed[4096], threads[32];
  zcrm_config *config = NULL;
  zcrm_client *client = NULL;
  const struct {
    const char *key, *value;
  } settings[] = {{"access_token", "1000.bench.bench"}, {"api_domain", job.base}, {"max_in_flight", threads}, {"allow_paths", allowed}, {"os_roots", "off"}};
  snprintf(threads, sizeof threads, "%ld", job.threads);
  snprintf(allowed, sizeof allowed, "%s", job.file);
  *strrchr(allowed, '/') = 0;
  snprintf(journal, sizeof journal, "%s/journal", job.dir);
  check(zcrm_config_new(&config));
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    check(zcrm_config_set(config, settings[i].key, settings[i].value, ZCRM_NUL, &failure));
  if (*job.ca) check(zcrm_config_set(config, "ca_file", job.ca, ZCRM_NUL, &failure));
  check(zcrm_client_new(config, &client, &failure));
  run(client, &job, job.threads, NULL); /* what each batch needs, whatever its length */
  long idle = status("VmRSS:");
  double cpu0 = cpu(), wall0 = wall();
  zcrm_batch_summary sum = run(client, &job, job.calls, *job.dir ? journal : NULL);
  printf("{\"from_journal\":%llu,\"cpu\":%.6f,\"wall\":%.6f,\"idle_kib\":%ld,\"peak_kib\":%ld}\n", (unsigned long long)sum.from_journal,
         cpu() - cpu0, wall() - wall0, idle, status("VmHWM:"));
  zcrm_client_free(client);
  zcrm_config_free(config);
  return 0;
}
