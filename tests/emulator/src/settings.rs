//! Switches: what the documents leave open or contradict each other on, and the limits.
//!
//! Every default is the one a careful reading of the documents prefers; each choice that no document confirms is
//! marked UNCONFIRMED.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::fault::{check_status, unknown};
use crate::script::OPERATIONS;

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant),* }
    )*};
}

choices! {
    /// Answer for a record without attachments.
    EmptyList {
        /// 204 without a body.
        #[default] NoContent204,
        /// 200 with `"data":[]`.
        Ok200,
    }
    /// Answer when an attachment id is unknown on download.
    UnknownAttachment {
        /// 204 without a body.
        #[default] NoContent204,
        /// 404 `INVALID_DATA`.
        NotFound404,
    }
    /// Answer to a request body or file over the limit.
    TooLarge {
        /// 413 with JSON, once the body was read.
        #[default] Json,
        /// 413 with JSON before the body is read, then the connection is closed.
        EarlyJson,
        /// 413 with a front server's HTML page.
        Html,
        /// The connection is reset.
        Reset,
    }
    /// Answer when there is no usable Authorization header. UNCONFIRMED split between the two codes.
    NoAuthorization {
        /// 401 `AUTHENTICATION_FAILURE`.
        #[default] AuthenticationFailure,
        /// 401 `INVALID_TOKEN`.
        InvalidToken,
    }
    /// Answer when the same link is attached twice. UNCONFIRMED status and wrapping.
    DuplicateLink {
        /// 400, bare error object.
        #[default] Bare400,
        /// 200, error object within `data`.
        Data200,
        /// 202, error object within `data`.
        Data202,
    }
    /// How the name is written in the Content-Disposition of a download.
    DownloadName {
        /// `attachment;filename*=UTF-8''…`, percent-encoded, spaces left raw.
        #[default] Extended,
        /// `attachment; filename="…"`, raw UTF-8.
        Quoted,
        /// No Content-Disposition.
        Absent,
    }
    /// Content-Type of downloads.
    DownloadType {
        /// By file type.
        #[default] ByType,
        /// `application/octet-stream`.
        OctetStream,
        /// `application/x-download;charset=UTF-8`.
        XDownload,
    }
    /// How the length of a download is told. UNCONFIRMED.
    DownloadLength {
        /// `Content-Length`.
        #[default] ContentLength,
        /// `Transfer-Encoding: chunked`.
        Chunked,
        /// Ended by closing the connection.
        Close,
    }
    /// What `filename*` in a request part does. UNCONFIRMED; RFC 7578 forbids it.
    FilenameStar {
        /// 400 `INVALID_DATA`.
        #[default] Refuse,
        /// Not understood: the plain `filename` counts.
        Ignore,
        /// Decoded and used.
        Honour,
    }
    /// What several `file` parts do. UNCONFIRMED.
    SeveralFiles {
        /// 400 `INVALID_DATA`.
        #[default] Refuse,
        /// The first is taken.
        First,
    }
    /// What an `.exe` file does. UNCONFIRMED code.
    ExeFile {
        /// 400 `INVALID_DATA`.
        #[default] InvalidData,
        /// 415 `INVALID_DATA`.
        Unsupported415,
        /// Stored.
        Accept,
    }
    /// Answer when there is neither a file nor a link. UNCONFIRMED.
    NothingSent {
        /// 400 `MANDATORY_NOT_FOUND`.
        #[default] MandatoryNotFound,
        /// 400 `INVALID_REQUEST`.
        InvalidRequest,
    }
    /// What a request value over a limit does. UNCONFIRMED.
    OverLimit {
        /// 400 `INVALID_DATA`.
        #[default] Refuse,
        /// Cut to the limit.
        Cut,
    }
    /// What a missing privilege answers.
    PermissionError {
        /// 403 `NO_PERMISSION`.
        #[default] NoPermission,
        /// 400 `AUTHORIZATION_FAILED`.
        AuthorizationFailed,
    }
    /// `Parent_Id` in a list that was asked for certain `fields`.
    ParentId {
        /// null up to v7 (the v7 sample), an object in v8 (the v8 example).
        #[default] ByVersion,
        /// Always an object.
        Object,
        /// Always null.
        Null,
    }
    /// `$link_url` of a file.
    FileLinkUrl {
        /// null: Zoho's OpenAPI file has it as nullable and required.
        #[default] Null,
        /// No such key, as in the examples.
        Absent,
    }
    /// `$file_id` of a link.
    LinkFileId {
        /// null, as in the examples.
        #[default] Null,
        /// A text: Zoho's OpenAPI file has it as text, not nullable and required.
        Text,
    }
    /// The keys of a list that was asked for certain `fields`.
    NarrowFields {
        /// Just those, and `id`.
        #[default] Exact,
        /// Those, `id`, and every key that starts with `$`.
        WithDollarKeys,
    }
    /// What a 0-byte file does. UNCONFIRMED.
    EmptyFile {
        /// Stored.
        #[default] Accept,
        /// 400 `failure_in_attachment_handling`, as `/files` documents.
        Refuse,
    }
    /// What becomes of accents in a name. UNCONFIRMED.
    NameForm {
        /// Nothing.
        #[default] AsSent,
        /// They are joined with their letters (NFC).
        Joined,
        /// They stand apart (NFD).
        Apart,
    }
    /// What the limit of a name counts. UNCONFIRMED.
    NameUnit {
        /// Characters.
        #[default] Characters,
        /// Bytes of UTF-8.
        Bytes,
        /// Units of UTF-16, so that a cut may leave half of a pair.
        Utf16,
    }
    /// What the emulator does with a connection behind a reply.
    Connection {
        /// Keeps it, as a reply recorded in 2024 says.
        #[default] KeepAlive,
        /// Closes it and says so, as one of 2023 does.
        Close,
    }
    /// How `expires_in` is written in token replies.
    ExpiresIn {
        /// Seconds.
        #[default] Seconds,
        /// Old form: `expires_in` in milliseconds beside `expires_in_sec`.
        Legacy,
    }
    /// A request body with `Transfer-Encoding: chunked`. UNCONFIRMED.
    ChunkedRequest {
        /// Accepted.
        #[default] Accept,
        /// 411 with HTML.
        LengthRequired,
    }
}

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $default:expr;)*) => {
        /// Every switch, with its default. Set from tests with `Emulator::settings`, or by name over HTTP.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Settings { $($(#[$doc])* pub $name: $kind),* }

        impl Default for Settings {
            fn default() -> Settings { Settings { $($name: $default),* } }
        }
    };
}

