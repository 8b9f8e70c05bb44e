//! zcrm moves files and pictures between a workflow and Zoho CRM records.
//!
//! [`attachment`] and [`photo`] hold the operations; read these two and you know what the product does.
//! The C ABI over them, which every binding sits on, is `include/zcrm.h`, made from `src/capi`.
#![deny(unsafe_code)]

pub mod attachment;
mod call;
mod cancel;
#[cfg(feature = "capi")]
pub mod capi;
pub mod config;
mod error;
mod record;
mod transfer;

pub use call::{Call, Outcome, ProgressFn};
pub use cancel::Cancel;
pub use config::Config;
pub use error::{Detail, Error, Result, Sent, Status};
pub use record::Record;
pub use transfer::{Bytes, Reader, Seekable, Sink, Source, Streamed, Writer, Written};
