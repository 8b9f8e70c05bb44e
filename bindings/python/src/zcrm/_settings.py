"""The settings. Written by generate.py from src/step/description.json: change it there."""

from __future__ import annotations

import os
from typing import Dict, Literal, Sequence, TypedDict, Union


class Settings(TypedDict, total=False):
    """The settings of a client, each with its default and what it takes. A wrong one is ConfigError, which names it."""

    api_version: Literal["v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"]
    """API version: v2, v2.1, v3, v4, v5, v6, v7 or v8. Default: v8."""

    data_center: Literal["us", "eu", "in", "au", "jp", "cn", "ca", "sa", "ae", "uk"]
    """Zoho's data centre: us, eu, in, au, jp, cn, ca, sa, ae (UNCONFIRMED for CRM) or uk (UNCONFIRMED for CRM). Default: us."""

    environment: Literal["production", "sandbox", "developer"]
    """Which of the organisation's copies: production, sandbox or developer. Default: production."""

    api_domain: str
    """API host as a URL, such as https://www.zohoapis.eu; pins it: the token reply's api_domain is not followed."""

    accounts_url: str
    """Accounts host as a URL, such as https://accounts.zoho.eu."""

    allow_hosts: Union[str, Sequence[str]]
    """Comma list of further hosts (host, host:port or https://host:port) that api_domain of a token reply, or a download's redirect, may lead to."""

    allow_http: Union[bool, Literal["on", "off"]]
    """Whether api_domain, accounts_url and allow_hosts may be http:// for hosts other than this machine, which sends tokens in the clear: on or
    off. Default: off.
    """

    access_token: str
    """An access token; used until Zoho refuses it or, beside a refresh token, until it expires. Secret."""

    refresh_token: str
    """OAuth refresh token; needs client_id and client_secret. Secret."""

    client_id: str
    """OAuth client id."""

    client_secret: str
    """OAuth client secret. Secret."""

    grant_code: str
    """One-time grant code, to be exchanged for a refresh token. Secret."""

    redirect_uri: str
    """Redirect URI that the grant code was made with; a self client has none."""

    scope: str
    """Comma list of scopes, for client credentials."""

    soid: str
    """ZohoCRM.{organisation id}: with client_id and client_secret and no refresh token, client credentials are used."""

    ca_file: Union[str, os.PathLike[str]]
    """PEM file of further CA certificates; the word env takes the path from SSL_CERT_FILE."""

    os_roots: Union[bool, Literal["on", "off"]]
    """Whether the system's CA certificates are trusted beside those of ca_file: on or off. Default: on."""

    proxy: str
    """Proxy URL (http://user:password@host:port, or https, socks5, socks5h); it carries no https to an IPv6 address; the word env takes it from
    HTTPS_PROXY, https_proxy, ALL_PROXY and http_proxy, and heeds NO_PROXY, as they are when it is set. Secret.
    """

    user_agent: str
    """The User-Agent header. Default: zcrm/0.1.0."""

    connect_timeout_ms: int
    """Bound on connecting and the TLS handshake, in milliseconds. Default: 10000."""

    stall_timeout_ms: int
    """Bound on a time without a byte in either direction, in milliseconds. Default: 60000."""

    reply_timeout_ms: int
    """Bound on the whole of a reply that is no file, from its first byte, in milliseconds. Default: 60000."""

    least_speed: int
    """Bytes a second (0 = any) that a download must reach, over each stall_timeout_ms of waiting for it. Default: 100."""

    token_timeout_ms: int
    """Bound on one token request, in milliseconds. Default: 30000."""

    call_timeout_ms: int
    """Bound (0 = none) on a whole call with its retries, in milliseconds. Default: 0."""

    max_retries: int
    """Further attempts of a call that may be repeated; 0 = none. Default: 3."""

    retry_base_ms: int
    """First wait between attempts, doubled each time and halved at random, in milliseconds. Default: 500."""

    retry_max_wait_ms: int
    """Longest single wait, a Retry-After included; a longer one ends the call, in milliseconds. Default: 60000."""

    max_in_flight: int
    """Most API calls of one organisation at once, over all its clients in the process; fewer while Zoho answers 429. Default: 4."""

    organisation: str
    """A label that says which clients share an organisation's limits: it is trusted, so one tenant must not choose another's; empty = those with
    the same hosts and OAuth client (and soid), or with the same token or callback.
    """

    credits_reserve: int
    """API credits to leave to others: calls stop below it, with a resumable error. Default: 0."""

    attachment_max_bytes: int
    """Largest attachment that is sent, in bytes. Default: 104857600."""

    photo_max_bytes: int
    """Largest photo that is sent, in bytes. Default: 10485760."""

    photo_max_pixels: int
    """Most pixels of a photo that is sent. Default: 10000000."""

    unknown_length: Literal["spool", "chunked"]
    """How a source without a length is sent: spool (to a temporary file first) or chunked (as it comes; UNCONFIRMED at Zoho). Default: spool."""

    spool_dir: Union[str, os.PathLike[str]]
    """Directory of the temporary file of unknown_length=spool; empty = the system's."""

    link_carrier: Literal["form", "query"]
    """How a link is sent: form (multipart fields) or query. Default: form."""

    settle: Literal["cheap", "strict", "off"]
    """How an upload whose reply was lost is looked for: cheap (by time, size and hash; costs nothing until then, and takes for its own what
    another process has just stored of the same bytes), strict (one list before each upload, so that clocks don't matter) or off. Default: cheap.
    """

    settle_waits_ms: Union[str, Sequence[int]]
    """Waits between the looks for a lost upload, which may show late, in milliseconds. Default: 2000,8000,30000."""

    settle_hash: Union[bool, Literal["on", "off"]]
    """Whether what is found for a lost upload is downloaded and compared by its hash: on or off. Default: on."""

    on_unknown: Literal["settle_then_resend", "never_resend"]
    """A lost upload that is not found: settle_then_resend (it is sent again) or never_resend (the outcome is unknown, and the caller decides).
    Default: settle_then_resend.
    """

    on_twin: Literal["report", "delete"]
    """A lost upload that shows after it was sent again: report (the result names it) or delete (it is deleted, and the result names it). Default:
    report.
    """

    memory_max_bytes: int
    """Largest download that is held in memory, in bytes. Default: 104857600."""

    list_max_rows: int
    """Most rows of one list; a longer one is an error, so that no list can fill the memory. Default: 100000."""

    bulk_delete: Literal["auto", "never"]
    """Deleting several attachments: auto (one request where the server takes it; UNCONFIRMED in v8) or never (one request for each id). Default:
    auto.
    """

    allow_paths: Union[str, Sequence[str]]
    """Directories, separated by ':', below which a step's JSON may name files; empty = none."""

    checks_off: Union[str, Sequence[Literal["id", "module", "photo_module", "attachment_type", "photo_format", "link_scheme", "link_length", "link_user_info", "link_control", "title_length", "all"]]]
    """Comma list of local checks to leave to Zoho, or all: id, module, photo_module, attachment_type, photo_format, link_scheme, link_length,
    link_user_info, link_control or title_length.
    """


# What stands between the items of a setting that is a list.
SEPARATORS: Dict[str, str] = {
    "allow_hosts": ",",
    "settle_waits_ms": ",",
    "allow_paths": ":",
    "checks_off": ",",
}
