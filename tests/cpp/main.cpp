/* Lists the cases with their faults, or runs the one that is named. */
#include "harness.hpp"

int main(int argc, char **argv) {
    if (argc < 2) {
        for (const Case &one : cases()) std::printf("%s\t%s\n", one.name, one.faults);
        return 0;
    }
    for (const Case &one : cases()) {
        if (std::string_view(argv[1]) == one.name) {
            one.run();
            report_looks();
            return failures() != 0;
        }
    }
    std::printf("there is no case %s\n", argv[1]);
    return 2;
}
