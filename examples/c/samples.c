#include "samples.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#include <windows.h>

/* Its fopen takes names for those of an old code page. */
FILE *file_open(const char *path, const char *mode) {
    wchar_t wide[1024], wide_mode[8];
    if (MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, 1024) == 0 || MultiByteToWideChar(CP_UTF8, 0, mode, -1, wide_mode, 8) == 0) return NULL;
    return _wfopen(wide, wide_mode);
}
#else
FILE *file_open(const char *path, const char *mode) { return fopen(path, mode); }
#endif

static int finish(FILE *file) {
    int failed = ferror(file);
    return fclose(file) == 0 && !failed ? 0 : -1;
}

/* One page with one line of text. The cross-reference table needs the offset of every object. */
int sample_pdf(const char *path, const char *heading) {
    char content[256];
    int length = snprintf(content, sizeof content, "BT /F1 28 Tf 72 760 Td (%s) Tj ET", heading);
    if (length < 0 || (size_t)length >= sizeof content) {
        errno = EINVAL;
        return -1;
    }
    FILE *file = file_open(path, "wb");
    if (file == NULL) return -1;
    const char *objects[] = {
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    };
    long offsets[5];
    fputs("%PDF-1.4\n", file);
    for (int i = 0; i < 4; i++) {
        offsets[i] = ftell(file);
        fprintf(file, "%d 0 obj\n%s\nendobj\n", i + 1, objects[i]);
    }
    offsets[4] = ftell(file);
    fprintf(file, "5 0 obj\n<< /Length %d >>\nstream\n%s\nendstream\nendobj\n", length, content);
    long table = ftell(file);
    fputs("xref\n0 6\n0000000000 65535 f \n", file);
    for (int i = 0; i < 5; i++) fprintf(file, "%010ld 00000 n \n", offsets[i]);
    fprintf(file, "trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%ld\n%%%%EOF\n", table);
    return finish(file);
}

/* xorshift64*: noise, so that nothing on the way can pass by squeezing zeros. */
int sample_noise(const char *path, uint64_t bytes) {
    FILE *file = file_open(path, "wb");
    if (file == NULL) return -1;
    uint64_t state = 0x9E3779B97F4A7C15u;
    uint64_t block[8192];
    while (bytes > 0 && !ferror(file)) {
        for (size_t i = 0; i < sizeof block / sizeof *block; i++) {
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            block[i] = state * 0x2545F4914F6CDD1Du;
        }
        size_t n = bytes < sizeof block ? (size_t)bytes : sizeof block;
        fwrite(block, 1, n, file);
        bytes -= n;
    }
    return finish(file);
}

/* ---- A PNG without a compressor: deflate has "stored" blocks. ---- */

enum { SIDE = 320, ROW = 1 + 3 * SIDE };

static void put32(uint8_t *to, uint32_t value) {
    for (int i = 0; i < 4; i++) to[i] = (uint8_t)(value >> (24 - 8 * i));
}

static uint32_t crc32_of(uint32_t crc, const uint8_t *bytes, size_t n) {
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

static uint32_t adler32_of(const uint8_t *bytes, size_t n) {
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a = (a + bytes[i]) % 65521;
        b = (b + a) % 65521;
    }
    return b << 16 | a;
}

static void chunk(FILE *file, const char *type, const uint8_t *data, size_t n) {
    uint8_t head[8], tail[4];
    put32(head, (uint32_t)n);
    memcpy(head + 4, type, 4);
    uint32_t crc = crc32_of(0, head + 4, 4);
    put32(tail, n > 0 ? crc32_of(crc, data, n) : crc);
    fwrite(head, 1, sizeof head, file);
    if (n > 0) fwrite(data, 1, n, file);
    fwrite(tail, 1, sizeof tail, file);
}

/* How much of a pixel lies inside an ellipse, from its squared distance to the centre (1 = on the edge). */
static double inside(double x, double y, double cx, double cy, double rx, double ry) {
    double dx = (x - cx) / rx, dy = (y - cy) / ry;
    double edge = (1.0 - (dx * dx + dy * dy)) * rx / 2 + 0.5;
    return edge < 0 ? 0 : edge > 1 ? 1 : edge;
}

