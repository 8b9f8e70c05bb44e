//! Connections: kept, checked, bounded in time, cancelled.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use zcrm::attachment::{self, ListArgs};
use zcrm::{Call, Cancel, Client, Config, File, Record, Result, Sink, Status};
use zcrm_emulator::{Certificate, Emulator, Fault, Options, StallAt};

use crate::server::{LIST, Server, record, reply};
use crate::support::{World, bytes, client, why, world, world_with};

fn list(client: &Client, record: &Record) -> Result<()> {
    attachment::list(client, record, &ListArgs::default(), Call::default()).map(drop)
}

fn connections(w: &World) -> usize {
    w.emulator.ledger().requests.iter().map(|r| r.connection).collect::<std::collections::HashSet<_>>().len()
}

#[test]
fn calls_one_after_another_share_one_connection() {
    let w = world();
    (0..10).for_each(|i| drop(w.upload(&format!("{i}"), &bytes(i * 20_000)).unwrap()));
    (0..10).for_each(|_| list(&w.client, &w.contact).unwrap());
    assert_eq!(connections(&w), 1);
}

#[test]
fn a_connection_that_the_server_closed_meanwhile_is_noticed_before_it_is_used() {
    let w = world_with(&[("max_retries", "0")]);
    for i in 0..20 {
        w.emulator.script("attachment.upload", [Fault::close_idle()]);
        w.upload(&format!("{i}"), b"abc").unwrap();
        std::thread::sleep(Duration::from_millis(20)); // the close has to arrive
    }
    assert_eq!(w.stored().len(), 20);
}

#[test]
fn an_early_answer_is_read_and_reported_while_the_body_is_still_being_sent() {
    for (fault, status) in [
        (Fault::status_early(401, 1000), Status::Auth),
        (Fault::status_early_close(401, 1000), Status::Auth),
        (Fault::status_early(413, 100_000), Status::TooLarge),
        (Fault::status_early(403, 0), Status::Forbidden),
    ] {
        let w = world();
        // A server that closes at once may lose its own answer to the reset; then the next attempt meets it.
        w.emulator.script("attachment.upload", (0..4).map(|_| fault.clone()));
        let error = w.upload("a", &bytes(20_000_000)).unwrap_err();
        w.emulator.clear_script();
        assert_eq!(error.status(), status, "{fault:?}: {error}");
        if status != Status::Auth {
            list(&w.client, &w.contact).expect("the connection with the unfinished body isn't used again");
        }
        assert_eq!(w.stored(), []);
    }
}

#[test]
fn a_silent_server_is_left_after_the_stall_timeout() {
    for (operation, at) in [("attachment.list", StallAt::BeforeReply), ("attachment.list", StallAt::Reply), ("attachment.upload", StallAt::Request)] {
        let w = world_with(&[("stall_timeout_ms", "200"), ("connect_timeout_ms", "200"), ("max_retries", "0")]);
        w.emulator.script(operation, [Fault::stall(at)]);
        let failed = if operation == "attachment.list" { list(&w.client, &w.contact) } else { w.upload("a", &bytes(20_000_000)).map(drop) };
        let error = failed.unwrap_err();
        assert!(matches!(error.status(), Status::Timeout | Status::OutcomeUnknown) && error.reason() == "stalled", "{operation} {at:?}: {error}");
    }
}

#[test]
fn a_slow_but_steady_transfer_is_never_cut_off() {
    let w = world_with(&[("stall_timeout_ms", "400"), ("max_retries", "0")]);
    let id = w.attach("a", &bytes(20_000));
    w.emulator.script("attachment.download", [Fault::slow(1000, 50)]);
    let got = attachment::download(&w.client, &w.contact, &id, Sink::memory(), Call::default()).unwrap();
    assert!(got.result.data.unwrap() == bytes(20_000));
}

#[test]
fn the_whole_call_is_bounded_when_asked() {
    let w = world();
    w.emulator.script("attachment.list", [Fault::stall(StallAt::BeforeReply)]);
    let call = Call { timeout: Some(Duration::from_millis(200)), ..Call::default() };
    let failed = attachment::list(&w.client, &w.contact, &ListArgs::default(), call);
    assert_eq!(why(failed), (Status::Timeout, "call_timeout"));
}

