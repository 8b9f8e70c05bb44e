/* The bench's work through zcrm.h. With -DCOLD the library is loaded by dlopen, as a host loads a plugin. */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "zcrm.h"

#ifdef COLD
#include <dlfcn.h>
static void *symbol(const char *name) {
  static void *library;
  if (!library && !(library = dlopen("libzcrm.so.0", RTLD_NOW | RTLD_LOCAL))) bench_die("dlopen", dlerror());
  void *found = dlsym(library, name);
  if (!found) bench_die("dlsym", name);
  return found;
}
#define CALL(f) ((__typeof__(&f))symbol(#f))
#else
#define CALL(f) f
#endif

static _Thread_local zcrm_error *failure;

static void check(zcrm_status status) {
  if (status == ZCRM_OK) return;
  bench_die("zcrm", CALL(zcrm_error_message)(failure));
}

static void set(zcrm_config *config, const char *key, const char *value) {
  check(CALL(zcrm_config_set)(config, key, value, ZCRM_NUL, &failure));
}

typedef struct reader {
  const bench_job *job;
  size_t at;
} reader;

static zcrm_status read_bytes(void *user, uint8_t *buf, size_t cap, size_t *n) {
  reader *r = user;
  *n = bench_read(r->job, &r->at, buf, cap);
  return 0;
}

static zcrm_status rewind_bytes(void *user) {
  ((reader *)user)->at = 0;
  return 0;
}

static zcrm_status take_bytes(void *user, const uint8_t *buf, size_t len) {
  (void)buf;
  *(uint64_t *)user += len;
  return 0;
}

static void upload(const bench_job *job, const zcrm_client *client, bench_count *count) {
  zcrm_target target = {.struct_size = sizeof target, .module = ZCRM_STR("Contacts"), .record_id = ZCRM_STR("1")};
  zcrm_source source = {.struct_size = sizeof source, .name = ZCRM_STR("file.bin")};
  reader r = {job, 0};
  if (!strcmp(job->work, "upload-file")) {
    source.kind = ZCRM_FROM_FILE;
    source.path = ZCRM_CSTR(job->file);
  } else if (!strcmp(job->work, "upload-memory")) {
    source.kind = ZCRM_FROM_MEMORY;
    source.data = job->memory;
    source.data_len = (size_t)job->size;
  } else if (!strcmp(job->work, "upload-reader") || !strcmp(job->work, "upload-stream")) {
    source.kind = ZCRM_FROM_READER;
    source.rewind = !strcmp(job->work, "upload-reader") ? rewind_bytes : NULL;
    source.read = read_bytes;
    source.length = job->size;
    source.user = &r;
  } else {
    source.kind = ZCRM_FROM_LINK;
    source.link_url = ZCRM_STR("https://www.example.com/a/page?with=a&query=too");
    source.name = ZCRM_STR("A page");
  }
  zcrm_result *result = NULL;
  check(CALL(zcrm_attachment_upload)(client, &target, &source, NULL, &result, &failure));
  zcrm_attachment stored = {.struct_size = sizeof stored};
  check(CALL(zcrm_result_attachment)(result, 0, &stored, &failure));
  if (strcmp(stored.id.ptr, "2876819000002738705")) bench_die("upload", "another id than the server's");
  CALL(zcrm_result_free)(result);
  if (source.kind != ZCRM_FROM_LINK) count->bytes += (uint64_t)job->size;
}

static void download(const bench_job *job, const zcrm_client *client, long thread, bench_count *count) {
  char id[32], path[4096];
  snprintf(id, sizeof id, "%ld", job->size);
  zcrm_target target = {
      .struct_size = sizeof target, .module = ZCRM_STR("Contacts"), .record_id = ZCRM_STR("1"), .attachment_id = ZCRM_CSTR(id)};
  zcrm_sink sink = {.struct_size = sizeof sink};
  uint64_t taken = 0;
  if (!strcmp(job->work, "download-file")) {
    snprintf(path, sizeof path, "%s/zcrm-%ld", job->dir, thread);
    sink.kind = ZCRM_TO_FILE;
    sink.flags = ZCRM_OVERWRITE;
    sink.path = ZCRM_CSTR(path);
  } else if (!strcmp(job->work, "download-memory")) {
    sink.kind = ZCRM_TO_MEMORY;
  } else {
    sink.kind = ZCRM_TO_WRITER;
    sink.write = take_bytes;
    sink.user = &taken;
  }
  zcrm_result *result = NULL;
  check(CALL(zcrm_attachment_download)(client, &target, &sink, NULL, &result, &failure));
  zcrm_transfer transfer = {.struct_size = sizeof transfer};
  check(CALL(zcrm_result_transfer)(result, &transfer, &failure));
  if (sink.kind == ZCRM_TO_WRITER && taken != transfer.bytes) bench_die("download", "the writer got another number of bytes");
  count->bytes += transfer.bytes;
  CALL(zcrm_result_free)(result);
}

static void list(const bench_job *job, const zcrm_client *client, bench_count *count) {
  char id[32];
  snprintf(id, sizeof id, "%ld", job->entries);
  zcrm_target target = {.struct_size = sizeof target, .module = ZCRM_STR("Contacts"), .record_id = ZCRM_CSTR(id)};
  zcrm_result *result = NULL;
  check(CALL(zcrm_attachment_list)(client, &target, NULL, NULL, &result, &failure));
  size_t n = CALL(zcrm_result_count)(result);
  for (size_t i = 0; i < n; i++) {
    zcrm_attachment a = {.struct_size = sizeof a};
    check(CALL(zcrm_result_attachment)(result, i, &a, &failure));
    if (a.id.len && a.file_name.len && a.created_time.len && a.modified_time.len && a.parent_id.len && a.owner_name.len && a.bytes == 1048576)
      count->entries++;
  }
  CALL(zcrm_result_free)(result);
}

static void work(const bench_job *job, void *shared, long thread, long calls, bench_count *count) {
  for (long i = 0; i < calls; i++) {
    if (!strcmp(job->work, "list"))
      list(job, shared, count);
    else if (!strncmp(job->work, "download", 8))
      download(job, shared, thread, count);
    else
      upload(job, shared, count);
    count->calls++;
  }
}

int main(int argc, char **argv) {
  bench_job job = bench_job_of(argc, argv);
  zcrm_config *config = NULL;
  zcrm_client *client = NULL;
  check(CALL(zcrm_config_new)(&config));
  set(config, "access_token", "1000.bench.bench");
  set(config, "api_domain", job.base);
  char places[32]; /* the default spares Zoho; here every thread is to be in flight, as the peers' are, unless the job says otherwise */
  snprintf(places, sizeof places, "%ld", job.places ? job.places : job.threads);
  set(config, "max_in_flight", places);
  if (!job.os_roots) set(config, "os_roots", "off");
  if (*job.ca) set(config, "ca_file", job.ca);
  check(CALL(zcrm_client_new)(config, &client, &failure));
  bench_run(&job, client, work);
  CALL(zcrm_client_free)(client);
  CALL(zcrm_config_free)(config);
  return 0;
}
