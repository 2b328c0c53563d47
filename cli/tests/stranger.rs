//! A client that nobody knows tries everything the protocol has against a tree that is closed to
//! it: nothing is learnt beyond what the reference server tells, and nothing changes.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use support::client::{AUTH_XID, SET_WATCHES_XID, request};
use support::ops::{ALL, Acl, EPHEMERAL, Outcome, READ, Stat};
use support::record::{Body, Fields};
use support::{Client, Frame, Handshake, Op, Random, Server, code, foreign, tenure_only};

/// SHA-1 of `super:admin`, as the setting wants it.
const SUPER: &str = "DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";
/// What `bob:secret` becomes in a list.
const BOB: &str = "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=";

/// None of it may ever reach the stranger.
const SECRETS: [&str; 4] = ["TOP SECRET", "hidden-", "fyVmFCwVbTJYrznoSu1koqYEYF0=", "bob"];

/// Everything in the tree but the statistics of quotas, which are the server's own.
type Picture = Vec<(String, Option<Vec<u8>>, Stat, Vec<Acl>)>;

/// A server whose whole tree is closed to everybody but one, and that one.
struct Vault {
    server: Server,
    owner: Client,
}

impl Vault {
    fn build() -> Vault {
        let server = Server::with(&format!("tickTime=2000\nextendedTypesEnabled=true\n{SUPER}"));
        let mut owner = server.connect();
        owner.authenticate("digest", "super:admin");
        // Several ways not to be the stranger.
        let lists = [
            vec![Acl::new(ALL, "digest", BOB)],
            vec![Acl::new(ALL, "ip", "10.0.0.0/8"), Acl::new(READ, "digest", BOB)],
            vec![Acl::new(0, "world", "anyone"), Acl::new(ALL, "digest", BOB)],
        ];
        for path in ["/vault", "/vault/known", "/vault/hidden-1", "/vault/known/hidden-2"] {
            owner.create_acl(path, b"TOP SECRET", &lists[0], 0).unwrap();
        }
        for (number, list) in lists.iter().enumerate() {
            let path = format!("/vault/hidden-list-{number}");
            owner.create_acl(&path, b"TOP SECRET", list, 0).unwrap();
        }
        owner.create_acl("/vault/hidden-owned", b"", &lists[0], EPHEMERAL).unwrap();
        for path in ["/zookeeper/config", "/zookeeper/quota", "/zookeeper", "/"] {
            owner.set_acl(path, &lists[0]).unwrap();
        }
        Vault { server, owner }
    }

    /// The tree as its owner sees it.
    fn picture(&mut self) -> Picture {
        let mut picture = Picture::new();
        let mut left = vec!["/".to_owned()];
        while let Some(path) = left.pop() {
            let (data, stat) = self.owner.get(&path).unwrap();
            let (acl, _) = self.owner.get_acl(&path).unwrap();
            for child in self.owner.children(&path).unwrap() {
                left.push(format!("{}/{child}", path.trim_end_matches('/')));
            }
            picture.push((path, data, stat, acl));
        }
        picture.sort_by(|left, right| left.0.cmp(&right.0));
        picture
    }

    /// The tree's digest, which changes with any znode. ZooKeeper lists several, by zxid.
    fn digest(&self) -> String {
        if foreign() {
            return String::new();
        }
        let answer = self.server.word("hash");
        answer.split_once(": ").map_or(String::new(), |(_, digest)| digest.to_owned())
    }

    /// Lets a stranger loose, and holds the tree against what it was before.
    fn expect_untouched(&mut self, stranger: impl FnOnce(&Server, &mut Client)) {
        let (picture, digest) = (self.picture(), self.digest());
        assert!(picture.len() > 10, "{}", picture.len());
        stranger(&self.server, &mut self.owner);
        assert_eq!(self.picture(), picture);
        assert_eq!(self.digest(), digest);
        self.owner.ping();
    }
}

/// No reply may hold a secret.
fn expect_nothing_in(bytes: &[u8], what: &str) {
    for secret in SECRETS {
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "{secret} is in the answer to {what}: {bytes:?}");
    }
}

