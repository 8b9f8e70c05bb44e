/* One process of bench/concurrency.py: uploads of 10 KiB by so many threads, by calls or for a time, with the setting max_in_flight that is to be shown.
   Ends with the number of failed calls. What was done, and when, is in the emulator's ledger, by the User-Agent. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "zcrm.h"

static zcrm_client *client;
static const char *record;
static atomic_long left;
static atomic_int failed;
static double until;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *work(void *unused) {
  static const uint8_t bytes[10240];
  (void)unused;
  zcrm_target target = {.struct_size = sizeof target, .module = ZCRM_STR("Contacts"), .record_id = ZCRM_CSTR(record)};
  zcrm_source source = {.struct_size = sizeof source, .kind = ZCRM_FROM_MEMORY, .name = ZCRM_STR("file.bin"), .data = bytes, .data_len = sizeof bytes};
  while (atomic_fetch_sub(&left, 1) > 0 && now() < until) {
    zcrm_error *err = NULL;
    if (zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err) == ZCRM_OK) continue;
    fprintf(stderr, "%s\n", zcrm_error_message(err));
    zcrm_error_free(err);
    failed++;
  }
  return NULL;
}

/* RECORD CALLS SECONDS THREADS KEY VALUE KEY VALUE … */
int main(int argc, char **argv) {
  zcrm_config *config = NULL;
  zcrm_error *err = NULL;
  if (argc < 5 || argc % 2 == 0 || zcrm_config_new(&config) != ZCRM_OK) return 2;
  for (int i = 5; i + 1 < argc; i += 2)
    if (zcrm_config_set(config, argv[i], argv[i + 1], ZCRM_NUL, &err) != ZCRM_OK) return fprintf(stderr, "%s\n", zcrm_error_message(err)), 2;
  if (zcrm_client_new(config, &client, &err) != ZCRM_OK) return fprintf(stderr, "%s\n", zcrm_error_message(err)), 2;
  record = argv[1];
  left = atol(argv[2]);
  until = now() + atof(argv[3]);
  enum { MOST = 64 };
  long threads = atol(argv[4]);
  pthread_t thread[MOST];
  if (threads > MOST) return 2;
  for (long i = 0; i < threads; i++)
    if (pthread_create(&thread[i], NULL, work, NULL)) return 2;
  for (long i = 0; i < threads; i++) pthread_join(thread[i], NULL);
  zcrm_client_free(client);
  zcrm_config_free(config);
  printf("%d\n", failed);
  return 0;
}
