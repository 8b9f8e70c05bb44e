/* Runs a program N times and says what it took: `launch N program arguments…` prints a line of JSON to standard error.
 *
 * The kernel counts the memory of the process that forks into the peak memory of the program it becomes. This one is small enough. */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  struct timespec begin, end;
  struct rusage usage = {0};
  double user = 0, system = 0;
  long peak = 0;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  for (long runs = atol(argv[1]); runs > 0; runs--) {
    int status = 0;
    pid_t child;
    if (posix_spawn(&child, argv[2], NULL, NULL, argv + 2, environ)) return 127;
    if (wait4(child, &status, 0, &usage) != child || status) return 1;
    user += (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6;
    system += (double)usage.ru_stime.tv_sec + (double)usage.ru_stime.tv_usec / 1e6;
    if (usage.ru_maxrss > peak) peak = usage.ru_maxrss;
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  double wall = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
  fprintf(stderr, "{\"user\":%.6f,\"system\":%.6f,\"wall\":%.6f,\"peak_kib\":%ld}\n", user, system, wall, peak);
  return 0;
}
