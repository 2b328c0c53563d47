//! The fixed conversation: every operation, its errors, multi, watches, handshakes.

use std::borrow::Cow;
use std::io::Result;
use std::path::Path;

use tenure_wire::{
    Acl, ConnectRequest, Create, CreateMode, ErrorCode, MultiHeader, OpCode, Perms, Put, Request,
    SessionId, SetWatches, Zxid,
};

use crate::link::Link;
use crate::recorder::{Recorder, Way};

/// Writes one part of the conversation.
type Part = fn(&str, &mut Recorder) -> Result<()>;

/// Plays all of it against a fresh server and writes one file per part into `folder`.
pub(crate) fn run(server: &str, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder)?;
    let parts: [(&str, Part); 8] = [
        ("handshake", handshake),
        ("create", create),
        ("read", read),
        ("write", write),
        ("multi", multi),
        ("watch", watch),
        ("session", session),
        ("reconfig", reconfig),
    ];
    for (name, part) in parts {
        let mut recorder = Recorder::default();
        part(server, &mut recorder)?;
        recorder.save(&folder.join(name).with_extension("hex"))?;
    }
    Ok(())
}

fn handshake(server: &str, recorder: &mut Recorder) -> Result<()> {
    let fresh = ConnectRequest {
        timeout_ms: 10_000,
        password: Some(&[0; 16]),
        read_only: Some(false),
        ..ConnectRequest::default()
    };
    let mut open = |name: &str, sentence: &str, request: &ConnectRequest<'_>| {
        Link::open(recorder, server, (name, sentence), request)
    };
    let first = open("new", "A new session.", &fresh)?;
    let old = ConnectRequest { read_only: None, ..fresh.clone() };
    open("new-old", "A new session for a client that knows no readOnly.", &old)?.close()?;
    let bare = ConnectRequest { password: None, ..fresh.clone() };
    open("new-null", "A new session with a null password.", &bare)?.close()?;
    let willing = ConnectRequest { read_only: Some(true), password: Some(b""), ..fresh.clone() };
    open("new-willing", "Read-only would do; the password is empty.", &willing)?.close()?;
    let short = ConnectRequest { timeout_ms: 1, protocol_version: 7, ..fresh.clone() };
    open("new-short", "A timeout below the minimum, another version.", &short)?.close()?;
    let long = ConnectRequest { timeout_ms: i32::MAX, ..fresh.clone() };
    open("new-long", "A timeout above the maximum.", &long)?.close()?;

    let granted = first.granted;
    let resume = ConnectRequest {
        session: granted.session,
        password: Some(&granted.password),
        ..fresh.clone()
    };
    open("resume", "Resume the first session.", &resume)?;
    let resume_old = ConnectRequest { read_only: None, timeout_ms: 5_000, ..resume.clone() };
    open("resume-old", "Resume without readOnly, with another timeout.", &resume_old)?;
    let wrong = ConnectRequest { password: Some(&[1; 16]), ..resume };
    open("refused-password", "Resume with a wrong password.", &wrong)?;
    let unknown = ConnectRequest { session: SessionId(0x1234), ..fresh };
    open("refused-unknown", "Resume a session that never was.", &unknown)?;
    let unknown_old = ConnectRequest { read_only: None, ..unknown };
    open("refused-old", "The same without readOnly.", &unknown_old)?;
    Ok(())
}

