/*
 * zcrm: files and pictures of Zoho CRM records.
 *
 *   zcrm_attachment_upload      attach a file or a link to a record
 *   zcrm_attachment_list        list a record's attachments; zcrm_pages_next, page by page
 *   zcrm_attachment_download    download an attachment
 *   zcrm_photo_upload           set a record's photo
 *   zcrm_photo_download         download a record's photo
 *   zcrm_photo_delete           delete a record's photo
 *   zcrm_attachment_delete      delete attachments
 *   zcrm_record_list            list a module's records; zcrm_record_pages_new, page by page
 *   zcrm_step_run               any of these, as JSON
 *   zcrm_batch_run              many of these at once, with a journal
 *
 * Rules: what a program can rely on, and what the library relies on
 *
 *  1. Every function that can fail returns a zcrm_status. Its last parameter is `zcrm_error **err`, which may be NULL: on failure it
 *     receives an error object, which the caller frees. Outputs are untouched on failure, *err is untouched on success.
 *  2. Handles are opaque. Only the *_free functions free; they accept NULL and do no I/O. Any thread may use a handle, and free it at any
 *     moment: calls that use it go on to their end, later ones are ZCRM_E_ARGUMENT. Where a handle is for one thread at a time, a
 *     second thread gets ZCRM_E_STATE.
 *  3. Structs begin with struct_size: zero the struct, set struct_size to its sizeof, fill in what you need. Zero is the default of every
 *     field. This lets either side be the newer one: a struct in which a field is set that this library doesn't know is ZCRM_E_VERSION. The
 *     library fills an output as far as its struct_size reaches; its texts are borrowed from the handle that gave it.
 *  4. Settings are string keys of zcrm_config_set().
 *  5. Text in is UTF-8 without NUL bytes, given as pointer and length, and copied if kept. Text out is NUL-terminated, and NULL only where
 *     its comment says so. It is borrowed from the handle that gave it, and valid until that is freed; where no handle gave it, it is static.
 *     A function that reads an error or a result, and can't fail, accepts NULL for it: it gives "" or 0, unless its comment says otherwise.
 *  6. Callbacks run on the thread that made the call, during the call, and never after it. Log, token and token store callbacks may run on
 *     any thread. A callback must return: it must not throw, longjmp or start an operation (ZCRM_E_STATE). It may free any handle, and fire
 *     any cancel token. Where it returns a zcrm_status, anything but 0 ends the call with ZCRM_E_CALLBACK, and
 *     zcrm_error_callback_status() gives it back. If a callback forks, the child must not return from it. pthread_cancel takes effect at the
 *     thread's first cancellation point after the call. An operation in a destructor that runs when its thread or the process ends may be
 *     ZCRM_E_STATE.
 *  7. A wrong parameter is ZCRM_E_ARGUMENT with a message that names it. The library doesn't print or handle signals, and reads the
 *     environment only in zcrm_client_new(), and where a setting or zcrm_config_load_profile() says so. The calling thread needs 128 KiB of
 *     stack, plus what its callbacks use. A bug in it is ZCRM_E_PANIC, after which that client answers ZCRM_E_STATE. It aborts in one case:
 *     when memory runs out where nothing can report it. Elsewhere the status is ZCRM_E_MEMORY, whose comment says more.
 *  8. zcrm_cancel_fire() ends a call within 100 ms from any thread.
 *  9. Compare zcrm_abi_version() with ZCRM_ABI_VERSION once at start. Don't unload the library.
 *
 * Operations: what they share
 *
 *   client   the client
 *   target   the record; for zcrm_attachment_download() and zcrm_attachment_delete() the attachment, too
 *   call     NULL, or what applies to this call only: timeout, cancel token, progress, ...
 *   result   NULL, or receives the result, which the caller frees with zcrm_result_free()
 *   err      NULL, or receives the error, which the caller frees with zcrm_error_free(); the same for every other function
 *
 *   Each can return ZCRM_OK, ZCRM_E_ARGUMENT, ZCRM_E_STATE, ZCRM_E_VERSION, ZCRM_E_AUTH, ZCRM_E_SCOPE, ZCRM_E_FORBIDDEN,
 *   ZCRM_E_INVALID_MODULE, ZCRM_E_INVALID_RECORD, ZCRM_E_RATE_LIMITED, ZCRM_E_REJECTED, ZCRM_E_SERVER, ZCRM_E_NETWORK, ZCRM_E_TLS,
 *   ZCRM_E_TIMEOUT, ZCRM_E_CANCELLED, ZCRM_E_CALLBACK, ZCRM_E_PROTOCOL, ZCRM_E_MEMORY and ZCRM_E_PANIC. Its own comment adds the others.
 *
 * This file is generated from src/capi: change it there.
 */

#ifndef ZCRM_H
#define ZCRM_H

#include <stddef.h>
#include <stdint.h>

#ifndef ZCRM_API
#if defined(_WIN32) && defined(ZCRM_SHARED)
/** Before each function. On Windows define ZCRM_SHARED to link the DLL. */
#define ZCRM_API __declspec(dllimport)
#else
/** Before each function. On Windows define ZCRM_SHARED to link the DLL. */
#define ZCRM_API
#endif
#endif

/** Length of a text that ends at its first NUL. */
#define ZCRM_NUL SIZE_MAX

#ifdef __cplusplus
/** A zcrm_str from pointer and length. */
#define ZCRM_STR_OF(pointer, length) (zcrm_str{(pointer), (length)})
#else
/** A zcrm_str from pointer and length. */
#define ZCRM_STR_OF(pointer, length) ((zcrm_str){(pointer), (length)})
#endif

