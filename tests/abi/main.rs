//! What guards the ABI: each module says against what.
//!
//! | module | guards |
//! | --- | --- |
//! | `header` | `zcrm.h`: it is what `src/capi` says, documents everything, and compiles wherever it promises to |
//! | `symbols` | what the shared library exports and needs, and since which version each function is there |
//! | `layout` | size and offsets of every struct, and the numbers of the statuses |
//! | `stability` | that programs built with the last release go on working, and that the installed link flags are right |
//! | `c` | the rules of `zcrm.h`, each by the C programs of `tests/c`, also under valgrind and the sanitizers |
//! | `cpp` | `zcrm.hpp`, by the cases of `tests/cpp` under the sanitizers |
//! | `mirrors` | that what the library serialises is what the comments and structs of the header, C++ and Go know |
//! | `memory` | that the memory of a transfer doesn't grow with the file |
#![cfg(all(feature = "capi", target_os = "linux"))]

mod c;
mod cpp;
mod header;
mod layout;
mod memory;
mod mirrors;
mod stability;
#[path = "../support/mod.rs"]
mod support;
mod symbols;
