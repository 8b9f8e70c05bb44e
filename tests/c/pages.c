/* The walk over the pages of a list: each row once, whatever happens to the list, and one thread at a time. */
#include "server.h"

static zcrm_pages *walk(zcrm_client *client, const zcrm_list_args *args) {
    zcrm_error *err = NULL;
    zcrm_pages *pages = NULL;
    zcrm_target target = contact();
    EXPECT(zcrm_pages_new(client, &target, args, &pages, &err), ZCRM_OK, &err, "a walk begins");
    return pages;
}

/* Deletes every attachment of a page; gives how many there were. */
static size_t delete_all(zcrm_client *client, const zcrm_result *page) {
    zcrm_error *err = NULL;
    for (size_t i = 0; i < zcrm_result_count(page); i++) {
        zcrm_attachment entry = {.struct_size = sizeof entry};
        EXPECT(zcrm_result_attachment(page, i, &entry, &err), ZCRM_OK, &err, "an entry can be read");
        zcrm_target one = target_of("Contacts", env("ZCRM_TEST_RECORD"), entry.id.ptr);
        EXPECT(zcrm_attachment_delete(client, &one, NULL, NULL, &err), ZCRM_OK, &err, "and is deleted");
    }
    return zcrm_result_count(page);
}

static zcrm_client *client_of_version(const char *version) {
    zcrm_config *config = config_for(env("ZCRM_TEST_URL"));
    set(config, "api_version", version);
    return client_of(config);
}

/* By token, and by number, where rows move up. */
static void deleting_what_is_told_leaves_nothing(const char *version) {
    zcrm_error *err = NULL;
    zcrm_client *client = client_of_version(version);
    zcrm_list_args args = {.struct_size = sizeof args, .per_page = 2};
    char name[] = "0.txt", id[32];
    for (int i = 0; i < 7; i++, name[0]++) upload_text(client, name, "text", id);
    zcrm_pages *pages = walk(client, &args);
    zcrm_result *page = NULL;
    size_t told = 0, fetched = 0;
    while (zcrm_pages_next(pages, NULL, &page, &err) == ZCRM_OK && page) {
        told += delete_all(client, page);
        zcrm_result_free(page);
        fetched++;
    }
    CHECK(told == 7 && fetched >= 4 && !err, "every attachment is told once");
    EXPECT(zcrm_pages_next(pages, NULL, &page, &err), ZCRM_OK, &err, "after the end there is no error");
    CHECK(!page, "and no page");
    zcrm_pages_free(pages);
    zcrm_target target = contact();
    zcrm_result *rest = NULL;
    EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, &rest, &err), ZCRM_OK, &err, "the record is listed");
    CHECK(zcrm_result_count(rest) == 0, "and nothing is left on it");
    zcrm_result_free(rest);
    zcrm_client_free(client);
}

static void a_walk_needs_its_client_no_more(void) {
    zcrm_error *err = NULL;
    zcrm_result *page = NULL;
    zcrm_client *client = emulator();
    char id[32];
    upload_text(client, "a.txt", "text", id);
    zcrm_pages *pages = walk(client, NULL);
    zcrm_client_free(client);
    EXPECT(zcrm_pages_next(pages, NULL, &page, &err), ZCRM_OK, &err, "a page is fetched after its client was freed");
    CHECK(zcrm_result_count(page) == 1, "with what is there");
    zcrm_result_free(page);
    zcrm_pages_free(pages);
}

