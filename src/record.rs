//! A record: a module's API name and the record's id.

use crate::error::{Error, Result};

/// A CRM row. Ids are digit strings: they do not fit a double.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// API name of the module: `Contacts`, `Notes`, a custom module's name.
    pub module: String,
    /// The record's id.
    pub id: String,
}

impl Record {
    /// The record `id` of `module`.
    pub fn new(module: impl Into<String>, id: impl Into<String>) -> Record {
        Record { module: module.into(), id: id.into() }
    }
}

/// Refuses an id that isn't made of digits alone: `field` is the parameter's name.
pub(crate) fn check_id(field: &'static str, id: &str) -> Result<()> {
    if !id.is_empty() && id.len() <= 32 && id.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(());
    }
    let shown = crate::error::one_line(id);
    Err(Error::argument(field, format_args!("{shown:?} is not an id; Zoho's ids are digit strings such as \"3652397000000649013\""))
        .with(|d| d.reason = "id"))
}

/// Refuses a module name that no module of Zoho can have, before it becomes a path segment.
pub(crate) fn check_module(module: &str) -> Result<()> {
    let named = module.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if named && module.len() <= 100 && module.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Ok(());
    }
    let shown = crate::error::one_line(module);
    Err(Error::argument("module", format_args!("{shown:?} is not a module's API name, such as \"Contacts\" or \"Custom_Module\""))
        .with(|d| d.reason = "module"))
}
