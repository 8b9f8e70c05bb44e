//! What stands between a client and its server: proxies, certificates, names. Whatever is wrong there is said by name.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use zcrm::attachment::{self, ListArgs};
use zcrm::{Call, Client, Config, Error, Result, Status};

use crate::server::{LIST, Server, record, reply};
use zcrm_emulator::{Certificate, Emulator, Options};

fn list(client: &Client) -> Result<()> {
    attachment::list(client, &record(), &ListArgs::default(), Call::default()).map(drop)
}

/// The error of a client that can't be made, or of its call.
fn failure(settings: &[(&str, &str)]) -> Error {
    let mut config = Config::new();
    for (key, value) in [("access_token", "1000.x"), ("max_retries", "0")].iter().chain(settings) {
        config.set(key, value).unwrap();
    }
    Client::new(config).and_then(|client| list(&client)).expect_err("this has to fail")
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// None of the words of the libraries below.
fn in_our_words(error: &Error) {
    for word in ["hyper", "reqwest", "rustls", "dns error", "client error", "os error", "Kind", "tcp connect", "{", "::"] {
        assert!(!error.to_string().contains(word), "{word}: {error}");
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_when_it_is_set() {
    let mistyped = ["htp://127.0.0.1:1", "httpss://127.0.0.1:1", "ftp://127.0.0.1:1", "ws://127.0.0.1:1", "http://:3128", "proxy corp"];
    let led_elsewhere = ["http:/127.0.0.1:1", "http://u:1/2@127.0.0.1:1", r"http://CORP\u:p@127.0.0.1:1", "http://u:p#@127.0.0.1:1"];
    for proxy in mistyped.into_iter().chain(led_elsewhere) {
        let error = Config::new().set("proxy", proxy).expect_err(proxy);
        assert_eq!((error.status(), error.detail().field), (Status::Config, Some("proxy")), "{proxy}: {error}");
    }
}

#[test]
fn a_host_that_cannot_be_there_is_refused_when_it_is_set() {
    for setting in ["api_domain", "accounts_url", "allow_hosts"] {
        for host in ["https://*.zohoapis.com", "https://www..com", "https://.", "https://-a-", "https://m\u{fc}nchen.example"] {
            let error = Config::new().set(setting, host).expect_err(host);
            assert_eq!((error.status(), error.detail().field), (Status::Config, Some(setting)), "{host}: {error}");
        }
        for host in ["https://a_b.example", "https://www.zohoapis.com.", "https://xn--mnchen-3ya.example", "https://[::1]", "https://10.0.0.1"] {
            Config::new().set(setting, host).expect(host);
        }
    }
}

#[test]
fn a_socks_proxy_is_used() {
    use std::io::{Read, Write};
    let server = Server::start(|_| Some(reply("200 OK", "", LIST)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("socks5h://{}", listener.local_addr().unwrap());
    let to = server.address.clone();
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut greeting = [0; 2];
        stream.read_exact(&mut greeting).unwrap();
        stream.read_exact(&mut vec![0; greeting[1].into()]).unwrap();
        stream.write_all(&[5, 0]).unwrap();
        let mut head = [0; 5];
        stream.read_exact(&mut head).unwrap();
        let mut rest = vec![0; usize::from(head[4]) + 2];
        stream.read_exact(&mut rest).unwrap();
        stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).unwrap();
        let mut onward = std::net::TcpStream::connect(to).unwrap();
        let (mut back, mut from) = (stream.try_clone().unwrap(), onward.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut back));
        std::thread::spawn(move || std::io::copy(&mut stream, &mut onward));
        (head[3], String::from_utf8(rest[..rest.len() - 2].to_vec()).unwrap())
    });
    let client = server.client(&[("api_domain", "http://crm.example"), ("allow_http", "on"), ("proxy", &proxy)]);
    list(&client).unwrap();
    assert_eq!(asked.join().unwrap(), (3, "crm.example".to_owned()), "the proxy looks the name up");
}

#[test]
fn a_connection_that_cannot_be_made_names_host_port_and_what_to_look_at() {
    let (port, proxy) = (free_port(), free_port());
    let api = format!("http://127.0.0.1:{port}");
    let refused = failure(&[("api_domain", &api)]);
    let unknown = failure(&[("api_domain", "https://crm.invalid")]);
    let no_proxy = failure(&[("api_domain", "https://crm.invalid"), ("proxy", &format!("http://user:canary@127.0.0.1:{proxy}"))]);
    for (error, parts) in [
        (&refused, [format!("127.0.0.1:{port}"), "api_domain".into(), "refused".into()]),
        (&unknown, ["crm.invalid:443".into(), "DNS".into(), "api_domain".into()]),
        (&no_proxy, [format!("proxy 127.0.0.1:{proxy}"), "look at proxy".into(), "refused".into()]),
    ] {
        assert_eq!((error.status(), error.reason(), error.detail().retryable), (Status::Network, "connect", true), "{error}");
        assert!(parts.iter().all(|part| error.to_string().contains(part.as_str())) && !error.to_string().contains("canary"), "{error}");
        in_our_words(error);
    }
    assert_eq!(refused.detail().os_error, libc::ECONNREFUSED);
}

#[test]
fn a_name_that_only_a_socks_proxy_could_look_up_is_not_taken_for_the_proxys() {
    let proxy = format!("127.0.0.1:{}", free_port());
    let error = failure(&[("api_domain", "https://crm.invalid"), ("proxy", &format!("socks5://{proxy}"))]);
    for part in ["crm.invalid:443", &proxy, "its host name isn't known here", "socks5h", "api_domain"] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    in_our_words(&error);
    let error = failure(&[("api_domain", "https://127.0.0.1:1"), ("proxy", "socks5://proxy.invalid")]);
    assert!(error.to_string().contains("no connection to the proxy proxy.invalid:1080") && error.to_string().contains("look at proxy"), "{error}");
}

#[test]
fn a_proxy_that_lets_nobody_through_is_named() {
    for (answer, word) in [("407 Proxy Authentication Required", "password"), ("403 Forbidden", "allows")] {
        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
        let proxy = Server::start(move |_| Some(answer.clone().into_bytes()));
        let error = failure(&[("api_domain", "https://crm.example"), ("proxy", &proxy.url())]);
        assert!([proxy.address.as_str(), "crm.example:443", word].iter().all(|part| error.to_string().contains(part)), "{error}");
        in_our_words(&error);
    }
}

#[test]
fn a_proxy_whose_certificate_is_refused_is_named_and_not_the_host_behind_it() {
    let proxy = Emulator::start(Options { tls: true, ..Options::default() }).unwrap();
    let at = format!("TLS to the proxy {} refused", proxy.url().trim_start_matches("https://"));
    for api in ["https://crm.example", "http://127.0.0.1:1"] {
        let error = failure(&[("api_domain", api), ("proxy", proxy.url())]);
        assert!(error.status() == Status::Tls && error.to_string().contains(&at), "{error}");
        in_our_words(&error);
    }
}

#[test]
fn a_socks_proxy_that_takes_no_login_names_the_login() {
    use std::io::{Read, Write};
    for answers in [[[5, 255], [0, 0]], [[5, 2], [1, 1]]] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            for answer in answers {
                let _ = stream.read(&mut [0; 600]);
                let _ = stream.write_all(&answer);
            }
        });
        let error = failure(&[("api_domain", "https://crm.example"), ("proxy", &format!("socks5h://u:canary@{at}"))]);
        assert!(error.to_string().contains(&at) && error.to_string().contains("look at the user and the password in proxy"), "{error}");
        in_our_words(&error);
    }
}

