/*
 * A tour of zcrm: every operation once, on one record, with real files.
 *
 *   tour DIRECTORY      the files go there
 *
 * Where to and as whom comes from the environment: see connection.c. It deletes the attachments that it made, touches no others, and puts
 * a photo that it found back. `make demo` at the top of the repository runs it against the emulator.
 */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connection.h"
#include "samples.h"
#include "screen.h"
#include "zcrm.h"

enum { LARGE = 24 * 1024 * 1024, OURS = 8, LISTED = 12 };

struct tour {
    zcrm_client *client;
    const char *module, *record_id;
    /* The files that are sent, received, and kept. */
    char pdf[512], noise[512], portrait[512], noise_back[512], photo[512], photo_before[512];
    /* The attachments that this program made and hasn't deleted. */
    char ours[OURS][24];
    size_t count;
    char sha256[OURS][65]; /* of what was sent, in the order in which it was */
    zcrm_result *before; /* the record's own photo, until it is put back; NULL = it had none */
    int photo_is_ours;   /* the record has the tour's photo */
    struct timespec began;
};

static volatile sig_atomic_t interrupted;

static void interrupt(int number) {
    (void)number;
    interrupted = 1;
}

/* ---- What every step needs ---- */

static zcrm_target at(const struct tour *tour, const char *attachment_id) {
    zcrm_target target = {.struct_size = sizeof target, .module = ZCRM_CSTR(tour->module), .record_id = ZCRM_CSTR(tour->record_id)};
    if (attachment_id != NULL) target.attachment_id = ZCRM_CSTR(attachment_id);
    return target;
}

static int32_t show_progress(void *user, uint64_t done, int64_t total) {
    if (total > 0) screen_progress(user, done, (uint64_t)total);
    return interrupted; /* anything but 0 cancels the call */
}

/* A call that computes the SHA-256; with a verb, its progress is shown. */
static zcrm_call hashed(const char *verb) {
    zcrm_call call = {.struct_size = sizeof call, .flags = ZCRM_CALL_SHA256};
    if (verb != NULL) {
        call.progress = show_progress;
        call.user = (void *)(uintptr_t)verb;
    }
    return call;
}

static void start(struct tour *tour) { clock_gettime(CLOCK_MONOTONIC, &tour->began); }

static int64_t elapsed(const struct tour *tour) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - tour->began.tv_sec) * 1000 + (now.tv_nsec - tour->began.tv_nsec) / 1000000;
}

static void print_error(enum screen_style style, zcrm_status status, const zcrm_error *error) {
    int http = (int)zcrm_error_http_status(error); /* 0: no reply came */
    screen_text(style, "  %s", zcrm_status_name(status));
    if (http != 0) printf(", HTTP %d", http);
    printf(" (%s): %s\n", zcrm_error_reason(error), zcrm_error_message(error));
}

/* Prints the row of a step, and its error when it failed. Frees the error. Returns whether it went well. */
static int shown(struct screen_row row, zcrm_status status, zcrm_error *error) {
    row.failed = status != ZCRM_OK;
    screen_row(&row);
    if (row.failed) print_error(RED, status, error);
    zcrm_error_free(error);
    return status == ZCRM_OK;
}

static void describe(struct screen_row *row, const zcrm_result *result, zcrm_transfer *transfer) {
    transfer->struct_size = sizeof *transfer;
    if (result == NULL || zcrm_result_transfer(result, transfer, NULL) != ZCRM_OK) return;
    row->bytes = (int64_t)transfer->bytes;
    row->sha256 = transfer->sha256.ptr;
}

/* ---- 1. attachment.upload ---- */

