//! Issues the certificates of an ensemble and its clients: an authority of their own, and what it
//! vouches for.
//!
//! All keys are on the curve P-256, and everything is PEM. Nothing is read or written here.

use std::time::{Duration, SystemTime};

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use thiserror::Error;

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum CertsError {
    /// A name cannot stand in a certificate.
    #[error("{name:?} is no name that a certificate could be for: {source}")]
    Name {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        source: rcgen::Error,
    },
    /// A server needs a name or address that clients and members find it by.
    #[error("a server's certificate needs at least one host name or address")]
    NoHosts,
    /// A key does not decode, or is of a kind that is not made here.
    #[error("the authority's private key cannot be used: {0}")]
    Key(rcgen::Error),
    /// Keys or certificates cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Issue(#[from] rcgen::Error),
    /// The operating system has no random numbers.
    #[error("no random numbers from the operating system: {0}")]
    Random(getrandom::Error),
}

/// A private key and the certificate that belongs to it, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
    /// The number that its authority knows it by.
    pub serial: [u8; 16],
}

impl Issued {
    /// Key and certificate in one text, as a key store file has them.
    pub fn key_store(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }
}

/// From when until when a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub from: SystemTime,
    /// Its last one.
    pub until: SystemTime,
}

impl Validity {
    /// For a number of days from now on; and for the day before, as the clocks of others may be
    /// behind.
    pub fn days(now: SystemTime, days: u32) -> Self {
        Validity { from: now - DAY, until: now + DAY * days }
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Who vouches for servers and clients.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    /// A new authority of that name.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(name: &str, validity: Validity) -> Result<Self, CertsError> {
        let key = KeyPair::generate()?;
        let params = authority_params(name, validity)?;
        let certificate = params.self_signed(&key)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), certificate })
    }

    /// An authority that was made before, from its name, its certificate and its private key.
    ///
    /// # Errors
    /// If the key is none that [`Authority::new`] makes.
    pub fn reopen(name: &str, certificate: &str, key: &str) -> Result<Self, CertsError> {
        let key = KeyPair::from_pem(key).map_err(CertsError::Key)?;
        // How long it holds is written in the certificate, and changes nothing here.
        let validity = Validity { from: SystemTime::UNIX_EPOCH, until: SystemTime::UNIX_EPOCH };
        let issuer = Issuer::new(authority_params(name, validity)?, key);
        Ok(Authority { issuer, certificate: certificate.to_owned() })
    }

    /// Its certificate, as a trust store file has it.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its private key. Whoever has it can make members of the ensemble.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The certificate of a server that is found by these host names and addresses. It serves for
    /// clients and for links in both directions.
    ///
    /// # Errors
    /// If there is no host, or one of them is not ASCII.
    pub fn server(&self, hosts: &[&str], validity: Validity) -> Result<Issued, CertsError> {
        self.issue(&server_params(hosts, validity)?)
    }

    /// The certificate of a client of that name. It makes nobody a server.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn client(&self, name: &str, validity: Validity) -> Result<Issued, CertsError> {
        let mut params = holder_params(name, validity)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    /// A list, as PEM, of certificates that count no more.
    ///
    /// # Errors
    /// If it cannot be signed.
    pub fn revocation_list(
        &self,
        serials: &[[u8; 16]],
        validity: Validity,
    ) -> Result<String, CertsError> {
        let revoked = |serial: &[u8; 16]| RevokedCertParams {
            serial_number: SerialNumber::from_slice(serial),
            revocation_time: date_time_ymd(1970, 1, 1) + since_epoch(validity.from),
            reason_code: None,
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(1970, 1, 1) + since_epoch(validity.from),
            next_update: date_time_ymd(1970, 1, 1) + since_epoch(validity.until),
            crl_number: SerialNumber::from_slice(
                &since_epoch(validity.from).as_secs().to_be_bytes(),
            ),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(list.signed_by(&self.issuer)?.pem()?)
    }

    fn issue(&self, params: &CertificateParams) -> Result<Issued, CertsError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(issued(certificate, &key, params))
    }
}

/// A server's certificate that nobody vouches for.
///
/// # Errors
/// As [`Authority::server`].
pub fn self_signed(hosts: &[&str], validity: Validity) -> Result<Issued, CertsError> {
    let (params, key) = (server_params(hosts, validity)?, KeyPair::generate()?);
    Ok(issued(params.self_signed(&key)?.pem(), &key, &params))
}

fn issued(certificate: String, key: &KeyPair, params: &CertificateParams) -> Issued {
    let serial = params.serial_number.as_ref().map(SerialNumber::to_bytes).unwrap_or_default();
    let serial = serial.try_into().unwrap_or_default();
    Issued { certificate, key: key.serialize_pem(), serial }
}

fn authority_params(name: &str, validity: Validity) -> Result<CertificateParams, CertsError> {
    let mut params = holder_params(name, validity)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn server_params(hosts: &[&str], validity: Validity) -> Result<CertificateParams, CertsError> {
    let first = hosts.first().ok_or(CertsError::NoHosts)?;
    let mut params = holder_params(first, validity)?;
    for host in hosts {
        params.subject_alt_names.push(alternative_name(host)?);
    }
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn holder_params(name: &str, validity: Validity) -> Result<CertificateParams, CertsError> {
    let mut serial = [0; 16];
    getrandom::getrandom(&mut serial).map_err(CertsError::Random)?;
    // A number above zero whose first byte is needed.
    serial[0] = serial[0] & 0x7f | 0x40;
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(validity.from);
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(validity.until);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Nothing that is issued here is older than the epoch.
fn since_epoch(at: SystemTime) -> Duration {
    at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn alternative_name(host: &str) -> Result<SanType, CertsError> {
    if let Ok(address) = host.parse() {
        return Ok(SanType::IpAddress(address));
    }
    let name = Ia5String::try_from(host.to_owned());
    name.map(SanType::DnsName).map_err(|source| CertsError::Name { name: host.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

    use super::*;

    #[test]
    fn a_reopened_authority_goes_on_as_the_same() {
        let validity = Validity::days(SystemTime::now(), 10);
        let made = Authority::new("somebody", validity).unwrap();
        let again = Authority::reopen("somebody", made.certificate(), &made.key()).unwrap();
        assert_eq!(again.certificate(), made.certificate());
        assert_eq!(again.key(), made.key());
        assert!(Authority::reopen("x", made.certificate(), "x").is_err());
    }

    #[test]
    fn a_server_needs_a_host_that_can_be_written_down() {
        let validity = Validity::days(SystemTime::now(), 10);
        let authority = Authority::new("somebody", validity).unwrap();
        assert!(matches!(authority.server(&[], validity), Err(CertsError::NoHosts)));
        let error = authority.server(&["bücher"], validity).unwrap_err().to_string();
        assert!(error.contains("bücher"), "{error}");
        let hosts = ["zk.example", "10.0.0.1", "::1"];
        let store = authority.server(&hosts, validity).unwrap().key_store();
        assert!(store.contains("PRIVATE KEY") && store.contains("CERTIFICATE"));
    }
}
