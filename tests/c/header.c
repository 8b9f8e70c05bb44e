/* The header alone, in C and in C++: every macro is used once. */
#include "zcrm.h"

#include <string.h>

static size_t use(zcrm_str text) { return text.len; }

int main(void) {
    zcrm_call call;
    memset(&call, 0, sizeof call);
    call.struct_size = sizeof call;
    call.trace_id = ZCRM_STR("trace");
    call.flags = ZCRM_CALL_SHA256 | ZCRM_CALL_EXPECT_BYTES;
    return use(ZCRM_CSTR("a")) == ZCRM_NUL && call.trace_id.len == 5 && zcrm_abi_version() == ZCRM_ABI_VERSION ? ZCRM_OK : 1;
}
