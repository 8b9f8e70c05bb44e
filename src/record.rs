//! A record: a module's API name and the record's id.

use crate::config::{Check, Config, distance};
use crate::error::{Error, Result, Status, one_line};

/// A CRM row. Ids are digit strings: they do not fit a double.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// What a call is about: a record, or a module as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) module: &'a str,
    pub(crate) id: Option<&'a str>,
}

impl<'a> From<&'a Record> for Subject<'a> {
    fn from(record: &'a Record) -> Subject<'a> {
        Subject { module: &record.module, id: Some(&record.id) }
    }
}

impl Subject<'_> {
    /// An error about it says so: in a log of many calls it would tell nothing otherwise. Not one about settings, tokens, limits of the
    /// organisation or the caller's own doing.
    pub(crate) fn named_in(self, error: Error) -> Error {
        use Status::{Argument, Auth, Callback, Cancelled, Config, Io, Memory, Panic, RateLimited, Scope, State, Version};
        if matches!(error.status(), Argument | Auth | Callback | Cancelled | Config | Io | Memory | Panic | RateLimited | Scope | State | Version) {
            return error;
        }
        let meant = likely_module(self.module).filter(|_| error.status() == Status::InvalidModule);
        let meant = meant.map(|name| format!("; did you mean {name:?}?")).unwrap_or_default();
        let id = self.id.map(|id| format!(" {}", one_line(id))).unwrap_or_default();
        let message = format!("{error} ({}{id}){meant}", one_line(self.module));
        error.with(|d| d.message = message)
    }
}

/// Whether it consists of digits only, as every id of Zoho's does.
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
    let example = likely_module(module).map_or("such as \"Contacts\" or \"Custom_Module\"".to_owned(), |name| format!("perhaps {name:?} is meant"));
    let problem = format!("{:?} is not a module's API name; {example}", one_line(module));
    Err(Error::argument("module", problem).with(|d| d.reason = "module"))
}

/// The API names of the standard modules, each with other names that people give it: those of Zoho's pages, earlier ones, and its name in
/// the languages that Zoho CRM is shown in most. <https://www.zoho.com/crm/developer/docs/api/v8/modules-api.html>
const MODULES: &[(&str, &[&str])] = &[
    ("Leads", &["prospects", "prospectos", "interessenten", "pistes"]),
    ("Contacts", &["people", "persons", "kontakte", "contactos", "contatti", "contatos", "contactpersonen"]),
    ("Accounts", &["companies", "customers", "organizations", "firmen", "unternehmen", "konten", "cuentas", "comptes", "aziende", "contas"]),
    ("Deals", &["potentials", "opportunities", "abschlusse", "geschafte", "oportunidades", "affaires", "tratos", "opportunita"]),
    ("Tasks", &["todos", "aufgaben", "tareas", "taches", "attivita", "tarefas"]),
    ("Events", &["meetings", "termine", "besprechungen", "reuniones", "reunions", "riunioni"]),
    ("Calls", &["anrufe", "llamadas", "appels", "chiamate"]),
    ("Products", &["items", "produkte", "productos", "produits", "prodotti", "produtos"]),
    ("Vendors", &["suppliers", "lieferanten", "proveedores", "fournisseurs", "fornitori"]),
    ("Quotes", &["estimates", "angebote", "cotizaciones", "devis", "preventivi"]),
    ("Sales_Orders", &["orders", "auftrage"]),
    ("Purchase_Orders", &["bestellungen"]),
    ("Invoices", &["bills", "rechnungen", "facturas", "factures", "fatture"]),
    ("Price_Books", &["pricelists", "preislisten"]),
    ("Campaigns", &["kampagnen", "campanas", "campagnes", "campagne"]),
    ("Cases", &["tickets", "falle", "casos"]),
    ("Solutions", &["losungen", "soluciones"]),
    ("Notes", &["notizen", "notas"]),
];

/// The API name of a standard module that is probably meant by this one: in another case, singular, misspelt by a letter or two, or by another name.
fn likely_module(name: &str) -> Option<&'static str> {
    let letters = |text: &str| text.chars().filter_map(plain_letter).collect::<String>();
    let wanted = letters(name);
    let meant = |api: &str, others: &[&str]| {
        let api = letters(api);
        wanted == api || format!("{wanted}s") == api || others.iter().any(|other| *other == wanted || other.strip_suffix('s') == Some(&wanted))
    };
    let exact = MODULES.iter().find(|(api, others)| meant(api, others)).map(|(api, _)| *api);
    let near = || MODULES.iter().map(|(api, _)| (distance(&wanted, &letters(api)), *api)).min().filter(|(edits, api)| *edits * 4 <= api.len());
    exact.or_else(|| near().map(|(_, api)| api)).filter(|api| *api != name)
}

/// Small letters without the marks of the languages above; nothing for what is no letter.
fn plain_letter(c: char) -> Option<char> {
    let c = c.to_lowercase().next()?;
    Some(match c {
        'ä' | 'á' | 'à' | 'â' | 'ã' => 'a',
        'ö' | 'ó' | 'ô' | 'õ' => 'o',
        'ü' | 'ú' => 'u',
        'é' | 'è' | 'ê' => 'e',
        'í' => 'i',
        'ñ' => 'n',
        'ç' => 'c',
        c if c.is_alphabetic() => c,
        _ => return None,
    })
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
    fn the_module_that_is_probably_meant_is_named() {
        for (given, meant) in [
            ("Potentials", "Deals"),
            ("potential", "Deals"),
            ("contacts", "Contacts"),
            ("Contact", "Contacts"),
            ("Kontakte", "Contacts"),
            ("Conatcts", "Contacts"),
            ("Sales Orders", "Sales_Orders"),
            ("SalesOrders", "Sales_Orders"),
            ("Aufträge", "Sales_Orders"),
            ("Meetings", "Events"),
            ("Organizations", "Accounts"),
            ("Invoice", "Invoices"),
        ] {
            assert_eq!(likely_module(given), Some(meant), "{given}");
        }
        for own in ["Contacts", "Projects_of_ours", "X", "", "Machines"] {
            assert_eq!(likely_module(own), None, "{own}");
        }
    }

    #[test]
    fn an_error_about_a_record_names_it_and_one_about_a_token_does_not() {
        let record = Record::new("Potentials", "99");
        let error = |status| Subject::from(&record).named_in(Error::new(status, "x", "no")).to_string();
        assert_eq!(error(Status::NotFound), "no (Potentials 99)");
        assert_eq!(error(Status::InvalidModule), "no (Potentials 99); did you mean \"Deals\"?");
        assert_eq!(error(Status::Auth), "no");
    }

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