static void blend(double *pixel, double r, double g, double b, double part) {
    const double over[3] = {r, g, b};
    for (int i = 0; i < 3; i++) pixel[i] += (over[i] - pixel[i]) * part;
}

/* Head and shoulders before an evening sky. */
static void paint(double x, double y, uint8_t *rgb) {
    double sky = y / SIDE;
    double pixel[3] = {58 + 190 * sky, 84 + 92 * sky, 140 - 20 * sky};
    blend(pixel, 255, 226, 160, inside(x, y, 242, 84, 34, 34));    /* sun */
    blend(pixel, 38, 70, 83, inside(x, y, 160, 330, 128, 110));    /* shoulders */
    blend(pixel, 42, 32, 30, inside(x, y, 160, 128, 72, 80));      /* hair */
    blend(pixel, 222, 170, 136, inside(x, y, 160, 226, 27, 40));   /* neck */
    blend(pixel, 236, 188, 154, inside(x, y, 160, 150, 56, 68));   /* face */
    blend(pixel, 42, 32, 30, inside(x, y, 160, 90, 60, 26));       /* fringe */
    blend(pixel, 42, 32, 30, inside(x, y, 138, 146, 6, 7));        /* eyes */
    blend(pixel, 42, 32, 30, inside(x, y, 182, 146, 6, 7));
    blend(pixel, 176, 84, 76, inside(x, y, 160, 186, 22, 10));     /* mouth: a full ellipse, … */
    blend(pixel, 236, 188, 154, inside(x, y, 160, 181, 26, 9));    /* … and its upper half taken away */
    for (int i = 0; i < 3; i++) rgb[i] = (uint8_t)(pixel[i] + 0.5);
}

static int write_png(FILE *file, const uint8_t *pixels, uint8_t *zlib) {
    enum { STORED = 65535 };
    size_t left = (size_t)ROW * SIDE, at = 0;
    zlib[at++] = 0x78;
    zlib[at++] = 0x01;
    for (const uint8_t *from = pixels; left > 0;) {
        size_t n = left < STORED ? left : STORED;
        const uint8_t head[5] = {n == left, n & 255, n >> 8, ~n & 255, (~n >> 8) & 255};
        memcpy(zlib + at, head, sizeof head);
        memcpy(zlib + at + sizeof head, from, n);
        at += sizeof head + n;
        from += n;
        left -= n;
    }
    put32(zlib + at, adler32_of(pixels, (size_t)ROW * SIDE));
    uint8_t header[13] = {[8] = 8, [9] = 2}; /* 8 bits, RGB */
    put32(header, SIDE);
    put32(header + 4, SIDE);
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, file);
    chunk(file, "IHDR", header, sizeof header);
    chunk(file, "IDAT", zlib, at + 4);
    chunk(file, "IEND", NULL, 0);
    return finish(file);
}

int sample_portrait(const char *path) {
    uint8_t *pixels = calloc(SIDE, ROW); /* each row begins with its filter: 0, none */
    uint8_t *zlib = malloc((size_t)ROW * SIDE + 1024);
    FILE *file = pixels != NULL && zlib != NULL ? file_open(path, "wb") : NULL;
    int status = -1;
    if (file != NULL) {
        for (int y = 0; y < SIDE; y++) {
            for (int x = 0; x < SIDE; x++) paint(x, y, pixels + (size_t)y * ROW + 1 + 3 * (size_t)x);
        }
        status = write_png(file, pixels, zlib);
    }
    free(pixels);
    free(zlib);
    return status;
}

int same_bytes(const char *path, const char *other) {
    FILE *a = file_open(path, "rb"), *b = file_open(other, "rb");
    int same = a != NULL && b != NULL ? 1 : -1;
    while (same == 1) {
        char left[65536], right[65536];
        size_t n = fread(left, 1, sizeof left, a), m = fread(right, 1, sizeof right, b);
        if (ferror(a) || ferror(b)) same = -1;
        else if (n != m || memcmp(left, right, n) != 0) same = 0;
        else if (n == 0) break;
    }
    if (a != NULL) fclose(a);
    if (b != NULL) fclose(b);
    return same;
}
