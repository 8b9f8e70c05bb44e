//! `zcrm-emulator`: a strict local server that behaves as Zoho CRM is documented to.
//!
//! It speaks OAuth tokens, attachments (files and links), record photos, notes and the file store over real sockets,
//! for API versions v2 to v8. What the documents do not allow, it refuses; where they are silent, a
//! [setting](Settings) says what happens, and the code says UNCONFIRMED. A [script of faults](Fault) makes it lie, and
//! a [ledger](Ledger) tells afterwards what reached it.
//!
//! ```no_run
//! use zcrm_emulator::{Emulator, Fault, Options};
//!
//! let emulator = Emulator::start(Options::default())?;
//! emulator.script("attachment.upload", [Fault::reset_after_store()]);
//! println!("{} {}", emulator.url(), emulator.record("Contacts"));
//! # Ok::<(), std::io::Error>(())
//! ```

mod accounts;
mod canned;
mod clock;
mod control;
mod crm;
mod delete;
mod deliver;
mod direct;
mod download;
mod edit;
mod emulator;
mod exchange;
mod fault;
mod files;
mod ledger;
mod list;
mod media;
mod multipart;
mod name;
mod oauth;
mod org;
mod page;
mod paging;
mod photo;
pub mod program;
mod receive;
mod record;
mod reply;
mod request;
mod script;
mod seed;
mod server;
mod settings;
mod state;
mod tls;
mod upload;
mod version;
mod wire;
mod world;

pub use canned::Canned;
pub use emulator::{Emulator, Options, StoredAttachment};
pub use fault::{Endless, Fault, SlowPart, StallAt};
pub use ledger::{FaultFired, Ledger, Part, Request, Stored, TokenIssued};
pub use script::{OPERATIONS, Requests};
pub use seed::{Credentials, JPEG, PNG, REDIRECT_URI};
pub use settings::*;
pub use tls::Certificate;
pub use world::RecordState;
