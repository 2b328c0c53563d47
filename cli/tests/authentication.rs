//! Who must authenticate before anything else, and what becomes of those who cannot: enforced
//! schemes and SASL DIGEST-MD5, through real sockets.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use support::ops::{ALL, Acl};
use support::record::{Body, Fields};
use support::sasl::{self, Answer};
use support::{Client, Handshake, Op, Server, code, tenure_only};

/// A configuration's lines for SASL, with a file of users that goes with the test process.
static WITH_SASL: LazyLock<String> = LazyLock::new(|| {
    let jaas = "Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n  \
                user_bob=\"secret\"\n  user_super=\"admin\";\n};\n";
    let name = format!("tenure-test-jaas-{}.conf", std::process::id());
    let path: PathBuf = std::env::temp_dir().join(name);
    fs::write(&path, jaas).unwrap();
    format!(
        "tickTime=2000\nfips-mode=false\n\
         authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider\n\
         java.security.auth.login.config={}",
        path.display()
    )
});

static SASL: LazyLock<Server> = LazyLock::new(|| Server::with(&WITH_SASL));

static DIGEST_REQUIRED: LazyLock<Server> = LazyLock::new(|| {
    let enforced = "enforce.auth.enabled=true\nenforce.auth.schemes=sasl, digest";
    Server::with(&format!("{}\n{enforced}", *WITH_SASL))
});

/// Every kind of request but those that authenticate.
fn requests() -> Vec<Op> {
    vec![
        Op::create("/stranger", b"", 0),
        Op::create("/stranger", b"", 1),
        Op::create2("/stranger", b"", 0),
        Op::delete("/zookeeper", -1),
        Op::exists("/", true),
        Op::get_data("/", true),
        Op::set_data("/", b"x", -1),
        Op::get_acl("/"),
        Op::set_acl("/", &support::ops::open(), -1),
        Op::get_children("/", true),
        Op::get_children2("/", false),
        Op::sync("/"),
        Op::multi(&[Op::create("/stranger", b"", 0)]),
        Op::multi_read(&[Op::get_data("/", false)]),
        Op::add_watch("/", 1),
        Op::set_watches(0, &["/"], &[], &[]),
        Op::who_am_i(),
        Op::get_ephemerals("/"),
        Op::get_all_children_number("/"),
        Op::reconfig("", "1", -1),
        Op::ping(),
        Op::close_session(),
        // Nobody knows it.
        Op::new(999, Body::new()),
    ]
}

/// The one answer to whoever must authenticate first, and the end of the connection.
fn expect_turned_away(client: &mut Client, op: &Op) {
    let reply = client.call(op);
    assert_eq!((reply.err, reply.zxid, reply.body.len()), (code::AUTH_REQUIRED, 0, 0));
    client.socket.expect_end();
}

fn schemes(client: &mut Client) -> Vec<String> {
    let reply = client.run(&Op::who_am_i()).unwrap();
    let mut fields = Fields(&reply.body);
    let mut found: Vec<_> =
        (0..fields.int()).map(|_| (fields.string(), fields.string()).0).collect();
    found.sort();
    found
}

#[test]
fn where_a_scheme_is_required_nothing_is_done_for_strangers() {
    let server = &*DIGEST_REQUIRED;
    for op in requests() {
        let mut client = server.connect();
        let ticket = client.ticket();
        expect_turned_away(&mut client, &op);
        // The session is as it was, and its client may come back and say who it is.
        let mut client = server.establish(&ticket);
        client.authenticate("digest", "bob:secret");
        assert_eq!(client.exists("/stranger"), Err(code::NO_NODE));
        client.close();
    }
}

#[test]
fn whoever_has_shown_a_required_scheme_is_served() {
    let mut client = DIGEST_REQUIRED.connect();
    client.authenticate("digest", "bob:secret");
    client.create("/shown", b"").unwrap();
    assert_eq!(schemes(&mut client), ["digest", "ip"]);
    client.ping();
    client.close();
    // What was sent behind the handshake is judged in its order.
    let mut client = DIGEST_REQUIRED.connect();
    client.send_as(support::client::AUTH_XID, &Op::auth("digest", b"bob:secret"));
    client.send(&Op::exists("/shown", false));
    assert_eq!((client.reply().err, client.reply().err), (0, 0));
    client.close();
}

