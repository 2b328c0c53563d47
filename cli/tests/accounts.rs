//! What operators can find out afterwards: the audit log, who was refused what, and that no secret
//! is in either. And who counts as an operator.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use support::client::AUTH_XID;
use support::ops::{ALL, Acl, READ};
use support::sasl;
use support::{Client, Handshake, Op, Server, code};

/// SHA-1 of `super:admin`, as the setting wants it.
const SUPER: &str = "DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=";

/// A server with an audit log and SASL, and more.
fn audited(settings: &str) -> (Server, PathBuf) {
    let folder = tempfile::Builder::new().prefix("tenure-audit-").tempdir().unwrap().keep();
    let jaas = folder.join("jaas.conf");
    let login = "org.apache.zookeeper.server.auth.DigestLoginModule required";
    fs::write(&jaas, format!("Server {{ {login}\n user_bob=\"saslpassword\"; }};\n")).unwrap();
    let audit = folder.join("audit").join("audit.log");
    let server = Server::with(&format!(
        "tickTime=500\naudit.enable=true\ntenure.audit.file={}\n{SUPER}\n\
         java.security.auth.login.config={}\n{settings}",
        audit.display(),
        jaas.display()
    ));
    (server, audit)
}

/// The lines after the server has ended, each an object.
fn lines(mut server: Server, audit: &PathBuf) -> Vec<Value> {
    server.stop();
    let text = fs::read_to_string(audit).unwrap();
    fs::remove_dir_all(audit.parent().unwrap().parent().unwrap()).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for secret in ["saslpassword", "opensesame", "admin:", "fyVmFCwVbTJYrznoSu1koqYEYF0="] {
        assert!(!text.contains(secret), "{secret} is in the audit log:\n{text}");
    }
    lines
}

/// Lines of one session without time, session and what repeats in each.
fn of_session(lines: &[Value], session: i64) -> Vec<Value> {
    let session = format!("0x{session:x}");
    let of_session = lines.iter().filter(|line| line["session"] == session.as_str());
    let short = |line: &Value| {
        let mut line = line.clone();
        let fields = line.as_object_mut().unwrap();
        for name in ["time", "session", "ip", "identities", "user", "zxid"] {
            fields.remove(name);
        }
        line
    };
    of_session.map(short).collect()
}

fn done(operation: &str, path: &str) -> Value {
    json!({"operation": operation, "znode": path, "result": "success"})
}

fn made(kind: &str, path: &str) -> Value {
    let operation = "create";
    json!({"operation": operation, "znode": path, "znode_type": kind, "result": "success"})
}

fn failed(operation: &str, path: &str, error: &str) -> Value {
    json!({"operation": operation, "znode": path, "result": "failure", "error": error})
}

