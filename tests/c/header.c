/* The header alone, in C and in C++: every macro is used once. */
#include "zcrm.h"

#include <string.h>

static size_t use(zcrm_str text) { return text.len; }

int main(void) {
    zcrm_call call;
    zcrm_str text;
    memset(&call, 0, sizeof call);
    call.struct_size = sizeof call;
    call.trace_id.ptr = "trace";
    call.trace_id.len = 5;
    call.flags = ZCRM_CALL_SHA256 | ZCRM_CALL_EXPECT_BYTES;
    text = call.trace_id;
#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 199901L) /* C89 has no value of a struct to write down */
    call.trace_id = ZCRM_STR("trace");
    text = ZCRM_CSTR("a");
#endif
    return use(text) == ZCRM_NUL && call.trace_id.len == 5 && zcrm_abi_version() == ZCRM_ABI_VERSION ? ZCRM_OK : 1;
}
