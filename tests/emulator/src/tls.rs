//! The certificate authority and certificates of `--tls`, made afresh at every start.

use std::io;
use std::sync::Arc;

use crate::control::without_port;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd};
use rustls::ServerConfig;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// The certificate the emulator shows; all but the first are for tests that must refuse it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Certificate {
    /// Valid for 127.0.0.1, ::1, localhost, sandbox.localhost and developer.localhost.
    #[default]
    Good,
    /// Ended long ago.
    Expired,
    /// For another host.
    WrongHost,
    /// Signed by an authority that is not the one handed out.
    UnknownAuthority,
    /// Signed by itself, as an authority's is: what `openssl req -x509` makes.
    SelfSigned,
}

/// A TLS set-up.
pub struct Tls {
    /// For the connections.
    pub config: Arc<ServerConfig>,
    /// The authority to trust, as PEM.
    pub ca_pem: String,
}

/// Makes an authority and a certificate.
pub fn make(kind: Certificate, public_name: Option<&str>) -> io::Result<Tls> {
    build(kind, public_name.map(without_port)).map_err(|e| io::Error::other(e.to_string()))
}

fn build(kind: Certificate, public: Option<&str>) -> Result<Tls, Box<dyn std::error::Error>> {
    let (shown, shown_key) = authority()?;
    let shown_pem = shown.self_signed(&shown_key)?.pem();
    let (issuer, issuer_key) = match kind {
        Certificate::UnknownAuthority => authority()?,
        _ => (shown, shown_key),
    };
    let key = KeyPair::generate()?;
    let mut params = leaf(kind, public)?;
    let (leaf, ca_pem) = if kind == Certificate::SelfSigned {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own = params.self_signed(&key)?;
        let pem = own.pem();
        (own, pem)
    } else {
        (params.signed_by(&key, &Issuer::from_params(&issuer, &issuer_key))?, shown_pem)
    };
    let private = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Tls { config: Arc::new(config), ca_pem })
}

fn authority() -> Result<(CertificateParams, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // Strict verifiers (Python's, for one) want the key usages and key identifiers of RFC 5280.
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "zcrm-emulator authority");
    Ok((params, KeyPair::generate()?))
}

fn leaf(kind: Certificate, public: Option<&str>) -> Result<CertificateParams, rcgen::Error> {
    let names: &[&str] = match kind {
        Certificate::WrongHost => &["elsewhere.example"],
        _ => &["localhost", "sandbox.localhost", "developer.localhost", "127.0.0.1", "::1"],
    };
    let mut names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    if let Some(public) = public.filter(|_| kind != Certificate::WrongHost) {
        names.extend(["", "sandbox.", "developer."].map(|w| format!("{w}{public}")));
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, "zcrm-emulator");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    if kind == Certificate::Expired {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    }
    Ok(params)
}
