/* Rule 3: structs carry their size: shorter is filled up, longer with a tail that isn't zero is refused, outputs keep to their size. */
#include "check.h"

int main(void) {
    zcrm_error *err = NULL;
    zcrm_client *client = emulator();
    zcrm_target target = contact();
    zcrm_source source = memory_source("size.txt", "size", 4);
    zcrm_sink sink = memory_sink();
    zcrm_call call = {.struct_size = sizeof call};
    zcrm_list_args args = {.struct_size = sizeof args};

    const size_t wrong[] = {0, 1, sizeof(size_t) - 1, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        target.struct_size = source.struct_size = sink.struct_size = call.struct_size = args.struct_size = wrong[i];
        EXPECT(zcrm_attachment_list(client, &target, NULL, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "a target of an impossible size");
        target.struct_size = sizeof target;
        EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "a source of an impossible size");
        EXPECT(zcrm_attachment_download(client, &target, &sink, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "a sink of an impossible size");
        EXPECT(zcrm_attachment_list(client, &target, NULL, &call, NULL, &err), ZCRM_E_ARGUMENT, &err, "a call of an impossible size");
        EXPECT(zcrm_attachment_list(client, &target, &args, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "list arguments of an impossible size");
    }
    source.struct_size = sizeof source;

    struct { zcrm_target target; long newer; } longer = {target, 0};
    longer.target.struct_size = sizeof longer;
    EXPECT(zcrm_attachment_list(client, &longer.target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "a newer struct whose new field is zero");
    longer.newer = 1;
    zcrm_status status = zcrm_attachment_list(client, &longer.target, NULL, NULL, NULL, &err);
    CHECK(strstr(zcrm_error_message(err), "target") != NULL, "a newer struct whose new field is set is named");
    EXPECT(status, ZCRM_E_VERSION, &err, "and refused");

    /* A short struct lies at the end of a heap block: valgrind sees a byte too many that is read or written. */
    size_t no_attachment = offsetof(zcrm_target, attachment_id);
    zcrm_target *short_target = malloc(no_attachment);
    memcpy(short_target, &target, no_attachment);
    short_target->struct_size = no_attachment;
    EXPECT(zcrm_attachment_list(client, short_target, NULL, NULL, NULL, &err), ZCRM_OK, &err, "an older struct without its last field");
    free(short_target);
    size_t *only_size = malloc(sizeof(size_t));
    *only_size = sizeof(size_t);
    EXPECT(zcrm_attachment_list(client, &target, (zcrm_list_args *)only_size, (zcrm_call *)only_size, NULL, &err), ZCRM_OK, &err, "size alone is all defaults");
    EXPECT(zcrm_attachment_list(client, (zcrm_target *)only_size, NULL, NULL, NULL, &err), ZCRM_E_ARGUMENT, &err, "and a target without a record");
    free(only_size);

    zcrm_result *result = NULL;
    EXPECT(zcrm_attachment_upload(client, &target, &source, NULL, &result, &err), ZCRM_OK, &err, "an upload");
    size_t first = offsetof(zcrm_attachment, file_name);
    zcrm_attachment *old = malloc(first);
    old->struct_size = first;
    EXPECT(zcrm_result_attachment(result, 0, old, &err), ZCRM_OK, &err, "an older output is filled as far as it goes");
    CHECK(old->struct_size == first && old->id.len > 0, "and keeps its size");
    free(old);
    struct { zcrm_attachment entry; unsigned char newer[16], behind; } new = {.behind = 0x5a};
    memset(new.newer, 0x5a, sizeof new.newer);
    new.entry.struct_size = sizeof new.entry + sizeof new.newer;
    EXPECT(zcrm_result_attachment(result, 0, &new.entry, &err), ZCRM_OK, &err, "a newer output is filled");
    CHECK(new.newer[0] == 0 && new.newer[15] == 0 && new.behind == 0x5a, "what we don't know is zero, what lies behind is untouched");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        new.entry.struct_size = wrong[i];
        EXPECT(zcrm_result_attachment(result, 0, &new.entry, &err), ZCRM_E_ARGUMENT, &err, "an output of an impossible size");
    }
    zcrm_page page = {.struct_size = 0};
    zcrm_transfer transfer = {.struct_size = 0};
    CHECK(zcrm_result_transfer(result, &transfer, NULL) == ZCRM_E_ARGUMENT, "a transfer of size 0");
    CHECK(zcrm_result_page(result, &page, NULL) == ZCRM_E_STATE, "an upload is no list");
    zcrm_result_free(result);
    zcrm_client_free(client);
    return finish();
}