/** A zcrm_str from a text literal. (C99 and C++; in C89 set ptr and len.) */
#define ZCRM_STR(literal) ZCRM_STR_OF("" literal, sizeof("" literal) - 1)
/** A zcrm_str from a pointer to a NUL-terminated text. */
#define ZCRM_CSTR(pointer) ZCRM_STR_OF(pointer, ZCRM_NUL)
/** The version of the library that this header belongs to; zcrm_version() gives that of the loaded one. */
#define ZCRM_VERSION "0.1.0"
/** Success. */
#define ZCRM_OK 0
/** A parameter is missing, malformed or contradicts another one. Nothing was sent. */
#define ZCRM_E_ARGUMENT 1
/** The handle can't be used at this moment: it was used from inside a callback, or a panic has poisoned it. */
#define ZCRM_E_STATE 2
/** A setting is unknown, malformed or missing. */
#define ZCRM_E_CONFIG 3
/** A struct is newer than this library, or an API version lacks what was asked for. */
#define ZCRM_E_VERSION 4
/** There is no such attachment, or the record has no photo. */
#define ZCRM_E_NOT_FOUND 5
/** Zoho refused the token, or there is no way to get one. */
#define ZCRM_E_AUTH 6
/** The user may not do this. */
#define ZCRM_E_FORBIDDEN 7
/** Too many calls: credits, concurrency or token requests. */
#define ZCRM_E_RATE_LIMITED 8
/** Zoho said no, for a reason that has no status of its own: read the API code and the details. */
#define ZCRM_E_REJECTED 9
/** The file, the photo's pixels or a reply are over a limit. */
#define ZCRM_E_TOO_LARGE 10
/** The server failed (5xx). */
#define ZCRM_E_SERVER 11
/** The connection could not be made, or broke. */
#define ZCRM_E_NETWORK 12
/** The server's certificate or the TLS handshake was refused. */
#define ZCRM_E_TLS 13
/** A time limit was reached: for connecting, for silence, for a token or for the whole call. */
#define ZCRM_E_TIMEOUT 14
/** The caller cancelled the call. What it asked for may be done all the same: zcrm_error_outcome_open() says so. */
#define ZCRM_E_CANCELLED 15
/** A callback of the caller failed. */
#define ZCRM_E_CALLBACK 16
/** A local file could not be read or written. */
#define ZCRM_E_IO 17
/** The reply isn't what the API is documented to send. */
#define ZCRM_E_PROTOCOL 18
/** The API, or this version of it, doesn't offer this. */
#define ZCRM_E_UNSUPPORTED 19
/** There was not enough memory for the bytes of a file, a reply, a list or a step. With more, the same call works. (Stable Rust can't report it for small blocks, steps of a batch, and what the parsers, HTTP and TLS copy: without memory for those the process ends.) */
#define ZCRM_E_MEMORY 20
/** The library has a bug. Don't use this client again. */
#define ZCRM_E_PANIC 21
/** A request was sent and its reply lost: what it asked for may be done, or not. */
#define ZCRM_E_OUTCOME_UNKNOWN 22
/** The same URL is already attached to this record. */
#define ZCRM_E_DUPLICATE_LINK 23
/** The attachment is a link: it has a URL, not bytes. */
#define ZCRM_E_IS_LINK 24
/** The module doesn't exist, or doesn't offer this operation. */
#define ZCRM_E_INVALID_MODULE 25
/** The record doesn't exist, or isn't visible to this user. */
#define ZCRM_E_INVALID_RECORD 26
/** The record is locked. */
#define ZCRM_E_RECORD_LOCKED 27
/** The record waits for an approval or a review. */
#define ZCRM_E_NOT_APPROVED 28
/** This type of file is not taken here. */
#define ZCRM_E_FILE_TYPE 29
/** The organisation's storage is full. */
#define ZCRM_E_STORAGE_FULL 30
/** Zoho found a virus in the file. */
#define ZCRM_E_VIRUS 31
/** The token lacks an OAuth scope. */
#define ZCRM_E_SCOPE 32
/** The link is not one that can be attached. */
#define ZCRM_E_INVALID_LINK 33
/** The page or page token is refused, or paging runs in a circle. */
#define ZCRM_E_PAGE 34
/** The source's bytes were used up by an attempt and can't be read again. */
#define ZCRM_E_SOURCE_CONSUMED 35
/** The source has more or fewer bytes than it said. */
#define ZCRM_E_SOURCE_CHANGED 36
/** The bytes aren't those that the caller expected. */
#define ZCRM_E_CHECKSUM 37
/** The version of the ABI that this header describes. It is raised on each incompatible change. */
#define ZCRM_ABI_VERSION 1
/** From zcrm_error_request_sent(): nothing has left. Nothing can have happened at Zoho. */
#define ZCRM_SENT_NO 0
/** From zcrm_error_request_sent(): some bytes may have left. An upload may be stored or not. */
#define ZCRM_SENT_PARTLY 1
/** From zcrm_error_request_sent(): the whole request has left, and no reply came. An upload may be stored or not. */
#define ZCRM_SENT_FULLY 2
/** From zcrm_error_request_sent(): the whole request has left, and a reply came. */
#define ZCRM_SENT_ANSWERED 3
/** Log level: a call failed. */
#define ZCRM_LOG_ERROR 1
/** Log level: something that a person may want to look at. */
#define ZCRM_LOG_WARN 2
/** Log level: one line for each call. */
#define ZCRM_LOG_INFO 3
/** Log level: one line for each HTTP exchange. */
#define ZCRM_LOG_DEBUG 4
/** Log level: inner steps. */
#define ZCRM_LOG_TRACE 5
/** Flag of zcrm_call: compute the SHA-256 of the bytes that are sent or received; the result has it. Costs about as much CPU as TLS. */
#define ZCRM_CALL_SHA256 1
/** Flag of zcrm_call: `expected_bytes` counts even when it is 0: an empty file is expected. */
#define ZCRM_CALL_EXPECT_BYTES 2

/**
 * Flag of zcrm_call: don't upload an attachment if the record already has one of the same name and size, or the same link. The result is then
 * its id, with `"skipped":true`. For a job that may run a second time. Costs one list.
 */
#define ZCRM_CALL_SKIP_EXISTING 4
/** Flag of zcrm_call: as `ZCRM_CALL_SKIP_EXISTING`, but only if the bytes are the same too. Downloads what is there to compare it. */
#define ZCRM_CALL_SKIP_SAME_BYTES 8

/**
 * Flag of zcrm_call: this call may have been made before, and nobody knows how it ended, as when a queue delivers a job a second time. The library
 * first looks for its effect, and doesn't repeat it: an attachment of the same name, size and bytes (or the same link) counts as the upload, with
 * `"skipped":true`; deleting what isn't there succeeds; a file that already has the bytes of the download counts as the download. Costs a list,
 * and a download for each upload that is compared. In a batch it applies to each step.
 */
#define ZCRM_CALL_AGAIN 16
/** Kind of zcrm_source: the file `path`, read while it is sent. */
#define ZCRM_FROM_FILE 1
/** Kind of zcrm_source: the memory `data`, `data_len`. */
#define ZCRM_FROM_MEMORY 2
/** Kind of zcrm_source: the callback `read`. */
#define ZCRM_FROM_READER 3
/** Kind of zcrm_source: no bytes but the link `link_url`. Attachments only. */
#define ZCRM_FROM_LINK 4
/** Kind of zcrm_sink: the file `path`, which appears only when it is complete. */
#define ZCRM_TO_FILE 1
/** Kind of zcrm_sink: memory, read with zcrm_result_data(). The setting `memory_max_bytes` bounds it. */
#define ZCRM_TO_MEMORY 2
/** Kind of zcrm_sink: the callback `write`. */
#define ZCRM_TO_WRITER 3
/** Flag of zcrm_sink: replace a file that exists. Without it such a file is `ZCRM_E_IO`, reason "target_exists". */
#define ZCRM_OVERWRITE 1
/** In zcrm_attachment: the record had it already, so it was not sent (`ZCRM_CALL_SKIP_EXISTING`, `ZCRM_CALL_SKIP_SAME_BYTES`). */
#define ZCRM_UPLOAD_SKIPPED 1
/** In zcrm_attachment: the reply was lost, and the upload was found on the record. */
#define ZCRM_UPLOAD_SETTLED 2
/** In zcrm_attachment: Zoho stored it under another name; known only when the record was listed. */
#define ZCRM_UPLOAD_NAME_CHANGED 4
/** In zcrm_attachment: sending it again made further copies; zcrm_result_json() lists their ids as `twins`. */
#define ZCRM_UPLOAD_TWINS 8
/** In zcrm_attachment: the upload waited; zcrm_result_json() says why as `wait_reason`. */
#define ZCRM_UPLOAD_WAITED 16

/** Steps to be run together. Filled by one thread; zcrm_batch_pause() may be called from any. Free it with zcrm_batch_free(). */
typedef struct zcrm_batch zcrm_batch;

/**
 * Ends, from any thread, the calls that it was given to. Belongs to the caller.
 *
 * A token stays fired: a call that gets a fired token returns `ZCRM_E_CANCELLED` and sends nothing. Make one for each call.
 */
typedef struct zcrm_cancel zcrm_cancel;

/** A configured connection to one CRM organisation. Any number of threads may use it at once. */
typedef struct zcrm_client zcrm_client;

/** Settings from which clients are made. Belongs to the caller; one thread at a time may change it. */
typedef struct zcrm_config zcrm_config;

/**
 * Everything that is known of one failure. A fallible function writes one to its last parameter `err`, unless that is NULL, and only when
 * it fails; what was there before is neither read nor freed.
 *
 * It belongs to the caller, who frees it with zcrm_error_free(). It needs no client and may outlive every other handle. Any thread may
 * read it. It never holds a token, a secret or bytes of a file.
 */
typedef struct zcrm_error zcrm_error;

/**
 * A walk over the pages of a list, of attachments or of records. Belongs to the caller, who frees it with zcrm_pages_free(). It needs no
 * other handle; one thread at a time may use it.
 */
typedef struct zcrm_pages zcrm_pages;

/**
 * What an operation gave. Belongs to the caller, who frees it with zcrm_result_free(); texts and bytes are borrowed from it until then.
 * It needs no client and may outlive every other handle. Any thread may read it. A function that reads what the operation doesn't give returns
 * `ZCRM_E_STATE`; each can return `ZCRM_E_ARGUMENT`, and those that fill a struct `ZCRM_E_MEMORY`.
 */
typedef struct zcrm_result zcrm_result;

