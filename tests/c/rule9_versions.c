/* Rule 9: versions match, and every status of the header has its name. */
#include "check.h"

int main(int count, char **arguments) {
    CHECK(zcrm_abi_version() == ZCRM_ABI_VERSION, "the library's ABI is the header's");
    CHECK(strcmp(zcrm_version(), ZCRM_VERSION) == 0, "and so is its version");
    CHECK(strcmp(zcrm_status_name(ZCRM_OK), "ZCRM_OK") == 0, "ZCRM_OK");
    CHECK(strcmp(zcrm_status_name(ZCRM_E_CHECKSUM), "ZCRM_E_CHECKSUM") == 0, "ZCRM_E_CHECKSUM");
    CHECK(strcmp(zcrm_status_name(-1), "ZCRM_E_UNKNOWN") == 0 && strcmp(zcrm_status_name(100000), "ZCRM_E_UNKNOWN") == 0, "a number that isn't known");
    CHECK(count == 1 && arguments, "no arguments");
    return finish();
}