#[test]
fn another_scheme_is_not_enough_and_a_failure_is_one() {
    let mut client = DIGEST_REQUIRED.connect();
    // Right, but not what is asked for.
    client.authenticate("ip", "");
    expect_turned_away(&mut client, &Op::exists("/", false));
    let mut client = DIGEST_REQUIRED.connect();
    client.send_as(support::client::AUTH_XID, &Op::auth("nosuch", b"bob:secret"));
    assert_eq!(client.reply().err, code::AUTH_FAILED);
    client.socket.expect_end();
}

#[test]
fn an_address_is_a_scheme_that_everybody_has() {
    let server = Server::with("tickTime=2000\nenforce.auth.enabled=true\nenforce.auth.schemes=ip");
    let mut client = server.connect();
    client.create("/any", b"").unwrap();
    client.close();
}

#[test]
fn schemes_alone_require_nothing() {
    let server = Server::with("tickTime=2000\nenforce.auth.schemes=digest");
    let mut client = server.connect();
    client.create("/any", b"").unwrap();
    client.close();
}

#[test]
fn a_server_that_nobody_could_enter_does_not_start() {
    if tenure_only("ZooKeeper does not start either, and says so in words of its own") {
        return;
    }
    for (settings, words) in [
        ("enforce.auth.enabled=true", "enforce.auth.schemes"),
        ("enforce.auth.enabled=ture\nenforce.auth.schemes=digest", "enforce.auth.enabled"),
        ("enforce.auth.enabled=true\nenforce.auth.schemes=digest,nosuch", "\"nosuch\""),
        ("sessionRequireClientSASLAuth=true", "\"sasl\""),
        (
            "enforce.auth.enabled=true\nenforce.auth.schemes=digest\n\
             DigestAuthenticationProvider.enabled=false",
            "\"digest\"",
        ),
    ] {
        let refused =
            std::panic::catch_unwind(|| Server::with(&format!("tickTime=2000\n{settings}")));
        let why = *refused.err().expect(settings).downcast::<String>().unwrap();
        assert!(why.contains(words), "{settings}: {why}");
    }
}

#[test]
fn the_right_sasl_password_makes_a_sasl_user() {
    let mut client = SASL.connect();
    let reply = sasl::authenticate(&mut client, "bob", "secret");
    assert!(sasl::token_of(&reply).unwrap().starts_with("rspauth="));
    assert_eq!(schemes(&mut client), ["ip", "sasl"]);
    let bob = [Acl::new(ALL, "sasl", "bob")];
    client.create_acl("/sasl-bob", b"", &bob, 0).unwrap();
    let mut other = SASL.connect();
    assert_eq!(other.get("/sasl-bob"), Err(code::NO_AUTH));
    assert_eq!(client.get("/sasl-bob").unwrap().0.as_deref(), Some(&b""[..]));
    client.close();
    other.close();
}

#[test]
fn a_wrong_sasl_password_ends_the_connection_and_not_the_session() {
    let mut wrong = vec![("bob", "wrong"), ("nobody", "secret")];
    if !tenure_only("ZooKeeper hangs up on an empty name without an answer") {
        wrong.extend([("bob", ""), ("", "secret"), ("", "")]);
    }
    for (user, password) in wrong {
        let mut client = SASL.connect();
        let ticket = client.ticket();
        let reply = sasl::authenticate(&mut client, user, password);
        sasl::expect_failure(&mut client, &reply, code::AUTH_FAILED);
        let mut client = SASL.establish(&ticket);
        assert_eq!(schemes(&mut client), ["ip"]);
        client.close();
    }
}

#[test]
fn a_token_of_another_connection_is_worth_nothing() {
    let mut first = SASL.connect();
    let challenge = sasl::begin(&mut first);
    let token = Answer::to(&challenge, "bob", "secret").token();
    assert!(sasl::token_of(&sasl::send(&mut first, token.as_bytes())).is_some());
    let mut second = SASL.connect();
    assert_ne!(sasl::begin(&mut second), challenge);
    let reply = sasl::send(&mut second, token.as_bytes());
    sasl::expect_failure(&mut second, &reply, code::AUTH_FAILED);
    first.close();
}

#[test]
fn lies_in_a_token_are_noticed() {
    let mut lies: Vec<fn(&mut Answer)> = vec![
        |answer| answer.realm = "elsewhere".into(),
        |answer| answer.realm.clear(),
        |answer| answer.nonce = "made up".into(),
        |answer| answer.count = "00000002",
        |answer| answer.qop = "auth-conf",
        |answer| answer.user = "BOB".into(),
        |answer| answer.password = "secret ".into(),
    ];
    if !tenure_only("ZooKeeper lets every user be whom it says") {
        lies.push(|answer| answer.authzid = Some("super".into()));
    }
    for (number, lie) in lies.into_iter().enumerate() {
        let mut client = SASL.connect();
        let mut answer = Answer::to(&sasl::begin(&mut client), "bob", "secret");
        lie(&mut answer);
        let reply = sasl::send(&mut client, answer.token().as_bytes());
        assert_eq!(reply.err, code::AUTH_FAILED, "lie {number}: {}", answer.token());
        sasl::expect_failure(&mut client, &reply, code::AUTH_FAILED);
    }
}