fn create(server: &str, recorder: &mut Recorder) -> Result<()> {
    let mut link = Link::silent(server)?;
    link.quietly(&made(OpCode::Create, "/c", CreateMode::Persistent))?;
    let mut ask = |name: &str, sentence: &str, request: Request<'_>| {
        link.ask(recorder, (name, sentence), &request)
    };
    use CreateMode::{
        Container, Ephemeral, EphemeralSequential, Persistent, PersistentSequential,
        PersistentSequentialTtl, PersistentTtl,
    };
    for (name, mode) in [
        ("persistent", Persistent),
        ("ephemeral", Ephemeral),
        ("persistent-sequential", PersistentSequential),
        ("ephemeral-sequential", EphemeralSequential),
    ] {
        let path = format!("/c/{name}-");
        ask(name, "Answered with the path.", made(OpCode::Create, &path, mode))?;
        let (name, path) = (format!("{name}-2"), format!("/c/{name}-2-"));
        ask(&name, "Answered with path and stat.", made(OpCode::Create2, &path, mode))?;
    }
    ask("container", "A container.", made(OpCode::CreateContainer, "/c/container", Container))?;
    ask("ttl", "With a time to live.", made(OpCode::CreateTtl, "/c/ttl", PersistentTtl))?;
    let request = made(OpCode::CreateTtl, "/c/ttl-", PersistentSequentialTtl);
    ask("ttl-sequential", "Sequential with a time to live.", request)?;

    let null = Create { data: None, ..record(OpCode::Create, "/c/null", Persistent) };
    ask("null", "Null data.", Request::Create(null))?;
    let empty = Create { data: Some(b""), ..record(OpCode::Create, "/c/empty", Persistent) };
    ask("empty", "Empty data.", Request::Create(empty))?;
    let acl = vec![
        Acl { perms: Perms::READ, scheme: "ip".into(), id: "127.0.0.0/8".into() },
        Acl { perms: Perms::ALL, scheme: "world".into(), id: "anyone".into() },
    ];
    let listed = Create { acl, ..record(OpCode::Create, "/c/ünï", Persistent) };
    ask("acl", "Two ACL entries, a path beyond ASCII.", Request::Create(listed))?;

    ask("exists", "The path exists.", made(OpCode::Create, "/c/null", Persistent))?;
    ask("no-parent", "The parent is missing.", made(OpCode::Create2, "/c/no/x", Persistent))?;
    let under = made(OpCode::Create, "/c/ephemeral-/x", Persistent);
    ask("under-ephemeral", "The parent is ephemeral.", under)?;
    ask("bad-path", "An invalid path.", made(OpCode::Create, "/c//x", Persistent))?;
    let flags = Create { flags: 9, ..record(OpCode::Create, "/c/flags", Persistent) };
    ask("bad-flags", "Flags that mean nothing.", Request::Create(flags))?;
    let open = Create { acl: Vec::new(), ..record(OpCode::Create, "/c/open", Persistent) };
    ask("no-acl", "An empty access control list.", Request::Create(open))?;
    let ttl = Create { ttl_ms: Some(-1), ..record(OpCode::CreateTtl, "/c/t", PersistentTtl) };
    ask("bad-ttl", "A negative time to live.", Request::Create(ttl))?;
    link.close()
}

fn read(server: &str, recorder: &mut Recorder) -> Result<()> {
    let mut link = Link::silent(server)?;
    for path in ["/r", "/r/a", "/r/b"] {
        link.quietly(&made(OpCode::Create, path, CreateMode::Persistent))?;
    }
    link.quietly(&made(OpCode::Create, "/r/mine", CreateMode::Ephemeral))?;
    let null = Create { data: None, ..record(OpCode::Create, "/r/null", CreateMode::Persistent) };
    link.quietly(&Request::Create(null))?;
    let write_only = Acl { perms: Perms::WRITE, ..Acl::OPEN };
    let closed = record(OpCode::Create, "/r/closed", CreateMode::Persistent);
    link.quietly(&Request::Create(Create { acl: vec![write_only], ..closed }))?;
    let mut ask = |name: &str, sentence: &str, request: Request<'_>| {
        link.ask(recorder, (name, sentence), &request)
    };
    let watch = false;
    ask("exists", "A znode's stat.", Request::Exists { path: "/r/a".into(), watch })?;
    ask("exists-not", "No such znode.", Request::Exists { path: "/r/x".into(), watch })?;
    ask("data", "Data and stat.", Request::GetData { path: "/r/a".into(), watch })?;
    ask("data-null", "Null data.", Request::GetData { path: "/r/null".into(), watch })?;
    let mine = Request::GetData { path: "/r/mine".into(), watch };
    ask("data-ephemeral", "Of an ephemeral.", mine)?;
    ask("data-not", "No such znode.", Request::GetData { path: "/r/x".into(), watch })?;
    let closed = Request::GetData { path: "/r/closed".into(), watch };
    ask("data-closed", "Reading is not allowed.", closed)?;
    ask("acl", "Neither is reading the list.", Request::GetAcl { path: "/r/closed".into() })?;
    ask("acl-open", "The open list.", Request::GetAcl { path: "/r".into() })?;
    ask("children", "Names.", Request::GetChildren { path: "/r".into(), watch })?;
    ask("children-none", "No names.", Request::GetChildren { path: "/r/a".into(), watch })?;
    ask("children2", "Names and stat.", Request::GetChildren2 { path: "/r".into(), watch })?;
    ask("children2-not", "No such znode.", Request::GetChildren2 { path: "/x".into(), watch })?;
    ask("count", "All descendants.", Request::GetAllChildrenNumber { path: "/r".into() })?;
    ask("ephemerals", "Own ephemerals.", Request::GetEphemerals { prefix: "/r".into() })?;
    ask("ephemerals-none", "None.", Request::GetEphemerals { prefix: "/x".into() })?;
    ask("sync", "The path is echoed.", Request::Sync { path: "/any where".into() })?;
    let (op, label) = (OpCode::GetData, OpCode::GetData.name());
    let cut = (Way::BadRequest, op.code(), label);
    link.ask_raw(recorder, ("cut", "A body that is cut short."), cut, &[0, 0, 0, 9, b'/'])?;
    link.close()
}

