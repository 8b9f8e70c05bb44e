//! The one walk over a list: page by page, each row once, and always to an end.
//!
//! A page is asked for by the token of the page before wherever a reply gives one: a token stands between two rows, whatever happens to
//! those before it. Without tokens pages have numbers, and rows move up when others are deleted meanwhile: a list of several pages is then
//! walked again until a pass brings nothing new. So a caller who deletes each row as it comes leaves nothing behind either way.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::call::{Call, Outcome};
use crate::client::{Ask, Client};
use crate::config::ApiVersion;
use crate::error::{Error, Result, Status, one_line};
use crate::fallible;
use crate::http::{Response, Session, reply, value};
use crate::object::Object;
use crate::record::Subject;
use crate::shape::{Path, Shape, Values};
use crate::text::{self, Arena};

/// The largest page.
const PER_PAGE: u32 = 200;
/// Most bytes of a page: 200 attachments have about 100 KB.
const MOST: usize = 8 << 20;
/// Most bytes of texts that the rows of a whole list have, on an average: those of Zoho's have some 300, and no list is all of the longest links.
const MOST_OF_A_ROW: u64 = 2 << 10;

/// Which part of a list to fetch. Default: every page, with every field that its rows have.
#[derive(Debug, Clone, Default)]
pub struct ListArgs {
    /// Comma list of API names; empty = what the rows need. Ids of records come without any other.
    pub fields: String,
    /// One page: its number, from 1; 0 = every page.
    pub page: u32,
    /// Rows a page, at most 200; 0 = 200.
    pub per_page: u32,
    /// One page: the token that the page before gave, in the API versions whose list has tokens.
    pub page_token: String,
}

impl ListArgs {
    /// Whether one page is named, and not all of them wanted.
    fn is_one_page(&self) -> bool {
        self.page != 0 || !self.page_token.is_empty()
    }
}

/// A list: the records of a module, or the attachments of one of them.
#[derive(Clone)]
pub(crate) struct List {
    pub(crate) operation: &'static str,
    pub(crate) module: String,
    /// The record whose attachments are listed; `None` = the module's records are.
    pub(crate) record_id: Option<String>,
    /// Comma list of what is asked for.
    pub(crate) fields: Option<String>,
    /// Whether the list has page tokens in a version of the API.
    pub(crate) has_tokens: fn(&ApiVersion) -> bool,
}

impl List {
    fn about(&self) -> Subject<'_> {
        Subject { module: &self.module, id: self.record_id.as_deref() }
    }

    /// The request for a page, but for which one.
    fn ask(&self) -> Ask<'_> {
        let mut path = vec![self.module.as_str()];
        path.extend(self.record_id.iter().flat_map(|id| [id, "Attachments"]));
        let query = self.fields.iter().map(|fields| ("fields", fields.clone())).collect();
        Ask { method: Method::GET, path, query, content_type: None, deed: None, redirect: false }
    }
}

/// A row of a list.
pub(crate) trait Row: Sized {
    /// How it stands in the JSON: with values that are as documented, or with any (`TOLERANT`).
    type Json<'a, const TOLERANT: bool>: Deserialize<'a>;

    /// The row as far as it can be read, with its texts put into the arena; `None` without an id, as then nothing can be done with it.
    fn read<const TOLERANT: bool>(json: Self::Json<'_, TOLERANT>, texts: &mut Arena) -> Result<Option<Self>>;

    /// Where its values stand.
    const VALUES: &'static [Path];

    /// The same, of those values.
    fn json<'t>(values: &Values<'t>) -> Self::Json<'t, false>;

    /// Its id: digits.
    fn id<'r>(&'r self, texts: &'r Arena) -> &'r str;

    /// The row in an arena that its own was appended to, `by` so much.
    fn moved(self, by: u32) -> Self;
}

/// Rows, and the texts of all of them.
#[derive(Debug, Clone)]
pub(crate) struct Rows<R> {
    pub(crate) list: Vec<R>,
    pub(crate) texts: Arena,
}

impl<R: Row> Rows<R> {
    const NONE: Rows<R> = Rows { list: Vec::new(), texts: Arena::EMPTY };

    fn append(&mut self, rows: Rows<R>) -> Result<()> {
        if self.list.is_empty() {
            *self = rows;
            return Ok(());
        }
        fallible::reserve(&mut self.list, rows.list.len())?;
        let by = self.texts.append(&rows.texts)?;
        self.list.extend(rows.list.into_iter().map(|row| row.moved(by)));
        Ok(())
    }

