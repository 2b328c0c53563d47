//! Who may do what, through real sockets: permissions, schemes, authentication, masks.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::sync::LazyLock;

use support::client::AUTH_XID;
use support::ops::{ADMIN, ALL, Acl, CREATE, DELETE, READ, WRITE, open};
use support::record::Fields;
use support::{Client, Op, Server, code};

/// SHA-1 of `super:admin`, as the setting wants it.
const SUPER: &str = "DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";
/// What `bob:secret` becomes in a list.
const BOB: &str = "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=";

static SERVER: LazyLock<Server> =
    LazyLock::new(|| Server::with(&format!("tickTime=2000\n{SUPER}")));

fn world(perms: i32) -> Vec<Acl> {
    vec![Acl::new(perms, "world", "anyone")]
}

fn identities(client: &mut Client) -> Vec<(String, String)> {
    let reply = client.run(&Op::who_am_i()).unwrap();
    let mut fields = Fields(&reply.body);
    let mut found: Vec<_> = (0..fields.int()).map(|_| (fields.string(), fields.string())).collect();
    fields.end();
    found.sort();
    found
}

#[test]
fn each_operation_needs_its_own_permission() {
    let mut client = SERVER.connect();
    for perms in [READ, WRITE, CREATE, DELETE, ADMIN] {
        let path = format!("/perms{perms}");
        client.create(&path, b"").unwrap();
        for child in ["child", "other"] {
            client.create(&format!("{path}/{child}"), b"").unwrap();
        }
        client.set_acl(&path, &world(perms)).unwrap();
        let allowed = |needed: i32, result: i32| {
            let expected = if perms & needed != 0 { 0 } else { code::NO_AUTH };
            assert_eq!(result, expected, "with {perms}, where {needed} is needed");
        };
        let child = format!("{path}/child");
        allowed(READ, client.call(&Op::get_data(&path, false)).err);
        allowed(READ, client.call(&Op::exists(&path, false)).err);
        allowed(READ, client.call(&Op::get_children(&path, false)).err);
        allowed(READ, client.call(&Op::get_children2(&path, false)).err);
        allowed(READ, client.call(&Op::get_all_children_number(&path)).err);
        allowed(READ | ADMIN, client.call(&Op::get_acl(&path)).err);
        allowed(WRITE, client.call(&Op::set_data(&path, b"", -1)).err);
        allowed(CREATE, client.call(&Op::create(&format!("{path}/new"), b"", 0)).err);
        allowed(DELETE, client.call(&Op::delete(&child, -1)).err);
        allowed(ADMIN, client.call(&Op::set_acl(&path, &world(perms), -1)).err);
        // Neither asks for anything.
        allowed(ALL, client.call(&Op::sync(&path)).err);
        allowed(ALL, client.call(&Op::add_watch(&path, 0)).err);
    }
    client.close();
}

#[test]
fn a_znodes_own_list_does_not_protect_it_from_deletion() {
    let mut client = SERVER.connect();
    let nobody = [Acl::new(READ, "digest", "nobody:x")];
    client.create_acl("/own", b"", &nobody, 0).unwrap();
    assert_eq!(client.exists("/own"), Err(code::NO_AUTH));
    client.delete("/own").unwrap();
    client.close();
}

#[test]
fn permission_is_judged_before_version_and_existence_of_children() {
    let mut client = SERVER.connect();
    client.create_acl("/judge", b"", &world(READ), 0).unwrap();
    assert_eq!(client.delete("/judge/none"), Err(code::NO_AUTH));
    assert_eq!(client.create("/judge", b""), Err(code::NODE_EXISTS));
    let create = Op::create("/judge/x", b"", 0);
    assert_eq!(client.call(&create).err, code::NO_AUTH);
    assert_eq!(client.call(&Op::set_data("/judge", b"", 9)).err, code::NO_AUTH);
    assert_eq!(client.call(&Op::set_acl("/judge", &open(), 9)).err, code::NO_AUTH);
    // The list itself is looked at before.
    assert_eq!(client.call(&Op::set_acl("/judge", &[], 9)).err, code::INVALID_ACL);
    assert_eq!(client.call(&Op::set_acl("/none", &[], 9)).err, code::INVALID_ACL);
    client.close();
}