fn write(server: &str, recorder: &mut Recorder) -> Result<()> {
    let mut link = Link::silent(server)?;
    for path in ["/w", "/w/a", "/w/a/b"] {
        link.quietly(&made(OpCode::Create, path, CreateMode::Persistent))?;
    }
    link.quietly(&made(OpCode::CreateContainer, "/w/container", CreateMode::Container))?;
    let mut ask = |name: &str, sentence: &str, request: Request<'_>| {
        link.ask(recorder, (name, sentence), &request)
    };
    let set = |path, data, version| Request::SetData { path, data, version };
    ask("set", "Any version.", set("/w/a".into(), Some(&b"new"[..]), -1))?;
    ask("set-null", "Null, at version 1.", set("/w/a".into(), None, 1))?;
    ask("set-stale", "Another version.", set("/w/a".into(), Some(b"x"), 1))?;
    ask("set-not", "No such znode.", set("/w/x".into(), Some(b"x"), -1))?;
    let id = "tom:GiUdKmM6XvsvEB5Kn0lmZjRTI6w=".into();
    let digest = Acl { perms: Perms::READ | Perms::ADMIN, scheme: "digest".into(), id };
    let acl = vec![digest, Acl::OPEN];
    let set_acl = |acl, version| Request::SetAcl { path: "/w/a".into(), acl, version };
    ask("acl", "A new access control list.", set_acl(acl.clone(), 0))?;
    ask("acl-stale", "Another aversion.", set_acl(acl, 0))?;
    let wrong = vec![Acl { scheme: "nobody".into(), ..Acl::OPEN }];
    ask("acl-wrong", "An unknown scheme.", set_acl(wrong, -1))?;
    let delete = |path, version| Request::Delete { path, version };
    ask("delete-parent", "It has children.", delete("/w/a".into(), -1))?;
    ask("delete-stale", "Another version.", delete("/w/a/b".into(), 5))?;
    ask("delete", "Done.", delete("/w/a/b".into(), 0))?;
    ask("delete-not", "No such znode.", delete("/w/a/b".into(), -1))?;
    let container = Request::DeleteContainer { path: "/w/container".into() };
    ask("delete-container", "An empty container.", container)?;
    link.close()?;

    let mut link = Link::silent(server)?;
    let check = Request::Check { path: "/w".into(), version: 0 };
    link.ask(recorder, ("check", "Not outside a multi; the server hangs up."), &check)?;
    let mut link = Link::silent(server)?;
    let unknown = (Way::BadRequest, 999, "unknown");
    link.ask_raw(recorder, ("unknown", "No such operation; the server hangs up."), unknown, &[])?;
    Ok(())
}

