//! Who a client is: what its auth packets prove.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tenure_wire::{ErrorCode, Put};

use crate::tree::acl::Identity;

/// Which authentication schemes are on, and who is the super user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthConfig {
    /// The digest id, `super:` and a digest, of the user who may do everything, if there is one
    /// (`DigestAuthenticationProvider.superDigest`).
    pub super_digest: Option<String>,
    /// Whether users and passwords are accepted (`DigestAuthenticationProvider.enabled`).
    pub digest_enabled: bool,
    /// Names and passwords of SASL users; empty if SASL is off.
    pub sasl_users: Vec<(String, String)>,
    /// The SASL user who may do everything, if there is one (`superUser`).
    pub sasl_super_user: Option<String>,
    /// Whether clients can show certificates.
    pub x509_enabled: bool,
    /// The holder of a certificate who may do everything, if there is one
    /// (`X509AuthenticationProvider.superUser`).
    pub x509_super_user: Option<String>,
    /// How passwords are digested (`DigestAuthenticationProvider.digestAlg`).
    pub digest_algorithm: DigestAlgorithm,
    /// Schemes of which a client must have shown one before it may send requests; empty if it need
    /// not (`enforce.auth.schemes`, `sessionRequireClientSASLAuth`).
    pub required_schemes: Vec<String>,
    /// A connection survives a SASL exchange that failed (`allowSaslFailedClients`).
    pub allow_sasl_failed: bool,
}

impl AuthConfig {
    /// Whether a client has shown enough to send requests.
    pub(crate) fn admits(&self, identities: &[Identity]) -> bool {
        let is_required = |scheme: &str| self.required_schemes.iter().any(|one| one == scheme);
        self.required_schemes.is_empty()
            || identities.iter().any(|identity| is_required(&identity.scheme))
    }

    /// What a client hears whose SASL exchange failed; `None` if it may go on, as nobody.
    pub(crate) fn sasl_failure(&self) -> Option<ErrorCode> {
        if self.required_schemes.iter().any(|scheme| scheme == "sasl") {
            return Some(ErrorCode::SessionClosedRequireSaslAuth);
        }
        (!self.allow_sasl_failed).then_some(ErrorCode::AuthFailed)
    }
}

impl Default for AuthConfig {
    fn default() -> Self {
        AuthConfig {
            super_digest: None,
            sasl_users: Vec::new(),
            sasl_super_user: None,
            x509_enabled: false,
            x509_super_user: None,
            digest_enabled: true,
            digest_algorithm: DigestAlgorithm::Sha1,
            required_schemes: Vec::new(),
            allow_sasl_failed: false,
        }
    }
}

/// A hash function for passwords.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// SHA-1, what every client tool computes unless told otherwise.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl DigestAlgorithm {
    fn base64(self, text: &str) -> String {
        match self {
            DigestAlgorithm::Sha1 => STANDARD.encode(Sha1::digest(text)),
            DigestAlgorithm::Sha256 => STANDARD.encode(Sha256::digest(text)),
            DigestAlgorithm::Sha384 => STANDARD.encode(Sha384::digest(text)),
            DigestAlgorithm::Sha512 => STANDARD.encode(Sha512::digest(text)),
        }
    }
}

/// Why an auth packet proves nothing. The client only learns that it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuthError {
    /// Users and passwords are switched off.
    #[error("the digest scheme is switched off")]
    DigestDisabled,
    /// The scheme is unknown, or is not one of auth packets.
    #[error("clients cannot authenticate by this scheme")]
    UnknownScheme,
}

/// The identities that an auth packet proves.
pub(crate) fn authenticate(
    config: &AuthConfig,
    scheme: &str,
    auth: &[u8],
) -> Result<Vec<Identity>, AuthError> {
    match scheme {
        "digest" if !config.digest_enabled => Err(AuthError::DigestDisabled),
        "digest" => {
            // Bytes that are not text become replacement characters before they are digested,
            // as upstream's do.
            let id = digest_id(config.digest_algorithm, &String::from_utf8_lossy(auth));
            let mut identities = Vec::with_capacity(2);
            if config.super_digest.as_ref().is_some_and(|digest| same_in_constant_time(digest, &id))
            {
                identities.push(Identity::new("super", ""));
            }
            identities.push(Identity::new("digest", &id));
            Ok(identities)
        }
        // Right, and nothing new: every connection has its address as an identity from the start.
        "ip" => Ok(Vec::new()),
        _ => Err(AuthError::UnknownScheme),
    }
}

/// The identities of whoever holds a certificate for this subject, which was verified before.
pub(crate) fn holder(config: &AuthConfig, subject: &str) -> Vec<Identity> {
    let mut identities = vec![Identity::new("x509", subject)];
    if config.x509_super_user.as_deref() == Some(subject) {
        identities.push(Identity::new("super", subject));
    }
    identities
}

/// The id of `user:password` in the digest scheme. A text without a colon is digested whole, and
/// is the user at the same time.
pub(crate) fn digest_id(algorithm: DigestAlgorithm, user_and_password: &str) -> String {
    let user = user_and_password.split(':').next().unwrap_or_default();
    format!("{user}:{}", algorithm.base64(user_and_password))
}

/// Appends the body of a whoAmI reply: each identity's scheme and user name.
pub(crate) fn who_am_i(identities: &[Identity], out: &mut Vec<u8>) {
    out.put_vector_len(identities.len());
    for identity in identities {
        out.put_text(&identity.scheme);
        out.put_text(user_name(identity));
    }
}

/// The part of an identity that is no secret.
pub(crate) fn user_name(identity: &Identity) -> &str {
    match &*identity.scheme {
        "digest" => identity.id.split(':').next().unwrap_or_default(),
        _ => &identity.id,
    }
}

/// Takes as long for a near miss as for any other value of the same length: secrets must not be
/// guessable byte by byte.
pub(crate) fn same_in_constant_time(left: impl AsRef<[u8]>, right: impl AsRef<[u8]>) -> bool {
    let (left, right) = (left.as_ref(), right.as_ref());
    let differences = left.iter().zip(right).fold(0, |all, (l, r)| all | (l ^ r));
    // Kept from being turned into a comparison that ends at the first difference.
    left.len() == right.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests;
