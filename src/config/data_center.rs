//! Zoho's data centres: the one table of their hosts.

use super::kinds::Words;

/// One data centre. <https://www.zoho.com/crm/developer/docs/api/v8/multi-dc.html>
#[derive(Debug)]
pub(crate) struct DataCenter {
    /// The word that the setting takes.
    pub(crate) name: &'static str,
    /// The host that gives tokens.
    pub(crate) accounts: &'static str,
    /// What follows `www.`, `sandbox.` or `developer.` in the API host.
    pub(crate) domain: &'static str,
    /// What the help says beside the name.
    note: &'static str,
}

impl DataCenter {
    pub(crate) const ALL: &'static [DataCenter] = &[
        DataCenter { name: "us", accounts: "accounts.zoho.com", domain: "zohoapis.com", note: "" },
        DataCenter { name: "eu", accounts: "accounts.zoho.eu", domain: "zohoapis.eu", note: "" },
        DataCenter { name: "in", accounts: "accounts.zoho.in", domain: "zohoapis.in", note: "" },
        DataCenter { name: "au", accounts: "accounts.zoho.com.au", domain: "zohoapis.com.au", note: "" },
        DataCenter { name: "jp", accounts: "accounts.zoho.jp", domain: "zohoapis.jp", note: "" },
        DataCenter { name: "cn", accounts: "accounts.zoho.com.cn", domain: "zohoapis.com.cn", note: "" },
        DataCenter { name: "ca", accounts: "accounts.zohocloud.ca", domain: "zohoapis.ca", note: "" },
        DataCenter { name: "sa", accounts: "accounts.zoho.sa", domain: "zohoapis.sa", note: "" },
        // UNCONFIRMED: known from other Zoho products.
        DataCenter { name: "ae", accounts: "accounts.zoho.ae", domain: "zohoapis.ae", note: "not confirmed for CRM" },
        // UNCONFIRMED: only the accounts host is documented.
        DataCenter { name: "uk", accounts: "accounts.zoho.uk", domain: "zohoapis.uk", note: "not confirmed for CRM" },
    ];
}

impl Words for &'static DataCenter {
    fn all() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        DataCenter::ALL.iter().map(|center| (center, center.name, center.note))
    }
}
