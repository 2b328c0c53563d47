//! Issues the certificates of an ensemble and its clients: an authority of their own, and what it
//! vouches for.
//!
//! All keys are on the curve P-256, and everything is PEM. Nothing is read or written here.

use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
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
}

/// A private key and the certificate that belongs to it, both as PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key, PKCS#8.
    pub key: String,
}

impl Issued {
    /// Key and certificate in one text, as a key store file has them.
    pub fn key_store(&self) -> String {
        format!("{}{}", self.key, self.certificate)
    }
}

/// In which years a certificate holds, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Years {
    /// The first one.
    pub first: i32,
    /// The last one.
    pub last: i32,
}

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
    pub fn new(name: &str, years: Years) -> Result<Self, CertsError> {
        let key = KeyPair::generate()?;
        let params = authority_params(name, years);
        let certificate = params.self_signed(&key)?.pem();
        Ok(Authority { issuer: Issuer::new(params, key), certificate })
    }

    /// An authority that was made before, from its name, its certificate and its private key.
    ///
    /// # Errors
    /// If the key is none that [`Authority::new`] makes.
    pub fn reopen(name: &str, issued: &Issued) -> Result<Self, CertsError> {
        let key = KeyPair::from_pem(&issued.key).map_err(CertsError::Key)?;
        let any = Years { first: 2000, last: 2000 };
        let issuer = Issuer::new(authority_params(name, any), key);
        Ok(Authority { issuer, certificate: issued.certificate.clone() })
    }

    /// Its certificate, as a trust store file has it.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its certificate and private key. Whoever has the key can make members of the ensemble.
    pub fn issued(&self) -> Issued {
        Issued { certificate: self.certificate.clone(), key: self.issuer.key().serialize_pem() }
    }

    /// The certificate of a server that is found by these host names and addresses. It serves for
    /// clients and for links in both directions.
    ///
    /// # Errors
    /// If there is no host, or one of them is not ASCII.
    pub fn server(&self, hosts: &[&str], years: Years) -> Result<Issued, CertsError> {
        let first = hosts.first().ok_or(CertsError::NoHosts)?;
        let mut params = holder_params(first, years);
        for host in hosts {
            params.subject_alt_names.push(alternative_name(host)?);
        }
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    /// The certificate of a client of that name. It makes nobody a server.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn client(&self, name: &str, years: Years) -> Result<Issued, CertsError> {
        let mut params = holder_params(name, years);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.issue(&params)
    }

    fn issue(&self, params: &CertificateParams) -> Result<Issued, CertsError> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }
}

/// A server's certificate that nobody vouches for.
///
/// # Errors
/// As [`Authority::server`].
pub fn self_signed(hosts: &[&str], years: Years) -> Result<Issued, CertsError> {
    let first = hosts.first().ok_or(CertsError::NoHosts)?;
    let mut params = holder_params(first, years);
    for host in hosts {
        params.subject_alt_names.push(alternative_name(host)?);
    }
    let key = KeyPair::generate()?;
    Ok(Issued { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

fn authority_params(name: &str, years: Years) -> CertificateParams {
    let mut params = holder_params(name, years);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn holder_params(name: &str, years: Years) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(years.first, 1, 1);
    params.not_after = date_time_ymd(years.last + 1, 1, 1);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params
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

    const YEARS: Years = Years { first: 2020, last: 2090 };

    #[test]
    fn a_reopened_authority_goes_on_as_the_same() {
        let made = Authority::new("somebody", YEARS).unwrap();
        let again = Authority::reopen("somebody", &made.issued()).unwrap();
        assert_eq!(again.issued(), made.issued());
        assert!(Authority::reopen("x", &Issued { key: "x".into(), ..made.issued() }).is_err());
    }

    #[test]
    fn a_server_needs_a_host_that_can_be_written_down() {
        let authority = Authority::new("somebody", YEARS).unwrap();
        assert!(matches!(authority.server(&[], YEARS), Err(CertsError::NoHosts)));
        let error = authority.server(&["zk.example", "bücher"], YEARS).unwrap_err().to_string();
        assert!(error.contains("bücher"), "{error}");
        let issued = authority.server(&["zk.example", "10.0.0.1", "::1"], YEARS).unwrap();
        assert!(issued.key_store().contains("PRIVATE KEY") && issued.key_store().contains("CERT"));
    }
}