#[test]
fn lists_that_make_no_sense_are_refused() {
    let mut client = SERVER.connect();
    client.create("/lists", b"").unwrap();
    let bad: [&[Acl]; 12] = [
        &[],
        &[Acl::new(ALL, "world", "someone")],
        &[Acl::new(ALL, "world", "")],
        &[Acl::new(ALL, "nonsense", "x")],
        &[Acl::new(ALL, "", "")],
        &[Acl::new(ALL, "auth", "")],
        &[Acl::new(ALL, "digest", "no-colon")],
        &[Acl::new(ALL, "digest", "a:b:c")],
        &[Acl::new(ALL, "ip", "nonsense")],
        &[Acl::new(ALL, "ip", "1.2.3.4/33")],
        &[Acl::new(ALL, "ip", "1.2.3")],
        &[Acl::new(ALL, "world", "anyone"), Acl::new(ALL, "nonsense", "x")],
    ];
    for acl in bad {
        assert_eq!(client.create_acl("/lists/x", b"", acl, 0), Err(code::INVALID_ACL), "{acl:?}");
        assert_eq!(client.set_acl("/lists", acl), Err(code::INVALID_ACL), "{acl:?}");
    }
    let null =
        Op::new(1, support::record::Body::new().string("/lists/x").buffer(None).int(-1).int(0));
    assert_eq!(client.call(&null).err, code::INVALID_ACL);
    client.close();
}

#[test]
fn lists_are_kept_in_order_without_duplicates_and_with_unknown_bits() {
    let mut client = SERVER.connect();
    let given = [
        Acl::new(READ, "ip", "10.0.0.0/8"),
        Acl::new(ALL, "world", "anyone"),
        Acl::new(READ, "ip", "10.0.0.0/8"),
        Acl::new(255, "world", "anyone"),
        Acl::new(ALL, "world", "anyone"),
        Acl::new(ALL, "digest", "bob:x"),
    ];
    client.create_acl("/kept", b"", &given, 0).unwrap();
    let expected = [given[0].clone(), given[1].clone(), given[3].clone(), given[5].clone()];
    let (acl, stat) = client.get_acl("/kept").unwrap();
    assert_eq!(acl, expected);
    assert_eq!(stat, client.exists("/kept").unwrap());
    client.close();
}

#[test]
fn digest_identities_open_what_is_theirs() {
    let mut bob = SERVER.connect();
    let mut other = SERVER.connect();
    bob.create_acl("/bobs", b"", &[Acl::new(ALL, "digest", BOB)], 0).unwrap();
    for client in [&mut bob, &mut other] {
        assert_eq!(client.get("/bobs").map(|_| ()), Err(code::NO_AUTH));
    }
    bob.authenticate("digest", "bob:secret");
    bob.get("/bobs").unwrap();
    other.authenticate("digest", "bob:wrong");
    assert_eq!(other.set("/bobs", b""), Err(code::NO_AUTH));
    other.authenticate("digest", "bob:secret");
    other.set("/bobs", b"").unwrap();
    // Identities belong to the connection.
    let ticket = bob.ticket();
    bob.hang_up();
    let mut bob = SERVER.establish(&ticket);
    assert_eq!(bob.set("/bobs", b""), Err(code::NO_AUTH));
    bob.close();
    other.close();
}

#[test]
fn the_auth_scheme_becomes_the_connections_identities() {
    let mut client = SERVER.connect();
    let auth = [Acl::new(ALL, "auth", "ignored")];
    assert_eq!(client.create_acl("/auth", b"", &auth, 0), Err(code::INVALID_ACL));
    client.authenticate("digest", "bob:secret");
    client.authenticate("digest", "ann:pw");
    client.create_acl("/auth", b"", &auth, 0).unwrap();
    let (mut acl, _) = client.get_acl("/auth").unwrap();
    acl.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(acl.len(), 2, "one entry for each, none for the address: {acl:?}");
    assert!(acl[0].id.starts_with("ann:"));
    assert_eq!(acl[1], Acl::new(ALL, "digest", BOB));
    client.close();
}

#[test]
fn who_am_i_lists_names_without_secrets() {
    let mut client = SERVER.connect();
    let ip = ("ip".to_owned(), "127.0.0.1".to_owned());
    assert_eq!(identities(&mut client), std::slice::from_ref(&ip));
    client.authenticate("digest", "bob:secret");
    client.authenticate("digest", "ann:pw");
    let digest = |name: &str| ("digest".to_owned(), name.to_owned());
    assert_eq!(identities(&mut client), [digest("ann"), digest("bob"), ip]);
    client.close();
}