/**
 * What a fallible function returns: `ZCRM_OK` or one of `ZCRM_E_*`.
 * Numbers are only ever added. Treat one that you don't know like `ZCRM_E_SERVER`: the call failed.
 */
typedef int32_t zcrm_status;

/**
 * Gives an access token. Called for each operation, on any thread, perhaps on several at once: answer from a cache of your own.
 * @param user           as passed to zcrm_config_set_token_fn()
 * @param force_refresh  1 when Zoho refused the last token: give a new one; else 0
 * @param buf            where the token goes, without a prefix such as "Zoho-oauthtoken"; it is wiped after use
 * @param cap            bytes that `buf` holds
 * @param n              set it to the token's length
 * @return 0, or any other number if there is no token: the call fails with `ZCRM_E_CALLBACK`, and zcrm_error_callback_status()
 *         gives the number back
 */
typedef zcrm_status (*zcrm_token_fn)(void *user, int32_t force_refresh, char *buf, size_t cap, size_t *n);

/**
 * Called once, when `user` is no longer used: the setting was replaced, or the config and every client made from it are gone. Runs on the
 * thread that released the last of them. It may use the config and make clients, but not start an operation.
 */
typedef void (*zcrm_drop_fn)(void *user);

/**
 * Takes a log line. Called on any thread, also on several at once. It must not start an operation.
 * @param user   as passed to zcrm_config_set_log_fn()
 * @param level  `ZCRM_LOG_*`
 * @param line   one line without line end, NUL-terminated, valid during the callback; never holds a token, a secret or bytes of a file
 * @param len    its length without the NUL
 */
typedef void (*zcrm_log_fn)(void *user, int32_t level, const char *line, size_t len);

/**
 * Text as pointer and length, only ever inside of structs. `ZCRM_STR("text")` and `ZCRM_CSTR(pointer)` make one.
 *
 * In: UTF-8 without a NUL byte, at most 1 MiB, borrowed for the call. NULL with length 0 is the empty text, which means "not given".
 * Out: borrowed from the handle that gave it, and NUL-terminated; never NULL.
 */
typedef struct zcrm_str {
    const char *ptr; /**< First byte. */
    size_t len; /**< Bytes, a terminating NUL not counted; `ZCRM_NUL` = up to the first NUL. */
} zcrm_str;

/** The record that an operation is about, and the attachment where one is needed. Borrowed for the call. */
typedef struct zcrm_target {
    size_t struct_size; /**< `sizeof(zcrm_target)`. */
    /** The module's API name, for example "Contacts"; see https://www.zoho.com/crm/developer/docs/api/v8/modules-api.html */
    struct zcrm_str module;
    struct zcrm_str record_id; /**< The record's id: digits. */
    /** The attachment's id: digits. Only download and delete of attachments read it. Delete takes several, separated by commas. */
    struct zcrm_str attachment_id;
} zcrm_target;

/**
 * Gives the next bytes of an upload. Runs on the thread that made the call. It may wait for another call, as one end of a pipe does for a download into
 * the other: after a tenth of a second it lends its place among `max_in_flight` calls. More than 32 at a time are lent ever more slowly.
 * @param buf   where the bytes go
 * @param cap   bytes that `buf` holds
 * @param n     set it to the number of bytes written; 0 is the end, and to leave it unset is an error
 */
typedef zcrm_status (*zcrm_read_fn)(void *user, uint8_t *buf, size_t cap, size_t *n);

/** Goes back to the first byte, so that an attempt can be repeated. Runs on the thread that made the call. */
typedef zcrm_status (*zcrm_rewind_fn)(void *user);

/** Where the bytes of an upload come from. Borrowed for the call; the fields of other kinds are not read. */
typedef struct zcrm_source {
    size_t struct_size; /**< `sizeof(zcrm_source)`. */
    int32_t kind; /**< `ZCRM_FROM_*`. */
    /** File name for Zoho to store, or the title of a link. Empty: the last part of `path`, or the linked page's own title. */
    struct zcrm_str name;
    struct zcrm_str content_type; /**< MIME type of the bytes; empty = "application/octet-stream". */
    struct zcrm_str path; /**< FILE: path of a regular file. */
    const uint8_t *data; /**< MEMORY: first byte; may be NULL when `data_len` is 0. */
    size_t data_len; /**< MEMORY: number of bytes. */
    /**
     * READER: bytes that `read` will give; -1 = unknown: see the setting `unknown_length`. More or fewer fail with
     * `ZCRM_E_SOURCE_CHANGED`.
     */
    int64_t length;
    zcrm_read_fn read; /**< READER: gives the bytes. */
    /** READER: goes back to the first byte; NULL = the bytes can't be sent twice, so once some have left there is no further attempt. */
    zcrm_rewind_fn rewind;
    void *user; /**< READER: passed to `read` and `rewind`. */
    struct zcrm_str link_url; /**< LINK: the URL. Empty for every other kind. */
} zcrm_source;

/**
 * Reports how far a transfer is: at most about ten times a second, and at its end. Runs on the thread that made the call.
 *
 * When an attempt is repeated, `done` starts again from 0.
 * @param done   bytes of the file done so far
 * @param total  bytes of the file; -1 = unknown
 * @return 0 to go on; anything else ends the call with `ZCRM_E_CANCELLED`
 */
typedef int32_t (*zcrm_progress_fn)(void *user, uint64_t done, int64_t total);

/** What applies to one call only. NULL, or zeros, mean the defaults. Borrowed for the call. */
typedef struct zcrm_call {
    size_t struct_size; /**< `sizeof(zcrm_call)`. */
    const struct zcrm_cancel *cancel; /**< NULL, or the token that ends this call. The token may be freed while the call runs. */
    int64_t timeout_ms; /**< Bound on the whole call with its retries, in milliseconds; 0 = the setting `call_timeout_ms`. */
    zcrm_progress_fn progress; /**< NULL, or called with the progress. */
    void *user; /**< Passed to `progress`. */
    struct zcrm_str trace_id; /**< Appears in the log lines of this call. */
    /**
     * The SHA-256 that the bytes must have, as 64 hexadecimal digits. With others the call fails with `ZCRM_E_CHECKSUM`: an upload isn't
     * stored, and a file isn't written.
     */
    struct zcrm_str expected_sha256;
    /** The size that a download must have, in bytes, as the list said; 0 = not given, unless `ZCRM_CALL_EXPECT_BYTES` is set. */
    int64_t expected_bytes;
    struct zcrm_str restrict_triggers; /**< Photo upload: "workflow" keeps workflows from being triggered. */
    uint32_t flags; /**< `ZCRM_CALL_*`, or-ed. */
    uint32_t reserved; /**< Must be 0. */
} zcrm_call;

/** Which part of a list to fetch. NULL instead of it, or zeros: every page. Borrowed for the call. */
typedef struct zcrm_list_args {
    size_t struct_size; /**< `sizeof(zcrm_list_args)`. */
    /** API names of the fields to ask for, separated by commas; empty = those of zcrm_attachment. Of records leave it empty. */
    struct zcrm_str fields;
    struct zcrm_str page_token; /**< One page: the token from zcrm_page.next_page_token. */
    uint32_t page; /**< One page: its number, from 1; 0 = every page, unless `page_token` is set. */
    uint32_t per_page; /**< Rows a page, at most 200; 0 = 200. */
} zcrm_list_args;

/**
 * Takes the next bytes of a download, all of them. Runs on the thread that made the call.
 *
 * Once it has taken bytes, the library makes no further attempt: what was written stays written when the call fails.
 * @param buf   the bytes, valid during the callback
 * @param len   how many, at least 1
 */
typedef zcrm_status (*zcrm_write_fn)(void *user, const uint8_t *buf, size_t len);

/** Where the bytes of a download go. Borrowed for the call; the fields of other kinds are not read. */
typedef struct zcrm_sink {
    size_t struct_size; /**< `sizeof(zcrm_sink)`. */
    int32_t kind; /**< `ZCRM_TO_*`. */
    int32_t flags; /**< 0 or `ZCRM_OVERWRITE`. */
    struct zcrm_str path; /**< FILE: path of the file; its directory must exist. */
    uint64_t max_bytes; /**< Most bytes to take: a larger file fails with `ZCRM_E_TOO_LARGE`; 0 = no limit. */
    zcrm_write_fn write; /**< WRITER: takes the bytes. */
    void *user; /**< WRITER: passed to `write`. */
} zcrm_sink;