#[test]
fn truncated_tokens_fail() {
    let mut client = SASL.connect();
    let whole = Answer::to(&sasl::begin(&mut client), "bob", "secret").token();
    // What follows the response may be left out; before it, something is missing.
    let end = whole.find(",qop").unwrap();
    for length in (1..end).step_by(7) {
        let mut client = SASL.connect();
        let token = Answer::to(&sasl::begin(&mut client), "bob", "secret").token();
        let reply = sasl::send(&mut client, &token.as_bytes()[..length]);
        assert_eq!(reply.err, code::AUTH_FAILED, "{}", &token[..length]);
        sasl::expect_failure(&mut client, &reply, code::AUTH_FAILED);
    }
    client.close();
}

#[test]
fn malformed_and_huge_tokens_fail_and_the_server_goes_on() {
    let huge = vec![b'a'; 900_000];
    let many = "a=b,".repeat(200_000);
    let quotes = "\"".repeat(1000);
    let tokens: [&[u8]; 9] = [
        b"=",
        b"username",
        b"username=\"bob",
        b"\xff\xfe\xfd",
        b",,,,",
        b"\0",
        &huge,
        many.as_bytes(),
        quotes.as_bytes(),
    ];
    for token in tokens {
        let mut client = SASL.connect();
        sasl::begin(&mut client);
        let reply = sasl::send(&mut client, token);
        sasl::expect_failure(&mut client, &reply, code::AUTH_FAILED);
    }
    // The first token of all means nothing, whatever it says.
    let mut client = SASL.connect();
    let reply = sasl::send(&mut client, b"username=\"bob\"");
    assert!(sasl::token_of(&reply).is_some_and(|token| token.contains("nonce=")));
    let reply = sasl::send(&mut client, b"");
    sasl::expect_failure(&mut client, &reply, code::AUTH_FAILED);
    let mut client = SASL.connect();
    sasl::authenticate(&mut client, "bob", "secret");
    client.close();
}

#[test]
fn where_sasl_is_required_its_failure_says_so() {
    let settings = format!("{}\nsessionRequireClientSASLAuth=true", *WITH_SASL);
    let server = Server::with(&settings);
    let mut client = server.connect();
    expect_turned_away(&mut client, &Op::exists("/", false));
    let mut client = server.connect();
    client.authenticate("digest", "bob:secret");
    expect_turned_away(&mut client, &Op::exists("/", false));
    let mut client = server.connect();
    let reply = sasl::authenticate(&mut client, "bob", "wrong");
    sasl::expect_failure(&mut client, &reply, code::AUTH_REQUIRED);
    let mut client = server.connect();
    sasl::authenticate(&mut client, "bob", "secret");
    client.create("/entered", b"").unwrap();
    client.close();
}

#[test]
fn clients_whose_sasl_failed_can_be_let_go_on_as_nobody() {
    let settings = format!("{}\nallowSaslFailedClients=true", *WITH_SASL);
    let server = Server::with(&settings);
    let mut client = server.connect();
    let reply = sasl::authenticate(&mut client, "bob", "wrong");
    assert_eq!(sasl::token_of(&reply), None);
    assert_eq!(schemes(&mut client), ["ip"]);
    client.close();
    // Not where SASL is required.
    let server = Server::with(&format!("{settings}\nsessionRequireClientSASLAuth=true"));
    let mut client = server.connect();
    let reply = sasl::authenticate(&mut client, "bob", "wrong");
    sasl::expect_failure(&mut client, &reply, code::AUTH_REQUIRED);
}

#[test]
fn a_session_resumed_over_a_new_connection_must_show_its_client_again() {
    let mut client = DIGEST_REQUIRED.connect();
    client.authenticate("digest", "bob:secret");
    client.create_mode("/again", b"", 1).unwrap();
    let ticket = client.ticket();
    client.hang_up();
    let mut client = DIGEST_REQUIRED.establish(&Handshake { ..ticket });
    expect_turned_away(&mut client, &Op::delete("/again", -1));
}
