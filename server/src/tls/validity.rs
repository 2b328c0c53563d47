//! From when until when the configured certificates count.

use rustls::pki_types::CertificateDer;

use super::der::{self, Reader};
use super::error::TlsError;
use super::settings::Settings;
use super::store;
use super::version1;

/// A certificate in one of the configured files, and when it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The configuration's key that names the file.
    pub key: String,
    /// The file.
    pub path: String,
    /// Seconds since the Unix epoch.
    pub not_before_s: u64,
    /// Seconds since the Unix epoch.
    pub not_after_s: u64,
}

/// Every certificate in the files that these settings name.
///
/// # Errors
/// If a file cannot be read, or holds no certificates.
pub fn validities(pairs: &[(String, String)]) -> Result<Vec<Validity>, TlsError> {
    let (of_clients, of_links) = (Settings::of_clients(pairs), Settings::of_links(pairs));
    let stores = [of_clients, of_links]
        .into_iter()
        .flat_map(|settings| [(settings, "keyStore", true), (settings, "trustStore", false)]);
    let mut found = Vec::new();
    for (settings, name, has_key) in stores {
        let location = format!("{name}.location");
        let key = settings.key(&location);
        let Some((store, path)) = settings.store(name)?.zip(settings.get(&location)) else {
            continue;
        };
        let password = store.password.as_deref();
        let certificates = match has_key {
            true => store::identity(&store.bytes, password).map(|(_, chain)| chain),
            false => store::trusted(&store.bytes, password),
        };
        for certificate in certificates.map_err(|problem| store.error(problem))? {
            if let Some((not_before_s, not_after_s)) = validity(&certificate) {
                let (key, path) = (key.clone(), path.to_owned());
                found.push(Validity { key, path, not_before_s, not_after_s });
            }
        }
    }
    Ok(found)
}

/// Both ends; nothing if this is no certificate.
fn validity(certificate: &CertificateDer<'_>) -> Option<(u64, u64)> {
    /// The tag before the version, which the first version lacks.
    const VERSION: u8 = 0xa0;
    let mut body = Reader::new(certificate).inside(der::SEQUENCE)?.inside(der::SEQUENCE)?;
    let first = body.element()?;
    if first.tag == VERSION {
        body.content(der::INTEGER)?;
    }
    // How it is signed, and by whom.
    body.content(der::SEQUENCE)?;
    body.content(der::SEQUENCE)?;
    let mut validity = body.inside(der::SEQUENCE)?;
    Some((version1::time(&mut validity)?, version1::time(&mut validity)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_either_version_say_when_they_count() {
        for file in ["version1.pem", "client.pem", "ca.pem"] {
            let path = format!("{}/tests/certificates/{file}", env!("CARGO_MANIFEST_DIR"));
            let pairs = vec![("ssl.trustStore.location".to_owned(), path.clone())];
            let found = validities(&pairs).unwrap();
            assert_eq!(found.len(), 1, "{file}");
            // 1 January 2000 and the last second of 2099.
            let both = (found[0].not_before_s, found[0].not_after_s);
            assert_eq!(both, (946_684_800, 4_102_444_799), "{file}");
            assert_eq!((&found[0].path, &*found[0].key), (&path, "ssl.trustStore.location"));
        }
        assert_eq!(validities(&[]).unwrap(), []);
        let missing = vec![("ssl.keyStore.location".to_owned(), "/nowhere.pem".to_owned())];
        assert!(validities(&missing).unwrap_err().to_string().contains("/nowhere.pem"));
    }
}
