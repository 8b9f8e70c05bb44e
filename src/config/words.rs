//! Settings that take one word of a few: one row for each word.

use super::kinds::Words;

/// Each row: what the word means in the code, the word, and what the help says of it (`""` where the word says it all).
macro_rules! words {
    ($($(#[$doc:meta])+ $name:ident { $($(#[$row_doc:meta])+ $word:ident = $text:literal, $note:literal;)+ })+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$row_doc])+ $word,)+ }

        impl $name {
            /// Every value with its word.
            pub const ALL: &'static [(&'static str, $name)] = &[$(($text, $name::$word),)+];
        }

        impl Words for $name {
            fn all() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
                [$(($name::$word, $text, $note),)+].into_iter()
            }
        }
    )+};
}

words! {
    /// Which of an organisation's copies is meant: the real one or one to try things on.
    Environment {
        /// The real one.
        Production = "production", "";
        /// A sandbox.
        Sandbox = "sandbox", "";
        /// A developer's organisation.
        Developer = "developer", "";
    }

    /// A local check that refuses a call before a byte is sent. What it refuses is Zoho's to decide, so each can be switched off.
    /// (Each limit of size is a setting, and needs no check.)
    Check {
        /// Ids are digit strings.
        Id = "id", "";
        /// The module's name can be an API name.
        Module = "module", "";
        /// The module has record photos.
        PhotoModule = "photo_module", "";
        /// An attachment isn't an `.exe`.
        AttachmentType = "attachment_type", "";
        /// A photo is PNG, JPEG, GIF or BMP by its first bytes.
        PhotoFormat = "photo_format", "";
        /// A link is http or https.
        LinkScheme = "link_scheme", "";
        /// A link has at most 3000 characters.
        LinkLength = "link_length", "";
        /// A link has no user name or password.
        LinkUserInfo = "link_user_info", "";
        /// A link has no control characters or spaces.
        LinkControl = "link_control", "";
        /// A link's title has at most 255 characters.
        TitleLength = "title_length", "";
    }

    /// How a body whose length nobody knows is sent.
    UnknownLength {
        /// Written to an unnamed temporary file first: its length is known then, and it can be sent again.
        Spool = "spool", "to a temporary file first";
        /// Sent as it comes, in HTTP chunks. UNCONFIRMED whether Zoho takes them.
        Chunked = "chunked", "as it comes; not confirmed at Zoho";
    }

    /// How a link travels. Zoho's pages show a form, its SDKs a query; both are accepted.
    LinkCarrier {
        /// `multipart/form-data` fields.
        Form = "form", "multipart fields";
        /// Query parameters of an empty POST.
        Query = "query", "";
    }

    /// Whether several attachments are deleted by one request.
    BulkDelete {
        /// One request, and one for each id where the server doesn't know that request (newest specification; UNCONFIRMED in v8).
        Auto = "auto", "one request where the server takes it; not confirmed in v8";
        /// One request for each id.
        Never = "never", "one request for each id";
    }

    /// How an upload whose reply was lost is looked for.
    Settle {
        /// By time, size and hash among the record's attachments. It can't tell this upload from one of the same bytes that another process has
        /// stored in these minutes; where only clocks say that the same bytes are older, the outcome is unknown.
        Cheap = "cheap", "by time, size and hash; costs nothing until then, and takes for its own what another process has just \
            stored of the same bytes";
        /// Among those that were not there before: one list before each upload. Of what another process stores meanwhile it knows as little.
        Strict = "strict", "one list before each upload, so that clocks don't matter";
        /// Not at all: the outcome is unknown.
        Off = "off", "";
    }

    /// What is done about a lost upload that is not found.
    OnUnknown {
        /// It is sent again.
        SettleThenResend = "settle_then_resend", "it is sent again";
        /// The outcome is unknown, and the caller decides.
        NeverResend = "never_resend", "the outcome is unknown, and the caller decides";
    }

    /// What is done about a copy that shows after the upload was sent again.
    OnTwin {
        /// The result names it.
        Report = "report", "the result names it";
        /// It is deleted, and the result names it.
        Delete = "delete", "it is deleted, and the result names it";
    }
}

impl Words for bool {
    fn all() -> impl Iterator<Item = (Self, &'static str, &'static str)> {
        [(true, "on", ""), (false, "off", "")].into_iter()
    }
}