fn multi(server: &str, recorder: &mut Recorder) -> Result<()> {
    let mut link = Link::silent(server)?;
    let mut ask = |name: &str, sentence: &str, request: Request<'_>| {
        link.ask(recorder, (name, sentence), &request)
    };
    let delete = |path, version| Request::Delete { path, version };
    let set = |path, data, version| Request::SetData { path, data, version };
    let check = |path, version| Request::Check { path, version };
    let all = vec![
        made(OpCode::Create, "/m", CreateMode::Persistent),
        made(OpCode::Create2, "/m/two-", CreateMode::EphemeralSequential),
        made(OpCode::CreateContainer, "/m/container", CreateMode::Container),
        made(OpCode::CreateTtl, "/m/ttl", CreateMode::PersistentTtl),
        set("/m".into(), Some(&b"multi"[..]), 0),
        check("/m".into(), 1),
        delete("/m/ttl".into(), -1),
    ];
    ask("all", "One of each, all done.", Request::Multi(all))?;
    let failing = vec![
        set("/m".into(), None, 1),
        delete("/m/x".into(), -1),
        check("/m".into(), -1),
        made(OpCode::Create, "/m/after", CreateMode::Persistent),
    ];
    ask("failing", "The second fails, so all do.", Request::Multi(failing))?;
    ask("empty", "Nothing to do.", Request::Multi(Vec::new()))?;
    let watch = false;
    let reads = vec![
        Request::GetData { path: "/m".into(), watch },
        Request::GetChildren { path: "/m".into(), watch },
        Request::GetData { path: "/m/x".into(), watch },
    ];
    ask("reads", "Each read stands alone: the third fails.", Request::MultiRead(reads))?;

    let mixed = vec![check("/m".into(), -1), Request::GetData { path: "/m".into(), watch }];
    let wrong = vec![Request::SetAcl { path: "/m".into(), acl: vec![Acl::OPEN], version: -1 }];
    let flags = Create { flags: 7, ..record(OpCode::Create, "/m/f", CreateMode::Persistent) };
    let flags = vec![Request::Create(flags)];
    for (name, sentence, request) in [
        ("mixed", "A read among writes.", Request::Multi(mixed)),
        ("not-allowed", "An operation that no multi may hold.", Request::Multi(wrong)),
        ("bad-flags", "Create flags that mean nothing.", Request::Multi(flags)),
    ] {
        let mut body = Vec::new();
        request.encode(&mut body);
        let way = (Way::BadRequest, OpCode::Multi.code(), OpCode::Multi.name());
        let code = link.ask_raw(recorder, (name, sentence), way, &body)?;
        assert_eq!(code, ErrorCode::MarshallingError.code(), "{name}");
    }
    let mut body = Vec::new();
    MultiHeader { op: OpCode::Check.code(), done: false, err: -1 }.encode(&mut body);
    body.put_text("/m");
    let way = (Way::BadRequest, OpCode::Multi.code(), OpCode::Multi.name());
    link.ask_raw(recorder, ("cut", "Cut short."), way, &body)?;
    link.close()
}

