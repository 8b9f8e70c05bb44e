#define _POSIX_C_SOURCE 200809L
#include "screen.h"

#ifndef _WIN32
#include <langinfo.h>
#endif
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPERATION = 21, WHAT = 29, ID = 20, SIZE = 9, TIME = 9, BAR = 24 };

static int terminal; /* lines can be redrawn */
static int colours, utf8;
static int drawn;   /* a bar stands in the last line */
static int quarter; /* the last one that was printed */

/* Whether what is printed is shown as UTF-8. */
static int shows_utf8(void) {
    setlocale(LC_CTYPE, "");
#ifdef _WIN32
    return 0; /* its consoles have code pages */
#else
    return strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
#endif
}

void screen_open(void) {
    utf8 = shows_utf8();
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    terminal = isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
    colours = terminal && (no_color == NULL || *no_color == '\0');
    /* Whoever reads a pipe wants each line when it happens. */
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
}

static void style(enum screen_style wanted) {
    static const char *const codes[] = {"", "\x1b[1m", "\x1b[2m", "\x1b[32m", "\x1b[33m", "\x1b[31m"};
    if (colours && wanted != PLAIN) fputs(codes[wanted], stdout);
}

static void unstyle(enum screen_style used) {
    if (colours && used != PLAIN) fputs("\x1b[0m", stdout);
}

void screen_text(enum screen_style wanted, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    style(wanted);
    vprintf(format, arguments);
    unstyle(wanted);
    va_end(arguments);
}

/* Reads one character of UTF-8 and tells how many columns it takes: East Asian ones take two, combining ones none. */
static int next(const char **text) {
    const unsigned char *at = (const unsigned char *)*text;
    unsigned long c = *at++;
    if (c >= 0xC0) c &= c >= 0xF0 ? 0x07u : c >= 0xE0 ? 0x0Fu : 0x1Fu;
    while ((*at & 0xC0) == 0x80) c = c << 6 | (*at++ & 0x3Fu);
    *text = (const char *)at;
    if (c >= 0x300 && c < 0x370) return 0;
    return (c >= 0x1100 && c < 0x1160) || (c >= 0x2E80 && c < 0xA4D0) || (c >= 0xAC00 && c < 0xD7A4) || (c >= 0xF900 && c < 0xFB00) ||
                   (c >= 0xFF00 && c < 0xFF61) || (c >= 0x1F300 && c < 0x1FB00) || (c >= 0x20000 && c < 0x40000)
               ? 2
               : 1;
}

/* Prints text in a column, cut where it is too long. Control characters of a name don't reach the terminal. */
static void column(enum screen_style wanted, const char *text, int width) {
    int used = 0;
    style(wanted);
    for (const char *at = text == NULL ? "" : text; *at != '\0';) {
        const char *from = at;
        int columns = next(&at);
        if (used + columns > width - 1) break;
        if ((unsigned char)*from < 0x20 || *from == 0x7F) putchar('?');
        else fwrite(from, 1, (size_t)(at - from), stdout);
        used += columns;
    }
    unstyle(wanted);
    printf("%*s", width - used, "");
}

const char *screen_size(int64_t bytes) {
    static char text[32];
    if (bytes < 0) return "";
    if (bytes < 1024) snprintf(text, sizeof text, "%d B", (int)bytes);
    else if (bytes < 1024 * 1024) snprintf(text, sizeof text, "%.1f KiB", (double)bytes / 1024);
    else snprintf(text, sizeof text, "%.1f MiB", (double)bytes / (1024 * 1024));
    return text;
}

void screen_head(void) {
    printf("  ");
    column(DIM, "operation", OPERATION);
    column(DIM, "what", WHAT);
    column(DIM, "id", ID);
    screen_text(DIM, "%*s%*s  sha-256", SIZE, "size", TIME, "time");
    putchar('\n');
}

void screen_row(const struct screen_row *row) {
    screen_text(row->failed ? RED : GREEN, "%s ", row->failed ? (utf8 ? "✗" : "x") : (utf8 ? "✓" : "+"));
    column(BOLD, row->operation, OPERATION);
    column(PLAIN, row->what, WHAT);
    column(PLAIN, row->id, ID);
    printf("%*s", SIZE, screen_size(row->bytes));
    if (row->milliseconds >= 0) printf("%*d ms", TIME - 3, (int)row->milliseconds);
    if (row->sha256 != NULL && *row->sha256 != '\0') printf("  %.8s", row->sha256);
    putchar('\n');
}

void screen_detail(const char *what, const char *id, int64_t bytes) {
    printf("  ");
    column(PLAIN, "", OPERATION);
    column(DIM, what, WHAT);
    column(DIM, id, ID);
    screen_text(DIM, "%*s", SIZE, screen_size(bytes));
    putchar('\n');
}

void screen_progress(const char *verb, uint64_t done, uint64_t total) {
    int percent = (int)(done * 100 / total);
    if (terminal) {
        printf("\r  ");
        column(DIM, verb, OPERATION);
        style(GREEN);
        for (int i = 0; i < BAR; i++) fputs(i * 100 < percent * BAR ? (utf8 ? "█" : "#") : (utf8 ? "░" : "."), stdout);
        unstyle(GREEN);
        printf(" %3d %%  %8s of ", percent, screen_size((int64_t)done));
        printf("%s ", screen_size((int64_t)total));
        fflush(stdout);
        drawn = 1;
    } else if (percent / 25 > quarter) {
        quarter = percent / 25;
        printf("  %-21s%3d %% of %s\n", verb, percent, screen_size((int64_t)total));
    }
}

void screen_progress_end(void) {
    if (drawn) putchar('\n');
    drawn = quarter = 0;
}
