//! What each version of the API can: the one table of differences.

use super::kinds::Words;
use super::{Check, Config};
use crate::error::{Error, Result, Status};

/// One version of the API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ApiVersion {
    /// Its path segment.
    pub(crate) name: &'static str,
    /// Whether the list refuses to come without `fields`. UNCONFIRMED in v8, where the newest specification says no: always sent.
    pub(crate) fields_mandatory: bool,
    /// Whether the list of a record's attachments gives and takes page tokens.
    pub(crate) page_tokens: bool,
    /// Whether the list of a module's records does.
    pub(crate) record_tokens: bool,
    /// Whether a link takes a title.
    pub(crate) link_titles: bool,
    /// Whether Deals have photos. UNCONFIRMED in v3 and v4.
    pub(crate) deal_photos: bool,
}

/// Standard modules that have no record photo in any version. Custom modules have one.
const WITHOUT_PHOTO: &[&str] = &[
    "Appointments__s",
    "Calls",
    "Campaigns",
    "Cases",
    "Events",
    "Invoices",
    "Notes",
    "Price_Books",
    "Purchase_Orders",
    "Quotes",
    "Sales_Orders",
    "Services__s",
    "Solutions",
    "Tasks",
];

impl ApiVersion {
    pub(crate) const ALL: &'static [ApiVersion] = &[
        ApiVersion { name: "v2", fields_mandatory: false, page_tokens: false, record_tokens: false, link_titles: false, deal_photos: false },
        ApiVersion { name: "v2.1", fields_mandatory: false, page_tokens: false, record_tokens: false, link_titles: true, deal_photos: false },
        ApiVersion { name: "v3", fields_mandatory: true, page_tokens: false, record_tokens: true, link_titles: true, deal_photos: true },
        ApiVersion { name: "v4", fields_mandatory: true, page_tokens: false, record_tokens: true, link_titles: true, deal_photos: true },
        ApiVersion { name: "v5", fields_mandatory: true, page_tokens: false, record_tokens: true, link_titles: true, deal_photos: true },
        ApiVersion { name: "v6", fields_mandatory: true, page_tokens: false, record_tokens: true, link_titles: true, deal_photos: true },
        ApiVersion { name: "v7", fields_mandatory: true, page_tokens: true, record_tokens: true, link_titles: true, deal_photos: true },
        ApiVersion { name: "v8", fields_mandatory: true, page_tokens: true, record_tokens: true, link_titles: true, deal_photos: true },
    ];

    /// Refuses photos of a module that has none.
    pub(crate) fn check_photo_module(&self, config: &Config, module: &str) -> Result<()> {
        let without = WITHOUT_PHOTO.contains(&module) || (module == "Deals" && !self.deal_photos);
        if !without || !config.checks(Check::PhotoModule) {
            return Ok(());
        }
        Err(Error::new(Status::InvalidModule, "photo_module", format!("{module} has no record photos in API {}", self.name))
            .with(|d| d.field = Some("module")))
    }
}

impl Words for &'static ApiVersion {
    fn all() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        ApiVersion::ALL.iter().map(|version| (version, version.name, ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deals_have_photos_from_v3_on() {
        let deals = |version: usize| ApiVersion::ALL[version].check_photo_module(&Config::new(), "Deals").is_ok();
        assert!(!deals(0) && !deals(1) && deals(2) && deals(7));
    }
}