#[test]
fn a_connection_that_breaks_off_in_the_tls_handshake_was_made() {
    for reset in [false, true] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // What was sent and isn't read makes a reset of the close.
            let _ = std::io::Read::read(&mut stream, &mut vec![0; if reset { 1 } else { 16 << 10 }]);
        });
        let error = failure(&[("api_domain", &format!("https://{at}"))]);
        assert_eq!((error.status(), error.reason(), error.detail().retryable), (Status::Network, "connect", true), "{error}");
        for part in [at.as_str(), "broke off in the TLS handshake", "TLS 1.2", "firewall"] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        in_our_words(&error);
    }
}

#[test]
fn a_connection_that_breaks_and_a_server_of_another_kind_are_named() {
    let silent = Server::start(|_| None);
    let other = Server::start(|_| Some(b"220 mail.example ESMTP\r\n".to_vec()));
    for (server, word) in [(&silent, "what stands between"), (&other, "isn't HTTP")] {
        let error = failure(&[("api_domain", &server.url())]);
        assert_eq!((error.status(), error.reason()), (Status::Network, "connection_lost"));
        assert!([server.address.as_str(), word].iter().all(|part| error.to_string().contains(part)), "{error}");
        in_our_words(&error);
    }
    let error = failure(&[("api_domain", &silent.url().replace("http:", "https:"))]);
    assert!(error.to_string().contains(&silent.address), "{error}");
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_with_the_host_and_a_way_out() {
    for (certificate, word, ca) in [
        (Certificate::Expired, "expired", true),
        (Certificate::WrongHost, "another name", true),
        (Certificate::UnknownAuthority, "ca_file", true),
        (Certificate::SelfSigned, "sign one for the host", true),
        (Certificate::Good, "ca_file", false),
    ] {
        let emulator = Emulator::start(Options { tls: true, certificate, ..Options::default() }).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        std::fs::write(&path, emulator.ca_pem().unwrap()).unwrap();
        let ca = if ca { path.to_str().unwrap() } else { "" };
        let error = failure(&[("api_domain", emulator.url()), ("ca_file", ca)]);
        let at = emulator.url().trim_start_matches("https://");
        assert!(error.status() == Status::Tls && [at, word].iter().all(|part| error.to_string().contains(part)), "{certificate:?}: {error}");
        in_our_words(&error);
    }
}

fn with_ca_file(path: &Path) -> Result<Client> {
    let mut config = Config::new();
    config.set("access_token", "1000.x")?;
    config.set("ca_file", path.to_str().unwrap())?;
    Client::new(config)
}

#[test]
fn a_ca_file_that_cannot_be_used_is_found_when_the_client_is_made_and_says_what_stands_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let fifo = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (path, word) in [
        (dir.path().join("missing"), "No such file"),
        (dir.path().to_owned(), "a directory"),
        (fifo, "a pipe or a device"),
        ("/dev/zero".into(), "a pipe or a device"),
        (file("empty", b""), "nothing at all"),
        (file("key", b"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"), "a private key"),
        (file("der", b"\x30\x82\x01\x0a\x00"), "DER"),
        (file("json", br#"{"ca":"-----BEGIN CERTIFICATE-----\nMC4=\n-----END CERTIFICATE-----"}"#), "on a line of its own"),
        (file("wide", b"\xff\xfe-\0-\0-\0-\0-\0B\0"), "UTF-16"),
        (file("bare", b"MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A\n"), "base64 alone"),
        (file("page", b"<!DOCTYPE html>\n<title>Log in</title>"), "a web page"),
        (file("packed", b"\x1f\x8b\x08\0"), "an archive"),
        (file("words", b"the certificate is in the mail"), "something else"),
        (file("cut", b"-----BEGIN CERTIFICATE-----\nMC4=\n"), "cut off"),
        (file("wrong", b"-----BEGIN CERTIFICATE-----\nMC4=\n-----END CERTIFICATE-----\n"), "certificate 1 in it"),
    ] {
        let error = with_ca_file(&path).err().expect("it can't be used");
        assert_eq!((error.status(), error.detail().field), (Status::Config, Some("ca_file")));
        assert!(error.to_string().contains(path.to_str().unwrap()) && error.to_string().contains(word), "{word}: {error}");
        in_our_words(&error);
    }
}

#[test]
fn a_ca_file_may_have_the_forms_that_curl_takes() {
    let emulator = Emulator::start(Options { tls: true, ..Options::default() }).unwrap();
    let (dir, pem) = (tempfile::tempdir().unwrap(), emulator.ca_pem().unwrap().to_owned());
    let trusted = pem.replace(" CERTIFICATE", " TRUSTED CERTIFICATE");
    let other_name = pem.replace(" CERTIFICATE", " X509 CERTIFICATE");
    let windows = format!("\u{feff}{}", pem.replace('\n', "\r\n"));
    let words = format!("# Our own\nSubject: CN=x\n{pem}\nand more\n{pem}");
    for (name, text) in [("plain", pem.clone()), ("trusted", trusted), ("x509", other_name), ("windows", windows), ("words", words)] {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let settings = [("ca_file", path.to_str().unwrap()), ("os_roots", "off")];
        let error = failure(&[[("api_domain", emulator.url())].as_slice(), &settings].concat());
        assert_ne!(error.status(), Status::Tls, "{name}: {error}");
    }
}
