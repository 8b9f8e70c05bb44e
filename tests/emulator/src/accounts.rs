//! The accounts server's memory: clients, refresh tokens, access tokens, grant codes and their limits.

use std::collections::{HashMap, VecDeque};

use crate::clock::{MINUTE, Millis};
use crate::settings::Settings;
use crate::world::{Environment, sha256};

/// The scopes of seeded tokens: everything the emulator knows.
pub const ALL_SCOPES: &str = "ZohoCRM.modules.ALL,ZohoCRM.files.ALL,ZohoCRM.settings.ALL,ZohoCRM.users.ALL,ZohoCRM.org.ALL";

/// Ten minutes: the window of the token limits.
const WINDOW: Millis = 10 * MINUTE;

/// An OAuth client.
#[derive(Debug, Clone)]
pub struct Client {
    /// Id.
    pub id: String,
    /// Secret.
    pub secret: String,
    /// Index of its organisation.
    pub organisation: usize,
    /// Redirect address; a self client has none.
    pub redirect_uri: Option<String>,
}

/// What a token or code may do, for whom.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Client.
    pub client_id: String,
    /// Index of the organisation.
    pub organisation: usize,
    /// Environment.
    pub environment: Environment,
    /// Scopes, comma-separated.
    pub scope: String,
}

impl Grant {
    /// The scopes one by one, in lower case.
    pub fn scopes(&self) -> Vec<String> {
        let separators = [',', ' '];
        self.scope.split(separators).filter(|s| !s.is_empty()).map(str::to_ascii_lowercase).collect()
    }
}

/// An access token.
#[derive(Debug, Clone)]
pub struct AccessToken {
    /// What it may do.
    pub grant: Grant,
    /// When it ends.
    pub expires: Millis,
}

/// A refresh token.
#[derive(Debug, Clone)]
pub struct RefreshToken {
    /// What it may do.
    pub grant: Grant,
    alive: VecDeque<String>,
}

/// A grant code.
#[derive(Debug, Clone)]
pub struct Code {
    /// What it may do.
    pub grant: Grant,
    /// The redirect address it was made for.
    pub redirect_uri: Option<String>,
    /// A refresh token comes with it.
    pub offline: bool,
    /// When it ends.
    pub expires: Millis,
}

/// Everything.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    /// Clients.
    pub clients: Vec<Client>,
    /// Access tokens by value.
    pub access: HashMap<String, AccessToken>,
    /// Refresh tokens by value.
    pub refresh: HashMap<String, RefreshToken>,
    refresh_order: VecDeque<String>,
    codes: HashMap<String, Code>,
    issued: HashMap<String, VecDeque<Millis>>,
    salt: String,
    counter: u64,
}

impl Accounts {
    /// An empty server; `salt` tells the tokens of one data centre from those of another.
    pub fn new(salt: &str) -> Accounts {
        Accounts { salt: salt.to_owned(), ..Accounts::default() }
    }

    /// A token as Zoho forms it: `1000.<32 hex>.<32 hex>`, the same in every run.
    fn mint(&mut self) -> String {
        self.counter += 1;
        let hash = sha256(format!("{}/{}", self.salt, self.counter).as_bytes());
        format!("1000.{}.{}", &hash[..32], &hash[32..])
    }

    /// A client by id.
    pub fn client(&self, id: &str) -> Option<&Client> {
        self.clients.iter().find(|c| c.id == id)
    }

    /// Adds a refresh token with a value of its own.
    pub fn add_refresh(&mut self, value: String, grant: Grant) -> String {
        let same: Vec<String> =
            self.refresh_order.iter().filter(|r| self.refresh.get(*r).is_some_and(|t| t.grant.client_id == grant.client_id)).cloned().collect();
        // At most 20 refresh tokens per user and client: the 21st deletes the oldest with its access tokens.
        if same.len() >= 20 {
            self.revoke(&same[0]);
        }
        self.refresh.insert(value.clone(), RefreshToken { grant, alive: VecDeque::new() });
        self.refresh_order.push_back(value.clone());
        value
    }

    /// Adds a refresh token of a fresh value.
    pub fn new_refresh(&mut self, grant: Grant) -> String {
        let value = self.mint();
        self.add_refresh(value, grant)
    }

    /// Makes an access token, outside of all limits unless it belongs to a refresh token.
    pub fn new_access(&mut self, grant: Grant, refresh: Option<&str>, now: Millis, settings: &Settings) -> String {
        let value = self.mint();
        let expires = now + settings.token_lifetime_s * 1000;
        self.add_access(value.clone(), AccessToken { grant, expires });
        self.cap_alive(refresh, &value, settings.tokens_alive, now);
        value
    }

    /// Adds an access token with a value of its own.
    pub fn add_access(&mut self, value: String, token: AccessToken) {
        self.access.insert(value, token);
    }

    /// Keeps the number of living access tokens: one more invalidates the oldest.
    fn cap_alive(&mut self, refresh: Option<&str>, value: &str, most: usize, now: Millis) {
        let Some(token) = refresh.and_then(|r| self.refresh.get_mut(r)) else { return };
        let access = &mut self.access;
        token.alive.retain(|a| access.get(a).is_some_and(|t| t.expires > now));
        token.alive.push_back(value.to_owned());
        while token.alive.len() > most.max(1) {
            if let Some(oldest) = token.alive.pop_front() {
                access.remove(&oldest);
            }
        }
    }

    /// Counts one more event of `key` unless its ten minutes already hold `most`.
    pub fn admit(&mut self, key: &str, most: usize, now: Millis) -> bool {
        let times = self.issued.entry(key.to_owned()).or_default();
        while times.front().is_some_and(|t| t + WINDOW <= now) {
            times.pop_front();
        }
        let free = times.len() < most;
        if free {
            times.push_back(now);
        }
        free
    }

    /// Makes a grant code.
    pub fn new_code(&mut self, code: Code) -> String {
        let value = self.mint();
        self.codes.insert(value.clone(), code);
        value
    }

    /// Uses up a grant code.
    pub fn take_code(&mut self, value: &str, client_id: &str, now: Millis) -> Option<Code> {
        let code = self.codes.get(value)?;
        if code.grant.client_id != client_id {
            return None;
        }
        self.codes.remove(value).filter(|c| c.expires > now)
    }

    /// Revokes a refresh token with its access tokens, or one access token.
    pub fn revoke(&mut self, value: &str) -> bool {
        self.refresh_order.retain(|r| r != value);
        match self.refresh.remove(value) {
            Some(token) => {
                token.alive.iter().for_each(|a| drop(self.access.remove(a)));
                true
            }
            None => self.access.remove(value).is_some(),
        }
    }

    /// A valid access token.
    pub fn valid(&self, value: &str, now: Millis) -> Option<&AccessToken> {
        self.access.get(value).filter(|t| t.expires > now)
    }

    /// Ends the access tokens of an organisation.
    pub fn expire_of(&mut self, organisation: usize) {
        self.access.retain(|_, token| token.grant.organisation != organisation);
    }

    /// Ends every access token.
    pub fn expire_all(&mut self) {
        self.access.clear();
    }
}