    /// A list that is held as a whole mustn't fill the memory with what stands in its rows, either. One page may.
    fn check_size(&self, most_rows: u64) -> Result<()> {
        let (bytes, most) = (self.texts.len() as u64, most_rows.saturating_mul(MOST_OF_A_ROW).saturating_add(MOST as u64));
        if bytes <= most {
            return Ok(());
        }
        let rows = self.list.len();
        let message = format!("the list has {bytes} bytes in {rows} rows, and goes on; no list of Zoho's has over {most} within list_max_rows");
        Err(Error::new(Status::Page, "list_too_long", message))
    }
}

/// A page of a list, or all of them as one.
pub(crate) struct Page<R> {
    pub(crate) rows: Rows<R>,
    /// Whether the server has more after these.
    pub(crate) more_records: bool,
    /// The token of the next page, if the server gives tokens.
    pub(crate) next_page_token: Option<String>,
}

impl<R: Row> Page<R> {
    fn empty() -> Page<R> {
        Page { rows: Rows::NONE, more_records: false, next_page_token: None }
    }
}

/// The pages of a list, one at a time, so that memory doesn't grow with the list but for its ids.
pub(crate) struct Pages<R> {
    client: Client,
    walk: Walk<R>,
}

impl<R: Row> Pages<R> {
    pub(crate) fn new(client: &Client, list: List, args: &ListArgs) -> Result<Pages<R>> {
        Ok(Pages { client: client.clone(), walk: Walk::new(client, list, args)? })
    }

    /// The next page, with the rows that no page before it had; `None` at the end. After an error the same page is asked for again.
    ///
    /// Timeout, cancel token and trace id of `call` are those of this page.
    pub(crate) fn next(&mut self, call: &Call<'_>) -> Result<Option<Outcome<Page<R>>>> {
        if self.walk.at.is_none() {
            return Ok(None);
        }
        let Pages { client, walk } = self;
        let (list, limits) = (walk.list.clone(), client.limits(call));
        let outcome = client.run(list.operation, list.about(), limits, call.trace_id.as_deref(), async |session| walk.next(client, session).await)?;
        Ok(outcome.transpose())
    }
}

/// One page when `args` names one, else all of them.
pub(crate) fn run<R: Row>(client: &Client, list: List, args: &ListArgs, call: Call<'_>) -> Result<Outcome<Page<R>>> {
    let limits = client.limits(&call);
    client.run(list.operation, list.about(), limits, call.trace_id.as_deref(), async |session| {
        let list = list.clone();
        if args.is_one_page() { Walk::new(client, list, args)?.one(client, session).await } else { all(client, session, list, args).await }
    })
}

/// Every page as one.
pub(crate) async fn all<R: Row>(client: &Client, session: &Session<'_>, list: List, args: &ListArgs) -> Result<Page<R>> {
    let mut walk = Walk::new(client, list, args)?;
    let mut all = Page::empty();
    while let Some(page) = walk.next(client, session).await? {
        all.rows.append(page.rows)?;
        all.rows.check_size(client.config().list_max_rows)?;
    }
    Ok(all)
}

/// Where a page is.
#[derive(Clone)]
enum At {
    Number(u32),
    Token(String),
}

struct Walk<R> {
    list: List,
    /// Whether it has page tokens.
    tokens: bool,
    per_page: u32,
    start: At,
    /// The next page; `None` at the end.
    at: Option<At>,
    /// The number of the next page, whether it is asked for by it or not.
    number: u32,
    /// Whether a page was followed by number, which rows that move can escape.
    numbered: bool,
    pass: Pass,
    /// Every id that the caller got, as [`number_of`] has it, and the last pass that has seen it.
    seen: HashMap<u128, u32>,
    rows: PhantomData<fn() -> R>,
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

impl<R: Row> Walk<R> {
    fn new(client: &Client, list: List, args: &ListArgs) -> Result<Walk<R>> {
        if args.per_page > PER_PAGE {
            return Err(Error::argument("per_page", format!("{} is over {PER_PAGE}", args.per_page)));
        }
        let token = (!args.page_token.is_empty()).then(|| args.page_token.clone());
        if token.is_some() && args.page != 0 {
            return Err(Error::argument("page_token", "a page's number and a page's token are given together; give one"));
        }
        let tokens = (list.has_tokens)(client.api_version());
        if token.is_some() && !tokens {
            let with: Vec<_> = ApiVersion::ALL.iter().filter(|version| (list.has_tokens)(version)).map(|version| version.name).collect();
            let message = format!("this list has no page tokens in API {}; it has in {}", client.api_version().name, with.join(", "));
            return Err(Error::new(Status::Version, "page_token", message).with(|d| d.field = Some("page_token")));
        }
        let number = args.page.max(1);
        let start = token.map_or(At::Number(number), At::Token);
        Ok(Walk {
            list,
            tokens,
            per_page: if args.per_page == 0 { PER_PAGE } else { args.per_page },
            at: Some(start.clone()),
            start,
            number,
            numbered: false,
            pass: Pass::default(),
            seen: HashMap::new(),
            rows: PhantomData,
        })
    }