/**
 * One attachment of a record. An output: set `struct_size` before the call.
 *
 * The fields as Zoho documents them: https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html
 */
typedef struct zcrm_attachment {
    size_t struct_size; /**< `sizeof(zcrm_attachment)`. */
    struct zcrm_str id; /**< The attachment's id: digits. */
    /** File name as Zoho has it, or the title of a link. Whoever uploaded it chose it: it may be a path or hold control characters. */
    struct zcrm_str file_name;
    struct zcrm_str link_url; /**< URL of a link; empty for a file. */
    struct zcrm_str created_time; /**< When it was attached, as Zoho writes it: ISO 8601 with an offset. */
    struct zcrm_str modified_time; /**< When it was last changed, as Zoho writes it: ISO 8601 with an offset. Empty after an upload. */
    struct zcrm_str parent_id; /**< Id of the record it is attached to. Empty after an upload. */
    struct zcrm_str owner_name; /**< Name of its owner. Empty after an upload. */
    int64_t bytes; /**< Size in bytes; -1 = unknown. */
    int32_t is_link; /**< 1 for a link, 0 for a file. */
    uint32_t flags; /**< After an upload: `ZCRM_UPLOAD_*`, or-ed: what was out of the ordinary; else 0. */
    /** `file_name` made safe as the name of a file: no path, no control character, no device. Empty when nothing is left of it. */
    struct zcrm_str safe_name;
    struct zcrm_str owner_id; /**< Id of its owner. Empty after an upload. */
    struct zcrm_str created_by_id; /**< Id of the user who attached it. Empty after an upload. */
    struct zcrm_str file_id; /**< Zoho's id of the stored bytes; empty for a link, and after an upload. */
    struct zcrm_str kind; /**< Zoho's `$type`, opaque. Empty after an upload. */
} zcrm_attachment;

/** The bytes that an upload or a download moved. An output: set `struct_size` before the call. */
typedef struct zcrm_transfer {
    size_t struct_size; /**< `sizeof(zcrm_transfer)`. */
    uint64_t bytes; /**< How many; 0 for a link. */
    struct zcrm_str file_name; /**< Upload: the file name that was sent. Download: the name that Zoho gives, made safe as a file name, or empty. */
    struct zcrm_str content_type; /**< Download: the MIME type that Zoho gives, or empty. */
    struct zcrm_str sha256; /**< SHA-256 as 64 hexadecimal digits when the call asked for it, else empty. */
    struct zcrm_str path; /**< Download to a file: the file that was written, else empty. */
    int32_t length_verified; /**< Download: 1 when the number of bytes was checked against a length from Zoho or the caller, else 0. */
    int32_t reserved; /**< Always 0. */
} zcrm_transfer;

/** The position of a page in its list. An output: set `struct_size` before the call. */
typedef struct zcrm_page {
    size_t struct_size; /**< `sizeof(zcrm_page)`. */
    /** For zcrm_list_args.page_token of the next call; empty when there is no next page or the API version gives no tokens. */
    struct zcrm_str next_page_token;
    int32_t more_records; /**< 1 when Zoho has more after these, else 0. */
    int32_t reserved; /**< Always 0. */
} zcrm_page;

/** How a batch ended. An output: set `struct_size` before the call. */
typedef struct zcrm_batch_summary {
    size_t struct_size; /**< `sizeof(zcrm_batch_summary)`. */
    uint64_t done; /**< Steps that are done, those of earlier runs included. */
    uint64_t from_journal; /**< How many of `done` were done in an earlier run. */
    uint64_t failed; /**< Steps that were refused or failed. */
    uint64_t unknown; /**< How many of `failed` are uploads that may or may not be stored. */
    /** Steps that were not begun, or not finished: the next run does them. What zcrm_batch_set_source() didn't come to counts as one. */
    uint64_t left;
    uint64_t attempts; /**< API calls made. */
    /** Why steps are left: "credits_budget", "credits_exhausted", "no_token", "source", "cancelled" or "call_timeout"; else empty. */
    struct zcrm_str stopped;
} zcrm_batch_summary;

/**
 * Asked for the next step of a batch. Runs on the thread that called zcrm_batch_run(), one call at a time, whenever there is room for a step; not
 * while the batch is held or after it was stopped, and not again in a run to which it has said that there are no more.
 * @param key   receives the step's key, as for zcrm_batch_add()
 * @param json  receives the step, as for zcrm_batch_add(). Both texts are read up to the next call, or the end of zcrm_batch_run().
 * @return 1 with a step, 0 when there are no more, anything else to stop the batch: zcrm_batch_summary.stopped is "source" then
 */
typedef int32_t (*zcrm_next_step_fn)(void *user, struct zcrm_str *key, struct zcrm_str *json);

/**
 * Reports how a step of a batch ended, in the order in which they end. Runs on the thread that called zcrm_batch_run().
 * @param key           the step's key, NUL-terminated; during the callback
 * @param status        `ZCRM_OK`, or the status that zcrm_step_run() would have returned
 * @param json          what zcrm_result_json() or zcrm_error_json() would have given, NUL-terminated; during the callback
 * @param from_journal  1 when it was done in an earlier run, 0 otherwise
 * @return 0 to go on; anything else cancels the batch
 */
typedef int32_t (*zcrm_batch_fn)(void *user, const char *key, zcrm_status status, const char *json, int32_t from_journal);

/** How a batch is run. NULL instead of it, or zeros, mean the defaults. Borrowed for the call. */
typedef struct zcrm_batch_args {
    size_t struct_size; /**< `sizeof(zcrm_batch_args)`. */
    /**
     * Path of a file that remembers what was begun and done; empty = none. The batch creates it if it isn't there, and locks it while it runs.
     * Run again with the same journal, a batch goes on where a killed run was: it takes what is done from the journal, and first looks for the
     * effect of each step that was begun and not finished. Unfinished uploads may show late, for up to the sum of the setting `settle_waits_ms`
     * after the journal's last line: they come last, and a log line says how long they wait. A journal belongs to one run of a job: begin a new one
     * for the next run, since the batch doesn't send again what the journal lists as done. A step whose file has changed since fails with the reason
     * "journal_source_changed", and nothing is sent.
     */
    struct zcrm_str journal;
    uint64_t credits; /**< API calls after which no further step is begun; 0 = no bound. */
    zcrm_batch_fn ended; /**< NULL, or called at the end of each step. */
    void *user; /**< Passed to `ended`. */
    uint32_t parallel; /**< Steps at once, at most 256; 0 = as many as the setting `max_in_flight` lets in, which applies as well. */
    uint32_t reserved; /**< Must be 0. */
} zcrm_batch_args;

/**
 * Reads the stored document, which is secret. May run on any thread.
 * @param buf   receives the document, if it fits
 * @param cap   bytes that fit
 * @param n     receives the document's length; 0 = there is none; over `cap` = it doesn't fit: this is called again with enough room
 */
typedef zcrm_status (*zcrm_store_get_fn)(void *user, uint8_t *buf, size_t cap, size_t *n);

/**
 * Stores the document in place of the old one, whole or not at all. May run on any thread.
 * @param buf   the document; during the callback
 * @param len   its length in bytes
 * @return `ZCRM_OK`, or the number with which the call should fail. Return `ZCRM_OK` if it doesn't matter that the others ask for themselves.
 */
typedef zcrm_status (*zcrm_store_put_fn)(void *user, const uint8_t *buf, size_t len);

/**
 * Tries to take the lock that everyone who shares the store respects, without waiting for it: the library soon tries again. The lock must end
 * with its holder. May run on any thread.
 * @param locked  receives 1 when it took the lock, 0 when somebody else has it
 */
typedef zcrm_status (*zcrm_store_lock_fn)(void *user, int32_t *locked);

/** Gives the lock back. May run on any thread. */
typedef void (*zcrm_store_unlock_fn)(void *user);

