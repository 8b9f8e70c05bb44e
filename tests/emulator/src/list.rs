//! `GET …/Attachments`: the list, page by page.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::{Map, Value, json};

use crate::clock::{self, HOUR, Millis};
use crate::crm::{Call, too_many};
use crate::fault::Fault;
use crate::reply::{Answer, Reply, refuse};
use crate::settings::{EmptyList, FileLinkUrl, LinkFileId, NarrowFields, OverLimit, ParentId};
use crate::world::{Attachment, NewFile, Organisation, Record, User, sha256};

/// Page tokens given out; the oldest are forgotten beyond 10,000.
#[derive(Debug, Default)]
pub struct PageTokens {
    tokens: HashMap<String, PageToken>,
    order: VecDeque<String>,
    counter: u64,
}

#[derive(Debug, Clone)]
struct PageToken {
    bound: String,
    after: Option<u64>,
    offset: u64,
    page: u64,
    previous: Option<String>,
    made: Millis,
}

impl PageTokens {
    fn add(&mut self, token: PageToken) -> String {
        self.counter += 1;
        let value = sha256(format!("page {} of {}", self.counter, token.bound).as_bytes());
        self.tokens.insert(value.clone(), token);
        self.order.push_back(value.clone());
        if self.order.len() > 10_000
            && let Some(oldest) = self.order.pop_front()
        {
            self.tokens.remove(&oldest);
        }
        value
    }
}

/// What a list request asks for.
struct Query {
    fields: Option<Vec<String>>,
    ids: Option<HashSet<u64>>,
    per_page: u64,
    page: u64,
    token: Option<String>,
    /// What a page token is bound to.
    bound: String,
}

/// Where a page begins.
struct Start {
    after: Option<u64>,
    skip: u64,
    offset: u64,
    page: u64,
    previous: Option<String>,
}

/// Answers a list request.
pub fn list(call: &mut Call<'_>, module: &str, record_id: &str) -> Answer {
    let record = call.attachment_parent(module, record_id, "read attachment details")?;
    let query = read_query(call, record)?;
    if !call.state.may_list(record) {
        return Err(too_many(call.state));
    }
    if not_modified(call, record) {
        return Ok(Reply::empty(304));
    }
    if let Fault::EndlessPages { rows, same_token } = call.request.fault {
        return Ok(made_up(call, record, &query, rows, same_token));
    }
    let start = start(call, &query)?;
    let organisation = &call.state.organisations[call.organisation];
    let record = &organisation.records[&record];
    let now = call.state.now();
    let wanted = |a: &&Attachment| {
        a.visible <= now && query.ids.as_ref().is_none_or(|ids| ids.contains(&a.id)) && start.after.is_none_or(|after| a.id < after)
    };
    // Newest first. UNCONFIRMED; the examples read so.
    let rows = record.attachments.iter().rev().filter(wanted).skip(start.skip as usize);
    let mut rows: Vec<&Attachment> = rows.take(query.per_page as usize + 1).collect();
    let more = rows.len() as u64 > query.per_page;
    rows.truncate(query.per_page as usize);
    let data: Vec<Value> = rows.iter().map(|a| row(call, organisation, record, a, &query)).collect();
    let last = rows.last().map(|a| a.id);
    if data.is_empty() && call.state.settings.empty_list == EmptyList::NoContent204 {
        return Ok(Reply::empty(204));
    }
    let info = info(call, &query, &start, data.len() as u64, last.filter(|_| more), now);
    Ok(Reply::json(200, &json!({"data": data, "info": info})))
}

/// A page of rows that nothing is behind, with one more page to come.
fn made_up(call: &mut Call<'_>, record: u64, query: &Query, rows: Option<u64>, same_token: bool) -> Reply {
    let now = call.state.now();
    let count = rows.unwrap_or(query.per_page);
    let organisation = &mut call.state.organisations[call.organisation];
    let ids: Vec<u64> = (0..count).map(|_| organisation.new_id()).collect();
    let organisation = &call.state.organisations[call.organisation];
    let record = &organisation.records[&record];
    let file = |id| Attachment::file(id, &format!("made up {id}.txt"), NewFile::new(b"made up"), now);
    let data: Vec<Value> = ids.into_iter().map(|id| row(call, organisation, record, &file(id), query)).collect();
    let mut info = json!({"per_page": query.per_page, "count": count, "page": query.page, "more_records": true});
    if call.version.page_token {
        let known = query.token.clone().filter(|_| same_token);
        info["next_page_token"] = json!(known.unwrap_or_else(|| call.state.page_tokens.add(first_page(query, now))));
    }
    Reply::json(200, &json!({"data": data, "info": info}))
}

