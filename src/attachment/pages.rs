//! The one walk over a record's list: page by page, each id once, and always to an end.
//!
//! A page is asked for by the token of the page before wherever a reply gives one: a token stands between two rows, whatever happens to
//! those before it. Without tokens pages have numbers, and rows move up when others are deleted meanwhile: a list of several pages is then
//! walked again until a pass brings nothing new. So a caller who deletes each row that he gets leaves nothing behind either way.

use std::collections::HashMap;

use super::list::{self, ListArgs, Page};
use crate::call::{Call, Outcome};
use crate::client::{Ask, Client};
use crate::config::ApiVersion;
use crate::error::{Error, Result, Status};
use crate::fallible;
use crate::http::Session;
use crate::record::Record;

/// What is asked for when the caller names no fields. The list refuses to come without any from v3 on, and gives the others null or not at all.
const FIELDS: &str = "id,File_Name,Size,Created_Time,Modified_Time,Owner,Created_By,Parent_Id,$file_id,$type,$link_url";
/// The largest page.
const PER_PAGE: u32 = 200;

/// The caller's fields and the one that tells links from files: without it each entry would be called a file.
fn and_the_link(fields: String) -> String {
    const LINK: &str = "$link_url";
    if fields.split(',').any(|field| field.trim() == LINK) { fields } else { format!("{fields},{LINK}") }
}

/// The pages of a record's list, one at a time, so that memory doesn't grow with the list but for its ids.
pub struct Pages {
    client: Client,
    walk: Walk,
}

impl Pages {
    pub(super) fn new(client: &Client, record: &Record, args: &ListArgs) -> Result<Pages> {
        Ok(Pages { client: client.clone(), walk: Walk::new(client, record, args)? })
    }

    /// The next page, with the rows that no page before it had; `None` at the end. After an error the same page is asked for again.
    ///
    /// Timeout, cancel token and trace id of `call` are those of this page.
    pub fn next(&mut self, call: &Call<'_>) -> Result<Option<Outcome<Page>>> {
        if self.walk.at.is_none() {
            return Ok(None);
        }
        let Pages { client, walk } = self;
        let (record, limits) = (walk.record.clone(), client.limits(call));
        let outcome = client.run("attachment.list", &record, limits, call.trace_id.as_deref(), async |session| walk.next(client, session).await)?;
        Ok(outcome.transpose())
    }
}

pub(super) fn run(client: &Client, record: &Record, args: &ListArgs, call: Call<'_>) -> Result<Outcome<Page>> {
    let limits = client.limits(&call);
    client.run("attachment.list", record, limits, call.trace_id.as_deref(), async |session| {
        if args.is_one_page() { Walk::new(client, record, args)?.one(client, session).await } else { all(client, session, record, args).await }
    })
}

/// Every page as one.
pub(super) async fn all(client: &Client, session: &Session<'_>, record: &Record, args: &ListArgs) -> Result<Page> {
    let mut walk = Walk::new(client, record, args)?;
    let mut all = Page::default();
    while let Some(page) = walk.next(client, session).await? {
        fallible::reserve(&mut all.attachments, page.attachments.len())?;
        all.attachments.extend(page.attachments);
    }
    Ok(all)
}

/// Where a page is.
#[derive(Clone)]
enum At {
    Number(u32),
    Token(String),
}

struct Walk {
    record: Record,
    fields: Option<String>,
    per_page: u32,
    start: At,
    /// The next page; `None` at the end.
    at: Option<At>,
    /// The number of the next page, whether it is asked for by it or not.
    number: u32,
    /// Whether a page was followed by number, which rows that move can escape.
    numbered: bool,
    pass: Pass,
    /// Every id that the caller got, and the last pass that has seen it.
    seen: HashMap<String, u32>,
}

/// One way from the first page to the last.
#[derive(Default)]
struct Pass {
    number: u32,
    pages: u64,
    /// Ids that it has seen.
    ids: usize,
    /// Whether one of them was new to the walk.
    brought: bool,
}

