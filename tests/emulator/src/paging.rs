//! Pages of lists: numbers, tokens and their limits.

use std::collections::{HashMap, VecDeque};

use serde_json::{Value, json};

use crate::clock::{self, HOUR, Millis};
use crate::crm::Call;
use crate::reply::{Reply, refuse};
use crate::settings::OverLimit;
use crate::world::sha256;

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
    number: u64,
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

/// Which page is wanted.
pub struct Page {
    /// Rows of a page.
    pub per_page: u64,
    number: u64,
    token: Option<String>,
    /// What a page token is bound to.
    bound: String,
    /// The list has page tokens.
    by_token: bool,
}

/// Where a page begins.
pub struct Start {
    /// Behind this row.
    pub after: Option<u64>,
    /// So many rows later.
    pub skip: usize,
    offset: u64,
    number: u64,
    previous: Option<String>,
}

impl Page {
    /// Reads the parameters of a list that is told by `bound`.
    pub fn read(call: &Call<'_>, bound: &str, by_token: bool) -> Result<Page, Box<Reply>> {
        let per_page = per_page(call)?;
        let token = call.request.head.parameter("page_token").filter(|_| by_token);
        let bound = format!("{}/{}/{bound}/{per_page}", call.version.name, call.organisation);
        Ok(Page { per_page, number: number(call, "page", 1)?, token, bound, by_token })
    }

    /// Whether a token says which page it is.
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Where the page begins, if the limits and its token let it.
    pub fn start(&self, call: &Call<'_>) -> Result<Start, Box<Reply>> {
        let settings = &call.state.settings;
        let Some(value) = &self.token else {
            let offset = (self.number - 1) * self.per_page;
            let end = offset + self.per_page;
            if self.by_token && end > settings.discrete_rows {
                let message = "The limit of records that can be fetched without page_token is exceeded";
                return Err(refuse(400, "DISCRETE_PAGINATION_LIMIT_EXCEEDED", message, json!({})));
            }
            check_limit(end, settings.list_rows)?;
            return Ok(Start { after: None, skip: offset as usize, offset, number: self.number, previous: None });
        };
        let Some(token) = call.state.page_tokens.tokens.get(value) else {
            return Err(bad_parameter(call, "page_token"));
        };
        if token.bound != self.bound {
            let message = "the page token does not fit the other parameters";
            return Err(refuse(400, "TOKEN_BOUND_DATA_MISMATCH", message, call.parameter("page_token")));
        }
        if call.state.now() > token.made + 24 * HOUR {
            return Err(refuse(400, "EXPIRED_VALUE", "the page token is expired", call.parameter("page_token")));
        }
        check_limit(token.offset + self.per_page, settings.list_rows)?;
        Ok(Start { after: token.after, skip: 0, offset: token.offset, number: token.number, previous: token.previous.clone() })
    }

    /// `info` of a page of `count` rows; `last` is its last row if there are more.
    pub fn info(&self, call: &mut Call<'_>, start: &Start, count: u64, last: Option<u64>) -> Value {
        let mut info = json!({"per_page": self.per_page, "count": count, "page": start.number, "more_records": last.is_some()});
        if !self.by_token {
            return info;
        }
        let now = call.state.now();
        let zone = call.state.organisations[call.organisation].offset_minutes;
        let tokens = &mut call.state.page_tokens;
        let next = last.map(|last| {
            // The page after the next one leads back here, so this page needs a token too.
            let here = self.token.clone().or_else(|| (start.number == 1).then(|| tokens.add(self.first(now))));
            tokens.add(PageToken {
                bound: self.bound.clone(),
                after: Some(last),
                offset: start.offset + count,
                number: start.number + 1,
                previous: here,
                made: now,
            })
        });
        info["page_token_expiry"] = json!(next.as_ref().map(|_| clock::iso(now + 24 * HOUR, zone)));
        info["next_page_token"] = json!(next);
        info["previous_page_token"] = json!(start.previous);
        info
    }

    /// `info` of a page with always one more behind it.
    pub fn endless_info(&self, call: &mut Call<'_>, count: u64, same_token: bool) -> Value {
        let mut info = json!({"per_page": self.per_page, "count": count, "page": self.number, "more_records": true});
        if self.by_token {
            let (known, first) = (self.token.clone().filter(|_| same_token), self.first(call.state.now()));
            info["next_page_token"] = json!(known.unwrap_or_else(|| call.state.page_tokens.add(first)));
        }
        info
    }

    fn first(&self, now: Millis) -> PageToken {
        PageToken { bound: self.bound.clone(), after: None, offset: 0, number: 1, previous: None, made: now }
    }
}

/// `per_page`, at most 200. UNCONFIRMED what more does.
fn per_page(call: &Call<'_>) -> Result<u64, Box<Reply>> {
    let asked = number(call, "per_page", 200)?;
    match call.state.settings.per_page_over {
        OverLimit::Refuse if asked > 200 => Err(bad_parameter(call, "per_page")),
        _ => Ok(asked.min(200)),
    }
}

/// A positive number parameter.
fn number(call: &Call<'_>, name: &str, default: u64) -> Result<u64, Box<Reply>> {
    let Some(text) = call.request.head.parameter(name) else { return Ok(default) };
    text.parse().ok().filter(|n| (1..=u64::from(u32::MAX)).contains(n)).ok_or_else(|| bad_parameter(call, name))
}

/// The refusal of a parameter's value.
pub fn bad_parameter(call: &Call<'_>, name: &str) -> Box<Reply> {
    refuse(400, "INVALID_DATA", "invalid data", call.parameter(name))
}

fn check_limit(end: u64, most: u64) -> Result<(), Box<Reply>> {
    if end > most {
        let message = "The limit of records that can be fetched is exceeded";
        return Err(refuse(400, "PAGINATION_LIMIT_EXCEEDED", message, json!({})));
    }
    Ok(())
}