#[test]
fn a_deadline_ends_a_wait_between_attempts_too() {
    let w = world_with(&[("retry_base_ms", "60000")]);
    w.emulator.script("attachment.list", [Fault::status(500)]);
    let call = Call { timeout: Some(Duration::from_millis(200)), ..Call::default() };
    let began = Instant::now();
    let failed = attachment::list(&w.client, &w.contact, &ListArgs::default(), call);
    assert_eq!(why(failed), (Status::Timeout, "call_timeout"));
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn nobody_listening_is_a_network_error_after_the_retries() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut config = Config::new();
    for (key, value) in [("api_domain", format!("http://127.0.0.1:{port}").as_str()), ("access_token", "x"), ("retry_base_ms", "5")] {
        config.set(key, value).unwrap();
    }
    let record = Record::new("Contacts", "1");
    let source = File::memory("a", b"abc");
    let error = attachment::upload(&Client::new(config).unwrap(), &record, source, Call::default()).unwrap_err();
    assert_eq!((error.status(), error.reason(), error.detail().attempts), (Status::Network, "connect", 4), "{error}");
}

#[test]
fn a_call_that_is_cancelled_at_whatever_moment_says_just_that() {
    let w = world();
    let file = bytes(1000);
    for i in 0..300 {
        // A client of its own, so that each call makes its connection: the step that a cancel interrupts differs from try to try.
        let client = client(&w.emulator, &[]);
        let cancel = Cancel::new();
        let call = Call { cancel: Some(cancel.clone()), ..Call::default() };
        let outcome = std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_micros(i * 10));
                cancel.fire();
            });
            attachment::upload(&client, &w.contact, File::memory("a.txt", &file), call)
        });
        assert!(outcome.as_ref().is_ok() || outcome.as_ref().is_err_and(|e| e.status() == Status::Cancelled), "{outcome:?}");
    }
}

#[test]
fn a_cancelled_call_ends_wherever_it_is() {
    let w = world_with(&[("retry_base_ms", "60000")]);
    let content = bytes(10_000_000); // made before the clock runs
    let id = w.attach("a", &content);
    let stalls: [(&str, Fault); 5] = [
        ("attachment.list", Fault::stall(StallAt::BeforeReply)),
        ("attachment.upload", Fault::stall(StallAt::Request)),
        ("attachment.upload", Fault::stall(StallAt::BeforeReply)),
        ("attachment.download", Fault::stall(StallAt::Reply)),
        ("attachment.list", Fault::status(500)),
    ];
    for (operation, fault) in stalls {
        w.emulator.script(operation, [fault.clone()]);
        let cancel = Cancel::new();
        let firing = cancel.clone();
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(150));
            firing.fire();
            Instant::now()
        });
        let call = Call { cancel: Some(cancel), ..Call::default() };
        let failed = match operation {
            "attachment.list" => attachment::list(&w.client, &w.contact, &ListArgs::default(), call).map(drop),
            "attachment.upload" => attachment::upload(&w.client, &w.contact, File::memory("a", &content), call).map(drop),
            _ => attachment::download(&w.client, &w.contact, &id, Sink::memory(), call).map(drop),
        };
        let ended = Instant::now();
        assert_eq!(why(failed), (Status::Cancelled, "cancelled"), "{operation} {fault:?}");
        // The bound that users are promised is 100 ms; a noisy machine gets more before this test complains.
        assert!(ended.saturating_duration_since(thread.join().unwrap()) < Duration::from_secs(2));
    }
    list(&w.client, &w.contact).unwrap();
}