/**
 * A place where processes and machines share one access token: a row in a database, a key in Redis. All four callbacks are needed.
 * Processes of one machine can use the setting `token_file` instead.
 */
typedef struct zcrm_token_store {
    size_t struct_size; /**< `sizeof(zcrm_token_store)`. */
    zcrm_store_get_fn get; /**< Reads the document. */
    zcrm_store_put_fn put; /**< Stores it. */
    zcrm_store_lock_fn try_lock; /**< Takes the lock. */
    zcrm_store_unlock_fn unlock; /**< Gives it back. */
    void *user; /**< Passed to each; must be usable from any thread. */
    zcrm_drop_fn drop; /**< NULL, or called once when `user` isn't used any more; not called when zcrm_config_set_token_store() fails. */
} zcrm_token_store;

/**
 * The functions that a host of steps needs, filled by zcrm_plugin_init(). Each is the exported function of the same name.
 *
 * Members are only ever added at the end: in a host built with a newer header than the library, those that the library doesn't have are NULL.
 */
typedef struct zcrm_plugin_v1 {
    size_t struct_size; /**< Bytes of this struct that the library has filled. */
    uint32_t abi; /**< The `ZCRM_ABI_VERSION` of the library. */
    uint32_t reserved; /**< Always 0. */
    const char *(*version)(void);
    const char *(*describe)(void); /**< zcrm_step_describe() */
    const char *(*status_name)(zcrm_status status);
    zcrm_status (*config_new)(struct zcrm_config **out);
    zcrm_status (*config_set)(struct zcrm_config *config, const char *key, const char *value, size_t len, struct zcrm_error **err);
    void (*config_free)(struct zcrm_config *config);
    zcrm_status (*client_new)(const struct zcrm_config *config, struct zcrm_client **out, struct zcrm_error **err);
    void (*client_free)(struct zcrm_client *client);
    zcrm_status (*cancel_new)(struct zcrm_cancel **out);
    void (*cancel_fire)(const struct zcrm_cancel *cancel);
    void (*cancel_free)(struct zcrm_cancel *cancel);
    zcrm_status (*step_run)(const struct zcrm_client *client,
                            const char *json,
                            size_t len,
                            const struct zcrm_call *call,
                            struct zcrm_result **result,
                            struct zcrm_error **err);
    const char *(*result_json)(const struct zcrm_result *result, size_t *n);
    void (*result_free)(struct zcrm_result *result);
    zcrm_status (*error_code)(const struct zcrm_error *error);
    const char *(*error_reason)(const struct zcrm_error *error);
    const char *(*error_message)(const struct zcrm_error *error);
    int32_t (*error_http_status)(const struct zcrm_error *error);
    const char *(*error_api_code)(const struct zcrm_error *error);
    int32_t (*error_retryable)(const struct zcrm_error *error);
    int64_t (*error_retry_after_ms)(const struct zcrm_error *error);
    const char *(*error_json)(const struct zcrm_error *error);
    void (*error_free)(struct zcrm_error *error);
    zcrm_status (*config_load_profile)(struct zcrm_config *config, const char *path, const char *name, struct zcrm_error **err);
    zcrm_status (*result_batch)(const struct zcrm_result *result, struct zcrm_batch_summary *out, struct zcrm_error **err);
} zcrm_plugin_v1;

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/** The ABI version of the loaded library. Look at it first: when it isn't `ZCRM_ABI_VERSION`, this header isn't this library's. */
ZCRM_API uint32_t zcrm_abi_version(void);

/** The version of the loaded library, for example "0.1.0"; at build time it is `ZCRM_VERSION`. */
ZCRM_API const char *zcrm_version(void);

/** The name of a status, for example "ZCRM_E_NOT_FOUND"; "ZCRM_E_UNKNOWN" for a number that this version doesn't have. */
ZCRM_API const char *zcrm_status_name(zcrm_status status);

/** The status that the failed function returned. */
ZCRM_API zcrm_status zcrm_error_code(const struct zcrm_error *error);

/** A stable word for the exact reason, for example "record_invalid" or "photo_pixels": finer than the status, and safe to compare with. */
ZCRM_API const char *zcrm_error_reason(const struct zcrm_error *error);

/** One line for a person: what failed, where, and the way out. Its wording may change; don't compare with it. */
ZCRM_API const char *zcrm_error_message(const struct zcrm_error *error);

/** HTTP status of the last reply; 0 when there was none. */
ZCRM_API int32_t zcrm_error_http_status(const struct zcrm_error *error);

/**
 * Zoho's own error code as Zoho sent it, for example "INVALID_DATA"; "" when Zoho sent none.
 * https://www.zoho.com/crm/developer/docs/api/v8/status-codes.html
 */
ZCRM_API const char *zcrm_error_api_code(const struct zcrm_error *error);

/**
 * 1 when the same call may succeed later without a change by the caller, else 0. The library itself has already retried it as often as the
 * setting `max_retries` allows.
 */
ZCRM_API int32_t zcrm_error_retryable(const struct zcrm_error *error);

/** Milliseconds to wait before the next try: what the server asked for, or what this library advises; -1 when nothing is known. */
ZCRM_API int64_t zcrm_error_retry_after_ms(const struct zcrm_error *error);

/** How much of the request had left: `ZCRM_SENT_*`. */
ZCRM_API int32_t zcrm_error_request_sent(const struct zcrm_error *error);

/**
 * 1 when the call failed but may have taken effect all the same, else 0: after `ZCRM_E_OUTCOME_UNKNOWN`, and when a call was cancelled, or ran
 * out of time, after its request had left. Look at the record before you repeat the call.
 */
ZCRM_API int32_t zcrm_error_outcome_open(const struct zcrm_error *error);

/** What the caller's callback returned, if its failure ended the call (`ZCRM_E_CALLBACK`); else 0. */
ZCRM_API int32_t zcrm_error_callback_status(const struct zcrm_error *error);

/** `ZCRM_E_OUTCOME_UNKNOWN`: the ids of the attachments that may be the upload, one for each `index` from 0; then NULL, as without an error. */
ZCRM_API const char *zcrm_error_candidate(const struct zcrm_error *error, size_t index);

/**
 * All fields as one JSON object, including Zoho's `details` as it sent them:
 * `status`, `name`, `reason`, `message`, `field`, `http_status`, `api_code`, `api_message`, `details`, `outcome_open`, `candidates`,
 * `retryable`, `retry_after_ms`, `request_sent`, `attempts`, `waited_ms`, `callback_status`, `os_error`.
 */
ZCRM_API const char *zcrm_error_json(const struct zcrm_error *error);

/** Frees an error object and the texts borrowed from it. NULL is accepted. */
ZCRM_API void zcrm_error_free(struct zcrm_error *error);

/** Makes a config with every setting at its default. Free it with zcrm_config_free(). */
ZCRM_API zcrm_status zcrm_config_new(struct zcrm_config **out);

/**
 * Sets one setting. zcrm_step_describe() lists the keys, their defaults and what each takes.
 *
 * A client needs at least `refresh_token`, `client_id` and `client_secret`, or an `access_token`, or a token callback; and `data_center`
 * unless it is "us". How to get them: https://www.zoho.com/crm/developer/docs/api/v8/auth-request.html
 * @param config  the config to change; clients made before keep what they have
 * @param key     the key, NUL-terminated
 * @param value   UTF-8 text, copied
 * @param len     its length in bytes; `ZCRM_NUL` = NUL-terminated
 * @return `ZCRM_OK`, `ZCRM_E_CONFIG` for an unknown key (the message names the nearest known one) or a wrong value (the message says what
 *         it takes), or `ZCRM_E_ARGUMENT`
 */
ZCRM_API zcrm_status zcrm_config_set(struct zcrm_config *config, const char *key, const char *value, size_t len, struct zcrm_error **err);

