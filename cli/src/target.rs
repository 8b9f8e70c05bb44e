//! What a command is about: `Contacts/ID`, or attachments of it.

use std::fmt;
use std::str::FromStr;

use zcrm::Record;

/// A record, as `MODULE/ID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneRecord(pub Record);

/// A record and attachments of it, as `MODULE/ID[/ATTACHMENT…]`; none of them = all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub record: Record,
    pub attachments: Vec<String>,
}

impl FromStr for OneRecord {
    type Err = String;

    fn from_str(text: &str) -> Result<OneRecord, String> {
        match text.parse()? {
            Target { record, attachments } if attachments.is_empty() => Ok(OneRecord(record)),
            _ => Err("a record is wanted here, and no attachment of it: MODULE/ID".to_owned()),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        const FORM: &str = "give MODULE/ID, such as Contacts/3652397000000649013";
        let (module, ids) = text.split_once('/').filter(|(module, _)| !module.is_empty()).ok_or(FORM)?;
        let ids: Vec<&str> = ids.split('/').collect();
        if let Some(wrong) = ids.iter().find(|id| id.is_empty() || !id.bytes().all(|b| b.is_ascii_digit())) {
            return Err(format!("{wrong:?} is not an id, which has digits only; {FORM}"));
        }
        let attachments = ids[1..].iter().map(|&id| id.to_owned()).collect();
        Ok(Target { record: Record::new(module, ids[0]), attachments })
    }
}

impl fmt::Display for OneRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(&self.0))
    }
}

/// A record as it is written on the command line.
pub fn shown(record: &Record) -> String {
    format!("{}/{}", record.module, record.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_and_its_attachments_are_parts_of_a_path() {
        let target = |text: &str| text.parse::<Target>();
        assert_eq!(target("Contacts/1"), Ok(Target { record: Record::new("Contacts", "1"), attachments: vec![] }));
        assert_eq!(target("Deals/1/22/3").unwrap().attachments, ["22", "3"]);
        for wrong in ["", "Contacts", "Contacts/", "/1", "Contacts/1/", "Contacts//2", "Contacts/x", "Contacts/../1", "Contacts/１"] {
            assert!(target(wrong).unwrap_err().contains("MODULE/ID"), "{wrong}");
        }
        assert!("Contacts/1/2".parse::<OneRecord>().is_err());
    }
}
