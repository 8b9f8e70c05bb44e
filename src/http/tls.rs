//! Which certificates are trusted.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use once_cell::sync::OnceCell;
use rustls::crypto::{CryptoProvider, KeyProvider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::SigningKey;
use rustls::{ClientConfig, RootCertStore};

use crate::config::Config;
use crate::error::{Error, Result, Status, one_line, systems_words};
use crate::process::PerProcess;
use crate::text::{self, mark_length};

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

/// Most bytes of `ca_file`: the system's bundle has a quarter of a megabyte.
const MOST: u64 = 16 << 20;

/// The system's roots, read once in a process, by the first client that speaks https.
static OS_ROOTS: PerProcess<OnceCell<Vec<CertificateDer<'static>>>> = PerProcess::new();

/// TLS 1.2 and 1.3, host names checked, the system's roots and those of `ca_file`. There is no switch to check less.
pub(crate) fn client_config(config: &Config, ca: &[CertificateDer<'static>]) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if config.os_roots {
        roots.add_parsable_certificates(OS_ROOTS.get(|_| OnceCell::new()).get_or_init(os_roots).iter().cloned());
    }
    roots.add_parsable_certificates(ca.iter().cloned()); // `certificates` has tried each
    if roots.is_empty() {
        return Err(Error::new(Status::Tls, "no_roots", "no CA certificate is known: install the system's bundle (ca-certificates) or set ca_file"));
    }
    Ok(with_roots(roots))
}

/// Only for plain http, where no certificate is ever looked at and reading the roots would be wasted.
pub(crate) fn no_roots() -> ClientConfig {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> ClientConfig {
    let provider = CryptoProvider { key_provider: &NoKeys, ..rustls::crypto::ring::default_provider() };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .expect("ring offers the cipher suites of TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// No certificate of the client is ever sent: what would sign with its key isn't linked in, which is 28 KB.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> std::result::Result<Arc<dyn SigningKey>, rustls::Error> {
        Err(rustls::Error::General("no key of a client is used".into()))
    }
}

/// The certificates of `ca_file`, in the forms of PEM that curl takes. An error names what can't be used.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let shown = one_line(&path.display().to_string());
    let bad = |problem: String| Error::new(Status::Config, "ca_file", format!("ca_file {shown}: {problem}")).with(|d| d.field = Some("ca_file"));
    let bytes = read(path).map_err(bad)?;
    let pem = plain_pem(&bytes);
    let certificates = CertificateDer::pem_slice_iter(&pem).collect::<std::result::Result<Vec<_>, _>>();
    let mut certificates = certificates.map_err(|_| bad("a certificate in it is cut off or isn't base64".into()))?;
    if certificates.is_empty() {
        return Err(bad(format!("holds no certificate in PEM, but {}", kind(&bytes))));
    }
    for (i, certificate) in certificates.iter_mut().enumerate() {
        let alone = first_element(certificate).map(<[u8]>::to_vec); // OpenSSL's trusted ones have its own words behind them
        let usable = alone.map(CertificateDer::from).filter(|der| RootCertStore::empty().add(der.clone()).is_ok());
        *certificate = usable.ok_or_else(|| bad(format!("certificate {} in it can't be used", i + 1)))?;
    }
    Ok(certificates)
}

/// A regular file, and no more of it than a bundle of certificates can have: a pipe would never end, and a device fill the memory.
fn read(path: &Path) -> std::result::Result<Vec<u8>, String> {
    let problem = |e: io::Error| one_line(systems_words(&e.to_string()));
    let meta = std::fs::metadata(path).map_err(problem)?;
    if !meta.is_file() {
        return Err(format!("is {}, and not a file", if meta.is_dir() { "a directory" } else { "a pipe or a device" }));
    }
    let mut bytes = Vec::new();
    let read = open_without_waiting(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes));
    read.map_err(problem)?;
    if bytes.len() as u64 > MOST { Err(format!("has over {MOST} bytes, which no bundle of certificates has")) } else { Ok(bytes) }
}

/// The same text as every reader of PEM has it: line by line without blanks, and with the one name for a certificate.
fn plain_pem(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    for line in bytes[mark_length(bytes)..].split(|b| matches!(b, b'\r' | b'\n')) {
        let line = line.trim_ascii();
        plain.extend_from_slice(match line {
            b"-----BEGIN TRUSTED CERTIFICATE-----" | b"-----BEGIN X509 CERTIFICATE-----" => b"-----BEGIN CERTIFICATE-----",
            b"-----END TRUSTED CERTIFICATE-----" | b"-----END X509 CERTIFICATE-----" => b"-----END CERTIFICATE-----",
            line => line,
        });
        plain.push(b'\n');
    }
    plain
}

/// The first value of DER with its tag and length.
fn first_element(der: &[u8]) -> Option<&[u8]> {
    let (header, length) = match *der.get(1)? {
        short @ ..0x80 => (2, usize::from(short)),
        long => {
            let n = usize::from(long & 0x7f);
            let bytes = der.get(2..2 + n).filter(|_| n <= 4)?;
            (2 + n, bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
        }
    };
    der.get(..header.checked_add(length)?)
}

/// What stands in a file that holds no certificate.
fn kind(bytes: &[u8]) -> String {
    let text = text::lossy(bytes);
    let label = text.split("-----BEGIN ").nth(1).and_then(|rest| rest.split("-----").next());
    match (label, bytes) {
        (_, []) => "nothing at all".into(),
        (Some("CERTIFICATE"), _) => "one whose -----BEGIN CERTIFICATE----- doesn't stand on a line of its own".into(),
        (Some(label), _) if label.len() < 40 => format!("a {}", one_line(label).to_lowercase()),
        (_, [0x30, 0x80..0x85, ..]) => "DER or PKCS#12: openssl x509 -inform der, or openssl pkcs12, makes PEM of it".into(),
        (_, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [_, 0, ..]) => "text in UTF-16: save it as UTF-8".into(),
        (_, [b'M', b'I', b'I', ..]) => "base64 alone: put -----BEGIN CERTIFICATE----- before it, and its END behind it, on lines of their own".into(),
        (_, [b'<', ..]) => "a web page or XML".into(),
        (_, [0x1f, 0x8b, ..] | [b'P', b'K', ..]) => "an archive: unpack it".into(),
        (_, [0xfe, 0xed, 0xfe, 0xed, ..]) => "a Java key store: keytool -exportcert -rfc makes PEM of it".into(),
        _ => "something else".into(),
    }
}

#[cfg(unix)]
fn open_without_waiting(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path) // it may have become a pipe meanwhile
}

#[cfg(not(unix))]
fn open_without_waiting(path: &Path) -> io::Result<File> {
    File::open(path)
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
