/* The bench's work through libcurl: one easy handle and its kept-alive connection for each thread, curl_mime, cJSON. */
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "bench.h"

typedef struct text {
  char *bytes;
  size_t len, cap;
} text;

typedef struct reader {
  const bench_job *job;
  size_t at;
} reader;

static void check(CURLcode code) {
  if (code) bench_die("curl", curl_easy_strerror(code));
}

static size_t keep(char *bytes, size_t size, size_t n, void *user) {
  text *t = user;
  n *= size;
  if (t->len + n + 1 > t->cap) {
    t->cap = (t->len + n + 1) * 2;
    if (!(t->bytes = realloc(t->bytes, t->cap))) bench_die("memory", "none left");
  }
  memcpy(t->bytes + t->len, bytes, n);
  t->len += n;
  t->bytes[t->len] = 0;
  return n;
}

static size_t take(char *bytes, size_t size, size_t n, void *user) {
  (void)bytes;
  *(uint64_t *)user += size * n;
  return size * n;
}

static size_t read_bytes(char *buf, size_t size, size_t n, void *user) {
  reader *r = user;
  return bench_read(r->job, &r->at, buf, size * n);
}

static void perform(CURL *curl) {
  long status = 0;
  check(curl_easy_perform(curl));
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  if (status != 200) bench_die("curl", "the server doesn't answer 200");
}

/* Sets everything for each call again, as a program does that makes different calls on one handle. */
static void prepare(CURL *curl, const bench_job *job, const char *url, struct curl_slist *headers) {
  curl_easy_reset(curl); /* keeps the connection */
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  if (*job->ca) curl_easy_setopt(curl, CURLOPT_CAINFO, job->ca);
  if (job->tuned) {
    curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 512L * 1024);
    curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 2L * 1024 * 1024);
  }
}

static void upload(CURL *curl, const bench_job *job, struct curl_slist *headers, bench_count *count) {
  char url[512];
  text reply = {0};
  reader r = {job, 0};
  snprintf(url, sizeof url, "%s/crm/v8/Contacts/1/Attachments", job->base);
  prepare(curl, job, url, headers);
  curl_mime *mime = curl_mime_init(curl);
  curl_mimepart *part = curl_mime_addpart(mime);
  if (!strcmp(job->work, "link")) {
    curl_mime_name(part, "attachmentUrl");
    curl_mime_data(part, "https://www.example.com/a/page?with=a&query=too", CURL_ZERO_TERMINATED);
    part = curl_mime_addpart(mime);
    curl_mime_name(part, "title");
    curl_mime_data(part, "A page", CURL_ZERO_TERMINATED);
  } else {
    curl_mime_name(part, "file");
    if (!strcmp(job->work, "upload-file"))
      check(curl_mime_filedata(part, job->file));
    else /* for memory too: curl_mime_data would copy all of it first */
      curl_mime_data_cb(part, job->size, read_bytes, NULL, NULL, &r);
    curl_mime_filename(part, "file.bin");
    curl_mime_type(part, "application/octet-stream");
    count->bytes += (uint64_t)job->size;
  }
  curl_easy_setopt(curl, CURLOPT_MIMEPOST, mime);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply);
  perform(curl);
  curl_mime_free(mime);
  cJSON *json = cJSON_ParseWithLength(reply.bytes, reply.len);
  cJSON *object = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "data"), 0);
  cJSON *id = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(object, "details"), "id");
  if (!cJSON_IsString(id) || strcmp(id->valuestring, "2876819000002738705")) bench_die("upload", "another id than the server's");
  cJSON_Delete(json);
  free(reply.bytes);
}

static void download(CURL *curl, const bench_job *job, struct curl_slist *headers, long thread, bench_count *count) {
  char url[512], path[4096];
  uint64_t taken = 0;
  text memory = {0};
  FILE *file = NULL;
  snprintf(url, sizeof url, "%s/crm/v8/Contacts/1/Attachments/%ld", job->base, job->size);
  prepare(curl, job, url, headers);
  if (!strcmp(job->work, "download-file")) {
    snprintf(path, sizeof path, "%s/curl-%ld", job->dir, thread);
    if (!(file = fopen(path, "wb"))) bench_die(path, "can't be written");
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, file);
  } else if (!strcmp(job->work, "download-memory")) {
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &memory);
  } else {
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &taken);
  }
  perform(curl);
  curl_off_t bytes = 0;
  curl_easy_getinfo(curl, CURLINFO_SIZE_DOWNLOAD_T, &bytes);
  count->bytes += (uint64_t)bytes;
  if (file && fclose(file)) bench_die(path, "can't be written");
  free(memory.bytes);
}

static const char *string(const cJSON *object, const char *name) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
  return cJSON_IsString(value) ? value->valuestring : "";
}

static void list(CURL *curl, const bench_job *job, struct curl_slist *headers, bench_count *count) {
  for (int page = 1, more = 1; more; page++) {
    char url[1024];
    text reply = {0};
    snprintf(url, sizeof url, "%s/crm/v8/Contacts/%ld/Attachments?fields=%s&per_page=200&page=%d", job->base, job->entries, BENCH_FIELDS, page);
    prepare(curl, job, url, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &reply);
    perform(curl);
    cJSON *json = cJSON_ParseWithLength(reply.bytes, reply.len), *row;
    if (!json) bench_die("list", "the reply is no JSON");
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(json, "data")) {
      if (*string(row, "id") && *string(row, "File_Name") && *string(row, "Created_Time") && *string(row, "Modified_Time") &&
          *string(cJSON_GetObjectItemCaseSensitive(row, "Parent_Id"), "id") && *string(cJSON_GetObjectItemCaseSensitive(row, "Owner"), "name") &&
          atoll(string(row, "Size")) == 1048576)
        count->entries++;
    }
    more = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "info"), "more_records"));
    cJSON_Delete(json);
    free(reply.bytes);
  }
}

static void work(const bench_job *job, void *shared, long thread, long calls, bench_count *count) {
  (void)shared;
  CURL *curl = curl_easy_init();
  struct curl_slist *headers = curl_slist_append(NULL, "Authorization: Zoho-oauthtoken 1000.bench.bench");
  if (job->tuned) headers = curl_slist_append(headers, "Expect:"); /* no wait for a 100 Continue */
  for (long i = 0; i < calls; i++) {
    if (!strcmp(job->work, "list"))
      list(curl, job, headers, count);
    else if (!strncmp(job->work, "download", 8))
      download(curl, job, headers, thread, count);
    else
      upload(curl, job, headers, count);
    count->calls++;
  }
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
}

int main(int argc, char **argv) {
  bench_job job = bench_job_of(argc, argv);
  check(curl_global_init(CURL_GLOBAL_DEFAULT));
  bench_run(&job, NULL, work);
  curl_global_cleanup();
  return 0;
}
