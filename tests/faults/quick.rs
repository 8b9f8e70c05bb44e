//! Worlds for faults: quick retries and looks, so that no case waits long; patient with a busy machine where nothing stalls.

use zcrm::Client;
use zcrm_emulator::{Emulator, Options};

use crate::support::canary::Canary;
use crate::support::{World, client_heard_by, refreshing_of};

const QUICK: &[(&str, &str)] = &[("retry_base_ms", "5"), ("settle_waits_ms", "20,60"), ("stall_timeout_ms", "20000")];

pub fn quick(settings: &[(&str, &str)]) -> World {
    quick_of(emulator(), settings)
}

/// The same with an emulator that is there already.
pub fn quick_of(emulator: Emulator, settings: &[(&str, &str)]) -> World {
    let tokens = refreshing_of(&emulator, 1);
    World::of(emulator, &merged(&tokens, settings))
}

/// A client of an organisation, counted from 1, whose every word is heard.
pub fn client(canary: &Canary, emulator: &Emulator, organisation: usize, settings: &[(&str, &str)]) -> Client {
    client_heard_by(canary, emulator, &merged(&refreshing_of(emulator, organisation), settings))
}

fn merged<'a>(tokens: &'a [(&'a str, String)], settings: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    tokens.iter().map(|(key, value)| (*key, value.as_str())).chain(QUICK.iter().copied()).chain(settings.iter().copied()).collect()
}

/// An emulator without records.
pub fn emulator() -> Emulator {
    Emulator::start(Options { seed: false, ..Options::default() }).expect("an emulator starts")
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref().try_into().expect("32 bytes")
}