/// What must be refused for lack of permission.
fn forbidden() -> Vec<(&'static str, Op)> {
    let open = [Acl::new(ALL, "world", "anyone")];
    vec![
        ("create", Op::create("/vault/new", b"", 0)),
        ("create at the root", Op::create("/new", b"", 0)),
        ("create an ephemeral", Op::create("/vault/new", b"", 1)),
        ("create in order", Op::create("/vault/known/n-", b"", 2)),
        ("create over", Op::create("/vault/known", b"", 0)),
        ("create2", Op::create2("/zookeeper/new", b"", 0)),
        ("createContainer", Op::create_container("/vault/new")),
        ("createTTL", Op::create_ttl("/vault/new", 5, 1000)),
        ("create a quota", Op::create("/zookeeper/quota/vault", b"", 0)),
        ("delete", Op::delete("/vault/known", -1)),
        ("delete the vault", Op::delete("/vault", -1)),
        ("delete what is not there", Op::delete("/vault/nothing", -1)),
        ("setData", Op::set_data("/vault", b"x", -1)),
        ("setData of the root", Op::set_data("/", b"x", -1)),
        ("setACL", Op::set_acl("/vault", &open, -1)),
        ("setACL of the root", Op::set_acl("/", &open, -1)),
        ("exists", Op::exists("/vault", true)),
        ("getData", Op::get_data("/vault/known", true)),
        ("getData of the members", Op::get_data("/zookeeper/config", false)),
        ("getData by an empty path", Op::get_data("", false)),
        ("getACL", Op::get_acl("/vault")),
        ("getChildren", Op::get_children("/vault", true)),
        ("getChildren of the root", Op::get_children("/", true)),
        ("getChildren2", Op::get_children2("/vault", true)),
        ("getAllChildrenNumber", Op::get_all_children_number("/")),
    ]
}

/// What anybody may ask, as the reference server has it: none of it tells of a znode's content.
fn allowed() -> Vec<(&'static str, Op)> {
    let watched: [&[&str]; 5] = [&["/vault"], &["/vault/nothing"], &["/vault"], &["/"], &["/"]];
    vec![
        ("sync", Op::sync("/vault")),
        ("whoAmI", Op::who_am_i()),
        ("getEphemerals", Op::get_ephemerals("/")),
        ("addWatch", Op::add_watch("/vault", 0)),
        ("addWatch below", Op::add_watch("/", 1)),
        ("checkWatches", Op::check_watches("/vault", 4)),
        ("removeWatches", Op::remove_watches("/vault", 4)),
        ("setWatches", Op::set_watches(0, &["/vault"], &["/vault"], &["/vault"])),
        ("setWatches2", Op::set_watches2(i64::MAX, watched)),
        ("exists, of nothing", Op::exists("/vault/nothing", true)),
        ("ping", Op::ping()),
    ]
}

#[test]
fn every_operation_is_refused_and_tells_nothing() {
    let mut vault = Vault::build();
    vault.expect_untouched(|server, _| {
        let mut client = server.connect();
        for (what, op) in forbidden() {
            let reply = client.call(&op);
            assert_eq!((reply.err, reply.body.len()), (code::NO_AUTH, 0), "{what}");
        }
        for (what, op) in allowed() {
            client.send_as(if op.code == 101 { SET_WATCHES_XID } else { 77 }, &op);
            loop {
                match client.frame() {
                    Frame::Event(event) => expect_nothing_in(event.path.as_bytes(), what),
                    Frame::Reply(reply) => break expect_nothing_in(&reply.body, what),
                }
            }
        }
        let reply = client.call(&Op::reconfig("", "1", -1));
        assert_eq!((reply.err, reply.body.len()), (code::RECONFIG_DISABLED, 0));
        client.close();
    });
}

#[test]
fn multis_in_every_mix_fail_as_a_whole() {
    let mut vault = Vault::build();
    // One place in which the stranger may do as it likes, so that parts of a multi could succeed.
    let open = [Acl::new(ALL, "world", "anyone")];
    vault.owner.create_acl("/public", b"", &open, 0).unwrap();
    vault.expect_untouched(|server, _| {
        let mut client = server.connect();
        let harmless = [
            Op::create("/public/x", b"", 0),
            Op::set_data("/public", b"y", -1),
            Op::check("/public", -1),
        ];
        // setACL and the reads are none of a multi's parts.
        let mut parts: Vec<_> = forbidden()
            .into_iter()
            .filter(|(_, op)| matches!(op.code, 1 | 2 | 5 | 15 | 19 | 21))
            .collect();
        parts.push(("check", Op::check("/vault", 0)));
        for (what, part) in &parts {
            for at in 0..=harmless.len() {
                let mut ops = harmless.to_vec();
                ops.insert(at, part.clone());
                let outcomes = client.multi(&ops).unwrap();
                assert_eq!(outcomes[at], Outcome::Error(code::NO_AUTH), "{what} at {at}");
                assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Error(_))));
            }
            for (other, second) in &parts {
                let reply = client.run(&Op::multi(&[part.clone(), second.clone()])).unwrap();
                expect_nothing_in(&reply.body, &format!("{what} and {other}"));
            }
        }
        let reads = [Op::get_data("/vault", true), Op::get_children("/vault", true)];
        let outcomes = client.multi_read(&reads).unwrap();
        assert_eq!(outcomes, [Outcome::Error(code::NO_AUTH), Outcome::Error(code::NO_AUTH)]);
        client.close();
    });
}