const MIB: u64 = 1024 * 1024;

settings! {
    /// A record without attachments.
    empty_list: EmptyList = EmptyList::default();
    /// Download of an unknown attachment id.
    unknown_attachment: UnknownAttachment = UnknownAttachment::default();
    /// A file or body over the limit.
    too_large: TooLarge = TooLarge::default();
    /// Its code; the other documented one is `BODY_SIZE_REACHED`.
    too_large_code: String = "FILE_SIZE_MORE_THAN_ALLOWED_SIZE".into();
    /// Status of `OAUTH_SCOPE_MISMATCH`: 401, or 403 as the newest specification says.
    scope_missing_status: u16 = 401;
    /// No Authorization header, or another scheme word.
    no_authorization: NoAuthorization = NoAuthorization::default();
    /// Accept `Authorization: Bearer`. UNCONFIRMED; only `Zoho-oauthtoken` is documented.
    accept_bearer: bool = false;
    /// Let `ZohoCRM.modules.attachments.*` do without a scope for the module (newest specification) .
    attachments_scope_alone: bool = false;
    /// Code of 429 answers; the other candidate is `RATE_LIMIT_EXCEEDED`. UNCONFIRMED.
    rate_limit_code: String = "TOO_MANY_REQUESTS".into();
    /// Message of 429 answers.
    rate_limit_message: String = "Many requests fired in concurrent than the allowed limit.".into();
    /// `Retry-After` on 429 answers; none by default, as nothing documents it.
    retry_after: Option<String> = None;
    /// Status of the token throttle: 400 as recorded, or 200.
    token_throttle_status: u16 = 400;
    /// `error` text of the token throttle; real servers localise it.
    token_throttle_error: String = "Access Denied".into();
    /// `error_description` of the token throttle; real servers localise it.
    token_throttle_description: String = "You have made too many requests continuously. Please try again after some time.".into();
    /// The same link attached twice.
    duplicate_link: DuplicateLink = DuplicateLink::default();
    /// Status of a bulk delete in which an id is bad: 200 or 207. UNCONFIRMED.
    bulk_delete_partial_status: u16 = 200;
    /// Most ids of a bulk delete. UNCONFIRMED.
    bulk_delete_max_ids: usize = 100;
    /// Serve the bulk delete in v8, whose newest specification lacks it. UNCONFIRMED.
    bulk_delete_in_v8: bool = true;
    /// Enforce `fields` in v8 (documentation yes, newest specification no). UNCONFIRMED.
    fields_required_in_v8: bool = true;
    /// File name in the Content-Disposition of downloads.
    download_name: DownloadName = DownloadName::default();
    /// Content-Type of attachment downloads.
    download_type: DownloadType = DownloadType::default();
    /// Content-Type of photo downloads.
    photo_type: DownloadType = DownloadType::default();
    /// How the length of a download is told.
    download_length: DownloadLength = DownloadLength::default();
    /// Serve GET and DELETE of photos of Deals. UNCONFIRMED.
    deals_photo_read: bool = true;
    /// `filename*` in a request part.
    filename_star: FilenameStar = FilenameStar::default();
    /// Decode `%22`, `%0D` and `%0A` in a part's file name, as browsers write them. UNCONFIRMED.
    decode_percent_in_filename: bool = false;
    /// Several `file` parts.
    several_files: SeveralFiles = SeveralFiles::default();
    /// `.exe` files.
    exe_file: ExeFile = ExeFile::default();
    /// Neither a file nor a link.
    nothing_sent: NothingSent = NothingSent::default();
    /// A 0-byte file.
    empty_file: EmptyFile = EmptyFile::default();
    /// A file name over `name_limit`.
    long_name: OverLimit = OverLimit::default();
    /// Most characters of a file name.
    name_limit: usize = 250;
    /// What `name_limit` counts.
    name_limit_unit: NameUnit = NameUnit::default();
    /// Accents in a stored name.
    name_form: NameForm = NameForm::default();
    /// Cut blanks at both ends of a stored name. UNCONFIRMED.
    name_trimmed: bool = false;
    /// Signs that a stored name has `name_sign_replacement` for. UNCONFIRMED.
    name_signs_replaced: String = String::new();
    /// What stands in a stored name for each of `name_signs_replaced`.
    name_sign_replacement: String = "_".into();
    /// `per_page` over 200.
    per_page_over: OverLimit = OverLimit::default();
    /// Refuse uploads that hold the EICAR test string. UNCONFIRMED for attachments.
    virus_check: bool = true;
    /// A missing privilege.
    permission_error: PermissionError = PermissionError::default();
    /// Operations the user may not do, e.g. `attachment.upload`.
    denied: Vec<String> = Vec::new();
    /// Let a locked record refuse attachment uploads and deletes too. UNCONFIRMED; documented for photos only.
    locked_blocks_attachments: bool = false;
    /// `Parent_Id` under `fields`.
    parent_id: ParentId = ParentId::default();
    /// Keys under `fields`.
    narrow_fields: NarrowFields = NarrowFields::default();
    /// `$link_url` of a file.
    file_link_url: FileLinkUrl = FileLinkUrl::default();
    /// `$file_id` of a link.
    link_file_id: LinkFileId = LinkFileId::default();
    /// `$sharing_permission`: a word, as Zoho's OpenAPI file says and samples of records have, or null. UNCONFIRMED which words attachments have.
    sharing_permission: Option<String> = Some("full_access".into());
    /// `related_status` in the refusals of an attachment's path: the OpenAPI file wants it, the examples have none.
    related_status: bool = true;
    /// `param` beside `param_name` in the refusal of a parameter: the OpenAPI file wants it, the examples have none.
    param_beside_name: bool = true;
    /// Requests with a chunked body.
    chunked_request: ChunkedRequest = ChunkedRequest::default();
    /// Most bytes of an attachment. 100 MB is read as MiB. UNCONFIRMED.
    file_limit: u64 = 100 * MIB;
    /// Most bytes of a request body: a file of the full size and its multipart frame. UNCONFIRMED.
    body_limit: u64 = 100 * MIB + 65_536;
    /// Most bytes of a photo.
    photo_limit: u64 = 10 * MIB;
    /// Most pixels of a photo.
    photo_pixels: u64 = 10_000_000;
    /// Most bytes of each file sent to `/files`.
    zfs_file_limit: u64 = 20 * MIB;
    /// Bytes an organisation may store; no limit when null.
    storage_limit: Option<u64> = None;
    /// Keep the bytes of uploads. When off only hash and size are kept, and their download answers a loud 500.
    keep_bodies: bool = true;
    /// API credits of an organisation in 24 hours.
    credits: u64 = 5_000_000;
    /// Lists of one record within 60 seconds before 429; any number when 0. UNCONFIRMED; seen in reports only.
    lists_per_minute: usize = 0;
    /// Calls an organisation may have active at once.
    concurrency: u32 = 25;
    /// How long each call to the API takes that is within `concurrency`; others are refused at once.
    service_ms: u64 = 0;
    /// Calls per thousand that take ten times as long.
    slow_per_mille: u32 = 0;
    /// Rows a list gives without `page_token` (v7 and later).
    discrete_rows: u64 = 2_000;
    /// Rows a list gives at all.
    list_rows: u64 = 100_000;
    /// Life of an access token.
    token_lifetime_s: u64 = 3_600;
    /// The value of `expires_in`, whatever it is; the true life when null.
    expires_in_value: Value = json!(null);
    /// The form of `expires_in`.
    expires_in: ExpiresIn = ExpiresIn::default();
    /// `api_domain` of token replies; the emulator's own address when null.
    api_domain: Option<String> = None;
    /// Access tokens one refresh token may ask for in ten minutes.
    tokens_per_window: usize = 10;
    /// Access tokens of one refresh token that live at once.
    tokens_alive: usize = 15;
    /// Life of a grant code.
    grant_code_lifetime_s: u64 = 180;
    /// How far the clock of `Date` is ahead of that of `Created_Time`; negative: behind. A recorded reply has 15 seconds between the two.
    date_ahead_ms: i64 = 0;
    /// Connections behind a reply.
    connection: Connection = Connection::default();
    /// `Keep-Alive: timeout=…` of every reply in seconds; none when null. When the connection is closed, `idle_timeout_ms` says.
    keep_alive_hint_s: Option<u64> = None;
    /// Close a connection that has been idle so long; never when 0.
    idle_timeout_ms: u64 = 60_000;
    /// Longest time from a head's first byte to its last.
    head_timeout_ms: u64 = 20_000;
    /// Longest pause within a request's body.
    body_pause_ms: u64 = 300_000;
    /// The name by which others reach the emulator, `host` or `host:port`: that of its container, say. It stands in `api_domain`.
    public_name: Option<String> = None;
    /// Most bytes of a request's head.
    head_limit: usize = 65_536;
    /// End TLS connections with `close_notify`.
    tls_close_notify: bool = true;
    /// Requests per thousand that get a fault of the seeded chaos.
    chaos_per_mille: u32 = 0;
    /// Seed of the chaos.
    chaos_seed: u64 = 1;
}