fn not_modified(call: &Call<'_>, record: u64) -> bool {
    // The list's reaction to If-Modified-Since is UNCONFIRMED; 304 is in the general list of statuses.
    let since = call.request.head.header("If-Modified-Since").and_then(clock::parse_date);
    let changed = call.state.organisations[call.organisation].records[&record].attachments_changed;
    since.is_some_and(|since| changed / 1000 <= since / 1000)
}

/// A comma list given in one or several parameters of a name.
pub fn comma_list(call: &Call<'_>, name: &str) -> Option<Vec<String>> {
    let pairs = call.request.head.query_pairs();
    let values: Vec<&str> = pairs.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
    let items = values.iter().flat_map(|v| v.split(',')).map(|s| s.trim().to_owned()).filter(|s| !s.is_empty());
    let items: Vec<String> = items.collect();
    (!items.is_empty()).then_some(items)
}

/// The refusal of a call without a parameter it needs.
pub fn parameter_missing(call: &Call<'_>, name: &str) -> Box<Reply> {
    let message = "One of the expected parameter is missing";
    refuse(400, "REQUIRED_PARAM_MISSING", message, call.parameter(name))
}

fn read_query(call: &Call<'_>, record: u64) -> Result<Query, Box<Reply>> {
    let fields = fields(call)?;
    let ids = comma_list(call, "ids").filter(|_| call.version.ids_filter);
    let per_page = per_page(call)?;
    let bound = format!("{}/{}/{record}/{fields:?}/{ids:?}/{per_page}", call.version.name, call.organisation);
    Ok(Query {
        fields,
        ids: ids.map(|ids| ids.iter().filter_map(|id| id.parse().ok()).collect()),
        per_page,
        page: number(call, "page", 1)?,
        token: call.request.head.parameter("page_token").filter(|_| call.version.page_token),
        bound,
    })
}

/// The `fields` of a list; an error where the version needs them.
pub fn fields(call: &Call<'_>) -> Result<Option<Vec<String>>, Box<Reply>> {
    let fields = comma_list(call, "fields");
    let needed = call.version.fields_required && (call.version.name != "v8" || call.state.settings.fields_required_in_v8);
    if needed && fields.is_none() {
        return Err(parameter_missing(call, "fields"));
    }
    Ok(fields)
}

/// `per_page`, at most 200. UNCONFIRMED what more does.
pub fn per_page(call: &Call<'_>) -> Result<u64, Box<Reply>> {
    let asked = number(call, "per_page", 200)?;
    match call.state.settings.per_page_over {
        OverLimit::Refuse if asked > 200 => Err(bad_parameter(call, "per_page")),
        _ => Ok(asked.min(200)),
    }
}

/// A positive number parameter.
pub fn number(call: &Call<'_>, name: &str, default: u64) -> Result<u64, Box<Reply>> {
    let Some(text) = call.request.head.parameter(name) else { return Ok(default) };
    text.parse().ok().filter(|n| (1..=u64::from(u32::MAX)).contains(n)).ok_or_else(|| bad_parameter(call, name))
}

fn bad_parameter(call: &Call<'_>, name: &str) -> Box<Reply> {
    refuse(400, "INVALID_DATA", "invalid data", call.parameter(name))
}

