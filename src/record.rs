//! A record: a module's API name and the record's id.

use crate::config::{Check, Config};
use crate::error::{Error, Result, one_line};

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

    /// Refuses a record that can't exist.
    pub(crate) fn check(&self, config: &Config) -> Result<()> {
        check_module(config, &self.module)?;
        check_id(config, "record_id", &self.id)
    }
}

/// Whether it is made of digits alone, as every id of Zoho is.
pub(crate) fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= 32 && id.bytes().all(|b| b.is_ascii_digit())
}

/// Refuses an id that can't exist: `field` is the parameter's name.
pub(crate) fn check_id(config: &Config, field: &'static str, id: &str) -> Result<()> {
    if is_id(id) || (is_segment(id) && !config.checks(Check::Id)) {
        return Ok(());
    }
    let problem = format!("{:?} is not an id; Zoho's ids are digit strings such as \"3652397000000649013\"", one_line(id));
    Err(Error::argument(field, problem).with(|d| d.reason = "id"))
}

/// Refuses a module name that no module of Zoho can have.
pub(crate) fn check_module(config: &Config, module: &str) -> Result<()> {
    let word = module.len() <= 100 && module.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let named = word && module.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
    if named || (is_segment(module) && !config.checks(Check::Module)) {
        return Ok(());
    }
    let problem = format!("{:?} is not a module's API name, such as \"Contacts\" or \"Custom_Module\"", one_line(module));
    Err(Error::argument("module", problem).with(|d| d.reason = "module"))
}

/// Whether a text stays one segment of a path once it is percent-encoded. These three don't: a URL's parser takes them out, and the
/// request would be about something else. No setting allows them.
pub(crate) fn is_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_another_url_is_refused_whatever_is_switched_off() {
        let mut config = Config::new();
        config.set("checks_off", "all").unwrap();
        for wrong in ["", ".", ".."] {
            let record = Record::new(wrong, "1").check(&config).unwrap_err();
            assert_eq!((record.reason(), record.detail().field), ("module", Some("module")));
            let record = Record::new("Contacts", wrong).check(&config).unwrap_err();
            assert_eq!((record.reason(), record.detail().field), ("id", Some("record_id")));
            assert!(check_id(&config, "attachment_id", wrong).is_err());
        }
        Record::new("...", "../x").check(&config).unwrap(); // encoded, they stay where they are
    }
}
