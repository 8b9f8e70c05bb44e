//! The CRM API: paths, authorisation, scopes, credits, and the way to each handler.

use serde_json::json;

use crate::clock::{self, Millis};
use crate::reply::{Answer, Reply, refuse};
use crate::request::{Head, Request};
use crate::settings::{NoAuthorization, PermissionError, TooLarge};
use crate::state::State;
use crate::version::{self, Module, Version};
use crate::world::{Record, RecordState};
use crate::{delete, download, files, list, org, photo, record, upload};

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target<'a> {
    /// `/{module}`
    Module(&'a str),
    /// `/{module}/{record}`
    Record(&'a str, &'a str),
    /// `/{module}/{record}/Attachments`
    Attachments(&'a str, &'a str),
    /// `/{module}/{record}/Attachments/{attachment}`
    Attachment(&'a str, &'a str, &'a str),
    /// `/{module}/{record}/photo`
    Photo(&'a str, &'a str),
    /// `/files`
    Files,
    /// `/users`
    Users,
    /// `/org`
    Organisation,
}

impl<'a> Target<'a> {
    /// The record.
    pub fn record(self) -> Option<&'a str> {
        match self {
            Target::Record(_, id) | Target::Attachments(_, id) | Target::Attachment(_, id, _) | Target::Photo(_, id) => Some(id),
            Target::Module(_) | Target::Files | Target::Users | Target::Organisation => None,
        }
    }
}

/// Finds the version and target of a path. Case counts (UNCONFIRMED, assumed exact).
pub fn route(path: &str) -> Option<(&'static Version, Target<'_>)> {
    let segments: Vec<&str> = path.strip_prefix("/crm/")?.split('/').collect();
    let version = version::find(segments[0])?;
    if segments.iter().any(|s| s.is_empty()) {
        return None;
    }
    let target = match segments[1..] {
        ["files"] => Target::Files,
        ["users"] => Target::Users,
        ["org"] => Target::Organisation,
        [module] => Target::Module(module),
        [module, record] => Target::Record(module, record),
        [module, record, "Attachments"] => Target::Attachments(module, record),
        [module, record, "Attachments", id] => Target::Attachment(module, record, id),
        [module, record, "photo"] => Target::Photo(module, record),
        _ => return None,
    };
    Some((version, target))
}

/// The operation of a request, for scripts and the ledger.
pub fn operation(method: &str, path: &str) -> &'static str {
    if path == "/oauth/v2/token" {
        return "token";
    }
    match (route(path).map(|(_, t)| t), method) {
        (Some(Target::Attachments(..)), "POST") => "attachment.upload",
        (Some(Target::Attachments(..)), "GET") => "attachment.list",
        (Some(Target::Attachment(..)), "GET") => "attachment.download",
        (Some(Target::Attachments(..) | Target::Attachment(..)), "DELETE") => "attachment.delete",
        (Some(Target::Photo(..)), "POST") => "photo.upload",
        (Some(Target::Photo(..)), "GET") => "photo.download",
        (Some(Target::Photo(..)), "DELETE") => "photo.delete",
        (Some(Target::Module(_)), "GET") => "record.list",
        (Some(Target::Record(..)), "GET") => "record.get",
        (Some(Target::Files), "POST") => "files.upload",
        (Some(Target::Files), "GET") => "files.download",
        _ => "other",
    }
}

/// A call that is authorised: what the handlers work with.
pub struct Call<'a> {
    /// The state.
    pub state: &'a mut State,
    /// The request.
    pub request: &'a Request,
    /// API version.
    pub version: &'static Version,
    /// Index of the organisation.
    pub organisation: usize,
    /// Operation.
    pub operation: &'static str,
}

/// Answers a request to the CRM API. `admitted`: the call was within the concurrency limit.
pub fn answer(state: &mut State, request: &Request, admitted: bool) -> Reply {
    let mut notes = Notes::default();
    let reply = attempt(state, request, admitted, &mut notes).unwrap_or_else(|refusal| *refusal);
    dress(reply, &notes)
}

/// What the reply's headers tell beside the answer.
#[derive(Default)]
struct Notes {
    token_reset: Option<String>,
    credits_remaining: Option<u64>,
}

