//! The core against the emulator, over real sockets. Each test has its own emulator.

mod again;
mod attachments;
mod authentication;
mod batch;
mod between;
mod checks;
mod downloads;
mod errors;
mod framing;
mod journal;
mod lists;
mod not_the_file;
mod photos;
mod pictures;
mod records;
mod replies;
mod retries;
mod secrets;
mod server;
mod settlement;
mod sharing;
#[path = "../support/world.rs"]
mod support;
mod transport;
mod window;