static int upload(struct tour *tour, const char *what, zcrm_source source, const char *verb) {
    source.struct_size = sizeof source;
    zcrm_target target = at(tour, NULL);
    zcrm_call call = hashed(verb);
    zcrm_result *result = NULL;
    zcrm_error *error = NULL;
    start(tour);
    zcrm_status status = zcrm_attachment_upload(tour->client, &target, &source, &call, &result, &error);
    struct screen_row row = {.operation = "attachment.upload", .what = what, .bytes = -1, .milliseconds = elapsed(tour)};
    if (verb != NULL) screen_progress_end();
    zcrm_transfer transfer = {0};
    zcrm_attachment stored = {.struct_size = sizeof stored};
    describe(&row, result, &transfer);
    if (status == ZCRM_OK && zcrm_result_attachment(result, 0, &stored, NULL) == ZCRM_OK) {
        if (stored.is_link) row.bytes = -1;
        row.id = stored.id.ptr;
        snprintf(tour->ours[tour->count], sizeof *tour->ours, "%s", stored.id.ptr);
        snprintf(tour->sha256[tour->count], sizeof *tour->sha256, "%s", transfer.sha256.ptr);
        tour->count++;
    }
    int well = shown(row, status, error);
    zcrm_result_free(result);
    return well;
}

static zcrm_status read_file(void *user, uint8_t *buf, size_t cap, size_t *n) {
    *n = fread(buf, 1, cap, user);
    return ferror((FILE *)user) ? 1 : 0;
}

static zcrm_status rewind_file(void *user) { return fseek(user, 0, SEEK_SET) == 0 ? 0 : 1; }

static int upload_file(struct tour *tour) {
    zcrm_source source = {.kind = ZCRM_FROM_FILE, .path = ZCRM_CSTR(tour->pdf), .content_type = ZCRM_STR("application/pdf")};
    return upload(tour, "file    Angebot Größe L.pdf", source, NULL);
}

static int upload_memory(struct tour *tour) {
    static const char notes[] = "lot,score,notes\nSidamo 12,87.5,jasmine and peach\nHuila 4,86.0,panela and lime\n";
    zcrm_source source = {.kind = ZCRM_FROM_MEMORY,
                          .name = ZCRM_STR("tasting notes.csv"),
                          .content_type = ZCRM_STR("text/csv"),
                          .data = (const uint8_t *)notes,
                          .data_len = sizeof notes - 1};
    return upload(tour, "memory  tasting notes.csv", source, NULL);
}

static int upload_link(struct tour *tour) {
    zcrm_source source = {
        .kind = ZCRM_FROM_LINK, .name = ZCRM_STR("Tasting protocol"), .link_url = ZCRM_STR("https://www.example.org/tasting-protocol")};
    return upload(tour, "link    Tasting protocol", source, NULL);
}

static int upload_reader(struct tour *tour) {
    FILE *file = file_open(tour->noise, "rb");
    if (file == NULL) {
        perror(tour->noise);
        return 0;
    }
    zcrm_source source = {.kind = ZCRM_FROM_READER,
                          .name = ZCRM_STR("roast curves.bin"),
                          .length = LARGE,
                          .read = read_file,
                          .rewind = rewind_file,
                          .user = file};
    int well = upload(tour, "reader  roast curves.bin", source, "uploading");
    fclose(file);
    return well;
}

/* ---- 2. attachment.list ---- */

static int is_ours(const struct tour *tour, const char *id) {
    for (size_t i = 0; i < tour->count; i++) {
        if (strcmp(tour->ours[i], id) == 0) return 1;
    }
    return 0;
}

static int list(struct tour *tour) {
    zcrm_target target = at(tour, NULL);
    zcrm_result *result = NULL;
    zcrm_error *error = NULL;
    start(tour);
    zcrm_status status = zcrm_attachment_list(tour->client, &target, NULL, NULL, &result, &error);
    int64_t milliseconds = elapsed(tour);
    size_t count = zcrm_result_count(result), found = 0;
    zcrm_attachment attachment = {.struct_size = sizeof attachment};
    for (size_t i = 0; i < count; i++) {
        if (zcrm_result_attachment(result, i, &attachment, NULL) == ZCRM_OK && is_ours(tour, attachment.id.ptr)) found++;
    }
    char what[64];
    snprintf(what, sizeof what, "%zu, %zu of them of this tour", count, found);
    int well = shown((struct screen_row){.operation = "attachment.list", .what = what, .bytes = -1, .milliseconds = milliseconds}, status, error);
    for (size_t i = 0; i < count && i < LISTED; i++) {
        if (zcrm_result_attachment(result, i, &attachment, NULL) != ZCRM_OK) continue;
        screen_detail(attachment.file_name.ptr, attachment.id.ptr, attachment.is_link ? -1 : attachment.bytes);
    }
    if (count > LISTED) screen_detail("…", NULL, -1);
    zcrm_result_free(result);
    if (well && found != tour->count) {
        screen_text(RED, "  %zu attachments of this tour are missing from the list\n", tour->count - found);
        return 0;
    }
    return well;
}

