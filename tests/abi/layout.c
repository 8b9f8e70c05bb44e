/* Prints size and offsets of every public struct, to be compared with layout.golden. */
#include <stdio.h>

#include "zcrm.h"

#define STRUCT(type) printf(#type " %zu\n", sizeof(type))
#define FIELD(type, field) printf("  " #field " %zu %zu\n", offsetof(type, field), sizeof(((type *)0)->field))

int main(void) {
    STRUCT(zcrm_str);
    FIELD(zcrm_str, ptr);
    FIELD(zcrm_str, len);
    STRUCT(zcrm_target);
    FIELD(zcrm_target, struct_size);
    FIELD(zcrm_target, module);
    FIELD(zcrm_target, record_id);
    FIELD(zcrm_target, attachment_id);
    STRUCT(zcrm_source);
    FIELD(zcrm_source, struct_size);
    FIELD(zcrm_source, kind);
    FIELD(zcrm_source, name);
    FIELD(zcrm_source, content_type);
    FIELD(zcrm_source, path);
    FIELD(zcrm_source, data);
    FIELD(zcrm_source, data_len);
    FIELD(zcrm_source, length);
    FIELD(zcrm_source, read);
    FIELD(zcrm_source, rewind);
    FIELD(zcrm_source, user);
    FIELD(zcrm_source, link_url);
    STRUCT(zcrm_sink);
    FIELD(zcrm_sink, struct_size);
    FIELD(zcrm_sink, kind);
    FIELD(zcrm_sink, flags);
    FIELD(zcrm_sink, path);
    FIELD(zcrm_sink, max_bytes);
    FIELD(zcrm_sink, write);
    FIELD(zcrm_sink, user);
    STRUCT(zcrm_call);
    FIELD(zcrm_call, struct_size);
    FIELD(zcrm_call, cancel);
    FIELD(zcrm_call, timeout_ms);
    FIELD(zcrm_call, progress);
    FIELD(zcrm_call, user);
    FIELD(zcrm_call, trace_id);
    FIELD(zcrm_call, expected_sha256);
    FIELD(zcrm_call, expected_bytes);
    FIELD(zcrm_call, restrict_triggers);
    FIELD(zcrm_call, flags);
    FIELD(zcrm_call, reserved);
    STRUCT(zcrm_list_args);
    FIELD(zcrm_list_args, struct_size);
    FIELD(zcrm_list_args, fields);
    FIELD(zcrm_list_args, page_token);
    FIELD(zcrm_list_args, page);
    FIELD(zcrm_list_args, per_page);
    STRUCT(zcrm_attachment);
    FIELD(zcrm_attachment, struct_size);
    FIELD(zcrm_attachment, id);
    FIELD(zcrm_attachment, file_name);
    FIELD(zcrm_attachment, link_url);
    FIELD(zcrm_attachment, created_time);
    FIELD(zcrm_attachment, modified_time);
    FIELD(zcrm_attachment, parent_id);
    FIELD(zcrm_attachment, owner_name);
    FIELD(zcrm_attachment, bytes);
    FIELD(zcrm_attachment, is_link);
    FIELD(zcrm_attachment, reserved);
    STRUCT(zcrm_transfer);
    FIELD(zcrm_transfer, struct_size);
    FIELD(zcrm_transfer, bytes);
    FIELD(zcrm_transfer, file_name);
    FIELD(zcrm_transfer, content_type);
    FIELD(zcrm_transfer, sha256);
    FIELD(zcrm_transfer, path);
    FIELD(zcrm_transfer, length_verified);
    FIELD(zcrm_transfer, reserved);
    STRUCT(zcrm_page);
    FIELD(zcrm_page, struct_size);
    FIELD(zcrm_page, next_page_token);
    FIELD(zcrm_page, more_records);
    FIELD(zcrm_page, reserved);
    return 0;
}