impl Walk {
    fn new(client: &Client, record: &Record, args: &ListArgs) -> Result<Walk> {
        record.check(client.config())?;
        if args.per_page > PER_PAGE {
            return Err(Error::argument("per_page", format!("{} is over {PER_PAGE}", args.per_page)));
        }
        let token = (!args.page_token.is_empty()).then(|| args.page_token.clone());
        if token.is_some() && args.page != 0 {
            return Err(Error::argument("page_token", "a page's number and a page's token are given together; give one"));
        }
        if token.is_some() && !client.version().page_tokens {
            let with: Vec<_> = ApiVersion::ALL.iter().filter(|version| version.page_tokens).map(|version| version.name).collect();
            let message = format!("API {} has no page tokens; these have: {}", client.version().name, with.join(", "));
            return Err(Error::new(Status::Version, "page_token", message).with(|d| d.field = Some("page_token")));
        }
        let wanted = (!args.fields.is_empty()).then(|| args.fields.clone());
        let fields = wanted.map(and_the_link).or_else(|| client.version().fields_mandatory.then(|| FIELDS.to_owned()));
        let number = args.page.max(1);
        let start = token.map_or(At::Number(number), At::Token);
        Ok(Walk {
            record: record.clone(),
            fields,
            per_page: if args.per_page == 0 { PER_PAGE } else { args.per_page },
            at: Some(start.clone()),
            start,
            number,
            numbered: false,
            pass: Pass::default(),
            seen: HashMap::new(),
        })
    }

    /// The page at which the walk begins.
    async fn one(mut self, client: &Client, session: &Session<'_>) -> Result<Page> {
        let mut page = self.fetch(client, session, &self.start).await?;
        self.keep_new(&mut page)?;
        Ok(page)
    }

    /// The next page, with the rows that no page before it had. One without any is passed over, unless it is the first: no attachments at all
    /// are an empty page. `None` at the end.
    async fn next(&mut self, client: &Client, session: &Session<'_>) -> Result<Option<Page>> {
        while let Some(at) = &self.at {
            let mut page = self.fetch(client, session, at).await?;
            let known = self.pass.ids;
            self.keep_new(&mut page)?;
            if page.more_records && self.pass.ids == known {
                let message = "the list says there is more, but its next page holds nothing new; stopped rather than go in a circle";
                return Err(Error::new(Status::Page, "page_loop", message));
            }
            self.check_length(client.config().list_max_rows)?;
            let is_first = self.pass.number == 0 && self.pass.pages == 1;
            self.at = self.after(client, &page);
            if is_first || !page.attachments.is_empty() {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    async fn fetch(&self, client: &Client, session: &Session<'_>, at: &At) -> Result<Page> {
        let mut ask = Ask::get(&self.record, "Attachments");
        ask.query.extend(self.fields.clone().map(|fields| ("fields", fields)));
        ask.query.push(("per_page", self.per_page.to_string()));
        ask.query.push(match at {
            At::Number(number) => ("page", number.to_string()),
            At::Token(token) => ("page_token", token.clone()),
        });
        let page = client.ask(session, &ask, None, list::parse).await?;
        if page.attachments.len() > self.per_page as usize {
            let message =
                format!("the server gave a page of {} rows, and {} were asked for: this is no list of Zoho's", page.attachments.len(), self.per_page);
            return Err(Error::new(Status::Page, "page_overfull", message));
        }
        Ok(page)
    }

    /// Leaves the rows that no page before has had.
    fn keep_new(&mut self, page: &mut Page) -> Result<()> {
        let Walk { seen, pass, .. } = self;
        seen.try_reserve(page.attachments.len()).map_err(|_| fallible::exhausted(seen.len() * size_of::<(String, u32)>()))?;
        page.attachments.retain(|attachment| {
            let before = seen.insert(attachment.id.clone(), pass.number);
            pass.ids += usize::from(before != Some(pass.number));
            before.is_none()
        });
        pass.brought |= !page.attachments.is_empty();
        pass.pages += 1;
        Ok(())
    }

    /// A list that goes on and on: over the bound of rows, or in pages so empty that it would take more than twice as many as full ones.
    fn check_length(&self, most: u64) -> Result<()> {
        let most_pages = 100 + 2 * most / u64::from(self.per_page);
        if self.seen.len() as u64 <= most && self.pass.pages <= most_pages {
            return Ok(());
        }
        let (rows, pages) = (self.seen.len(), self.pass.pages);
        let message = format!("the list goes on after {rows} rows on {pages} pages; the setting list_max_rows bounds it, at {most} rows");
        Err(Error::new(Status::Page, "list_too_long", message))
    }

    /// Where the page after this one is.
    fn after(&mut self, client: &Client, page: &Page) -> Option<At> {
        self.number = self.number.saturating_add(1);
        if page.more_records {
            let token = page.next_page_token.clone().filter(|_| client.version().page_tokens);
            self.numbered |= token.is_none();
            return Some(token.map_or(At::Number(self.number), At::Token));
        }
        let again = self.numbered && self.pass.brought;
        again.then(|| {
            self.pass = Pass { number: self.pass.number + 1, ..Pass::default() };
            self.number = match self.start {
                At::Number(number) => number,
                At::Token(_) => 1,
            };
            self.start.clone()
        })
    }
}