    /// The page at which the walk begins.
    async fn one(mut self, client: &Client, session: &Session<'_>) -> Result<Page<R>> {
        let mut page = self.fetch(client, session, &self.start).await?;
        self.keep_new(&mut page)?;
        Ok(page)
    }

    /// The next page, with the rows that no page before it had. One without any is passed over, unless it is the first: an empty list
    /// has an empty page. `None` at the end.
    async fn next(&mut self, client: &Client, session: &Session<'_>) -> Result<Option<Page<R>>> {
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
            self.at = self.after(&page);
            if is_first || !page.rows.list.is_empty() {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }

    async fn fetch(&self, client: &Client, session: &Session<'_>, at: &At) -> Result<Page<R>> {
        let mut ask = self.list.ask();
        ask.query.push(("per_page", self.per_page.to_string()));
        ask.query.push(match at {
            At::Number(number) => ("page", number.to_string()),
            At::Token(token) => ("page_token", token.clone()),
        });
        let page = client.ask(session, &ask, None, parse).await?;
        let rows = page.rows.list.len();
        if rows > self.per_page as usize {
            let message = format!("the server gave a page of {rows} rows, and {} were asked for: this is no list of Zoho's", self.per_page);
            return Err(Error::new(Status::Page, "page_overfull", message));
        }
        Ok(page)
    }

    /// Leaves the rows that no page before has had.
    fn keep_new(&mut self, page: &mut Page<R>) -> Result<()> {
        let (Walk { seen, pass, .. }, Rows { list, texts }) = (self, &mut page.rows);
        seen.try_reserve(list.len()).map_err(|_| fallible::out_of_memory(seen.len() * size_of::<(u128, u32)>()))?;
        list.retain(|row| {
            let before = seen.insert(number_of(row.id(texts)), pass.number);
            pass.ids += usize::from(before != Some(pass.number));
            before.is_none()
        });
        pass.brought |= !list.is_empty();
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
    fn after(&mut self, page: &Page<R>) -> Option<At> {
        self.number = self.number.saturating_add(1);
        if page.more_records {
            let token = page.next_page_token.clone().filter(|_| self.tokens);
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

/// An id as a number, in which zeros at its beginning count: it has at most 32 digits.
fn number_of(id: &str) -> u128 {
    id.bytes().fold(1, |number, digit| number * 10 + u128::from(digit - b'0'))
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "R: Row"))]
struct Reply<'a, R> {
    #[serde(deserialize_with = "rows")]
    data: Rows<R>,
    #[serde(borrow)]
    info: Option<&'a RawValue>,
}

/// What of a reply stands behind its rows.
#[derive(Deserialize)]
struct Rest<'a> {
    #[serde(borrow)]
    info: Option<&'a RawValue>,
    #[serde(default)]
    data: Option<IgnoredAny>,
}

#[derive(Deserialize, Default)]
struct Info<'a> {
    #[serde(borrow)]
    more_records: Option<&'a RawValue>,
    #[serde(borrow)]
    next_page_token: Option<&'a RawValue>,
}

pub(crate) async fn parse<R: Row>(response: &mut Response) -> Result<Page<R>> {
    let status = response.status();
    if status == StatusCode::NO_CONTENT {
        return Ok(Page::empty());
    }
    let body = response.bytes(MOST).await?;
    // All of the text is checked for UTF-8 once: `from_slice` would do it string by string, which takes a tenth of the parsing.
    let text = text::lossy(&body);
    match documented::<R>(&text).or_else(|_| tolerated::<R>(&text)) {
        Ok(page) => Ok(page),
        Err(cause) if fallible::passed_on(&cause).is_some() => Err(fallible::passed_on(&cause).expect("it is one")),
        Err(cause) => Err(match reply::success(status, response.headers(), &body) {
            Err(error) if error.status() != Status::Protocol => error,
            _ => {
                let error = reply::foreign(status, response.headers(), &body);
                let message = one_line(&format!("the list can't be read ({cause}): {error}")); // the cause quotes the list
                error.with(|d| d.message = message)
            }
        }),
    }
}

/// The page where it is as Zoho writes it: without blanks, the rows first, and with values as documented. An error where it isn't.
pub(crate) fn documented<R: Row>(text: &str) -> serde_json::Result<Page<R>> {
    const BEGIN: &str = r#"{"data":["#;
    let other = || de::Error::custom("the page isn't as documented");
    if !text.starts_with(BEGIN) {
        return Err(other());
    }
    let (mut rows, mut shape, mut at) = (Rows::NONE, None, BEGIN.len());
    loop {
        let row = one_row(text, &mut at, &mut shape, &mut rows.texts)?.ok_or_else(other)?;
        fallible::reserve(&mut rows.list, 1).map_err(de::Error::custom)?;
        rows.list.push(row);
        at += 1;
        match text.as_bytes().get(at - 1) {
            Some(b',') => {}
            Some(b']') => break,
            _ => return Err(other()),
        }
    }
    let rest = text[at..].strip_prefix(',').map_or_else(|| ["{", &text[at..]].concat(), |rest| ["{", rest].concat());
    let Rest { info, data: None } = serde_json::from_str(&rest)? else { return Err(other()) };
    page(rows, info)
}

/// The next row, and how the one after it is likely to look.
fn one_row<R: Row>(text: &str, at: &mut usize, shape: &mut Option<Shape>, texts: &mut Arena) -> serde_json::Result<Option<R>> {
    let begins = *at;
    let row = if let Some((values, end)) = shape.as_ref().and_then(|shape| shape.read(text, begins)) {
        *at = end;
        R::json(&values)
    } else {
        let mut from = serde_json::Deserializer::from_str(&text[begins..]);
        let Object(row) = Object::<R::Json<'_, false>>::deserialize(&mut from)?;
        *at += from.into_iter::<IgnoredAny>().byte_offset();
        *shape = Shape::of(&text[begins..*at], R::VALUES);
        row
    };
    R::read::<false>(row, texts).map_err(de::Error::custom)
}

/// The page with rows of any values, which takes longer.
pub(crate) fn tolerated<R: Row>(text: &str) -> serde_json::Result<Page<R>> {
    let Object(Reply { data, info }) = serde_json::from_str(text)?;
    page(data, info)
}

fn page<R>(rows: Rows<R>, info: Option<&RawValue>) -> serde_json::Result<Page<R>> {
    let Object(info) = info.and_then(|info| serde_json::from_str::<Object<Info<'_>>>(info.get()).ok()).unwrap_or_default();
    let next_page_token = Some(value::text(info.next_page_token).map_err(de::Error::custom)?).filter(|token| !token.is_empty());
    let more_records = info.more_records.is_some_and(is_yes);
    Ok(Page { rows, more_records, next_page_token })
}

/// `true` however it is written: what is overlooked here ends a list too early, and nobody sees it.
fn is_yes(value: &RawValue) -> bool {
    let word = value.get().trim_matches('"');
    word == "1" || word.eq_ignore_ascii_case("true")
}

/// The rows, in a list that grows as far as there is memory. `null` is none.
fn rows<'de, D: Deserializer<'de>, R: Row>(deserializer: D) -> std::result::Result<Rows<R>, D::Error> {
    struct Reading<R>(PhantomData<R>);
    impl<'de, R: Row> Visitor<'de> for Reading<R> {
        type Value = Rows<R>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }
        fn visit_none<E: de::Error>(self) -> std::result::Result<Rows<R>, E> {
            Ok(Rows::NONE)
        }
        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Rows<R>, D::Error> {
            deserializer.deserialize_seq(self)
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> std::result::Result<Rows<R>, A::Error> {
            let mut rows = Rows::NONE;
            while let Some(Object(json)) = from.next_element::<Object<R::Json<'de, true>>>()? {
                fallible::reserve(&mut rows.list, 1).map_err(de::Error::custom)?;
                let row = R::read(json, &mut rows.texts).map_err(de::Error::custom)?;
                rows.list.push(row.ok_or_else(|| de::Error::custom("an entry has no id"))?);
            }
            Ok(rows)
        }
    }
    deserializer.deserialize_option(Reading::<R>(PhantomData))
}
