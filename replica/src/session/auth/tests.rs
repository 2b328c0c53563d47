//! Tests of auth packets.

use tenure_wire::Reader;

use super::*;

const SHA1: DigestAlgorithm = DigestAlgorithm::Sha1;

#[test]
fn passwords_are_digested_as_every_client_tool_does() {
    // Known from upstream's documentation and tools.
    assert_eq!(digest_id(SHA1, "super:admin"), "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
    assert_eq!(digest_id(SHA1, "user:pass:word").split(':').count(), 2);
    let bare = digest_id(SHA1, "justatext");
    assert!(bare.starts_with("justatext:"), "{bare}");
    let sha256 = digest_id(DigestAlgorithm::Sha256, "super:admin");
    assert_eq!(sha256.len(), "super:".len() + 44);
    assert_eq!(digest_id(DigestAlgorithm::Sha384, "a").len(), "a:".len() + 64);
    assert_eq!(digest_id(DigestAlgorithm::Sha512, "a").len(), "a:".len() + 88);
}

#[test]
fn the_right_password_makes_a_super_user() {
    let super_digest = Some(digest_id(SHA1, "super:admin"));
    let config = AuthConfig { super_digest, ..AuthConfig::default() };
    let identities = authenticate(&config, "digest", b"super:admin").unwrap();
    let digest = Identity::new("digest", "super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
    assert_eq!(identities, [Identity::new("super", ""), digest]);
    assert_eq!(authenticate(&config, "digest", b"super:admin2").unwrap().len(), 1);
    assert_eq!(authenticate(&AuthConfig::default(), "digest", b"super:admin").unwrap().len(), 1);
}

#[test]
fn other_schemes_prove_nothing() {
    let config = AuthConfig::default();
    for scheme in ["", "world", "auth", "super", "sasl", "x509", "ensemble", "Digest"] {
        assert_eq!(authenticate(&config, scheme, b"a:b"), Err(AuthError::UnknownScheme));
    }
    assert_eq!(authenticate(&config, "ip", b""), Ok(Vec::new()));
    let off = AuthConfig { digest_enabled: false, ..config };
    assert_eq!(authenticate(&off, "digest", b"a:b"), Err(AuthError::DigestDisabled));
}

#[test]
fn bytes_that_are_not_text_are_digested_as_replacements() {
    let identities = authenticate(&AuthConfig::default(), "digest", b"a\xff:b").unwrap();
    assert_eq!(*identities[0].id, *digest_id(SHA1, "a\u{fffd}:b"));
    assert!(authenticate(&AuthConfig::default(), "digest", b"").is_ok());
}

#[test]
fn whoever_asks_sees_users_but_no_digests() {
    let identities = [
        Identity::new("ip", "127.0.0.1"),
        Identity::new("super", ""),
        Identity::new("digest", "alice:secret"),
    ];
    let mut bytes = Vec::new();
    who_am_i(&identities, &mut bytes);
    let mut reader = Reader::new(&bytes);
    assert_eq!(reader.vector_len(), Ok(3));
    let shown: Vec<_> = (0..6).map(|_| reader.text().unwrap()).collect();
    assert_eq!(shown, ["ip", "127.0.0.1", "super", "", "digest", "alice"]);
    assert_eq!(reader.remaining(), 0);
}

#[test]
fn the_comparison_is_of_whole_texts() {
    assert!(same_in_constant_time("abc", "abc") && same_in_constant_time("", ""));
    assert!(!same_in_constant_time("abc", "abd") && !same_in_constant_time("abc", "ab"));
}