/* ---- 3. attachment.download ---- */

/* The library compares the SHA-256 before a file appears, or before it gives the memory. */
static int download(struct tour *tour, const char *what, size_t which, zcrm_sink sink, const char *verb) {
    sink.struct_size = sizeof sink;
    zcrm_target target = at(tour, tour->ours[which]);
    zcrm_call call = hashed(verb);
    call.expected_sha256 = ZCRM_CSTR(tour->sha256[which]);
    zcrm_result *result = NULL;
    zcrm_error *error = NULL;
    start(tour);
    zcrm_status status = zcrm_attachment_download(tour->client, &target, &sink, &call, &result, &error);
    struct screen_row row = {.operation = "attachment.download", .what = what, .id = tour->ours[which], .bytes = -1, .milliseconds = elapsed(tour)};
    if (verb != NULL) screen_progress_end();
    zcrm_transfer transfer = {0};
    describe(&row, result, &transfer);
    int well = shown(row, status, error);
    zcrm_result_free(result);
    return well;
}

static int download_to_memory(struct tour *tour, size_t which) {
    return download(tour, "to memory", which, (zcrm_sink){.kind = ZCRM_TO_MEMORY}, NULL);
}

static int download_to_file(struct tour *tour, size_t which) {
    zcrm_sink sink = {.kind = ZCRM_TO_FILE, .flags = ZCRM_OVERWRITE, .path = ZCRM_CSTR(tour->noise_back)};
    if (!download(tour, "to a file", which, sink, "downloading")) return 0;
    if (same_bytes(tour->noise, tour->noise_back) == 1) return 1;
    screen_text(RED, "  %s and %s differ\n", tour->noise, tour->noise_back);
    return 0;
}

/* ---- 4. photo.upload  5. photo.download  6. photo.delete ---- */

static int photo_upload(struct tour *tour, const char *what, const char *path, zcrm_str name, zcrm_str content_type) {
    zcrm_target target = at(tour, NULL);
    zcrm_source source = {
        .struct_size = sizeof source, .kind = ZCRM_FROM_FILE, .path = ZCRM_CSTR(path), .name = name, .content_type = content_type};
    zcrm_call call = hashed(NULL);
    call.restrict_triggers = ZCRM_STR("workflow"); /* the organisation's workflows needn't know */
    zcrm_result *result = NULL;
    zcrm_error *error = NULL;
    start(tour);
    zcrm_status status = zcrm_photo_upload(tour->client, &target, &source, &call, &result, &error);
    struct screen_row row = {.operation = "photo.upload", .what = what, .bytes = -1, .milliseconds = elapsed(tour)};
    zcrm_transfer transfer = {0};
    describe(&row, result, &transfer);
    int well = shown(row, status, error);
    zcrm_result_free(result);
    return well;
}

/* A record without a photo isn't a failure when `may_lack` says so. The caller frees *result. */
static int photo_download(struct tour *tour, const char *what, const char *path, int may_lack, zcrm_result **result) {
    zcrm_target target = at(tour, NULL);
    zcrm_sink sink = {.struct_size = sizeof sink, .kind = ZCRM_TO_FILE, .flags = ZCRM_OVERWRITE, .path = ZCRM_CSTR(path)};
    zcrm_call call = hashed(NULL);
    zcrm_error *error = NULL;
    start(tour);
    zcrm_status status = zcrm_photo_download(tour->client, &target, &sink, &call, result, &error);
    struct screen_row row = {.operation = "photo.download", .what = what, .bytes = -1, .milliseconds = elapsed(tour)};
    if (status == ZCRM_E_NOT_FOUND && may_lack) {
        zcrm_error_free(error);
        row.what = "the record has none yet";
        return shown(row, ZCRM_OK, NULL);
    }
    zcrm_transfer transfer = {0};
    describe(&row, *result, &transfer);
    return shown(row, status, error);
}