fn start(call: &Call<'_>, query: &Query) -> Result<Start, Box<Reply>> {
    let settings = &call.state.settings;
    let Some(value) = &query.token else {
        let offset = (query.page - 1) * query.per_page;
        let end = offset + query.per_page;
        if call.version.page_token && end > settings.discrete_rows {
            let message = "The limit of records that can be fetched without page_token is exceeded";
            return Err(refuse(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", message, json!({})));
        }
        check_limit(end, settings.list_rows)?;
        return Ok(Start { after: None, skip: offset, offset, page: query.page, previous: None });
    };
    let Some(token) = call.state.page_tokens.tokens.get(value) else {
        return Err(bad_parameter(call, "page_token"));
    };
    if token.bound != query.bound {
        let message = "the page token does not fit the other parameters";
        return Err(refuse(400, "TOKEN_BOUND_DATA_MISMATCH", message, call.parameter("page_token")));
    }
    if call.state.now() > token.made + 24 * HOUR {
        return Err(refuse(400, "EXPIRED_VALUE", "the page token is expired", call.parameter("page_token")));
    }
    check_limit(token.offset + query.per_page, settings.list_rows)?;
    Ok(Start { after: token.after, skip: 0, offset: token.offset, page: token.page, previous: token.previous.clone() })
}

fn check_limit(end: u64, most: u64) -> Result<(), Box<Reply>> {
    if end > most {
        let message = "The limit of records that can be fetched is exceeded";
        return Err(refuse(400, "PAGINATION_LIMIT_EXCEEDED", message, json!({})));
    }
    Ok(())
}

fn info(call: &mut Call<'_>, query: &Query, start: &Start, count: u64, more: Option<u64>, now: Millis) -> Value {
    let mut info = json!({"per_page": query.per_page, "count": count, "page": start.page, "more_records": more.is_some()});
    if !call.version.page_token {
        return info;
    }
    let zone = call.state.organisations[call.organisation].offset_minutes;
    let tokens = &mut call.state.page_tokens;
    let next = more.map(|last| {
        // The page after the next one leads back here, so this page needs a token too.
        let here = query.token.clone().or_else(|| (start.page == 1).then(|| tokens.add(first_page(query, now))));
        tokens.add(PageToken {
            bound: query.bound.clone(),
            after: Some(last),
            offset: start.offset + count,
            page: start.page + 1,
            previous: here,
            made: now,
        })
    });
    info["page_token_expiry"] = json!(next.as_ref().map(|_| clock::iso(now + 24 * HOUR, zone)));
    info["next_page_token"] = json!(next);
    info["previous_page_token"] = json!(start.previous);
    info
}

fn first_page(query: &Query, now: Millis) -> PageToken {
    PageToken { bound: query.bound.clone(), after: None, offset: 0, page: 1, previous: None, made: now }
}

/// One row, cut down to the fields asked for.
fn row(call: &Call<'_>, organisation: &Organisation, record: &Record, a: &Attachment, query: &Query) -> Value {
    let mut all = all_keys(call, organisation, record, a);
    let Some(fields) = &query.fields else { return Value::Object(all) };
    let settings = &call.state.settings;
    let dollars = settings.narrow_fields == NarrowFields::WithDollarKeys;
    all.retain(|key, _| key == "id" || (dollars && key.starts_with('$')) || fields.iter().any(|f| f == key));
    let null_parent = match settings.parent_id {
        ParentId::ByVersion => !call.version.v8_keys,
        ParentId::Object => false,
        ParentId::Null => true,
    };
    if let Some(parent) = all.get_mut("Parent_Id").filter(|_| null_parent) {
        *parent = Value::Null;
    }
    Value::Object(all)
}

fn all_keys(call: &Call<'_>, organisation: &Organisation, record: &Record, a: &Attachment) -> Map<String, Value> {
    let version = call.version;
    let time = clock::iso(a.created, organisation.offset_minutes);
    let owner = person(&organisation.users[a.user]);
    let size = if version.size_as_string { json!(a.size.to_string()) } else { json!(a.size) };
    let mut keys = Map::new();
    let mut add = |key: &str, value: Value| drop(keys.insert(key.to_owned(), value));
    add("Owner", owner.clone());
    add("Modified_Time", json!(time));
    add("File_Name", json!(a.name));
    add("Created_Time", json!(time));
    add("Size", size);
    add("Parent_Id", json!({"name": record.name, "id": record.id.to_string()}));
    add("$editable", json!(true));
    let settings = &call.state.settings;
    let file_id = match settings.link_file_id {
        LinkFileId::Text if a.link.is_some() => json!(sha256(format!("link {}", a.id).as_bytes())),
        _ => json!(a.file_id),
    };
    add("$file_id", file_id);
    // The two literals are those of the v8 examples; older ones are UNCONFIRMED.
    add("$type", json!(if a.link.is_some() { "Link URL" } else { "File" }));
    add("$se_module", json!(record.module));
    add("Modified_By", owner.clone());
    add("$state", json!("save"));
    add("id", json!(a.id.to_string()));
    add("Created_By", owner);
    if a.link.is_some() || settings.file_link_url == FileLinkUrl::Null {
        add("$link_url", json!(a.link));
    }
    if version.attachment_type {
        // The meaning of the numbers and of the sharing values is UNCONFIRMED.
        add("$attachment_type", json!(if a.link.is_some() { 1 } else { 0 }));
        add("$sharing_permission", json!(settings.sharing_permission));
    }
    if version.v8_keys {
        add("$field_states", Value::Null);
        add("$zia_visions", Value::Null);
        add("File_Id__s", json!(a.file_id));
        add("Attachment_Source__s", Value::Null);
        add("Record_Status__s", json!("Available"));
    }
    keys
}

/// A user as rows show one.
pub fn person(user: &User) -> Value {
    json!({"name": user.name, "id": user.id, "email": user.email})
}
