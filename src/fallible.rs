//! Memory whose size a server, a file or the caller says: where there isn't that much, that is an error and not the end of the process.
//!
//! Stable Rust offers this only for `Vec` and its like. Everywhere else an allocation that fails ends the process. What that is, and how
//! large at most: what HTTP and TLS read and write (some 400 KB a connection); texts of the caller (1 MiB each) and of an object in a reply
//! (256 KiB together), copied as they are parsed; settings; the lines of a journal; a step inside of a batch, whose JSON and whose result
//! (a list is the largest) are copied; and text with escapes in a step's JSON.

use std::io;

use serde::Serialize;

use crate::error::{Error, Result, Status};

/// Begins the text of an error that a deserializer passes on: texts are all that it passes.
const NONE: &str = "no memory for";

/// There is no memory for so many bytes.
pub(crate) fn out_of_memory(bytes: usize) -> Error {
    Error::new(Status::Memory, "memory", format!("{NONE} {bytes} bytes"))
}

/// So many zero bytes.
pub(crate) fn zeroed(bytes: usize) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    reserve(&mut all, bytes)?;
    all.resize(bytes, 0);
    Ok(all)
}

/// Room for so many further items, as a list grows.
pub(crate) fn reserve<T>(list: &mut Vec<T>, items: usize) -> Result<()> {
    list.try_reserve(items).map_err(|_| out_of_memory((list.len() + items).saturating_mul(size_of::<T>())))
}

/// Appends bytes.
pub(crate) fn append(to: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    reserve(to, bytes.len())?;
    to.extend_from_slice(bytes);
    Ok(())
}

/// A copy of a text.
pub(crate) fn copy(text: &str) -> Result<String> {
    let mut copy = String::new();
    copy.try_reserve_exact(text.len()).map_err(|_| out_of_memory(text.len()))?;
    copy.push_str(text);
    Ok(copy)
}

/// The JSON of what only holds what JSON can say.
pub(crate) fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    struct Growing(Vec<u8>);

    impl io::Write for Growing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            append(&mut self.0, bytes).map_err(|_| io::ErrorKind::OutOfMemory)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    let mut json = Growing(Vec::new());
    serde_json::to_writer(&mut json, value).map_err(|_| out_of_memory(json.0.len()))?;
    Ok(json.0)
}

/// The error of this module that a deserializer has passed on, if it is one.
pub(crate) fn passed_on(error: &serde_json::Error) -> Option<Error> {
    let text = error.to_string();
    text.starts_with(NONE).then(|| Error::new(Status::Memory, "memory", text))
}