#[test]
fn a_token_fired_before_the_call_lets_nothing_be_sent() {
    let w = world();
    let cancel = Cancel::new();
    cancel.fire();
    let call = Call { cancel: Some(cancel), ..Call::default() };
    let failed = attachment::list(&w.client, &w.contact, &ListArgs::default(), call);
    assert_eq!(why(failed).0, Status::Cancelled);
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn a_call_from_inside_a_callback_is_refused_and_the_outer_call_goes_on() {
    let w = world();
    let inner = std::cell::RefCell::new(None);
    let mut tell = |_, _| {
        *inner.borrow_mut() = Some(why(list(&w.client, &w.contact)));
        true
    };
    let call = Call { progress: Some(&mut tell), ..Call::default() };
    attachment::upload(&w.client, &w.contact, File::memory("a", b"abc"), call).unwrap();
    assert_eq!(inner.into_inner(), Some((Status::State, "reentrant")));
}

fn secure(certificate: Certificate) -> (Emulator, String) {
    let emulator = Emulator::start(Options { tls: true, certificate, ..Options::default() }).unwrap();
    let dir = tempfile::tempdir().unwrap().keep();
    let path = dir.join("ca.pem");
    std::fs::write(&path, emulator.ca_pem().unwrap()).unwrap();
    (emulator, path.to_str().unwrap().to_owned())
}

#[test]
fn https_works_with_the_ca_file_beside_or_instead_of_the_systems_roots() {
    for os_roots in ["on", "off"] {
        let (emulator, ca) = secure(Certificate::Good);
        let client = client(&emulator, &[("ca_file", &ca), ("os_roots", os_roots)]);
        let contact = Record::new("Contacts", emulator.record("Contacts"));
        let content = bytes(1_000_000);
        let id = attachment::upload(&client, &contact, File::memory("a", &content), Call::default()).unwrap().result.id;
        let got = attachment::download(&client, &contact, &id, Sink::memory(), Call::default()).unwrap();
        assert!(got.result.data.unwrap() == content);
    }
}

#[test]
fn a_certificate_that_is_not_right_is_refused_before_a_token_is_sent() {
    for certificate in [Certificate::Expired, Certificate::WrongHost, Certificate::UnknownAuthority] {
        let (emulator, ca) = secure(certificate);
        let client = client(&emulator, &[("ca_file", &ca), ("retry_base_ms", "5")]);
        let error = list(&client, &Record::new("Contacts", "1")).unwrap_err();
        assert_eq!((error.status(), error.detail().attempts), (Status::Tls, 1), "{certificate:?}: {error}");
        assert!(emulator.ledger().requests.is_empty());
    }
}

#[test]
fn the_systems_roots_alone_do_not_trust_an_unknown_authority() {
    let (emulator, _) = secure(Certificate::Good);
    assert_eq!(why(list(&client(&emulator, &[]), &Record::new("Contacts", "1"))).0, Status::Tls);
}

#[test]
fn a_tls_connection_cut_without_a_goodbye_is_no_complete_download() {
    let (emulator, ca) = secure(Certificate::Good);
    emulator.settings(|s| (s.tls_close_notify, s.download_length) = (false, zcrm_emulator::DownloadLength::Close));
    let contact = Record::new("Contacts", emulator.record("Contacts"));
    let id = emulator.attach("Contacts", &contact.id, "a", &bytes(100_000));
    let client = client(&emulator, &[("ca_file", &ca), ("max_retries", "0")]);
    assert_eq!(why(attachment::download(&client, &contact, &id, Sink::memory(), Call::default())).0, Status::Network);
}

#[test]
fn a_proxy_is_used_with_its_credentials_and_never_shows_them() {
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let proxy = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        let mut buf = [0; 4096];
        while !head.windows(4).any(|w| w == b"\r\n\r\n") {
            let n = stream.read(&mut buf).unwrap();
            head.extend_from_slice(&buf[..n]);
        }
        stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        String::from_utf8(head).unwrap()
    });
    let mut config = Config::new();
    for (key, value) in [
        ("api_domain", "http://crm.example"),
        ("allow_http", "on"),
        ("access_token", "canary-token"),
        ("proxy", format!("http://user:canary-password@127.0.0.1:{port}").as_str()),
        ("max_retries", "0"),
    ] {
        config.set(key, value).unwrap();
    }
    let error = list(&Client::new(config).unwrap(), &Record::new("Contacts", "1")).unwrap_err();
    let head = proxy.join().unwrap();
    assert!(head.starts_with("GET http://crm.example/crm/v8/Contacts/1/Attachments"), "{head}");
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic dxnlcjpjyw5hcnktcgfzc3dvcmq="), "{head}");
    assert!(!error.to_json().contains("canary"), "{error}");
}

