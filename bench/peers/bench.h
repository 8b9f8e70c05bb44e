/* What the C peers have in common: the job from the command line, threads, clocks, and the line of JSON at the end. */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

/* What a list is asked for: the fields that zcrm asks for. */
#define BENCH_FIELDS "id,File_Name,Size,Created_Time,Modified_Time,Owner,Created_By,Parent_Id,$file_id,$type,$link_url"

typedef struct bench_job {
  const char *work;   /* upload-file, upload-memory, upload-reader, upload-stream (a reader that can't go back), download-file, download-memory, download-writer, list, link */
  const char *base;   /* scheme://host:port */
  const char *ca;     /* PEM file, or "" */
  const char *file;   /* upload-file: what to send */
  const char *dir;    /* download-file: where to */
  long calls, threads, places; /* calls at once; 0: as many as threads */
  long size;          /* bytes of an upload or a download */
  long entries;       /* of a list */
  int os_roots;       /* 1: load the system's roots too */
  int tuned;          /* 1: the peer's own best settings instead of its defaults */
  uint8_t *memory;    /* upload-memory, upload-reader: `size` bytes */
} bench_job;

typedef struct bench_count {
  uint64_t calls, bytes, entries;
} bench_count;

/* One thread's share of the work. `thread` numbers it, `shared` is what bench_run() was given. Exits on failure. */
typedef void bench_thread(const bench_job *job, void *shared, long thread, long calls, bench_count *count);

bench_job bench_job_of(int argc, char **argv);
void bench_run(const bench_job *job, void *shared, bench_thread *work);
_Noreturn void bench_die(const char *what, const char *why);

/* A reader over job->memory: gives at most `cap` of what is left after `at`. */
size_t bench_read(const bench_job *job, size_t *at, void *buf, size_t cap);

#endif