#[test]
fn every_change_is_in_the_audit_log_with_the_names_of_the_reference_server() {
    let (server, audit) = audited("");
    let mut client = server.connect();
    client.authenticate("digest", "bob:secret");
    client.create("/a", b"x").unwrap();
    client.create_mode("/e", b"", 1).unwrap();
    client.create_mode("/a/s-", b"", 2).unwrap();
    client.run(&Op::create_container("/c")).unwrap();
    client.set("/a", b"y").unwrap();
    client.get("/a").unwrap();
    let acl = [
        Acl::new(ALL, "digest", "bob:fyVmFCwVbTJYrznoSu1koqYEYF0="),
        Acl::new(READ, "world", "anyone"),
    ];
    client.set_acl("/a", &acl).unwrap();
    assert_eq!(client.delete("/nosuch"), Err(code::NO_NODE));
    client.multi(&[Op::create("/m", b"", 0), Op::delete("/c", -1), Op::check("/m", 0)]).unwrap();
    client.multi(&[Op::create("/n", b"", 0), Op::delete("/nosuch", -1)]).unwrap();
    let id = client.id();
    client.close();
    let lines = lines(server, &audit);
    let mut with_acl = done("setAcl", "/a");
    with_acl["acl"] = "digest:bob:x:cdrwa,world:anyone:r".into();
    let gone = "ephemeralZNodeDeletionOnSessionCloseOrExpire";
    let expected = [
        made("persistent", "/a"),
        made("ephemeral", "/e"),
        made("persistent_sequential", "/a/s-0000000000"),
        made("container", "/c"),
        done("setData", "/a"),
        with_acl,
        failed("delete", "/nosuch", "NoNode"),
        made("persistent", "/m"),
        done("delete", "/c"),
        failed("multiOperation", "/nosuch", "NoNode"),
        done(gone, "/e"),
        json!({"operation": "closeSession", "result": "success"}),
    ];
    assert_eq!(of_session(&lines, id), expected);
    // Whole, for once.
    let first = lines.iter().find(|line| line["znode"] == "/a").unwrap();
    assert_eq!((&first["user"], &first["ip"]), (&"bob,127.0.0.1".into(), &"127.0.0.1".into()));
    assert_eq!(first["identities"], json!(["ip:127.0.0.1", "digest:bob"]));
    assert!(first["time"].as_str().is_some_and(|time| time.ends_with('Z')));
    let zxids: Vec<&str> = lines.iter().filter_map(|line| line["zxid"].as_str()).collect();
    assert!(zxids.is_sorted() && zxids.len() == expected.len(), "{zxids:?}");
    let ends = [&lines[0]["operation"], &lines[lines.len() - 1]["operation"]];
    assert_eq!(ends, ["serverStart", "serverStop"]);
}

#[test]
fn a_session_that_expires_is_told_from_one_that_is_closed() {
    let (server, audit) = audited("");
    let mut watcher = server.connect();
    let mut client = server.establish(&Handshake::new(1000));
    let id = client.id();
    client.create_mode("/e", b"", 1).unwrap();
    watcher.data(&Op::get_data("/e", true)).unwrap();
    client.hang_up();
    watcher.expect_event(support::client::DELETED, "/e");
    watcher.close();
    let lines = lines(server, &audit);
    let gone = "ephemeralZNodeDeletionOnSessionCloseOrExpire";
    let expected = [
        made("ephemeral", "/e"),
        done(gone, "/e"),
        json!({"operation": "expireSession", "result": "success"}),
    ];
    assert_eq!(of_session(&lines, id), expected);
}

#[test]
fn failed_logins_are_recorded_with_the_name_that_was_claimed() {
    let (server, audit) = audited("");
    let mut client = server.connect();
    let id = client.id();
    sasl::authenticate(&mut client, "bob", "opensesame");
    let mut other = server.connect();
    let other_id = other.id();
    other.send_as(AUTH_XID, &Op::auth("nosuch", b"bob:opensesame"));
    assert_eq!(other.reply().err, code::AUTH_FAILED);
    let lines = lines(server, &audit);
    let failure = json!({"operation": "authenticate", "result": "failure", "error": "AuthFailed"});
    assert_eq!(of_session(&lines, id)[0], failure);
    assert_eq!(of_session(&lines, other_id)[0], failure);
    let of_sasl = lines.iter().find(|line| line["operation"] == "authenticate").unwrap();
    assert_eq!(of_sasl["user"], "bob,127.0.0.1");
    assert_eq!(of_sasl["identities"], json!(["ip:127.0.0.1", "sasl:bob"]));
}

#[test]
fn an_audit_log_that_cannot_be_written_stops_the_start() {
    let settings = "tickTime=2000\naudit.enable=true\ntenure.audit.file=/dev/null/audit.log";
    let refused = std::panic::catch_unwind(|| Server::with(settings));
    let why = *refused.err().unwrap().downcast::<String>().unwrap();
    assert!(why.contains("/dev/null/audit.log"), "{why}");
}

#[test]
fn without_the_key_there_is_no_audit_log() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.create("/a", b"").unwrap();
    client.close();
    server.stop();
    assert!(!server.data_dir().join("audit").exists());
}