static int photo_keep(struct tour *tour) {
    if (!photo_download(tour, "the one it has, kept", tour->photo_before, 1, &tour->before)) return 0;
    if (tour->before != NULL) screen_text(YELLOW, "  The record's own photo is replaced for a moment. It is kept in %s.\n", tour->photo_before);
    return 1;
}

static int photo_send(struct tour *tour) {
    /* Also when it fails: the reply may be what was lost. */
    tour->photo_is_ours = 1;
    return photo_upload(tour, "portrait.png", tour->portrait, ZCRM_STR("portrait.png"), ZCRM_STR("image/png"));
}

static int photo_fetch(struct tour *tour) {
    zcrm_result *result = NULL;
    int well = photo_download(tour, "to photo.png", tour->photo, 0, &result);
    zcrm_result_free(result);
    /* Whether Zoho hands out the very bytes it was given isn't documented. */
    if (well && same_bytes(tour->portrait, tour->photo) != 1) screen_text(YELLOW, "  The photo came back in other bytes than were sent.\n");
    return well;
}

static int photo_delete(struct tour *tour) {
    zcrm_target target = at(tour, NULL);
    zcrm_error *error = NULL;
    start(tour);
    zcrm_status status = zcrm_photo_delete(tour->client, &target, NULL, NULL, &error);
    struct screen_row row = {.operation = "photo.delete", .bytes = -1, .milliseconds = elapsed(tour)};
    if (!shown(row, status, error)) return 0;
    tour->photo_is_ours = 0;
    return 1;
}

static int photo_restore(struct tour *tour) {
    if (tour->before == NULL) return 1;
    zcrm_transfer old = {.struct_size = sizeof old};
    zcrm_result_transfer(tour->before, &old, NULL);
    int well = photo_upload(tour, "the one it had, put back", tour->photo_before, old.file_name, old.content_type);
    if (!well) screen_text(RED, "  The record's own photo is in %s: put it back by hand.\n", tour->photo_before);
    zcrm_result_free(tour->before);
    tour->before = NULL;
    return well;
}

/* ---- + attachment.delete ---- */

/* Deletes the newest `n` of ours. Several ids go in one call, separated by commas. */
static int delete_ours(struct tour *tour, size_t n) {
    char ids[OURS * sizeof *tour->ours] = "";
    for (size_t i = tour->count - n; i < tour->count; i++) {
        if (*ids != '\0') strcat(ids, ",");
        strcat(ids, tour->ours[i]);
    }
    zcrm_target target = at(tour, ids);
    zcrm_error *error = NULL;
    start(tour);
    zcrm_status status = zcrm_attachment_delete(tour->client, &target, NULL, NULL, &error);
    char what[40] = "one";
    if (n > 1) snprintf(what, sizeof what, "%zu in one call", n);
    struct screen_row row = {.operation = "attachment.delete", .what = what, .id = n == 1 ? ids : NULL, .bytes = -1};
    row.milliseconds = elapsed(tour);
    if (!shown(row, status, error)) return 0;
    tour->count -= n;
    return 1;
}

/* A download of what was just deleted: the error that a program gets. */
static int deliberate_error(struct tour *tour) {
    zcrm_target target = at(tour, tour->ours[tour->count]);
    zcrm_sink sink = {.struct_size = sizeof sink, .kind = ZCRM_TO_MEMORY};
    zcrm_error *error = NULL;
    start(tour);
    zcrm_status status = zcrm_attachment_download(tour->client, &target, &sink, NULL, NULL, &error);
    struct screen_row row = {
        .operation = "attachment.download", .what = "what was deleted: must fail", .id = tour->ours[tour->count], .bytes = -1};
    row.milliseconds = elapsed(tour);
    row.failed = status == ZCRM_OK;
    screen_row(&row);
    print_error(YELLOW, status, error);
    zcrm_error_free(error);
    return status != ZCRM_OK;
}

