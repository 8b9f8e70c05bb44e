"""The settings. Written by generate.py from src/step/description.json: change it there."""

from __future__ import annotations

import os
from typing import Dict, Literal, Sequence, TypedDict, Union


class Settings(TypedDict, total=False):
    """The settings of a client. A wrong one is ConfigError, which names it. True and False are on and off; a list may be one.

    api_version           API version: v2, v2.1, v3, v4, v5, v6, v7 or v8; default: v8
    data_center           Zoho's data centre: us, eu, in, au, jp, cn, ca, sa, ae (not confirmed for CRM) or uk (not confirmed for CRM); default:
                          us
    environment           which of the organisation's copies: production, sandbox or developer; default: production
    api_domain            API host as a URL, such as https://www.zohoapis.eu; pins it: the token reply's api_domain is not followed
    accounts_url          accounts host as a URL, such as https://accounts.zoho.eu
    allow_hosts           comma list of further hosts (host, host:port or https://host:port) that api_domain of a token reply, or a download's
                          redirect, may lead to
    allow_http            whether api_domain, accounts_url and allow_hosts may be http:// for hosts other than this machine, which sends tokens in
                          the clear: on or off; default: off
    access_token          an access token; used until Zoho refuses it or, beside a refresh token, until it expires; secret
    refresh_token         OAuth refresh token; needs client_id and client_secret; secret
    client_id             OAuth client id
    client_secret         OAuth client secret; secret
    grant_code            one-time grant code, to be exchanged for a refresh token; secret
    redirect_uri          redirect URI that the grant code was made with; a self client has none
    scope                 comma list of scopes, for client credentials
    soid                  ZohoCRM.{organisation id}: with client_id and client_secret and no refresh token, client credentials are used
    ca_file               PEM file of further CA certificates; the word env takes the path from SSL_CERT_FILE
    os_roots              whether the system's CA certificates are trusted beside those of ca_file: on or off; default: on
    proxy                 proxy URL (http://user:password@host:port, or https, socks5, socks5h); it carries no https to an IPv6 address; the word
                          env takes it from HTTPS_PROXY, https_proxy, ALL_PROXY and http_proxy, and heeds NO_PROXY, as they are when it is set;
                          secret
    user_agent            the User-Agent header; default: zcrm/0.1.0
    connect_timeout_ms    bound on connecting and the TLS handshake, in milliseconds; default: 10000
    stall_timeout_ms      bound on a time without a byte in either direction, in milliseconds; default: 60000
    reply_timeout_ms      bound on the whole of a reply that is no file, from its first byte, in milliseconds; default: 60000
    least_speed           bytes a second (0 = any) that a download must reach, over each stall_timeout_ms of waiting for it; default: 100
    token_timeout_ms      bound on one token request, in milliseconds; default: 30000
    call_timeout_ms       bound (0 = none) on a whole call with its retries, in milliseconds; default: 0
    max_retries           further attempts of a call that may be repeated; 0 = none; default: 3
    retry_base_ms         first wait between attempts, doubled each time and halved at random, in milliseconds; default: 500
    retry_max_wait_ms     longest single wait, a Retry-After included; a longer one ends the call, in milliseconds; default: 60000
    max_in_flight         most API calls of one organisation at once, over all its clients in the process: auto (as many as Zoho accepts now, up
                          to 25), auto:N (up to N) or a number; fewer while Zoho answers 429; default: auto
    organisation          a label that says which clients share an organisation's limits: it is trusted, so one tenant must not choose another's;
                          empty = those with the same hosts and OAuth client (and soid), or with the same token or callback
    credits_reserve       API credits to leave to others: calls stop below it, with a resumable error; default: 0
    attachment_max_bytes  largest attachment that is sent, in bytes; default: 104857600
    photo_max_bytes       largest photo that is sent, in bytes; default: 10485760
    photo_max_pixels      most pixels of a photo that is sent; default: 10000000
    unknown_length        how a source without a length is sent: spool (to a temporary file first) or chunked (as it comes; not confirmed at
                          Zoho); default: spool
    spool_dir             directory of the temporary file of unknown_length=spool; empty = the system's
    link_carrier          how a link is sent: form (multipart fields) or query; default: form
    settle                how an upload whose reply was lost is looked for: cheap (by time, size and hash; costs nothing until then, and takes for
                          its own what another process has just stored of the same bytes), strict (one list before each upload, so that clocks
                          don't matter) or off; default: cheap
    settle_waits_ms       waits between the looks for a lost upload, which may show late, in milliseconds; default: 2000,8000,30000
    settle_hash           whether what is found for a lost upload is downloaded and compared by its hash: on or off; default: on
    on_unknown            a lost upload that is not found: settle_then_resend (it is sent again) or never_resend (the outcome is unknown, and the
                          caller decides); default: settle_then_resend
    on_twin               a lost upload that shows after it was sent again: report (the result names it) or delete (it is deleted, and the result
                          names it); default: report
    memory_max_bytes      largest download that is held in memory, in bytes; default: 104857600
    list_max_rows         most rows of one list; a longer one is an error, so that no list can fill the memory; default: 100000
    bulk_delete           deleting several attachments: auto (one request where the server takes it; not confirmed in v8) or never (one request
                          for each id); default: auto
    allow_paths           directories, separated by ':', below which a step's JSON may name files; empty = none
    checks_off            comma list of local checks to leave to Zoho, or all: id, module, photo_module, attachment_type, photo_format,
                          link_scheme, link_length, link_user_info, link_control or title_length
    """

    api_version: Literal["v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"]
    data_center: Literal["us", "eu", "in", "au", "jp", "cn", "ca", "sa", "ae", "uk"]
    environment: Literal["production", "sandbox", "developer"]
    api_domain: str
    accounts_url: str
    allow_hosts: Union[str, Sequence[str]]
    allow_http: Union[bool, Literal["on", "off"]]
    access_token: str
    refresh_token: str
    client_id: str
    client_secret: str
    grant_code: str
    redirect_uri: str
    scope: str
    soid: str
    ca_file: Union[str, os.PathLike[str]]
    os_roots: Union[bool, Literal["on", "off"]]
    proxy: str
    user_agent: str
    connect_timeout_ms: int
    stall_timeout_ms: int
    reply_timeout_ms: int
    least_speed: int
    token_timeout_ms: int
    call_timeout_ms: int
    max_retries: int
    retry_base_ms: int
    retry_max_wait_ms: int
    max_in_flight: Union[int, str]
    organisation: str
    credits_reserve: int
    attachment_max_bytes: int
    photo_max_bytes: int
    photo_max_pixels: int
    unknown_length: Literal["spool", "chunked"]
    spool_dir: Union[str, os.PathLike[str]]
    link_carrier: Literal["form", "query"]
    settle: Literal["cheap", "strict", "off"]
    settle_waits_ms: Union[str, Sequence[int]]
    settle_hash: Union[bool, Literal["on", "off"]]
    on_unknown: Literal["settle_then_resend", "never_resend"]
    on_twin: Literal["report", "delete"]
    memory_max_bytes: int
    list_max_rows: int
    bulk_delete: Literal["auto", "never"]
    allow_paths: Union[str, Sequence[str]]
    checks_off: Union[str, Sequence[Literal["id", "module", "photo_module", "attachment_type", "photo_format", "link_scheme", "link_length", "link_user_info", "link_control", "title_length", "all"]]]


# What stands between the items of a setting that is a list.
SEPARATORS: Dict[str, str] = {
    "allow_hosts": ",",
    "settle_waits_ms": ",",
    "allow_paths": ":",
    "checks_off": ",",
}