/**
 * Sets what a profile says: the login that `zcrm login` has written once for every program of this user, or any other settings. Call it before
 * zcrm_config_set(): what is set afterwards takes the place of what the profile says.
 *
 * The file is TOML: a line `[name]` for each profile, and below it `key = "value"`. It must be a regular file of this user (or root's) to which
 * nobody else has rights, as in `chmod 600`.
 * @param path  the file, NUL-terminated; NULL = the user's own, `zcrm/profiles.toml` in `XDG_CONFIG_HOME` or else in `.config` of `HOME`. Only
 *              then are these two environment variables read.
 * @param name  the profile, NUL-terminated; NULL = `default`
 * @return `ZCRM_OK`; `ZCRM_E_CONFIG`: reason `profile_absent` when file or profile isn't there, `profile_mode` when others have rights to it;
 *         or `ZCRM_E_IO`. On failure nothing is set.
 */
ZCRM_API zcrm_status zcrm_config_load_profile(struct zcrm_config *config, const char *path, const char *name, struct zcrm_error **err);

/**
 * Takes access tokens from `fn` instead of Zoho's accounts server. Replaces an earlier token callback. zcrm_client_new() refuses OAuth
 * credentials beside it.
 * @param fn      the callback; see zcrm_token_fn
 * @param user    passed to it; must be usable from any thread
 * @param drop    NULL, or called once when `user` isn't used any more; not called when this function fails
 * @return `ZCRM_OK`, or `ZCRM_E_ARGUMENT` when `config` or `fn` is NULL
 */
ZCRM_API zcrm_status zcrm_config_set_token_fn(struct zcrm_config *config, zcrm_token_fn fn, void *user, zcrm_drop_fn drop);

/**
 * Sends log lines to `fn`. Replaces an earlier log callback. Without one nothing is logged, and nothing is ever printed.
 * @param max_level  `ZCRM_LOG_*`: `fn` gets the lines up to this level
 * @param fn         the callback; see zcrm_log_fn
 * @param user       passed to it; must be usable from any thread
 * @param drop       NULL, or called once when `user` isn't used any more; not called when this function fails
 * @return `ZCRM_OK`, or `ZCRM_E_ARGUMENT` when `config` or `fn` is NULL or `max_level` is none of 1 to 5
 */
ZCRM_API zcrm_status zcrm_config_set_log_fn(struct zcrm_config *config, int32_t max_level, zcrm_log_fn fn, void *user, zcrm_drop_fn drop);

/** Frees a config. Clients made from it go on. NULL is accepted. */
ZCRM_API void zcrm_config_free(struct zcrm_config *config);

/**
 * Makes a client. Nothing is sent and no thread is started: wrong credentials show at the first operation.
 * @param config  the settings, copied; it may be changed or freed afterwards
 * @param out     receives the client; free it with zcrm_client_free()
 * @return `ZCRM_OK`, `ZCRM_E_CONFIG` when settings are missing, contradict each other or name a file or folder that can't be used,
 *         `ZCRM_E_IO` when `token_file` can't be read, or `ZCRM_E_ARGUMENT`
 */
ZCRM_API zcrm_status zcrm_client_new(const struct zcrm_config *config, struct zcrm_client **out, struct zcrm_error **err);

/** Frees a client. Calls that run in other threads go on to their end; one that begins afterwards is `ZCRM_E_ARGUMENT`. NULL is accepted. */
ZCRM_API void zcrm_client_free(struct zcrm_client *client);

/** Makes a token that isn't fired. Free it with zcrm_cancel_free(). */
ZCRM_API zcrm_status zcrm_cancel_new(struct zcrm_cancel **out);

/**
 * Ends every call that holds this token within 100 ms, whatever the network does: it returns `ZCRM_E_CANCELLED`, and a file that was
 * being downloaded doesn't appear. Only a callback of the host that blocks can delay it.
 *
 * May be called from any thread, from inside a callback, and more than once; not from a signal handler. NULL is accepted.
 */
ZCRM_API void zcrm_cancel_fire(const struct zcrm_cancel *cancel);

/** Frees a token. A call that holds it goes on, and can no longer be cancelled. NULL is accepted. */
ZCRM_API void zcrm_cancel_free(struct zcrm_cancel *cancel);

/**
 * Attaches a file or a link to a record: POST {module}/{record_id}/Attachments.
 * https://www.zoho.com/crm/developer/docs/api/v8/upload-attachment.html
 *
 * An upload isn't repeated blindly: when the reply is lost, the library reads the record's list to find out whether the upload was stored. If that
 * doesn't settle it, the status is `ZCRM_E_OUTCOME_UNKNOWN`.
 * @param source  the file or the link
 * @param result  zcrm_result_attachment() with index 0 gives what was stored
 * @return also `ZCRM_E_TOO_LARGE`, `ZCRM_E_FILE_TYPE`, `ZCRM_E_STORAGE_FULL`, `ZCRM_E_VIRUS`, `ZCRM_E_RECORD_LOCKED`, `ZCRM_E_NOT_APPROVED`,
 *         `ZCRM_E_DUPLICATE_LINK`, `ZCRM_E_INVALID_LINK`, `ZCRM_E_OUTCOME_UNKNOWN`, `ZCRM_E_IO`, `ZCRM_E_SOURCE_CONSUMED`,
 *         `ZCRM_E_SOURCE_CHANGED`, `ZCRM_E_CHECKSUM`
 */
ZCRM_API
zcrm_status zcrm_attachment_upload(const struct zcrm_client *client,
                                   const struct zcrm_target *target,
                                   const struct zcrm_source *source,
                                   const struct zcrm_call *call,
                                   struct zcrm_result **result,
                                   struct zcrm_error **err);

/**
 * Lists the attachments of a record: GET {module}/{record_id}/Attachments. A record without any gives an empty list.
 * https://www.zoho.com/crm/developer/docs/api/v8/get-attachments.html
 * @param args    NULL for every page, or which part to fetch
 * @param result  zcrm_result_count(), zcrm_result_attachment(), zcrm_result_page()
 * @return also `ZCRM_E_PAGE`
 */
ZCRM_API
zcrm_status zcrm_attachment_list(const struct zcrm_client *client,
                                 const struct zcrm_target *target,
                                 const struct zcrm_list_args *args,
                                 const struct zcrm_call *call,
                                 struct zcrm_result **result,
                                 struct zcrm_error **err);

/**
 * Downloads an attachment: GET {module}/{record_id}/Attachments/{attachment_id}.
 * https://www.zoho.com/crm/developer/docs/api/v8/download-attachments.html
 * @param target  the record and the attachment
 * @param sink    where the bytes go
 * @param result  zcrm_result_transfer(), and zcrm_result_data() for a memory sink
 * @return also `ZCRM_E_NOT_FOUND`, `ZCRM_E_IS_LINK` (it has a URL, not bytes), `ZCRM_E_TOO_LARGE`, `ZCRM_E_IO`, `ZCRM_E_CHECKSUM`
 */
ZCRM_API
zcrm_status zcrm_attachment_download(const struct zcrm_client *client,
                                     const struct zcrm_target *target,
                                     const struct zcrm_sink *sink,
                                     const struct zcrm_call *call,
                                     struct zcrm_result **result,
                                     struct zcrm_error **err);

/**
 * Deletes one attachment, or several: DELETE {module}/{record_id}/Attachments/{attachment_id}.
 * https://www.zoho.com/crm/developer/docs/api/v8/delete-attachments.html
 * @param target  the record and the attachment; several ids are separated by commas
 * @param result  zcrm_result_json() names the ids
 * @return also `ZCRM_E_NOT_FOUND`, and `ZCRM_E_OUTCOME_UNKNOWN`
 */
ZCRM_API
zcrm_status zcrm_attachment_delete(const struct zcrm_client *client,
                                   const struct zcrm_target *target,
                                   const struct zcrm_call *call,
                                   struct zcrm_result **result,
                                   struct zcrm_error **err);

/**
 * Begins a walk over the attachments of a record, page by page, so that memory doesn't grow with the list. Nothing is sent yet.
 *
 * Each attachment comes once, even if the list changes meanwhile: you can delete the attachments of each page, and none is left behind. A list
 * that runs in a circle, or is longer than the setting `list_max_rows`, ends with `ZCRM_E_PAGE`.
 * @param client  the client; may be freed before the walk ends
 * @param args    NULL, or fields and size of the pages, and where to begin: `page` or `page_token`
 * @param out     receives the walk; free it with zcrm_pages_free()
 * @return `ZCRM_OK`, `ZCRM_E_ARGUMENT`, `ZCRM_E_STATE` or `ZCRM_E_VERSION` (page tokens of an API version that has none)
 */