#[test]
fn no_secret_is_in_any_log_line_or_error() {
    use std::sync::{Arc, Mutex};
    let e = Emulator::start(Options::default()).unwrap();
    let lines: Arc<Mutex<Vec<String>>> = Arc::default();
    let mut config = crate::support::config(&e, &crate::support::refreshing(&e).iter().map(|(k, v)| (*k, v.as_str())).collect::<Vec<_>>());
    let sink = lines.clone();
    config.set_log_fn(zcrm::config::LogLevel::Trace, move |_, line| sink.lock().unwrap().push(line.to_owned()));
    let client = Client::new(config).unwrap();
    let contact = Record::new("Contacts", e.record("Contacts"));
    e.script("attachment.list", [Fault::status(401), Fault::status(500), Fault::status(429), Fault::status(403)]);
    let error = list(&client, &contact).unwrap_err();
    let mut shown = lines.lock().unwrap().join("\n");
    assert!(shown.contains("waiting") && shown.contains("attachment.list"), "{shown}");
    shown += &error.to_json();
    let c = e.credentials();
    for secret in [&c.client_secret, &c.refresh_token, &e.access_token()] {
        assert!(!shown.contains(secret.as_str()), "{shown}");
    }
}

#[test]
fn a_secret_that_stands_in_another_setting_too_is_not_shown() {
    let token = "1000.0123456789abcdef0123456789abcdef.fedcba98";
    for (setting, value) in [("ca_file", format!("/nowhere/{token}.pem")), ("token_file", format!("/nowhere/{token}/tokens"))] {
        let mut config = Config::new();
        config.set("access_token", token).unwrap();
        config.set(setting, &value).unwrap();
        let error = Client::new(config).err().expect(setting);
        assert!(error.to_string().contains(setting) && !error.to_json().contains(token), "{error}");
    }
}

#[test]
fn certificates_are_needed_only_for_hosts_that_are_asked() {
    let e = Emulator::start(Options::default()).unwrap();
    let contact = Record::new("Contacts", e.add_record("Contacts"));
    let client = |credentials: &[(&str, &str)]| {
        let mut config = Config::new();
        // No certificate is known, so that whoever looks for one fails. The accounts host stays at its default, which is https.
        for (key, value) in [("api_domain", e.url()), ("os_roots", "off")].iter().chain(credentials) {
            config.set(key, value).unwrap();
        }
        Client::new(config)
    };
    list(&client(&[("access_token", &e.access_token())]).unwrap(), &contact).unwrap();
    let error = client(&[("client_id", "1000.A"), ("client_secret", "b"), ("refresh_token", "1000.c")]).err().unwrap();
    assert_eq!((error.status(), error.reason(), error.detail().field), (Status::Config, "no_roots", Some("os_roots")));
    assert!(error.to_string().contains("ca_file"), "{error}");
}

#[test]
fn a_redirect_from_http_to_https_is_checked_by_the_certificates_that_are_trusted() {
    let files = Emulator::start(Options { tls: true, ..Options::default() }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, files.ca_pem().unwrap()).unwrap();
    let to = format!("{}/a", files.url());
    let server = Server::start(move |_| Some(reply("302 Found", &format!("Location: {to}\r\n"), "")));
    let settings = [("allow_hosts", files.url()), ("os_roots", "off"), ("max_retries", "0")];
    let download = |client: &Client| attachment::download(client, &record(), "9", Sink::memory(), Call::default()).unwrap_err();
    let client = server.client(&[settings.as_slice(), &[("ca_file", ca.to_str().unwrap())]].concat());
    for _ in 0..2 {
        let error = download(&client);
        assert_ne!(error.detail().http_status, 0, "it was answered: {error}");
    }
    assert_eq!(why::<()>(Err(download(&server.client(&settings)))), (Status::Tls, "no_roots"));
}

/// A server that speaks TLS 1.1 at most; ends when dropped.
struct OldServer(std::process::Child);