fn watch(server: &str, recorder: &mut Recorder) -> Result<()> {
    let mut other = Link::silent(server)?;
    other.quietly(&made(OpCode::Create, "/n", CreateMode::Persistent))?;
    let mut link = Link::silent(server)?;
    let watch = true;
    let made = |path| made(OpCode::Create, path, CreateMode::Persistent);
    let set = |path| Request::SetData { path, data: None, version: -1 };
    let delete = |path| Request::Delete { path, version: -1 };
    for (name, sentence, request) in [
        ("exists", "A watch on a znode to come.", Request::Exists { path: "/n/a".into(), watch }),
        ("children", "On children.", Request::GetChildren { path: "/n".into(), watch }),
        ("create", "Both fire, before the reply.", made("/n/a")),
        ("data", "On data.", Request::GetData { path: "/n/a".into(), watch }),
        ("set", "It fires.", set("/n/a".into())),
        ("children2", "On children.", Request::GetChildren2 { path: "/n/a".into(), watch }),
        ("delete", "It fires for the znode itself.", delete("/n/a".into())),
        ("persistent", "Persistent.", Request::AddWatch { path: "/n".into(), mode: 0 }),
        ("recursive", "Recursive.", Request::AddWatch { path: "/n".into(), mode: 1 }),
        ("bad-mode", "No such mode.", Request::AddWatch { path: "/n".into(), mode: 2 }),
        ("create-again", "They fire.", made("/n/a")),
        ("check", "Is it set?", Request::CheckWatches { path: "/n".into(), kind: 5 }),
        ("check-not", "No.", Request::CheckWatches { path: "/n".into(), kind: 2 }),
        ("remove", "Any kind.", Request::RemoveWatches { path: "/n".into(), kind: 3 }),
        ("remove-not", "None left.", Request::RemoveWatches { path: "/n".into(), kind: 3 }),
        ("remove-bad", "No such kind.", Request::RemoveWatches { path: "/n".into(), kind: 9 }),
    ] {
        link.ask(recorder, (name, sentence), &request)?;
    }
    let paths = |paths: &'static [&str]| paths.iter().map(|&path| path.into()).collect::<Vec<_>>();
    let mut again = SetWatches {
        op: OpCode::SetWatches,
        relative_zxid: Zxid(0),
        data: paths(&["/n/a", "/n/gone"]),
        exist: paths(&["/n/new"]),
        child: paths(&["/n"]),
        persistent: Vec::new(),
        persistent_recursive: Vec::new(),
    };
    let late = ("again", "After a reconnect: what changed meanwhile is notified with zxid -1.");
    link.ask(recorder, late, &Request::SetWatches(again.clone()))?;
    again.op = OpCode::SetWatches2;
    again.relative_zxid = Zxid(i64::MAX);
    again.data.pop();
    again.persistent = paths(&["/n/p"]);
    again.persistent_recursive = paths(&["/n/q", "/n/r"]);
    let quiet = ("again-2", "With persistent ones; nothing changed meanwhile.");
    link.ask(recorder, quiet, &Request::SetWatches(again))?;
    other.quietly(&made("/n/new"))?;
    link.notified(recorder, "again-2-created")?;
    link.notified(recorder, "again-2-child")?;
    link.close()?;
    other.close()
}

fn session(server: &str, recorder: &mut Recorder) -> Result<()> {
    let mut link = Link::silent(server)?;
    let auth = |scheme: &'static str, auth| Request::Auth { scheme: scheme.into(), auth };
    for (name, sentence, request) in [
        ("ping", "Still here.", Request::Ping),
        ("who-am-i", "The address is an identity.", Request::WhoAmI),
        ("auth", "A name and password.", auth("digest", Some(&b"tom:secret"[..]))),
        ("who-am-i-now", "A second identity.", Request::WhoAmI),
        ("sasl", "A server without SASL answers null.", Request::Sasl { token: Some(b"") }),
        ("close", "The end; the server hangs up.", Request::CloseSession),
    ] {
        link.ask(recorder, (name, sentence), &request)?;
    }
    let mut link = Link::silent(server)?;
    let refused = ("auth-refused", "An unknown scheme; the server hangs up.");
    link.ask(recorder, refused, &auth("nobody", None))?;
    Ok(())
}

fn reconfig(server: &str, recorder: &mut Recorder) -> Result<()> {
    let mut link = Link::silent(server)?;
    let reconfig = |joining, leaving, new_members| Request::Reconfig {
        joining,
        leaving,
        new_members,
        config_id: -1,
    };
    let leave = reconfig(None, Some("9".into()), None);
    link.ask(recorder, ("refused", "Not allowed, or switched off."), &leave)?;
    let super_user = Request::Auth { scheme: "digest".into(), auth: Some(b"super:admin") };
    link.quietly(&super_user)?;
    link.ask(recorder, ("leave", "An unknown member leaves."), &leave)?;
    let member: Cow<'_, str> = "server.1=127.0.0.1:21841:21842:participant;127.0.0.1:21843".into();
    let all = reconfig(None, None, Some(member.clone()));
    link.ask(recorder, ("all", "All members anew."), &all)?;
    let join = reconfig(Some(member), Some("".into()), None);
    link.ask(recorder, ("join", "A member joins."), &join)?;
    link.close()
}

/// A create with data, the open list, and a time to live where the operation has one.
fn made(op: OpCode, path: &str, mode: CreateMode) -> Request<'_> {
    Request::Create(record(op, path, mode))
}

fn record(op: OpCode, path: &str, mode: CreateMode) -> Create<'_> {
    let ttl_ms = (op == OpCode::CreateTtl).then_some(60_000);
    let (path, data, acl) = (path.into(), Some(&b"data"[..]), vec![Acl::OPEN]);
    Create { op, path, data, acl, flags: mode.flags(), ttl_ms }
}