impl Settings {
    /// Changes the settings named in a JSON object, or none if one is wrong.
    pub fn patch(&mut self, change: &Value) -> Result<(), String> {
        let object = change.as_object().ok_or("a JSON object is needed")?;
        let mut all = serde_json::to_value(&*self).map_err(|e| e.to_string())?;
        for (name, value) in object {
            if all.get(name).is_none() {
                let known: Vec<String> = all.as_object().into_iter().flat_map(|o| o.keys().cloned()).collect();
                return Err(unknown("setting", name, known.iter().map(String::as_str)));
            }
            all[name] = value.clone();
            // One at a time, so that the error names the one.
            serde_json::from_value::<Settings>(all.clone()).map_err(|e| format!("{name}: {e}"))?.check().map_err(|e| format!("{name}: {e}"))?;
        }
        *self = serde_json::from_value(all).map_err(|e| e.to_string())?;
        Ok(())
    }

    /// What the types don't say.
    fn check(&self) -> Result<(), String> {
        [self.scope_missing_status, self.token_throttle_status, self.bulk_delete_partial_status].into_iter().try_for_each(check_status)?;
        if self.token_lifetime_s.max(self.grant_code_lifetime_s) > 100 * 365 * 86_400 {
            return Err("is over a hundred years".to_owned());
        }
        if [self.file_limit, self.body_limit, self.photo_limit, self.zfs_file_limit].into_iter().any(|limit| limit > 1 << 40) {
            return Err("is over a terabyte".to_owned());
        }
        if let Some(name) = &self.public_name {
            check_public_name(name)?;
        }
        // Below these not even the control paths could be reached again.
        if self.head_limit < 1024 || self.head_timeout_ms < 10 || (1..10).contains(&self.idle_timeout_ms) || self.body_pause_ms < 10 {
            return Err("is too little: heads have at least 1024 bytes, times 10 ms".to_owned());
        }
        if self.chaos_per_mille.max(self.slow_per_mille) > 1000 {
            return Err("is over 1000 requests of a thousand".to_owned());
        }
        if let Some(operation) = self.denied.iter().find(|d| !OPERATIONS.contains(&d.as_str())) {
            return Err(unknown("operation", operation, OPERATIONS.iter().copied()));
        }
        Ok(())
    }
}

/// A host, or a host and its port.
pub fn check_public_name(name: &str) -> Result<(), String> {
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b));
    if fits { Ok(()) } else { Err(format!("{name:?} is no name of a host, nor name:port")) }
}