impl Drop for OldServer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_of_tls_1_1_is_refused() {
    use std::process::{Command, Stdio};
    let dir = tempfile::tempdir().unwrap();
    let (key, certificate) = (dir.path().join("key.pem"), dir.path().join("cert.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status();
    assert!(made.expect("openssl is there").success());
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = Command::new("openssl")
        .args(["s_server", "-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", "-www", "-accept", &format!("127.0.0.1:{port}")])
        .arg("-key")
        .arg(&key)
        .arg("-cert")
        .arg(&certificate)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let _server = OldServer(server.unwrap());
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut config = Config::new();
    for (key, value) in [
        ("api_domain", format!("https://127.0.0.1:{port}").as_str()),
        ("access_token", "x"),
        ("ca_file", certificate.to_str().unwrap()),
        ("os_roots", "off"),
    ] {
        config.set(key, value).unwrap();
    }
    let error = list(&Client::new(config).unwrap(), &Record::new("Contacts", "1")).unwrap_err();
    assert_eq!(error.status(), Status::Tls, "{error}");
    assert!(error.to_string().to_lowercase().contains("version"), "the version is what is refused: {error}");
}

#[test]
fn a_connection_is_not_used_longer_than_the_server_says_it_keeps_it_and_any_call_clears_it_away() {
    let server = Server::start(|_| Some(reply("200 OK", "Keep-Alive: timeout=1, max=100\r\n", LIST)));
    let client = server.client(&[]);
    (0..2).for_each(|_| list(&client, &record()).unwrap());
    assert_eq!((server.requests(), server.open()), (2, 1), "one after another they share it");
    std::thread::sleep(Duration::from_millis(600));
    let other = Server::start(|_| Some(reply("200 OK", "", LIST)));
    list(&other.client(&[]), &record()).unwrap();
    let patience = Instant::now();
    while server.open() > 0 && patience.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(server.open(), 0, "another client's call closes it");
    list(&client, &record()).unwrap();
    assert_eq!(server.seen.lock().unwrap().last().unwrap().connection, 1);
}

#[test]
fn a_connection_that_has_served_its_last_request_is_not_used_again() {
    let connections = |server: &Server| server.seen.lock().unwrap().iter().map(|seen| seen.connection).collect::<Vec<_>>();
    let all = Server::start(|_| Some(reply("200 OK", "Keep-Alive: timeout=5, max=2\r\n", LIST)));
    let client = all.client(&[]);
    (0..5).for_each(|_| list(&client, &record()).unwrap());
    assert_eq!(connections(&all), [0, 0, 1, 1, 2], "max counts all of a connection's requests");
    let left = Server::start(|seen| Some(reply("200 OK", &format!("Keep-Alive: max={}\r\n", 1 - seen.nth.min(1)), LIST)));
    let client = left.client(&[]);
    (0..4).for_each(|_| list(&client, &record()).unwrap());
    assert!(left.seen.lock().unwrap().iter().all(|seen| seen.nth < 2), "max counts those to come");

    let more = LIST.replace("false}", "true,\"next_page_token\":\"a\"}");
    let pages = Server::start(move |seen| {
        let first = !seen.head.contains("page_token");
        Some(reply("200 OK", "Keep-Alive: max=1\r\n", if first { &more } else { LIST }))
    });
    list(&pages.client(&[]), &record()).unwrap();
    assert_eq!(connections(&pages), [0, 1], "within a call, too");
}

#[test]
fn a_call_that_waits_between_its_attempts_keeps_no_connection_from_the_others() {
    let answers = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::start(move |_| {
        let first = answers.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        Some(if first { reply("503 Service Unavailable", "", "") } else { reply("200 OK", "", LIST) })
    });
    let client = server.client(&[("max_in_flight", "1"), ("retry_base_ms", "600000"), ("retry_max_wait_ms", "600000")]);
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let call = Call { cancel: Some(cancel.clone()), ..Call::default() };
            attachment::list(&client, &record(), &ListArgs::default(), call)
        });
        while server.requests() == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        list(&client, &record()).unwrap();
        assert_eq!(server.requests(), 2, "the first call still waits for its next attempt");
        cancel.fire();
        assert_eq!(waiting.join().unwrap().unwrap_err().status(), Status::Cancelled);
    });
}

#[test]
fn what_a_server_drops_on_a_used_connection_is_sent_again_on_a_new_one() {
    let stored = r#"{"data":[{"code":"SUCCESS","details":{"id":"5000000000000000001"},"message":"","status":"success"}]}"#;
    let empty = r#"{"data":[],"info":{"more_records":false}}"#;
    let server = Server::start(move |seen| match seen.head.starts_with("POST") {
        true if seen.nth > 0 => None,
        true => Some(reply("200 OK", "", stored)),
        false => Some(reply("200 OK", "", empty)),
    });
    let client = server.client(&[("settle_waits_ms", "10"), ("max_retries", "1")]);
    // Several used connections are idle, and none of them may be taken for the second sending.
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(|| (0..20).for_each(|_| list(&client, &record()).unwrap())))));
    let sent = attachment::upload(&client, &record(), File::memory("a", b"abc"), Call::default()).unwrap();
    assert_eq!(sent.result.id, "5000000000000000001");
}