fn attempt(state: &mut State, request: &Request, admitted: bool, notes: &mut Notes) -> Answer {
    let head = &request.head;
    let Some((version, target)) = route(&head.path) else {
        let message = "Please check if the URL trying to access is a correct one";
        return Err(refuse(404, "INVALID_URL_PATTERN", message, json!({})));
    };
    let (organisation, scopes, expires) = authorise(state, head)?;
    notes.token_reset = Some(clock::iso(expires, state.organisations[organisation].offset_minutes));
    let operation = operation(&head.method, &head.path);
    if !method_fits(&head.method, target) {
        let message = "The http request method type is not a valid one";
        return Err(refuse(400, "INVALID_REQUEST_METHOD", message, json!({})));
    }
    check_scope(state, &scopes, &head.method, target)?;
    let remaining = state.spend_credit(organisation);
    if !admitted || remaining.is_none() {
        notes.credits_remaining = remaining.is_none().then_some(0);
        return Err(too_many(state));
    }
    // The header appears only once half of the credits are used.
    notes.credits_remaining = remaining.filter(|left| *left <= state.settings.credits / 2);
    let mut call = Call { state, request, version, organisation, operation };
    dispatch(&mut call, target)
}

fn dispatch(call: &mut Call<'_>, target: Target<'_>) -> Answer {
    match (target, call.request.head.method.as_str()) {
        (Target::Attachments(m, r), "POST") => upload::upload(call, m, r),
        (Target::Attachments(m, r), "GET") => list::list(call, m, r),
        (Target::Attachments(m, r), _) => delete::delete_many(call, m, r),
        (Target::Attachment(m, r, a), "GET") => download::download(call, m, r, a),
        (Target::Attachment(m, r, a), _) => delete::delete_one(call, m, r, a),
        (Target::Photo(m, r), "POST") => photo::upload(call, m, r),
        (Target::Photo(m, r), "GET") => photo::download(call, m, r),
        (Target::Photo(m, r), _) => photo::delete(call, m, r),
        (Target::Files, "POST") => files::upload(call),
        (Target::Files, _) => files::download(call),
        (Target::Users, _) => org::users(call),
        (Target::Organisation, _) => org::organisation(call),
        (Target::Record(m, r), "GET") => record::get(call, m, r),
        (Target::Record(_, r), _) => record::write_note(call, Some(r)),
        (Target::Module(m), "GET") => record::all(call, m),
        (Target::Module(_), _) => record::write_note(call, None),
    }
}

fn method_fits(method: &str, target: Target<'_>) -> bool {
    let allowed: &[&str] = match target {
        Target::Attachments(..) | Target::Photo(..) => &["GET", "POST", "DELETE"],
        Target::Attachment(..) => &["GET", "DELETE"],
        Target::Files => &["GET", "POST"],
        Target::Record("Notes", _) => &["GET", "PUT"],
        Target::Module("Notes") => &["GET", "POST"],
        Target::Record(..) | Target::Module(_) | Target::Users | Target::Organisation => &["GET"],
    };
    allowed.contains(&method)
}

/// The organisation of the access token a request carries, its scopes and its end.
fn authorise(state: &State, head: &Head) -> Result<(usize, Vec<String>, Millis), Box<Reply>> {
    let scheme_fits = |scheme: &str| scheme == "Zoho-oauthtoken" || (state.settings.accept_bearer && scheme == "Bearer");
    let Some((_, value)) = head.authorization().filter(|(scheme, _)| scheme_fits(scheme)) else {
        return Err(match state.settings.no_authorization {
            NoAuthorization::AuthenticationFailure => refuse(401, "AUTHENTICATION_FAILURE", "Authentication failed", json!({})),
            NoAuthorization::InvalidToken => invalid_token(),
        });
    };
    let token = state.accounts.valid(value, state.now()).ok_or_else(invalid_token)?;
    if token.grant.environment != head.environment() {
        return Err(invalid_token());
    }
    Ok((token.grant.organisation, token.grant.scopes(), token.expires))
}

/// The organisation a request's token belongs to, if it is valid.
pub fn organisation_of(state: &State, head: &Head) -> Option<usize> {
    authorise(state, head).ok().map(|(organisation, _, _)| organisation)
}

fn invalid_token() -> Box<Reply> {
    refuse(401, "INVALID_TOKEN", "invalid oauth token", json!({}))
}

/// The refusal of one call too many.
pub fn too_many(state: &State) -> Box<Reply> {
    let settings = &state.settings;
    let mut reply = refuse(429, &settings.rate_limit_code, &settings.rate_limit_message, json!({}));
    if let Some(after) = &settings.retry_after {
        reply.headers.push(("Retry-After".to_owned(), after.clone().into_bytes()));
    }
    reply
}

