//! Which certificates are trusted.

use std::path::Path;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::config::Config;
use crate::error::{Error, Result, Status, one_line};

/// The system's bundle of CA certificates, by distribution. Named here because the usual finder reads environment variables,
/// which this library does only when it is told to, and reads a whole directory beside the bundle, which costs 10 ms.
#[cfg(target_os = "linux")]
const BUNDLES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The system's roots, read once in a process, by the first client that speaks https.
static OS_ROOTS: OnceCell<Vec<CertificateDer<'static>>> = OnceCell::new();

/// TLS 1.2 and 1.3, host names checked, the system's roots and those of `ca_file`. There is no switch to check less.
pub(crate) fn client_config(config: &Config) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if config.os_roots {
        roots.add_parsable_certificates(OS_ROOTS.get_or_init(os_roots).iter().cloned());
    }
    if let Some(path) = &config.ca_file {
        add_file(&mut roots, path)?;
    }
    if roots.is_empty() {
        return Err(Error::new(Status::Tls, "no_roots", "no CA certificate is known: install the system's bundle (ca-certificates) or set ca_file"));
    }
    Ok(with_roots(roots))
}

/// For plain http alone, where no certificate is ever looked at and reading the roots would be wasted.
pub(crate) fn no_roots() -> ClientConfig {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("ring offers the cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<()> {
    let shown = one_line(&path.display().to_string());
    let bad = |problem: String| Error::new(Status::Config, "ca_file", format!("ca_file {shown}: {problem}")).with(|d| d.field = Some("ca_file"));
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|e| bad(e.to_string()))?;
    if certificates.is_empty() {
        return Err(bad("holds no PEM certificate".into()));
    }
    for certificate in certificates {
        roots.add(certificate).map_err(|e| bad(e.to_string()))?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn os_roots() -> Vec<CertificateDer<'static>> {
    let bundle = BUNDLES.iter().map(Path::new).find(|path| path.exists());
    rustls_native_certs::load_certs_from_paths(bundle, None).certs
}

#[cfg(not(target_os = "linux"))]
fn os_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}