#[test]
fn operations_that_clients_do_not_have_change_nothing() {
    let mut vault = Vault::build();
    if tenure_only("ZooKeeper deletes any leaf that a client names in deleteContainer") {
        return;
    }
    vault.expect_untouched(|server, _| {
        let known = [1..=9, 11..=12, 14..=19, 21..=22, 100..=107];
        let mut tried = 0;
        for op in (-20..=130).filter(|op| !known.iter().any(|range| range.contains(op))) {
            // Closing one's own session is no harm.
            for path in ["", "/vault/hidden-1"].iter().filter(|_| op != -11) {
                let mut client = server.connect();
                let body = Body::new().string(path);
                client.send(&Op::new(op, body));
                let reply = client.reply();
                let expected = (code::UNIMPLEMENTED, 0);
                assert_eq!((reply.err, reply.body.len()), expected, "operation {op} of {path:?}");
                client.socket.expect_end();
                tried += 1;
            }
        }
        assert!(tried > 200, "{tried}");
    });
}

#[test]
fn watches_of_a_stranger_stay_silent() {
    let mut vault = Vault::build();
    let Vault { server, owner } = &mut vault;
    let mut stranger = server.connect();
    for path in ["/", "/vault", "/vault/known", "/vault/later"] {
        stranger.add_watch(path, 1).unwrap();
        stranger.add_watch(path, 0).unwrap();
    }
    for path in ["/vault/later", "/vault/known/later"] {
        assert_eq!(stranger.call(&Op::exists(path, true)).err, code::NO_NODE);
    }
    // As a client that saw everything up to now has its watches set again.
    let all: [&[&str]; 5] = [
        &["/vault", "/vault/known"],
        &["/vault/later", "/vault/soon"],
        &["/vault", "/vault/known"],
        &["/vault"],
        &["/vault"],
    ];
    stranger.send_as(SET_WATCHES_XID, &Op::set_watches2(i64::MAX, all));
    assert_eq!(stranger.reply().err, 0);
    let mine = [Acl::new(ALL, "digest", BOB)];
    for path in ["/vault/later", "/vault/soon", "/vault/known/later"] {
        owner.create_acl(path, b"TOP SECRET", &mine, 0).unwrap();
        owner.set(path, b"TOP SECRET too").unwrap();
    }
    owner.set("/vault/known", b"TOP SECRET too").unwrap();
    for path in ["/vault/later", "/vault/soon", "/vault/known/later"] {
        owner.delete(path).unwrap();
    }
    stranger.expect_no_event();
    // Whoever may read hears of the same.
    let mut friend = server.connect();
    friend.authenticate("digest", "bob:secret");
    friend.add_watch("/vault", 1).unwrap();
    owner.set("/vault/known", b"TOP SECRET again").unwrap();
    friend.expect_event(support::client::DATA_CHANGED, "/vault/known");
    stranger.expect_no_event();
}

#[test]
fn guesses_and_floods_of_credentials_make_nobody() {
    let mut vault = Vault::build();
    vault.expect_untouched(|server, owner| {
        let mut random = Random::seeded("credentials of a stranger");
        for scheme in ["digest", "super", "sasl", "x509", "ip", "world", "auth", "", "ensemble"] {
            for guess in ["", "super", "super:", "super:wrong", "bob:Secret", "anyone", BOB] {
                guess_once(server, scheme, guess.as_bytes());
            }
            for _ in 0..10 {
                let guess: Vec<u8> = (0..random.below(40)).map(|_| random.next() as u8).collect();
                guess_once(server, scheme, &guess);
            }
        }
        if tenure_only("ZooKeeper takes any number of identities") {
            return;
        }
        let mut client = server.connect();
        let flood: Vec<Op> =
            (0..1000).map(|n| Op::auth("digest", format!("user{n}:{n}").as_bytes())).collect();
        client.send_all(&flood);
        let mut taken = 0;
        let refused = loop {
            match client.reply() {
                reply if reply.err == 0 => taken += 1,
                reply => break reply,
            }
        };
        assert_eq!(
            (refused.err, (100..200).contains(&taken)),
            (code::AUTH_FAILED, true),
            "{taken}"
        );
        client.socket.expect_end();
        owner.ping();
    });
}

