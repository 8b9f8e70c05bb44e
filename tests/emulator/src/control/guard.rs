//! Who may use the control paths: programs, and pages of the emulator itself. Not a page of another site that runs in a browser on this machine.

use std::net::IpAddr;

use crate::request::Head;

/// Fails unless the request names this server and doesn't come from another site's page. A name that anyone can point here (DNS rebinding)
/// isn't this server's; an address is, and `localhost`, and the public name.
pub fn check(head: &Head, public_name: Option<&str>) -> Result<(), String> {
    let host = head.header("Host").unwrap_or_default();
    if !is_own(host, public_name) {
        return Err(format!(
            "Host: {host:?} is no name of this emulator; use an address or localhost, or tell it the name: --public-name, or the setting public_name"
        ));
    }
    let same = |origin: &str| origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    if let Some(origin) = head.header("Origin").filter(|o| !same(o)) {
        return Err(format!("Origin: {origin:?} is another site; only the emulator's own pages may use its control paths"));
    }
    // Browsers send no Origin with an image or a script of another site, but they say this.
    match head.header("Sec-Fetch-Site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err("Sec-Fetch-Site: another site's page may not use the control paths".to_owned()),
    }
}

fn is_own(host: &str, public_name: Option<&str>) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || public_name.is_some_and(|p| {
            let public = without_port(p).to_ascii_lowercase();
            name == public || name.strip_suffix(&public).is_some_and(|before| before.ends_with('.'))
        })
}

/// The host of `host:port`.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) => host,
        _ => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_localhost_and_the_public_name_are_its_own() {
        for own in ["127.0.0.1:80", "[::1]:80", "192.168.1.7", "LOCALHOST:1", "sandbox.localhost:9", "crm:8080", "sandbox.crm:80"] {
            assert!(is_own(own, Some("crm:8080")), "{own}");
        }
        for foreign in ["", "evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil", "notcrm", "crm.evil"] {
            assert!(!is_own(foreign, Some("crm:8080")), "{foreign}");
        }
    }
}
