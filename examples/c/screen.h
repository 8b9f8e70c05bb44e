/* What the tour shows: a table, a progress bar, colours. Plain text when the output isn't a terminal. */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdint.h>

enum screen_style { PLAIN, BOLD, DIM, GREEN, YELLOW, RED };

/* One line of the table. NULL and negative numbers leave their column empty. */
struct screen_row {
    const char *operation, *what, *id, *sha256;
    int64_t bytes, milliseconds;
    int failed;
};

/* Looks at stdout and at the locale. Call it first. */
void screen_open(void);
void screen_text(enum screen_style style, const char *format, ...) __attribute__((format(printf, 2, 3)));
void screen_head(void);
void screen_row(const struct screen_row *row);
/* A line below the row before it. */
void screen_detail(const char *what, const char *id, int64_t bytes);
/* Redraws the bar on a terminal; elsewhere prints a line at each quarter. `total` is at least 1. */
void screen_progress(const char *verb, uint64_t done, uint64_t total);
/* Ends the bar's line. */
void screen_progress_end(void);
/* "24.0 MiB", in a static buffer that the next call overwrites. */
const char *screen_size(int64_t bytes);

#endif