/// Shows credentials, and looks what came of it.
fn guess_once(server: &Server, scheme: &str, guess: &[u8]) {
    let mut client = server.connect();
    client.send_as(AUTH_XID, &Op::auth(scheme, guess));
    let reply = client.reply();
    if reply.err != 0 {
        assert_eq!((reply.err, reply.body.len()), (code::AUTH_FAILED, 0), "{scheme}");
        return client.socket.expect_end();
    }
    assert_eq!(
        client.call(&Op::get_data("/vault", false)).err,
        code::NO_AUTH,
        "{scheme} {guess:?}"
    );
    let reply = client.call(&Op::who_am_i());
    let mut fields = Fields(&reply.body);
    for _ in 0..fields.int() {
        let scheme = fields.string();
        fields.string();
        assert!(["ip", "digest"].contains(&&*scheme), "{scheme}");
    }
    client.close();
}

#[test]
fn fuzzed_handshakes_open_no_session_but_their_own() {
    let mut vault = Vault::build();
    vault.expect_untouched(|server, owner| {
        let mut random = Random::seeded("handshakes of a stranger");
        let rightful = owner.ticket();
        let password = rightful.password.clone().unwrap();
        for _ in 0..400 {
            let mut handshake = match random.below(3) {
                0 => Handshake::new(30_000),
                // Somebody else's session, by its id, which is no secret.
                _ => Handshake { session_id: rightful.session_id, ..Handshake::new(30_000) },
            };
            handshake.password = match random.below(4) {
                0 => None,
                1 => Some(Vec::new()),
                2 => Some((0..16).map(|_| random.next() as u8).collect()),
                _ => {
                    // All but one bit of the right one.
                    let mut altered = password.clone();
                    altered[random.below(16) as usize] ^= 1 << random.below(8);
                    Some(altered)
                }
            };
            handshake.timeout_ms = *random.pick(&[0, -1, 1, 30_000, i32::MAX, i32::MIN]);
            handshake.read_only = *random.pick(&[None, Some(false), Some(true)]);
            let mut bytes = handshake.encode();
            if random.below(2) == 0 {
                let at = random.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << random.below(8);
            }
            if random.below(4) == 0 {
                bytes.truncate(random.below(bytes.len() as u64) as usize);
            }
            // The second change may undo the first: whoever knows the password is no stranger.
            if bytes.windows(password.len()).any(|part| part == password) {
                continue;
            }
            let answer = say(server, &support::client::framed(&bytes));
            // Zeros, a session of its own, or nothing at all.
            if answer.len() >= 20 {
                let id = i64::from_be_bytes(answer[12..20].try_into().unwrap());
                assert_ne!(id, rightful.session_id, "{bytes:?}");
            }
        }
        if tenure_only("ZooKeeper hangs up on the rightful client before it checks a password") {
            *owner = server.establish(&rightful);
            owner.authenticate("digest", "super:admin");
        }
    });
}

#[test]
fn fuzzed_requests_learn_and_change_nothing() {
    let mut vault = Vault::build();
    vault.expect_untouched(|server, _| {
        let mut random = Random::seeded("requests of a stranger");
        let corpus: Vec<Vec<u8>> =
            forbidden().into_iter().chain(allowed()).map(|(_, op)| request(1, &op)).collect();
        for _ in 0..300 {
            let mut bytes = support::client::framed(&Handshake::new(30_000).encode());
            for _ in 0..20 {
                let mut payload = random.pick(&corpus).clone();
                for _ in 0..random.below(4) {
                    let at = random.below(payload.len() as u64) as usize;
                    // Never the operation's number: closing a session, for one, is allowed.
                    if !(4..8).contains(&at) {
                        payload[at] ^= 1 << random.below(8);
                    }
                }
                bytes.extend(support::client::framed(&payload));
            }
            let answer = say(server, &bytes);
            expect_nothing_in(&answer, "fuzzed requests");
        }
    });
}

/// Sends bytes and nothing more; returns all that comes back.
fn say(server: &Server, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may hang up before it has read everything.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("no end: {error}"),
        _ => answer,
    }
}
