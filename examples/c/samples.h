/* The files that the tour moves, made when it runs: a PDF, a PNG and a large file of noise. */
#ifndef SAMPLES_H
#define SAMPLES_H

#include <stdint.h>
#include <stdio.h>

/* fopen, for a path in UTF-8. */
FILE *file_open(const char *path, const char *mode);

/* Each writes the whole file and returns 0, or -1 with errno set. */
int sample_pdf(const char *path, const char *heading);
int sample_portrait(const char *path);
int sample_noise(const char *path, uint64_t bytes);

/* 1 when both files hold the same bytes, 0 when they differ, -1 with errno set when one can't be read. */
int same_bytes(const char *path, const char *other);

#endif