#[test]
fn address_entries_match_addresses_and_networks() {
    let mut client = SERVER.connect();
    let mine = ["127.0.0.1", "127.0.0.1/32", "127.0.0.0/8", "127.55.0.0/8", "0.0.0.0/0"];
    let others = ["127.0.0.2", "10.0.0.0/8", "127.0.0.2/32", "128.0.0.0/1"];
    for (i, id) in mine.iter().chain(&others).enumerate() {
        let path = format!("/ip{i}");
        client.create_acl(&path, b"", &[Acl::new(READ, "ip", id)], 0).unwrap();
        let expected = if i < mine.len() { 0 } else { code::NO_AUTH };
        assert_eq!(client.call(&Op::get_data(&path, false)).err, expected, "{id}");
    }
    client.close();
}

#[test]
fn digests_are_masked_for_those_who_may_not_administer() {
    let mut client = SERVER.connect();
    let acl = [
        Acl::new(ALL, "digest", BOB),
        Acl::new(READ, "world", "anyone"),
        Acl::new(READ, "ip", "127.0.0.1"),
    ];
    client.create_acl("/masked", b"", &acl, 0).unwrap();
    let mut masked = acl.clone();
    masked[0].id = "bob:x".into();
    assert_eq!(client.get_acl("/masked").unwrap().0, masked);
    client.authenticate("digest", "bob:secret");
    assert_eq!(client.get_acl("/masked").unwrap().0, acl);
    client.close();
}

#[test]
fn the_super_identity_may_do_everything() {
    let mut client = SERVER.connect();
    let nobody = [Acl::new(0, "digest", "nobody:x")];
    client.create_acl("/closed", b"", &nobody, 0).unwrap();
    assert_eq!(client.set("/closed", b""), Err(code::NO_AUTH));
    client.authenticate("digest", "super:wrong");
    assert_eq!(client.set("/closed", b""), Err(code::NO_AUTH));
    client.authenticate("digest", "super:admin");
    client.set("/closed", b"").unwrap();
    client.create("/closed/x", b"").unwrap();
    client.set_acl("/closed", &open()).unwrap();
    client.set("/zookeeper/config", b"").unwrap();
    client.delete("/closed/x").unwrap();
    client.close();
}

#[test]
fn authentication_that_fails_ends_the_connection_but_not_the_session() {
    for scheme in ["nonsense", "world", "auth", "super", ""] {
        let mut client = SERVER.connect();
        client.send_as(AUTH_XID, &Op::auth(scheme, b"x:y"));
        let reply = client.reply();
        assert_eq!((reply.xid, reply.err), (AUTH_XID, code::AUTH_FAILED), "{scheme:?}");
        client.socket.expect_end();
        SERVER.establish(&client.ticket()).close();
    }
}

#[test]
fn authentication_counts_for_later_requests_only() {
    let mut client = SERVER.connect();
    client.create_acl("/later", b"", &[Acl::new(ALL, "digest", BOB)], 0).unwrap();
    let before = client.send(&Op::get_data("/later", false));
    client.send_as(AUTH_XID, &Op::auth("digest", b"bob:secret"));
    let after = client.send(&Op::get_data("/later", false));
    let mut replies: Vec<_> = (0..3).map(|_| client.reply()).collect();
    replies.sort_by_key(|reply| reply.xid);
    assert_eq!((replies[0].xid, replies[0].err), (AUTH_XID, 0));
    assert_eq!((replies[1].xid, replies[1].err), (before, code::NO_AUTH));
    assert_eq!((replies[2].xid, replies[2].err), (after, 0));
    client.close();
}

#[test]
fn a_bare_word_is_a_digest_identity_too() {
    let mut client = SERVER.connect();
    client.authenticate("digest", "password-less");
    let auth = [Acl::new(ALL, "auth", "")];
    // Its id has no colon, so it can be authenticated but not stand in a list.
    let result = client.create_acl("/bare", b"", &auth, 0);
    assert!(matches!(result, Ok(_) | Err(code::INVALID_ACL)), "{result:?}");
    client.close();
}

#[test]
fn skip_acl_opens_everything() {
    let server = Server::with("tickTime=2000\nskipACL=yes");
    let mut client = server.connect();
    let nobody = [Acl::new(0, "digest", "nobody:x")];
    client.create_acl("/closed", b"", &nobody, 0).unwrap();
    client.set("/closed", b"").unwrap();
    client.create("/closed/x", b"").unwrap();
    client.close();
}

#[test]
fn sasl_on_a_server_without_it_answers_with_no_token() {
    let mut client = SERVER.connect();
    let op = Op::new(102, support::record::Body::new().buffer(Some(b"")));
    let reply = client.call(&op);
    assert_eq!((reply.zxid, reply.err), (0, 0));
    let mut fields = Fields(&reply.body);
    assert_eq!(fields.buffer(), None);
    fields.end();
    client.ping();
    client.close();
}