ZCRM_API
zcrm_status zcrm_pages_new(const struct zcrm_client *client,
                           const struct zcrm_target *target,
                           const struct zcrm_list_args *args,
                           struct zcrm_pages **out,
                           struct zcrm_error **err);

/**
 * Begins a walk over the records of a module, as zcrm_pages_new() does over attachments. See zcrm_record_list().
 * @return what zcrm_pages_new() returns
 */
ZCRM_API
zcrm_status zcrm_record_pages_new(const struct zcrm_client *client,
                                  const char *module,
                                  size_t len,
                                  const struct zcrm_list_args *args,
                                  struct zcrm_pages **out,
                                  struct zcrm_error **err);

/**
 * Fetches the next page, with the rows that no page before it had. An empty list has one empty page.
 * @param call    NULL, or timeout, cancel token and trace id of this page
 * @param result  receives the page, as zcrm_attachment_list() or zcrm_record_list() gives it, or NULL at the end; must not be NULL itself
 * @return what these return; after a failure the next call asks for the same page. `ZCRM_E_STATE` while another call fetches
 */
ZCRM_API zcrm_status zcrm_pages_next(struct zcrm_pages *pages, const struct zcrm_call *call, struct zcrm_result **result, struct zcrm_error **err);

/** Frees a walk, wherever it stands. NULL is accepted. */
ZCRM_API void zcrm_pages_free(struct zcrm_pages *pages);

/**
 * Sets the photo of a record, replacing any it has: POST {module}/{record_id}/photo.
 * https://www.zoho.com/crm/developer/docs/api/v8/upload-image.html
 * @param target  the record; modules with photos are Leads, Contacts, Accounts, Products, Vendors and custom modules
 * @param source  a PNG, JPEG, GIF or BMP; not a link
 * @param result  zcrm_result_transfer()
 * @return also `ZCRM_E_TOO_LARGE` (bytes or pixels), `ZCRM_E_FILE_TYPE`, `ZCRM_E_RECORD_LOCKED`, `ZCRM_E_NOT_APPROVED`, `ZCRM_E_IO`,
 *         `ZCRM_E_SOURCE_CONSUMED`, `ZCRM_E_SOURCE_CHANGED`, `ZCRM_E_CHECKSUM`
 */
ZCRM_API
zcrm_status zcrm_photo_upload(const struct zcrm_client *client,
                              const struct zcrm_target *target,
                              const struct zcrm_source *source,
                              const struct zcrm_call *call,
                              struct zcrm_result **result,
                              struct zcrm_error **err);

/**
 * Downloads the photo of a record: GET {module}/{record_id}/photo.
 * https://www.zoho.com/crm/developer/docs/api/v8/download-image.html
 * @param sink    where the bytes go
 * @param result  zcrm_result_transfer(), and zcrm_result_data() for a memory sink
 * @return also `ZCRM_E_NOT_FOUND` (the record has no photo), `ZCRM_E_TOO_LARGE`, `ZCRM_E_IO`, `ZCRM_E_CHECKSUM`
 */
ZCRM_API
zcrm_status zcrm_photo_download(const struct zcrm_client *client,
                                const struct zcrm_target *target,
                                const struct zcrm_sink *sink,
                                const struct zcrm_call *call,
                                struct zcrm_result **result,
                                struct zcrm_error **err);

/**
 * Deletes the photo of a record: DELETE {module}/{record_id}/photo.
 * https://www.zoho.com/crm/developer/docs/api/v8/delete-image.html
 * A record without a photo is no error, as far as is known (UNCONFIRMED).
 */
ZCRM_API
zcrm_status zcrm_photo_delete(const struct zcrm_client *client,
                              const struct zcrm_target *target,
                              const struct zcrm_call *call,
                              struct zcrm_result **result,
                              struct zcrm_error **err);

/**
 * Lists the records of a module by their ids: GET {module}?fields=id. A module without any gives an empty list. A page costs one API credit.
 * https://www.zoho.com/crm/developer/docs/api/v8/get-records.html
 *
 * Zoho lists the first 100,000 records of a module: one that has more is `ZCRM_E_PAGE` with the reason "pages_exhausted".
 * @param module  the module's API name, borrowed for the call; zcrm_target.module
 * @param len     length of `module` in bytes, or `SIZE_MAX` when it ends with a NUL
 * @param args    NULL for every page, or which part to fetch; tokens from API v3 on, page numbers among the first 2,000 records
 * @param result  zcrm_result_count(), zcrm_result_record_id(), zcrm_result_page()
 * @return also `ZCRM_E_PAGE`
 */
ZCRM_API
zcrm_status zcrm_record_list(const struct zcrm_client *client,
                             const char *module,
                             size_t len,
                             const struct zcrm_list_args *args,
                             const struct zcrm_call *call,
                             struct zcrm_result **result,
                             struct zcrm_error **err);

/** How many attachments were listed, or 1 after the upload of one; how many records were listed. Of any other result 0. */
ZCRM_API size_t zcrm_result_count(const struct zcrm_result *result);

/**
 * Fills `out` with the attachment number `index`, from 0.
 * @param result  of zcrm_attachment_list() or zcrm_attachment_upload()
 * @param index   less than zcrm_result_count(); else `ZCRM_E_ARGUMENT`
 */
ZCRM_API zcrm_status zcrm_result_attachment(const struct zcrm_result *result, size_t index, struct zcrm_attachment *out, struct zcrm_error **err);

/**
 * The id of the record number `index`, from 0, in a result of zcrm_record_list().
 * @param n  NULL, or receives the length without the NUL
 * @return text borrowed from `result`; "" also when there is no such record, or no memory for it
 */
ZCRM_API const char *zcrm_result_record_id(const struct zcrm_result *result, size_t index, size_t *n);

/** Fills `out` with what is known of the bytes that an upload or a download moved, of an attachment or a photo. */
ZCRM_API zcrm_status zcrm_result_transfer(const struct zcrm_result *result, struct zcrm_transfer *out, struct zcrm_error **err);

/** Fills `out` with where a page of attachments or records stands in its list: whether there is another page, and its token. */
ZCRM_API zcrm_status zcrm_result_page(const struct zcrm_result *result, struct zcrm_page *out, struct zcrm_error **err);

/** Fills `out` with how a batch ended: zcrm_batch_run(), or a step that was a batch. */
ZCRM_API zcrm_status zcrm_result_batch(const struct zcrm_result *result, struct zcrm_batch_summary *out, struct zcrm_error **err);

/**
 * The bytes of a download to memory.
 * @param result  of a download with `ZCRM_TO_MEMORY`
 * @param data    receives the first byte, borrowed from `result`; NULL when there are none
 * @param n       receives how many
 */
ZCRM_API zcrm_status zcrm_result_data(const struct zcrm_result *result, const uint8_t **data, size_t *n, struct zcrm_error **err);

/**
 * The whole result as one JSON object: `{"operation":...,"result":...,"attempts":...,"waited_ms":...}`. zcrm_step_describe() has its schema.
 * @param result  of any operation
 * @param n       NULL, or receives the length without the NUL
 * @return text borrowed from `result`; "" also when there is no memory for it: ask again when there is
 */
ZCRM_API const char *zcrm_result_json(const struct zcrm_result *result, size_t *n);

/** Frees a result and what was borrowed from it. NULL is accepted. */
ZCRM_API void zcrm_result_free(struct zcrm_result *result);

/**
 * Exchanges the setting `grant_code`, which works once and for a few minutes, for a refresh token. Do this once, when you set up a connection.
 * https://www.zoho.com/crm/developer/docs/api/v8/access-refresh.html
 * @param config  settings: `grant_code`, `client_id`, `client_secret`, `data_center`, and `redirect_uri` if the code was made with one
 * @param result  zcrm_result_json() has `refresh_token`, `access_token`, `api_domain`, `scope` and `expires_in`. It holds secrets: keep it
 *                out of logs.
 * @return also `ZCRM_E_CONFIG`; `ZCRM_E_AUTH`: the code is used up, expired or of another client
 */
