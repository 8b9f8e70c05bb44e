//! The records of a module: their ids and nothing else, for whoever goes over all of them.

use serde::{Deserialize, Serialize};

use crate::call::{Call, Outcome};
use crate::client::Client;
use crate::config::ApiVersion;
use crate::error::{Error, Result};
use crate::fallible;
use crate::http::value;
pub use crate::pages::ListArgs;
use crate::pages::{self, List};
use crate::record::{check_module, is_id};
use crate::shape::{Path, Values};
use crate::text::Arena;

/// Ids of a module's records, in the order of the list: those made last come first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Page {
    /// The ids.
    pub record_ids: Vec<String>,
    /// Whether the server has more after these.
    pub more_records: bool,
    /// The token of the next page, if the server gives tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// The ids of a module's records: one page when `args` names one, else every page. None at all is an empty list.
///
/// A page costs one API credit, and the token needs the scope `ZohoCRM.modules.{module}.READ`. Zoho gives the first 100,000 records of a
/// module, by page number the first 2,000; a list that goes on beyond them is `Status::Page` with the reason `pages_exhausted`.
/// <https://www.zoho.com/crm/developer/docs/api/v8/get-records.html>
pub fn list(client: &Client, module: &str, args: &ListArgs, call: Call<'_>) -> Result<Outcome<Page>> {
    let outcome = pages::run(client, of(client, module, args)?, args, call).map_err(with_the_way_out)?;
    Ok(outcome.map(Page::from))
}

/// The pages of the list one by one, from the one that `args` names or the first, so that memory doesn't grow with the list but for its ids.
/// Nothing is sent yet.
pub fn pages(client: &Client, module: &str, args: &ListArgs) -> Result<Pages> {
    pages::Pages::new(client, of(client, module, args)?, args).map(Pages)
}

/// The pages of a module's records, one at a time.
pub struct Pages(pages::Pages<Id>);

impl Pages {
    /// The next page, with the ids that no page before it had; `None` at the end. After an error the same page is asked for again.
    ///
    /// Timeout, cancel token and trace id of `call` are those of this page.
    pub fn next(&mut self, call: &Call<'_>) -> Result<Option<Outcome<Page>>> {
        Ok(self.0.next(call).map_err(with_the_way_out)?.map(|outcome| outcome.map(Page::from)))
    }
}

impl From<pages::Page<Id>> for Page {
    fn from(page: pages::Page<Id>) -> Page {
        let record_ids = page.rows.list.into_iter().map(|Id(id)| id).collect();
        Page { record_ids, more_records: page.more_records, next_page_token: page.next_page_token }
    }
}

fn of(client: &Client, module: &str, args: &ListArgs) -> Result<List> {
    check_module(client.config(), module)?;
    if !matches!(args.fields.trim(), "" | ID) {
        let problem = format!("{:?} is asked for, and the list of a module's records gives their ids; leave it out", args.fields);
        return Err(Error::argument("fields", problem));
    }
    let has_tokens = |version: &ApiVersion| version.record_tokens;
    Ok(List { operation: "record.list", module: module.to_owned(), record_id: None, fields: Some(ID.to_owned()), has_tokens })
}

const ID: &str = "id";

/// Behind the last record that Zoho lists, only ids from elsewhere lead to the others.
fn with_the_way_out(error: Error) -> Error {
    let advice = match error.reason() {
        "pages_exhausted" => {
            "Zoho lists the first 100,000 records of a module and no more; give the ids of the others, as zcrm export --ids FILE takes them"
        }
        "page_needs_token" => "a page's number reaches the first 2,000 records; go on with next_page_token of the page before",
        _ => return error,
    };
    let message = format!("{advice}: {error}");
    error.with(|d| d.message = message)
}

/// A record's id as a row of the list.
struct Id(String);

#[derive(Deserialize)]
struct Row<'a, const TOLERANT: bool> {
    #[serde(borrow, default)]
    id: value::Text<'a, TOLERANT>,
}

impl pages::Row for Id {
    type Json<'a, const TOLERANT: bool> = Row<'a, TOLERANT>;

    fn read<const TOLERANT: bool>(row: Row<'_, TOLERANT>, _: &mut Arena) -> Result<Option<Id>> {
        is_id(&row.id.0).then(|| fallible::copy(&row.id.0).map(Id)).transpose()
    }

    const VALUES: &'static [Path] = &[(ID, "")];

    fn json<'t>(values: &Values<'t>) -> Row<'t, false> {
        Row { id: value::Text(values[0].into()) }
    }

    fn id<'r>(&'r self, _: &'r Arena) -> &'r str {
        &self.0
    }

    fn moved(self, _: u32) -> Id {
        self
    }
}