/// A server with admin HTTP that trusts nobody, not even on this machine, and its address.
fn guarded() -> (Server, PathBuf, String) {
    let port = support::server::free_port();
    let (server, audit) = audited(&format!(
        "admin.enableServer=true\nadmin.serverAddress=127.0.0.1\nadmin.serverPort={port}\n\
         tenure.admin.trust=nobody"
    ));
    (server, audit, format!("127.0.0.1:{port}"))
}

/// Status and body of a request, with `Authorization` if it is not empty.
fn http(admin: &str, method: &str, path: &str, authorization: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(admin).unwrap();
    let shown = match authorization {
        "" => String::new(),
        shown => format!("Authorization: {shown}\r\n"),
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n{shown}");
    stream.write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn operators_show_who_they_are_and_what_they_do_is_recorded() {
    let (server, audit, admin) = guarded();
    let victim = server.connect();
    let close = format!("/sessions/0x{:x}/close", victim.id());
    for (shown, status) in [("", 401), ("digest super:wrong", 403), ("digest bob:secret", 403)] {
        assert_eq!(http(&admin, "POST", &close, shown).0, status, "{shown}");
    }
    // Addresses count, as ZooKeeper has it, where the root's list names them.
    assert_eq!(http(&admin, "GET", "/sessions", "ip").0, 403);
    let mut root = server.connect();
    root.authenticate("digest", "super:admin");
    let named = |perms| Acl::new(perms, "digest", "bob:fyVmFCwVbTJYrznoSu1koqYEYF0=");
    let open = Acl::new(ALL, "world", "anyone");
    root.set_acl("/", &[named(READ), open.clone()]).unwrap();
    assert_eq!(http(&admin, "GET", "/sessions", "digest bob:secret").0, 403);
    root.set_acl("/", &[named(ALL), open]).unwrap();
    assert_eq!(http(&admin, "GET", "/sessions", "digest bob:secret").0, 200);
    assert_eq!(http(&admin, "GET", "/sessions", "digest bob:Secret").0, 403);
    assert_eq!(http(&admin, "POST", &close, "digest super:admin").0, 200);
    assert_eq!(http(&admin, "POST", &close, "digest super:admin").0, 404);
    root.close();
    assert_eq!(server.word("srst"), "Server stats reset.\n");
    let lines = lines(server, &audit);
    let of = |operation: &str| {
        let found = lines.iter().filter(|line| line["operation"] == operation);
        found.map(|line| (line["user"].clone(), line["result"].clone())).collect::<Vec<_>>()
    };
    let closes = of("adminCloseSession");
    assert_eq!(
        closes,
        [
            ("super,127.0.0.1".into(), "success".into()),
            ("super,127.0.0.1".into(), "failure".into())
        ]
    );
    assert_eq!(of("adminAuthenticate").len(), 6);
    assert_eq!(of("fourLetterWord").len(), 1);
    assert_eq!(of("closeSessionByOperator").len(), 1);
}

/// Denials as a command shows them, each without its time.
fn shown_denials(admin: &str, more: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(["session", "denials", "--admin", &format!("http://{admin}")]).args(more);
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(text).unwrap())
}

fn denied(client: &mut Client, op: &Op, error: i32) {
    assert_eq!(client.call(op).err, error);
}

#[test]
fn a_refusal_is_explained_to_operators_alone() {
    let (server, audit, admin) = guarded();
    let mut owner = server.connect();
    owner.authenticate("digest", "bob:secret");
    let list = [Acl::new(ALL, "auth", ""), Acl::new(READ, "ip", "10.0.0.0/8")];
    owner.create_acl("/own", b"", &list, 0).unwrap();
    owner.close();

    let mut client = server.connect();
    client.authenticate("digest", "bob:other");
    client.authenticate("digest", "alice:opensesame");
    for _ in 0..3 {
        denied(&mut client, &Op::get_data("/own", false), code::NO_AUTH);
    }
    denied(&mut client, &Op::create("/own/x", b"", 0), code::NO_AUTH);
    denied(&mut client, &Op::set_acl("/own", &list, -1), code::NO_AUTH);
    // The parts of a multi count too.
    client.multi(&[Op::create("/n", b"", 0), Op::set_data("/own", b"", -1)]).unwrap();
    client.multi_read(&[Op::get_children("/own", false)]).unwrap();

    let (status, answer) = http(&admin, "GET", "/denials", "digest super:admin");
    assert_eq!(status, 200);
    let denials = answer["denials"].as_array().unwrap();
    let needed: Vec<(&str, &str, &str, u64)> = denials
        .iter()
        .map(|denial| {
            let text = |name: &str| denial[name].as_str().unwrap();
            let needed = denial["needed"][0].as_str().unwrap();
            (text("operation"), text("path"), needed, denial["times"].as_u64().unwrap())
        })
        .collect();
    assert_eq!(
        needed,
        [
            ("getChildren", "/own", "READ", 1),
            ("setData", "/own", "WRITE", 1),
            ("setACL", "/own", "ADMIN", 1),
            ("create", "/own/x", "CREATE", 1),
            ("getData", "/own", "READ", 3),
        ]
    );
    let sentence = format!(
        "session 0x{:x}, as ip:127.0.0.1, digest:bob, digest:alice, asked for create of /own/x: \
         that needs CREATE on /own, and its ACL is digest:bob:x:cdrwa,ip:10.0.0.0/8:r; the ACL \
         names bob, with another password.",
        client.id()
    );
    assert_eq!(denials[3]["explanation"], sentence.as_str());
    client.close();

    let (exit, text) = shown_denials(&admin, &["--auth", "digest:super:admin"]);
    assert_eq!(exit, 0);
    assert!(text.contains(&sentence) && text.contains("(3 times)"), "{text}");
    let (exit, text) = shown_denials(&admin, &[]);
    assert_eq!((exit, text.contains("Authorization")), (1, true), "{text}");
    lines(server, &audit);
}

#[test]
fn the_servers_log_holds_no_secret_after_everybody_has_shown_theirs() {
    let (server, audit, admin) = guarded();
    let digest = "fyVmFCwVbTJYrznoSu1koqYEYF0=";
    let mut client = server.connect();
    let session_password: String =
        client.session.password.iter().map(|byte| format!("{byte:02x}")).collect();
    client.authenticate("digest", "bob:secret");
    client.authenticate("digest", "super:admin");
    sasl::authenticate(&mut client, "bob", "saslpassword");
    let list = [Acl::new(ALL, "digest", &format!("bob:{digest}"))];
    client.create_acl("/own", b"", &list, 0).unwrap();
    client.close();
    let mut wrong = server.connect();
    sasl::authenticate(&mut wrong, "bob", "opensesame");
    let mut wrong = server.connect();
    wrong.send_as(AUTH_XID, &Op::auth("nosuch", b"bob:opensesame"));
    assert_eq!(wrong.reply().err, code::AUTH_FAILED);
    let mut stranger = server.connect();
    denied(&mut stranger, &Op::get_data("/own", false), code::NO_AUTH);
    stranger.close();
    assert_eq!(http(&admin, "GET", "/denials", "digest super:opensesame").0, 403);
    let denials = http(&admin, "GET", "/denials", "digest super:admin").1.to_string();
    let configuration = http(&admin, "GET", "/commands/icfg", "digest super:admin").1.to_string();
    assert!(configuration.contains("tickTime"), "{configuration}");
    let log = server.log();
    assert!(log.contains("an operator was not let in"), "{log}");
    let secrets = [
        "saslpassword",
        "opensesame",
        "super:admin",
        "bob:secret",
        digest,
        "xQJmxLMiHGwaqBvst5y6rkB6HQs=",
        &session_password,
    ];
    for secret in secrets {
        for (name, text) in [("log", &log), ("denials", &denials), ("icfg", &configuration)] {
            assert!(!text.contains(secret), "{secret} is in the {name}:\n{text}");
        }
    }
    lines(server, &audit);
}
