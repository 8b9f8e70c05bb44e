//! HTTPS.
#![allow(missing_docs)]

mod common;
use common::*;
use rustls_pki_types::pem::PemObject;
use std::io::Write;
use std::sync::Arc;
use zcrm_emulator::*;

fn list_over_tls(certificate: Certificate, host: &'static str) -> Result<Got, std::io::Error> {
    over_tls(Options { certificate, ..Options::default() }, host)
}

fn over_tls(options: Options, host: &'static str) -> Result<Got, std::io::Error> {
    let e = Emulator::start(Options { tls: true, ..options })?;
    let mut roots = rustls::RootCertStore::empty();
    let ca = rustls_pki_types::CertificateDer::from_pem_slice(e.ca_pem().unwrap().as_bytes()).unwrap();
    roots.add(ca).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_root_certificates(roots).with_no_client_auth();
    let client = rustls::ClientConnection::new(Arc::new(config), host.try_into().unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(client, connect(&e));
    let path = attachments(&e, "Contacts") + "?fields=id";
    stream.write_all(&request(&e, "GET", &path, &[("Authorization", &bearer(&e))], b""))?;
    read_reply(&mut stream).ok_or_else(|| std::io::Error::other("no reply"))
}

#[test]
fn a_client_that_trusts_the_authority_is_served() {
    assert_eq!(list_over_tls(Certificate::Good, "127.0.0.1").unwrap().status, 200);
    assert_eq!(list_over_tls(Certificate::Good, "localhost").unwrap().status, 200);
    assert_eq!(list_over_tls(Certificate::Good, "sandbox.localhost").unwrap().status, 200);
}

#[test]
fn bad_certificates_are_bad() {
    for certificate in [Certificate::Expired, Certificate::WrongHost, Certificate::UnknownAuthority] {
        let error = list_over_tls(certificate, "127.0.0.1").unwrap_err().to_string();
        assert!(error.contains("invalid peer certificate"), "{certificate:?}: {error}");
    }
}

#[test]
fn the_certificate_is_for_the_public_name_too() {
    let named = |host| over_tls(Options { public_name: Some("crm-emulator".into()), ..Options::default() }, host);
    assert_eq!(named("crm-emulator").unwrap().status, 200);
    assert_eq!(named("localhost").unwrap().status, 200);
    assert!(named("elsewhere.example").is_err());
}