static void each_page_has_a_call_of_its_own(void) {
    zcrm_error *err = NULL;
    zcrm_result *page = (zcrm_result *)&page;
    zcrm_client *client = emulator();
    zcrm_cancel *cancel = NULL;
    if (zcrm_cancel_new(&cancel) != ZCRM_OK) exit(2);
    zcrm_cancel_fire(cancel);
    zcrm_call call = {.struct_size = sizeof call, .cancel = cancel};
    zcrm_pages *pages = walk(client, NULL);
    EXPECT(zcrm_pages_next(pages, &call, &page, &err), ZCRM_E_CANCELLED, &err, "a page can be cancelled");
    CHECK(page == (zcrm_result *)&page, "then its output is untouched");
    EXPECT(zcrm_pages_next(pages, NULL, &page, &err), ZCRM_OK, &err, "and the same page can be asked for again");
    CHECK(zcrm_result_count(page) == 1, "with what is on it");
    zcrm_result_free(page);
    zcrm_cancel_free(cancel);
    zcrm_pages_free(pages);
    zcrm_client_free(client);
}

static void what_is_missing_or_wrong_is_named(void) {
    zcrm_error *err = NULL;
    zcrm_result *page = NULL;
    zcrm_pages *pages = NULL;
    zcrm_client *client = emulator();
    zcrm_target target = contact(), odd = target_of("Contacts", "x", NULL);
    zcrm_list_args args = {.struct_size = sizeof args, .per_page = 201};
    EXPECT(zcrm_pages_new(NULL, &target, NULL, &pages, &err), ZCRM_E_ARGUMENT, &err, "without a client");
    EXPECT(zcrm_pages_new(client, NULL, NULL, &pages, &err), ZCRM_E_ARGUMENT, &err, "without a target");
    EXPECT(zcrm_pages_new(client, &target, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "without a place for the walk");
    EXPECT(zcrm_pages_new(client, &odd, NULL, &pages, &err), ZCRM_E_ARGUMENT, &err, "with a record that can't be");
    EXPECT(zcrm_pages_new(client, &target, &args, &pages, &err), ZCRM_E_ARGUMENT, &err, "with a page that is too large");
    CHECK(!pages, "no walk begins");
    EXPECT(zcrm_pages_next(NULL, NULL, &page, &err), ZCRM_E_ARGUMENT, &err, "without a walk there is no page");
    EXPECT(zcrm_pages_next((zcrm_pages *)client, NULL, &page, &err), ZCRM_E_ARGUMENT, &err, "nor with another handle");
    pages = walk(client, NULL);
    EXPECT(zcrm_pages_next(pages, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "nor without a place for it: the end couldn't be seen");
    zcrm_pages_free(pages);
    zcrm_pages_free(NULL);
    zcrm_client_free(client);
}

/* The record of the test is the one that was made last, so it comes first. */
static void the_records_of_a_module_are_listed_by_their_ids(const char *version) {
    zcrm_error *err = NULL;
    zcrm_result *all = NULL;
    zcrm_client *client = client_of_version(version);
    EXPECT(zcrm_record_list(client, "Contacts", ZCRM_NUL, NULL, NULL, &all, &err), ZCRM_OK, &err, "a module is listed");
    size_t n = 0;
    CHECK(!strcmp(zcrm_result_record_id(all, 0, &n), env("ZCRM_TEST_RECORD")) && n == strlen(env("ZCRM_TEST_RECORD")), "by its records' ids");
    CHECK(!*zcrm_result_record_id(all, zcrm_result_count(all), &n) && n == 0, "behind the last one there is none");
    CHECK(!*zcrm_result_record_id(NULL, 0, NULL), "without a result there is no id");
    zcrm_page page = {.struct_size = sizeof page};
    EXPECT(zcrm_result_page(all, &page, &err), ZCRM_OK, &err, "it says where it stands");
    CHECK(!page.more_records && !page.next_page_token.len, "at the end");
    zcrm_attachment none = {.struct_size = sizeof none};
    EXPECT(zcrm_result_attachment(all, 0, &none, &err), ZCRM_E_ARGUMENT, &err, "a record is no attachment");
    zcrm_result_free(all);
    zcrm_client_free(client);
}

static void a_module_is_walked_as_a_record_is(void) {
    zcrm_error *err = NULL;
    zcrm_result *page = NULL;
    zcrm_pages *pages = NULL;
    zcrm_client *client = emulator();
    zcrm_list_args args = {.struct_size = sizeof args, .per_page = 1}, fields = {.struct_size = sizeof fields, .fields = ZCRM_STR("Name")};
    EXPECT(zcrm_record_pages_new(client, NULL, 0, &args, &pages, &err), ZCRM_E_ARGUMENT, &err, "without a module");
    EXPECT(zcrm_record_pages_new(client, "../x", 4, &args, &pages, &err), ZCRM_E_ARGUMENT, &err, "with one that can't be");
    EXPECT(zcrm_record_pages_new(client, "Contacts", 8, &fields, &pages, &err), ZCRM_E_ARGUMENT, &err, "with fields other than the id");
    EXPECT(zcrm_record_pages_new(client, "Contacts", 8, &args, NULL, &err), ZCRM_E_ARGUMENT, &err, "without a place for the walk");
    CHECK(!pages, "no walk begins");
    EXPECT(zcrm_record_pages_new(client, "Contacts", 8, &args, &pages, &err), ZCRM_OK, &err, "a walk begins");
    zcrm_result *all = NULL;
    EXPECT(zcrm_record_list(client, "Contacts", 8, NULL, NULL, &all, &err), ZCRM_OK, &err, "the list is there at once, too");
    size_t told = 0;
    while (zcrm_pages_next(pages, NULL, &page, &err) == ZCRM_OK && page) {
        CHECK(!strcmp(zcrm_result_record_id(page, 0, NULL), zcrm_result_record_id(all, told, NULL)), "each page has the next record");
        told += zcrm_result_count(page);
        zcrm_result_free(page);
    }
    CHECK(told == zcrm_result_count(all) && told > 1 && !err, "until all were told");
    zcrm_result_free(all);
    zcrm_pages_free(pages);
    zcrm_client_free(client);
}

struct fetch {
    zcrm_pages *pages;
    zcrm_call call;
    zcrm_status status;
};

static void *fetch(void *argument) {
    struct fetch *fetch = argument;
    zcrm_result *page = NULL;
    fetch->status = zcrm_pages_next(fetch->pages, &fetch->call, &page, NULL);
    return NULL;
}

static void two_threads_do_not_fetch_at_once(void) {
    zcrm_error *err = NULL;
    zcrm_result *page = NULL;
    struct server silent;
    server_start(&silent, 1, NULL);
    zcrm_client *client = client_for(silent.url);
    zcrm_cancel *cancel = NULL;
    if (zcrm_cancel_new(&cancel) != ZCRM_OK) exit(2);
    struct fetch first = {walk(client, NULL), {.struct_size = sizeof first.call, .cancel = cancel}, ZCRM_OK};
    pthread_t thread;
    pthread_create(&thread, NULL, fetch, &first);
    while (!silent.requests) sleep_ms(1);
    EXPECT(zcrm_pages_next(first.pages, NULL, &page, &err), ZCRM_E_STATE, &err, "a second thread is refused while one fetches");
    zcrm_cancel_fire(cancel);
    pthread_join(thread, NULL);
    CHECK(first.status == ZCRM_E_CANCELLED, "and doesn't disturb it");
    zcrm_cancel_free(cancel);
    zcrm_pages_free(first.pages);
    zcrm_client_free(client);
    server_end(&silent);
}

int main(void) {
    deleting_what_is_told_leaves_nothing("v8");
    deleting_what_is_told_leaves_nothing("v6");
    a_walk_needs_its_client_no_more();
    each_page_has_a_call_of_its_own();
    what_is_missing_or_wrong_is_named();
    the_records_of_a_module_are_listed_by_their_ids("v8");
    the_records_of_a_module_are_listed_by_their_ids("v2");
    a_module_is_walked_as_a_record_is();
    two_threads_do_not_fetch_at_once();
    return finish();
}