/* ---- The tour ---- */

static int going(void) {
    if (interrupted) screen_text(YELLOW, "  Interrupted.\n");
    return !interrupted;
}

static int walk(struct tour *tour) {
    return going() && upload_file(tour) && upload_memory(tour) && upload_link(tour) && going() && upload_reader(tour) && list(tour) && going() &&
           download_to_file(tour, 3) && download_to_memory(tour, 0) && going() && photo_keep(tour) && photo_send(tour) && photo_fetch(tour) &&
           photo_delete(tour) && photo_restore(tour) && going() && delete_ours(tour, 1) && deliberate_error(tour);
}

static int clean_up(struct tour *tour) {
    int well = (tour->before != NULL || !tour->photo_is_ours || photo_delete(tour)) && photo_restore(tour);
    if (tour->count > 0) well = delete_ours(tour, tour->count) && well;
    return well;
}

static int make_files(struct tour *tour, const char *directory) {
    const struct {
        char *path;
        const char *name;
    } files[] = {
        {tour->pdf, "Angebot Größe L.pdf"}, {tour->noise, "roast curves.bin"}, {tour->noise_back, "roast curves (downloaded).bin"},
        {tour->portrait, "portrait.png"},        {tour->photo, "photo.png"},        {tour->photo_before, "photo-before"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        int n = snprintf(files[i].path, sizeof tour->pdf, "%s/%s", directory, files[i].name);
        if (n < 0 || (size_t)n >= sizeof tour->pdf) {
            fprintf(stderr, "tour: the directory's name is too long\n");
            return 0;
        }
    }
    if (sample_pdf(tour->pdf, "Offer 2041: 40 kg a month") == 0 && sample_noise(tour->noise, LARGE) == 0 && sample_portrait(tour->portrait) == 0) {
        return 1;
    }
    fprintf(stderr, "tour: cannot write to %s: %s\n", directory, strerror(errno));
    return 0;
}

static void title(const struct tour *tour) {
    const char *domain = variable("ZCRM_API_DOMAIN"), *center = variable("ZCRM_DATA_CENTER"), *version = variable("ZCRM_API_VERSION");
    screen_text(BOLD, "\n  zcrm %s: every operation once\n", zcrm_version());
    printf("  %s %s at %s%s, API %s\n\n", tour->module, tour->record_id, domain == NULL ? "Zoho data centre " : "",
           domain != NULL ? domain : center != NULL ? center : "us", version != NULL ? version : "v8");
    screen_head();
}

static void summary(const struct tour *tour, int well) {
    if (!well) {
        screen_text(RED, "\n  The tour did not come to its end.\n\n");
        return;
    }
    screen_text(GREEN, "\n  Every attachment came back byte for byte, and the record is as it was.\n\n");
    printf("  Open the photo   %s\n", tour->photo);
    printf("  Compare          sha256sum \"%s\" \"%s\"\n\n", tour->noise, tour->noise_back);
}

int main(int argc, char **argv) {
    static struct tour tour;
    if (argc != 2) {
        fprintf(stderr, "usage: tour DIRECTORY\n");
        return 2;
    }
    if (zcrm_abi_version() != ZCRM_ABI_VERSION) {
        fprintf(stderr, "tour: libzcrm %s has another ABI than the zcrm.h of %s it was built with\n", zcrm_version(), ZCRM_VERSION);
        return 2;
    }
    screen_open();
    if (!environment_is_complete() || !make_files(&tour, argv[1]) || (tour.client = connect_from_environment()) == NULL) return 2;
    tour.module = variable("ZCRM_MODULE") != NULL ? variable("ZCRM_MODULE") : "Contacts";
    tour.record_id = variable("ZCRM_RECORD_ID");
    /* The first Ctrl-C ends the tour and cleans up; the second one ends the program. */
#ifdef _WIN32
    signal(SIGINT, interrupt); /* once, as below */
#else
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
#endif
    title(&tour);
    int well = walk(&tour);
    well = clean_up(&tour) && well;
    summary(&tour, well);
    zcrm_client_free(tour.client);
    return well ? 0 : 1;
}