fn check_scope(state: &State, scopes: &[String], method: &str, target: Target<'_>) -> Result<(), Box<Reply>> {
    let words: &[&str] = match method {
        "GET" => &["all", "read"],
        "POST" => &["all", "write", "create"],
        "PUT" => &["all", "write", "update"],
        _ => &["all", "delete"],
    };
    let has = |group: &str| words.iter().any(|w| scopes.iter().any(|s| *s == format!("zohocrm.{group}.{w}")));
    let module = |name: &str| {
        let custom = version::module_named(name).is_none();
        has("modules") || has(&format!("modules.{}", name.to_ascii_lowercase())) || (custom && has("modules.custom"))
    };
    let whole = scopes.iter().any(|s| s == "zohocrm.modules.all");
    let fits = match target {
        Target::Files => has("files"),
        Target::Users => has("users"),
        Target::Organisation => has("org"),
        Target::Attachments(m, _) | Target::Attachment(m, _, _) => {
            let attachments = has("modules.attachments");
            whole || (attachments && (state.settings.attachments_scope_alone || module(m)))
        }
        Target::Photo(m, _) | Target::Record(m, _) | Target::Module(m) => module(m),
    };
    if fits {
        return Ok(());
    }
    let status = state.settings.scope_missing_status;
    Err(refuse(status, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL", json!({})))
}

/// Adds the headers of recorded answers; the values of cookies and versions mean nothing.
fn dress(mut reply: Reply, notes: &Notes) -> Reply {
    let fixed = [
        ("Server", "ZGS"),
        ("Cache-Control", "no-store, no-cache, must-revalidate, private"),
        ("Pragma", "no-cache"),
        ("Expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Download-Options", "noopen"),
        ("X-Frame-Options", "SAMEORIGIN"),
        ("X-XSS-Protection", "1; mode=block"),
        ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'self'"),
        ("Referrer-Policy", "strict-origin"),
        ("Strict-Transport-Security", "max-age=63072000"),
        ("Content-Language", "en-US"),
        ("clientVersion", "8794360"),
        ("clientsubVersion", "5f0c3f5e5f0c3f5e5f0c3f5e5f0c3f5e"),
        ("Set-Cookie", "6e4e3f5e9a=5f0c3f5e5f0c3f5e; Path=/; Secure; HttpOnly"),
        ("Set-Cookie", "JSESSIONID=5F0C3F5E5F0C3F5E5F0C3F5E5F0C3F5E; Path=/; Secure; HttpOnly"),
        ("Set-Cookie", "_zcsr_tmp=5f0c3f5e-emulator;path=/;SameSite=Strict;Secure;priority=high"),
        ("Set-Cookie", "crmcsr=5f0c3f5e-emulator;path=/;Secure;priority=high"),
    ];
    for (name, value) in fixed {
        reply = reply.header(name, value);
    }
    if let Some(reset) = &notes.token_reset {
        reply = reply.header("X-ACCESSTOKEN-RESET", reset.as_str());
    }
    if let Some(credits) = notes.credits_remaining {
        reply = reply.header("X-API-CREDITS-REMAINING", credits.to_string());
    }
    reply
}

impl Call<'_> {
    /// The module of a path; an error if there is none of that name.
    pub fn module(&self, name: &str) -> Result<&'static Module, Box<Reply>> {
        if let Some(module) = version::module_named(name) {
            return Ok(module);
        }
        let organisation = &self.state.organisations[self.organisation];
        if organisation.custom_modules.iter().any(|m| m == name) {
            return Ok(&version::CUSTOM);
        }
        Err(refuse(400, "INVALID_MODULE", "the module name given seems to be invalid", self.index(0)))
    }

    /// Fails unless this version has the feature that came with `from`.
    pub fn supported(&self, from: Option<u8>) -> Result<(), Box<Reply>> {
        let Some(from) = from else {
            return Err(refuse(400, "INVALID_MODULE", "The given module is not supported in API", self.index(0)));
        };
        if self.version.rank >= from {
            return Ok(());
        }
        let details = json!({"supported_version": version::supported_from(from)});
        Err(refuse(400, "API_NOT_SUPPORTED", "The API is not supported in this version", details))
    }

    /// `resource_path_index` details; old versions answer `{}` (UNCONFIRMED which). The OpenAPI file of attachments wants `related_status` beside
    /// it, that of photos doesn't, and the examples of both have none.
    pub fn index(&self, at: u8) -> serde_json::Value {
        if self.version.rank < 3 {
            return json!({});
        }
        let mut details = json!({"resource_path_index": at});
        if self.state.settings.related_status && self.operation.starts_with("attachment.") {
            details["related_status"] = json!("invalid");
        }
        details
    }

    /// Details that name a parameter. The common OpenAPI file wants `param` beside `param_name`, the examples have only the latter.
    pub fn parameter(&self, name: &str) -> serde_json::Value {
        let mut details = json!({"param_name": name});
        if self.state.settings.param_beside_name {
            details["param"] = json!(name);
        }
        details
    }

    /// The record of a path.
    pub fn record(&self, module: &str, id: &str) -> Result<&Record, Box<Reply>> {
        let found = self.state.organisations[self.organisation].record(module, id);
        found.ok_or_else(|| refuse(400, "INVALID_DATA", "the related id given seems to be invalid", self.index(1)))
    }

    /// The record of an attachment path, after checking module, privilege and lock.
    pub fn attachment_parent(&self, module: &str, id: &str, what: &str) -> Result<u64, Box<Reply>> {
        self.supported(self.module(module)?.attachments)?;
        let record = self.record(module, id)?;
        self.permitted(record, what)?;
        let writes = self.request.head.method != "GET";
        if writes && record.state == RecordState::Locked && self.state.settings.locked_blocks_attachments {
            return Err(locked());
        }
        Ok(record.id)
    }

    /// Fails if the user may not do this to a record; `what` completes "Permission denied to …".
    pub fn permitted(&self, record: &Record, what: &str) -> Result<(), Box<Reply>> {
        match record.state {
            RecordState::Restricted => Err(self.no_privilege(&record.module, what)),
            _ => self.allowed(&record.module, what),
        }
    }

    /// Fails if the user may not do this to any record of a module.
    pub fn allowed(&self, module: &str, what: &str) -> Result<(), Box<Reply>> {
        let denied = self.state.settings.denied.iter().any(|d| d == self.operation);
        if denied { Err(self.no_privilege(module, what)) } else { Ok(()) }
    }

    fn no_privilege(&self, module: &str, what: &str) -> Box<Reply> {
        match self.state.settings.permission_error {
            PermissionError::NoPermission => {
                let implied = match self.request.head.method.as_str() {
                    "GET" => "View",
                    "DELETE" => "Delete",
                    _ => "Edit",
                };
                let details = json!({"permissions": [format!("Crm_Implied_{implied}_{module}")]});
                refuse(403, "NO_PERMISSION", &format!("Permission denied to {what}"), details)
            }
            PermissionError::AuthorizationFailed => {
                let message = format!("User does not have sufficient privilege to {what}");
                refuse(400, "AUTHORIZATION_FAILED", &message, json!({}))
            }
        }
    }

    /// The refusal of a body or file over the limit.
    pub fn too_large(&self) -> Box<Reply> {
        too_large(self.state)
    }

    /// Fails if storing so many bytes more would go over the organisation's storage. UNCONFIRMED status.
    pub fn has_room(&self, size: u64) -> Result<(), Box<Reply>> {
        let used = self.state.organisations[self.organisation].used;
        match self.state.settings.storage_limit {
            Some(limit) if used + size > limit => Err(refuse(400, "STORAGE_SPACE_EXCEEDED", "storage space exceeded", json!({}))),
            _ => Ok(()),
        }
    }
}

/// The refusal of a body or file over the limit.
pub fn too_large(state: &State) -> Box<Reply> {
    let code = &state.settings.too_large_code;
    let message = match code.as_str() {
        "BODY_SIZE_REACHED" => "Request body size exceeds the maximum limit of 100MB",
        _ => "Please check if the size of the file is in the correct range",
    };
    match state.settings.too_large {
        TooLarge::Json | TooLarge::EarlyJson => refuse(413, code, message, json!({})),
        TooLarge::Html => Box::new(Reply::html(413)),
        TooLarge::Reset => Box::new(Reply { reset: true, ..Reply::default() }),
    }
}

/// The refusal on a locked record.
pub fn locked() -> Box<Reply> {
    let message = "You cannot perform this operation as the record is locked.";
    refuse(400, "RECORD_LOCKED", message, json!({}))
}
