//! zcrm moves files and pictures between a workflow and Zoho CRM records.
//!
//! [`attachment`] and [`photo`] hold the operations; read these two and you know what the product does. [`records`] lists the ids of a
//! module's records.
//! The C ABI over them, which every binding sits on, is `include/zcrm.h`, made from `src/capi`.
#![deny(unsafe_code)]

#[cfg(test)]
extern crate self as zcrm; // the checks of the fuzz targets are compiled into the tests too

pub mod attachment;
pub mod auth;
mod call;
mod caller;
mod cancel;
#[cfg(feature = "capi")]
mod capi;
mod claimed;
mod client;
pub mod config;
mod download;
mod error;
mod fallible;
#[cfg(any(fuzzing, test))]
pub mod fuzzing;
mod http;
mod object;
mod organisation;
mod pages;
mod panics;
pub mod photo;
mod process;
mod record;
pub mod records;
mod shape;
mod sorted;
pub mod step;
mod text;
mod threads;
mod transfer;

pub use call::{Call, IfExists, Outcome, ProgressFn};
pub use cancel::Cancel;
pub use claimed::Claimed;
pub use client::Client;
pub use config::Config;
pub use error::{Detail, Error, Result, Sent, Status, one_line, systems_words};
pub use record::Record;
pub use step::batch;
pub use transfer::{Bytes, File, Reader, Seekable, Sink, Source, Streamed, To, Writer, Written};