ZCRM_API
zcrm_status zcrm_auth_exchange(const struct zcrm_config *config,
                               const struct zcrm_call *call,
                               struct zcrm_result **result,
                               struct zcrm_error **err);

/**
 * Describes the steps in one JSON document, from which an engine can generate its forms. It is the same for as long as the library is loaded.
 *
 * `schema` (1: the form of the document itself), `library`, `version`; `operations`: each with `id`, `title`, `help`, `page` (Zoho's),
 * `input` and `output` (JSON Schema draft 2020-12, without references), `examples`; `error`: the JSON Schema of zcrm_error_json();
 * `settings`: each key of zcrm_config_set() with `name`, `group`, `default`, `secret`, `help`, and what its value can be: `type` (`string`,
 * `integer` or `list`), and where they apply `format`, `enum`, `minimum`, `maximum`, `unit`, `separator`; `statuses`: each `ZCRM_E_*` with
 * `number`, `name`, `help`, `retry` (whether such a failure may pass by itself); `limits`.
 */
ZCRM_API const char *zcrm_step_describe(void);

/**
 * Runs one operation given as JSON, for example
 * `{"operation":"attachment.upload","module":"Contacts","record_id":"3652397000000649013","source":{"path":"/srv/files/a.pdf"}}`.
 * zcrm_step_describe() has the schemas. Each operation does what its typed function does, whose comment links Zoho's page.
 *
 * The library doesn't trust the input: it may name files only below the directories of the setting `allow_paths`. A small file may stand in the
 * input, or in the result, as base64. Where `call` and the input differ, the input counts; of two timeouts, the shorter one.
 * @param json    the input, UTF-8, borrowed for the call
 * @param len     its length in bytes; `ZCRM_NUL` = NUL-terminated
 * @param result  zcrm_result_json(), and what the typed function's result has
 * @return what the typed function returns; `ZCRM_E_ARGUMENT` with the reason "step_input" when the input isn't as described (the message and
 *         `details.json_path` of zcrm_error_json() say where), or "path_not_allowed"
 */
ZCRM_API
zcrm_status zcrm_step_run(const struct zcrm_client *client,
                          const char *json,
                          size_t len,
                          const struct zcrm_call *call,
                          struct zcrm_result **result,
                          struct zcrm_error **err);

/** Makes an empty batch. Free it with zcrm_batch_free(). */
ZCRM_API zcrm_status zcrm_batch_new(struct zcrm_batch **out);

/**
 * Adds a step.
 * @param key    what the caller calls the step, NUL-terminated, copied: unique in the batch, and the same whenever it is run again
 * @param json   the step, as zcrm_step_run() takes it; it is checked when it runs, may name files only below `allow_paths`, and downloads
 *               only to a file
 * @param len    its length in bytes; `ZCRM_NUL` = NUL-terminated
 * @return `ZCRM_OK`, `ZCRM_E_ARGUMENT`, or `ZCRM_E_STATE` while the batch runs, also from its `ended`
 */
ZCRM_API zcrm_status zcrm_batch_add(struct zcrm_batch *batch, const char *key, const char *json, size_t len, struct zcrm_error **err);

/**
 * Lets the batch ask `next` for its steps, after those that were added, so that a batch of any length takes little memory: it drops a step once it
 * has reported its end, and keeps at most 32 bytes to recognise its key.
 *
 * A step that is malformed (no key, no UTF-8, a key that this run has had already) is reported to `ended` like every bad step, and the batch goes
 * on. While `next` blocks, the steps under way go on; when it returns, the batch reports them and notes them in the journal. A cancel or the timeout
 * ends them at once, and the run when `next` returns. Inside of `next`, zcrm_batch_add(), this function and zcrm_batch_run() are `ZCRM_E_STATE`;
 * zcrm_batch_free() frees the batch after the run. A batch that is run again asks again, and `next` decides with which step it begins; with a
 * journal it should be the first. If the batch stops before `next` has returned 0, zcrm_batch_summary.left counts all further steps as one.
 * @param next  gives each step; NULL = no source any more
 * @param user  passed to it
 * @return `ZCRM_OK`, `ZCRM_E_ARGUMENT`, or `ZCRM_E_STATE` while the batch runs
 */
ZCRM_API zcrm_status zcrm_batch_set_source(struct zcrm_batch *batch, zcrm_next_step_fn next, void *user, struct zcrm_error **err);

/**
 * Holds the batch: steps under way end and none is begun, until it goes on. From any thread, also from `ended`. NULL is ignored.
 * @param on     anything but 0 to hold it, 0 to let it go on
 */
ZCRM_API void zcrm_batch_pause(const struct zcrm_batch *batch, int32_t on);

/**
 * Runs the steps of a batch, several at once, on threads that end before this returns. A step that is refused or fails is reported to `ended` and
 * counted; the batch goes on. `left` steps were not begun, or not ended, because the batch was stopped:
 * by a cancel ("cancelled"), the call's timeout ("call_timeout"), `credits` ("credits_budget"), its source ("source"), because the organisation has
 * no API credits left ("credits_exhausted"), or because there is no token for any step ("no_token"). The batch is done when `left` is 0;
 * otherwise run it again with its journal.
 *
 * A step costs as many API calls as it would by itself; one that a killed process had begun costs one list more.
 * https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html
 * @param batch   the steps; they stay, so that it can be run again
 * @param args    NULL, or how to run it
 * @param call    NULL, or timeout, cancel token and trace id of the whole, and `ZCRM_CALL_SHA256`, `ZCRM_CALL_SKIP_*` and `ZCRM_CALL_AGAIN` for
 *                each step; nothing else of it is used. The setting `call_timeout_ms` bounds each step, never the whole
 * @param result  NULL, or receives the summary: zcrm_result_batch()
 * @return `ZCRM_OK` also when steps have failed or are left; an error only when nothing (further) can be run: `ZCRM_E_IO` (the journal can't
 *         be read or written), `ZCRM_E_PROTOCOL` (the journal is broken), `ZCRM_E_STATE` (another batch has it), `ZCRM_E_ARGUMENT`
 */
ZCRM_API
zcrm_status zcrm_batch_run(const struct zcrm_client *client,
                           const struct zcrm_batch *batch,
                           const struct zcrm_batch_args *args,
                           const struct zcrm_call *call,
                           struct zcrm_result **result,
                           struct zcrm_error **err);

/** Frees a batch. One that runs, even when it is freed from its `ended`, goes on to its end. NULL is accepted. */
ZCRM_API void zcrm_batch_free(struct zcrm_batch *batch);

/**
 * Shares one access token between processes and machines through this store, so that each expiry costs one token request in all. Replaces an
 * earlier store and the setting `token_file`. Used only with OAuth credentials, not with an access token or a token callback.
 * https://www.zoho.com/crm/developer/docs/api/v8/token-validity.html
 * @param store   the callbacks; the struct is copied
 * @return `ZCRM_OK`, or `ZCRM_E_ARGUMENT` when a callback is missing
 */
ZCRM_API zcrm_status zcrm_config_set_token_store(struct zcrm_config *config, const struct zcrm_token_store *store, struct zcrm_error **err);

/**
 * Fills a table of the functions that a host of steps needs, so that a host which loads the library with dlopen() looks up this one symbol.
 *
 * Load with `RTLD_NOW | RTLD_LOCAL`, and don't unload.
 * @param host_abi    `ZCRM_ABI_VERSION` of the header that the host was built with
 * @param table       receives the functions; what it held before doesn't matter, and members that the library doesn't have become NULL
 * @param table_size  `sizeof(zcrm_plugin_v1)` of that header
 * @return `ZCRM_OK`, `ZCRM_E_VERSION` when the library has another ABI than the host was built for, or `ZCRM_E_ARGUMENT` when `table` is
 *         NULL or `table_size` can't be right
 */
ZCRM_API zcrm_status zcrm_plugin_init(uint32_t host_abi, struct zcrm_plugin_v1 *table, size_t table_size);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* ZCRM_H */
