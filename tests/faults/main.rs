//! Faults: whatever the server, the network, the disk or a killed process does, each file is on its record once, or the result says what isn't known.
//!
//! Where each row of the notes on failures is proven; `matrix` and `replay` beside it say that it is a cell or a step there too.
//!
//! | Row | What happens | Tests |
//! | --- | --- | --- |
//! | 1 | no connection, no such host | `rows::t1_…`, `replay`, api `transport::nobody_listening_…` |
//! | 2 | reset within the body | `matrix`: reset after 0, 1, 50, 99 %; `replay`; api `settlement::a_body_that_never_left_whole_…` |
//! | 3 | stored, reply lost | `matrix`, `replay`, `chaos`; api `settlement::a_stored_upload_…` |
//! | 4 | not stored, reply lost | `matrix`, `replay`; api `settlement::an_upload_that_was_not_stored_…` |
//! | 5 | listed late | `matrix`: stored, lost, listed later; api `settlement::an_upload_that_shows_late_…`, `…a_twin_that_shows_…` |
//! | 6 | another of the same name and size | every upload cell of `matrix` finds one there; api `settlement::another_file_…`, `…eight_threads_…` |
//! | 7 | stored under another name | `matrix`, `replay`; api `settlement::a_changed_name_…`, `…a_renamed_upload_…`, `…a_name_that_differs_…` |
//! | 8 | the list fails as well | `matrix`: Settling; `rows::t8_…`; api `settlement::when_the_list_cannot_be_had_…` |
//! | 10 | odd 200 and 207 | `matrix`: 200 with …, 207; api `errors::…` |
//! | 11 | 500, 502, 503, 504 | `matrix`: status …, before and after storing; api `retries::an_idempotent_call_…` |
//! | 12 | 400, 403, 404, 413, 415 | `matrix`; api `errors::every_documented_error_…`, `retries::a_refusal_…` (cut off too) |
//! | 15, 21 | dead token | `rows::t15_…`, `matrix`: 401, `replay`, `chaos`; api `authentication::two_hundred_and_fifty_six_threads_…` |
//! | 16 | refused again | `matrix`: 401, always; api `authentication::a_token_that_is_refused_again_…` |
//! | 17 | scope, unknown address | `matrix`: 401 `OAUTH_SCOPE_MISMATCH`; api `errors::a_missing_scope_…` |
//! | 18, 19, 20 | token replies | `matrix`: `TokenRequest`; api `authentication::failures_of_the_token_endpoint_…` and those after it |
//! | 22 | processes share a store | `tokens::eight_processes_…`, `kill::a_thousand_files_…` (one token file); api `sharing::many_clients_…`, |
//! | | | `…a_lock_whose_holder_…` |
//! | 24 | Retry-After | `matrix`: status 429, Retry-After …; api `retries::retry_after_…` |
//! | 25, 26 | concurrency, credits | api `sharing::when_zoho_bears_less_…`, `…exhausted_credits_…`, `batch::exhausted_credits_…` |
//! | 28 | throttled lists | api `settlement::a_list_that_is_throttled_…` |
//! | 29 | truncated | `matrix`, `replay`; api `downloads::a_truncated_download_…` |
//! | 31, 33, 34, 35 | no length, flipped byte, nothing, a page | `matrix`; api `downloads::…` |
//! | 36 | encodings | api `downloads::an_encoded_reply_…`, `lists::a_reply_over_eight_megabytes_…` |
//! | 37 | range resume | the library has none: a broken download starts again |
//! | 38 | Content-Disposition | api `downloads::the_servers_name_…`, unit tests of `transfer::name` |
//! | 39 | disk | `disk::a_disk_…` (of a token: a warning; api `sharing::token_requests_that_a_full_disk_…`), `disk::a_write_…`, |
//! | | | `disk::a_directory_that_goes_…` |
//! | 40 | odd targets | `rows::t40_…`, `disk::a_directory_that_goes_or_a_target_that_comes_…`, unit tests of `transfer::sink` |
//! | 41 | the source changes | `rows::t41_…`; api `attachments::a_reader_that_gives_fewer_or_more_…` |
//! | 42 | source can't rewind | `matrix`: `UploadReader`; api `settlement::a_reader_that_cannot_rewind_…` |
//! | 43, 45, 46 | sizes, names | api `checks::…`, `framing::…`, `attachments::memory_is_stored_…` |
//! | 47, 48 | stalls, slow, keep-alive | `matrix`: stall …, slow, closed after the reply; `replay`; api `transport::…` |
//! | 50 | redirects | `matrix`: 30x; api `downloads::a_redirect_…` |
//! | 51 | TLS | api `transport::a_certificate_that_is_not_right_…`, `…a_tls_connection_cut_…` |
//! | 52 | proxy | `rows::t52_…`; api `transport::a_proxy_is_used_…` |
//! | 53 | `api_domain` | api `authentication::api_domain_of_the_reply_…`, unit tests of `auth::hosts` |
//! | 54, 55 | paging, JSON | `matrix`: lists; api `lists::…` |
//! | 57 | delete twice | `matrix`, `replay`; api `retries::a_deletion_whose_reply_was_lost_…` |
//! | 58 | photos | api `checks::…`, `photos::…` |
//! | 60 | cancel | `replay::a_cancel_at_any_step_…`; api `transport::a_cancelled_call_…`; `tests/c`: rule8_cancel, rule8_lookup; |
//! | | | api `sharing::a_wait_for_a_place_…` |
//! | 61 | deadline | api `transport::a_deadline_ends_a_wait_…`, `settlement::a_deadline_during_the_looks_…` |
//! | 62 | killed | `kill::…`, `kill_operations::…` |
//! | 63 | journal | `disk::…` (journal); api `batch::a_journal_that_is_in_use_…`, unit tests of `batch::journal` |
//! | 64 | twice without a journal | `matrix`: `CheckFirst`; step `a_job_that_comes_a_second_time_…` |
//! | 65, 66, 67, 68 | SIGPIPE, fork, callbacks, misuse | `tests/c`: sigpipe, fork, rule6, rule7, rule2, rule3, threads |
//! | 69 | no descriptors, no threads, no memory | `disk::without_file_descriptors_…`, `disk::a_batch_that_gets_no_threads_…`; |
//! | | | `tests/c`: rule7_memory |
//! | 70 | two organisations | `chaos::two_organisations_…`; api `attachments::two_organisations_…` |
//! | 71 | links | `matrix`: Link; api `checks::…`, `downloads::a_link_has_no_bytes_…` |
//! | 72 | refusals within a batch | `rows::t72_…`; api `errors::a_virus_…` |
#![cfg(target_os = "linux")]

mod cause;
mod chaos;
#[path = "../support/compiler.rs"]
mod compiler;
mod disk;
mod heap;
mod held;
mod kill;
mod kill_operations;
mod matrix;
mod operation;
mod quick;
#[path = "../support/random.rs"]
mod random;
mod relay;
mod replay;
mod rows;
#[path = "../support/world.rs"]
mod support;
mod tally;
mod tenant;
mod tokens;
mod weather;
mod worker;

use std::process::{Command, Stdio};

/// A test of this binary, as a process of its own.
fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", test]).stdout(Stdio::null());
    command
}
