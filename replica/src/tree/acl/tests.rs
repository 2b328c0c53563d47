//! Tests of access control lists.

use super::*;
use crate::fuzz::Random;

fn entry(perms: i32, scheme: &str, id: &str) -> AclEntry {
    AclEntry { perms: Perms(perms), scheme: scheme.into(), id: id.into() }
}

fn fix(acl: &[AclEntry], identities: &[Identity]) -> Result<AclList, InvalidAcl> {
    let acl: Vec<_> = acl.iter().map(AclEntry::as_wire).collect();
    fix_up(&acl, identities, Policy::default())
}

fn may(acl: &AclEntry, identities: &[(&str, &str)]) -> bool {
    let identities: Vec<_> =
        identities.iter().map(|(scheme, id)| Identity::new(scheme, id)).collect();
    permits(std::slice::from_ref(acl), Perms::READ, &identities)
}

#[test]
fn world_and_empty_lists_let_everybody() {
    assert!(permits(&[], Perms::ADMIN, &[]));
    assert!(permits(&[AclEntry::world(Perms::READ)], Perms::READ, &[]));
    assert!(!permits(&[AclEntry::world(Perms::READ)], Perms::WRITE, &[]));
    assert!(permits(&[AclEntry::world(Perms::READ)], Perms::READ | Perms::ADMIN, &[]));
    assert!(!permits(&[entry(31, "world", "someone")], Perms::READ, &[]));
}

#[test]
fn each_scheme_has_its_own_match() {
    assert!(may(&entry(1, "digest", "u:h"), &[("ip", "1.2.3.4"), ("digest", "u:h")]));
    assert!(!may(&entry(1, "digest", "u:h"), &[("digest", "u:g"), ("sasl", "u:h")]));
    assert!(!may(&entry(2, "digest", "u:h"), &[("digest", "u:h")]));
    assert!(may(&entry(1, "x509", "CN=a"), &[("x509", "CN=a")]));
    assert!(may(&entry(1, "sasl", "alice"), &[("sasl", "alice")]));
    assert!(may(&entry(1, "sasl", "alice"), &[("sasl", "super")]));
    assert!(!may(&entry(1, "digest", "alice:h"), &[("sasl", "super")]));
    assert!(may(&entry(2, "digest", "u:h"), &[("super", "")]));
    assert!(!may(&entry(1, "world", "anyone2"), &[("digest", "anyone2")]));
}

#[test]
fn addresses_match_in_blocks() {
    let matches = |block: &str, peer: &str| may(&entry(1, "ip", block), &[("ip", peer)]);
    assert!(matches("10.1.2.3", "10.1.2.3") && !matches("10.1.2.3", "10.1.2.4"));
    assert!(matches("10.1.0.0/16", "10.1.255.4") && !matches("10.1.0.0/16", "10.2.0.0"));
    assert!(matches("10.1.2.255/31", "10.1.2.254") && matches("0.0.0.0/0", "255.255.255.255"));
    assert!(matches("::1", "0:0:0:0:0:0:0:1") && !matches("::/0", "10.1.2.3"));
    assert!(matches("2001:db8::/32", "2001:db8:1::5") && !matches("2001:db8::/32", "2001:db9::"));
    assert!(matches("::/0", "ffff::1"));
    assert!(!matches("10.1.2.3/33", "10.1.2.3") && !matches("10.1.2.3", "nowhere"));
}

#[test]
fn lists_that_cannot_be_stored() {
    let refused = |acl: AclEntry| fix(&[AclEntry::world(Perms::ALL), acl], &[]).unwrap_err();
    assert_eq!(fix(&[], &[]), Err(InvalidAcl::Empty));
    assert_eq!(refused(entry(31, "world", "me")), InvalidAcl::World);
    assert_eq!(refused(entry(31, "nobody", "me")), InvalidAcl::UnknownScheme);
    assert_eq!(refused(entry(31, "super", "")), InvalidAcl::UnknownScheme);
    assert_eq!(refused(entry(31, "", "")), InvalidAcl::UnknownScheme);
    for id in ["", "u", "u:", ":", "u:h:x"] {
        assert_eq!(refused(entry(31, "digest", id)), InvalidAcl::Digest, "{id}");
    }
    for id in
        ["", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/", "::1/129"]
    {
        assert_eq!(refused(entry(31, "ip", id)), InvalidAcl::Ip, "{id}");
    }
    let address = [Identity::new("ip", "1.2.3.4"), Identity::new("super", "")];
    let auth = [entry(31, "auth", "")];
    assert_eq!(fix(&auth, &address), Err(InvalidAcl::NobodyAuthenticated));
}

#[test]
fn lists_are_stored_in_order_without_repeats_and_with_auth_replaced() {
    let alice = Identity::new("digest", "alice:h");
    let bob = Identity::new("digest", "bob:h");
    let identities = [Identity::new("ip", "1.2.3.4"), alice, bob];
    let acl = [
        entry(255, "ip", "1.2.3.0/24"),
        AclEntry::world(Perms::READ),
        entry(31, "auth", "whatever"),
        AclEntry::world(Perms::READ),
        entry(31, "digest", "bob:h"),
        entry(1, "digest", ":h"),
    ];
    let expected = [
        entry(255, "ip", "1.2.3.0/24"),
        AclEntry::world(Perms::READ),
        entry(31, "digest", "alice:h"),
        entry(31, "digest", "bob:h"),
        entry(1, "digest", ":h"),
    ];
    assert_eq!(fix(&acl, &identities).unwrap(), expected);
}

#[test]
fn digests_are_masked() {
    let acl = [entry(31, "digest", "u:h"), entry(1, "ip", "::1"), entry(1, "digest", "u")];
    let shown = [entry(31, "digest", "u:x"), entry(1, "ip", "::1"), entry(1, "digest", "u")];
    assert_eq!(masked(&acl), shown);
}

#[test]
fn identities_round_trip_and_are_small() {
    let long = "x".repeat(70_000);
    let identities = [
        Identity::new("ip", "127.0.0.1"),
        Identity::new("digest", &format!("u:{long}")),
        Identity::new("super", ""),
        Identity::new("mine", "ä"),
    ];
    let mut bytes = Vec::new();
    encode_identities(&identities[..1], &mut bytes);
    assert_eq!(bytes.len(), 11);
    encode_identities(&identities[1..], &mut bytes);
    assert_eq!(decode_identities(&bytes).unwrap(), identities);
    assert_eq!(decode_identities(&[]).unwrap(), []);
    assert!(decode_identities(&bytes[..bytes.len() - 1]).is_err());
    assert!(decode_identities(&[77, 0]).is_err());
    assert!(decode_identities(&[0, 1, 0xff]).is_err());
}

#[test]
fn seeded_bytes_and_texts_never_panic() {
    let mut random = Random::new(0xac1);
    let alphabet = b"0123456789.:/-+af";
    for _ in 0..200_000 {
        let text: String =
            (0..random.below(12)).map(|_| char::from(alphabet[random.below(17)])).collect();
        if let Some(((value, width), bits)) = ip_block(&text) {
            assert!(bits <= width && value.checked_shr(width).unwrap_or(0) == 0, "{text}");
            assert_eq!(fix(&[entry(1, "ip", &text)], &[]).unwrap().len(), 1);
        }
        let bytes: Vec<u8> = (0..random.below(16)).map(|_| random.below(8) as u8).collect();
        if let Ok(identities) = decode_identities(&bytes) {
            let mut again = Vec::new();
            encode_identities(&identities, &mut again);
            assert_eq!(decode_identities(&again).unwrap(), identities, "{bytes:?}");
        }
    }
}
