//! Client certificates of X.509 version 1, which the TLS library does not verify.
//!
//! They carry no extensions, so no authority can limit what they are good for; small in-house
//! authorities still issue them, and Java accepts them. Here they count only if a trusted authority
//! issued them directly.

use rustls::pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime,
};
use rustls::{CertificateError, DigitallySignedStruct, Error};

use super::der::{self, Reader};

type Algorithms = [&'static dyn SignatureVerificationAlgorithm];

/// A certificate of version 1, taken apart.
pub(super) struct Certificate<'a> {
    signed: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
    issuer: &'a [u8],
    not_before: u64,
    not_after: u64,
    key: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// Takes a certificate apart, if it is one of version 1.
    pub(super) fn parse(certificate: &'a CertificateDer<'_>) -> Option<Certificate<'a>> {
        let mut file = Reader::new(certificate);
        let mut outer = file.inside(der::SEQUENCE)?;
        let signed = outer.element().filter(|element| element.tag == der::SEQUENCE)?;
        let algorithm = outer.content(der::SEQUENCE)?;
        let signature = outer.bits()?;
        let mut fields = Reader::new(signed.content);
        // Later versions have their number here.
        fields.content(der::INTEGER)?;
        let inner_algorithm = fields.content(der::SEQUENCE)?;
        let issuer = fields.content(der::SEQUENCE)?;
        let mut validity = fields.inside(der::SEQUENCE)?;
        let not_before = time(&mut validity)?;
        let not_after = time(&mut validity)?;
        fields.content(der::SEQUENCE)?;
        let key = fields.element().filter(|element| element.tag == der::SEQUENCE)?.whole;
        let is_whole = file.is_empty() && outer.is_empty() && fields.is_empty();
        (is_whole && inner_algorithm == algorithm).then_some(Certificate {
            signed: signed.whole,
            algorithm,
            signature,
            issuer,
            not_before,
            not_after,
            key,
        })
    }

    /// Its public key, as later versions have it too.
    pub(super) fn key(&self) -> SubjectPublicKeyInfoDer<'a> {
        SubjectPublicKeyInfoDer::from(self.key)
    }

    /// Whether it is valid now and one of `authorities` issued it.
    pub(super) fn verify(
        &self,
        authorities: &[TrustAnchor<'_>],
        algorithms: &Algorithms,
        now: UnixTime,
    ) -> Result<(), Error> {
        let now = now.as_secs();
        if now < self.not_before {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > self.not_after {
            return Err(CertificateError::Expired.into());
        }
        // An authority that is limited to some names cannot vouch for what has none.
        let mut issuers = authorities
            .iter()
            .filter(|a| a.subject.as_ref() == self.issuer && a.name_constraints.is_none())
            .peekable();
        if issuers.peek().is_none() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let is_signed = issuers.any(|authority| {
            let key = authority.subject_public_key_info.as_ref();
            let fitting = algorithms.iter().copied();
            let fitting = fitting.filter(|a| a.signature_alg_id().as_ref() == self.algorithm);
            is_signed_by(key, fitting, self.signed, self.signature)
        });
        if is_signed { Ok(()) } else { Err(CertificateError::BadSignature.into()) }
    }

    /// Whether the owner of the certificate signed a TLS 1.2 handshake.
    pub(super) fn verify_handshake(
        &self,
        message: &[u8],
        signed: &DigitallySignedStruct,
        algorithms: &Algorithms,
    ) -> Result<(), Error> {
        let key = Reader::new(self.key).content(der::SEQUENCE).unwrap_or_default();
        match is_signed_by(key, algorithms.iter().copied(), message, signed.signature()) {
            true => Ok(()),
            false => Err(CertificateError::BadSignature.into()),
        }
    }
}

/// Whether `message` is signed with a public key, by any of `algorithms` that is one for such keys.
fn is_signed_by(
    key: &[u8],
    algorithms: impl Iterator<Item = &'static dyn SignatureVerificationAlgorithm>,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let mut parts = Reader::new(key);
    let (Some(kind), Some(bits)) = (parts.content(der::SEQUENCE), parts.bits()) else {
        return false;
    };
    algorithms
        .filter(|algorithm| algorithm.public_key_alg_id().as_ref() == kind)
        .any(|algorithm| algorithm.verify_signature(bits, message, signature).is_ok())
}

/// A time in seconds since the Unix epoch.
pub(super) fn time(validity: &mut Reader<'_>) -> Option<u64> {
    let element = validity.element()?;
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, rest) = match (element.tag, text.len()) {
        (der::UTC_TIME, 12) => {
            let year: i64 = text[..2].parse().ok()?;
            // Two digits reach from 1950 to 2049.
            (if year < 50 { 2000 + year } else { 1900 + year }, &text[2..])
        }
        (der::GENERALIZED_TIME, 14) => (text[..4].parse().ok()?, &text[4..]),
        _ => return None,
    };
    let part = |at: usize| rest[at..at + 2].parse::<i64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day;
    let seconds = (days - DAYS_TO_1970) * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?;
    // Whatever began before 1970 has begun.
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// Days by the same count on 1 January 1970.
const DAYS_TO_1970: i64 = 719_469;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustls::RootCertStore;
    use rustls::crypto::ring;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    const GOOD: &[u8] = include_bytes!("../../tests/certificates/version1.pem");
    const LATER: &[u8] = include_bytes!("../../tests/certificates/client.pem");
    const CA: &[u8] = include_bytes!("../../tests/certificates/ca.pem");
    /// 1 January 2000 and the last second of 2099, the validity of the test certificates.
    const VALID: (u64, u64) = (946_684_800, 4_102_444_799);

    fn verify(certificate: &Certificate<'_>, now_s: u64) -> Result<(), Error> {
        let mut authorities = RootCertStore::empty();
        authorities.add(CertificateDer::from_pem_slice(CA).unwrap()).unwrap();
        let algorithms = ring::default_provider().signature_verification_algorithms.all;
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now_s));
        certificate.verify(&authorities.roots, algorithms, now)
    }

    #[test]
    fn counts_within_its_validity_alone() {
        let der = CertificateDer::from_pem_slice(GOOD).unwrap();
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!((certificate.not_before, certificate.not_after), VALID);
        assert_eq!(verify(&certificate, VALID.0), Ok(()));
        assert_eq!(verify(&certificate, VALID.1), Ok(()));
        let early = verify(&certificate, VALID.0 - 1).unwrap_err();
        assert_eq!(early, Error::from(CertificateError::NotValidYet));
        let late = verify(&certificate, VALID.1 + 1).unwrap_err();
        assert_eq!(late, Error::from(CertificateError::Expired));
    }

    #[test]
    fn later_versions_are_left_to_the_library() {
        let der = CertificateDer::from_pem_slice(LATER).unwrap();
        assert!(Certificate::parse(&der).is_none());
    }

    #[test]
    fn no_byte_may_change() {
        let good = CertificateDer::from_pem_slice(GOOD).unwrap();
        for at in 0..good.len() {
            for flip in [0x01, 0x10, 0x80] {
                let mut bytes = good.to_vec();
                bytes[at] ^= flip;
                let bad = CertificateDer::from(bytes);
                let verified = Certificate::parse(&bad).map(|c| verify(&c, VALID.0));
                assert!(verified.is_none_or(|v| v.is_err()), "byte {at} flipped by {flip}");
            }
        }
    }

    #[test]
    fn times_have_two_or_four_digits_for_the_year() {
        let seconds = |tag: u8, text: &str| {
            let bytes = [&[tag, text.len() as u8], text.as_bytes()].concat();
            time(&mut Reader::new(&bytes))
        };
        for (tag, text, expected) in [
            (der::UTC_TIME, "700101000000Z", Some(0)),
            (der::UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (der::UTC_TIME, "500101000000Z", Some(0)),
            (der::GENERALIZED_TIME, "20240229120000Z", Some(1_709_208_000)),
            (der::GENERALIZED_TIME, "20240301000000Z", Some(1_709_251_200)),
            (der::GENERALIZED_TIME, "20241301000000Z", None),
            (der::GENERALIZED_TIME, "700101000000Z", None),
            (der::UTC_TIME, "7001010000Z", None),
            (der::UTC_TIME, "70010100000+Z", None),
            (der::UTC_TIME, "700101000000+0100", None),
        ] {
            assert_eq!(seconds(tag, text), expected, "{text}");
        }
    }
}
