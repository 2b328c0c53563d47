//! Sessions over admin HTTP, of a running server with clients on real sockets.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};
use tenure_server::config::{Listen, ServerConfig};
use tenure_server::{ServerHandle, start};
use tenure_wire::{
    Acl, ConnectRequest, ConnectResponse, Create, OpCode, Reader, ReplyHeader, Request,
    RequestHeader, SessionId, Xid, frame,
};

struct Server {
    handle: Option<ServerHandle>,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::start_with(|_| {})
    }

    fn start_with(configure: impl FnOnce(&mut ServerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ServerConfig {
            client: Some(Listen::on("127.0.0.1", 0)),
            data_dir: folder.path().to_path_buf(),
            data_log_dir: folder.path().to_path_buf(),
            ..ServerConfig::default()
        };
        config.sessions.min_timeout_ms = 100;
        config.admin.listen = Listen::on("127.0.0.1", 0);
        configure(&mut config);
        Server { handle: Some(start(&config).unwrap()), _folder: folder }
    }

    fn handle(&self) -> &ServerHandle {
        self.handle.as_ref().unwrap()
    }

    fn admin(&self) -> SocketAddr {
        self.handle().admin_addr().unwrap()
    }

    fn open(&self) -> Client {
        Client::attach(self.handle().client_addr(), SessionId(0), &[0; 16])
    }

    fn get(&self, path: &str) -> Value {
        let (status, body) = http(self.admin(), "GET", path, "");
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn post(&self, path: &str) -> (u16, Value) {
        http(self.admin(), "POST", path, "Content-Length: 0\r\n")
    }

    /// The only event after a number, waiting for it if need be.
    fn next_event(&self, after: u64) -> Value {
        let page = self.get(&format!("/sessions/events?after={after}&wait_ms=20000"));
        assert_eq!(page["next_after"], after + 1, "{page}");
        page["events"][0].clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop().unwrap();
        }
    }
}

fn http(addr: SocketAddr, method: &str, path: &str, more: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(addr).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

struct Client {
    stream: TcpStream,
    granted: ConnectResponse,
}

impl Client {
    fn attach(addr: SocketAddr, session: SessionId, password: &[u8]) -> Self {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = ConnectRequest {
            timeout_ms: 30_000,
            session,
            password: Some(password),
            read_only: Some(false),
            ..ConnectRequest::default()
        };
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        request.encode(&mut bytes);
        frame::end(&mut bytes, start);
        stream.write_all(&bytes).unwrap();
        let mut answer = [0; 41];
        stream.read_exact(&mut answer).unwrap();
        Self { stream, granted: ConnectResponse::decode(&answer[4..]).unwrap() }
    }

    fn id(&self) -> String {
        self.granted.session.to_string()
    }

    fn addr(&self) -> String {
        self.stream.local_addr().unwrap().to_string()
    }

    fn ask(&mut self, request: &Request<'_>) {
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        RequestHeader { xid: Xid(1), op: request.op().code() }.encode(&mut bytes);
        request.encode(&mut bytes);
        frame::end(&mut bytes, start);
        self.stream.write_all(&bytes).unwrap();
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut answer).unwrap();
        let header = ReplyHeader::decode(&mut Reader::new(&answer)).unwrap();
        assert_eq!(header.err, 0, "{request:?}");
    }

    fn create(&mut self, path: &str, flags: i32) {
        let (op, acl) = (OpCode::Create, vec![Acl::OPEN]);
        let path = path.into();
        self.ask(&Request::Create(Create { op, path, data: None, acl, flags, ttl_ms: None }));
    }

    fn delete(&mut self, path: &str) {
        self.ask(&Request::Delete { path: path.into(), version: -1 });
    }

    fn is_cut(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

const EPHEMERAL: i32 = 1;

#[test]
fn a_live_session_is_shown_whole() {
    let server = Server::start();
    let mut client = server.open();
    client.create("/e", EPHEMERAL);
    client.ask(&Request::GetData { path: "/e".into(), watch: true });
    client.ask(&Request::GetChildren { path: "/".into(), watch: true });
    let shown = server.get(&format!("/sessions/{}", client.id()));
    assert_eq!(shown["state"], "live");
    assert_eq!(shown["client"], client.addr());
    assert_eq!((&shown["server"], &shown["opened_by_server"]), (&json!(1), &json!(1)));
    assert_eq!(shown["timeout_ms"], 30_000);
    assert_eq!(shown["ephemeral_paths"], json!(["/e"]));
    assert_eq!(shown["watches"], 2);
    assert_eq!(shown["watched"]["data"], json!(["/e"]));
    assert_eq!(shown["watched"]["children"], json!(["/"]));
    let (silent, left) = (shown["silent_ms"].as_u64().unwrap(), shown["expires_in_ms"].as_u64());
    // The milliseconds are rounded against each other.
    assert!((30_000..=30_001).contains(&(silent + left.unwrap())), "{shown}");
    for moment in ["opened_at", "last_heard_at", "deadline_at"] {
        assert!(shown[moment].as_str().unwrap().ends_with('Z'), "{moment}: {shown}");
    }
    assert!(shown["deadline_at"].as_str() > shown["last_heard_at"].as_str());
    // Without its connection it lives on, and watches nothing.
    server.handle().drop_connection(client.granted.session).unwrap();
    let shown = server.get(&format!("/sessions/{}", client.id()));
    assert_eq!((&shown["client"], &shown["watches"]), (&Value::Null, &json!(0)));
    assert_eq!(shown["server"], 1);
}

#[test]
fn an_operator_closes_a_session_and_sees_what_went_with_it() {
    let server = Server::start();
    let (mut client, other) = (server.open(), server.open());
    client.create("/e", EPHEMERAL);
    let close = format!("/sessions/{}/close", client.id());
    // Neither by a link nor from a web page.
    assert_eq!(http(server.admin(), "GET", &close, "").0, 405);
    let page = "Origin: http://example.com\r\nContent-Length: 0\r\n";
    let (status, refused) = http(server.admin(), "POST", &close, page);
    assert_eq!((status, refused["error"].is_string()), (403, true));
    assert_eq!(server.get("/sessions/why?path=/e")["exists"], true);

    let (status, closed) = server.post(&close);
    assert_eq!((status, &closed["closed"]), (200, &json!(true)), "{closed}");
    assert_eq!(closed["session_id"], client.id());
    assert_eq!((&closed["ephemerals_lost"], &closed["ended_by"]), (&json!(1), &json!("operator")));
    // It is applied when the answer is there.
    assert_eq!(server.get("/sessions/why?path=/e")["exists"], false);
    assert!(client.is_cut());
    assert_eq!(server.get(&format!("/sessions/{}", other.id()))["state"], "live");

    let (status, gone) = server.post(&close);
    let why = gone["error"].as_str().unwrap();
    assert_eq!(status, 404);
    assert!(why.contains("it ended at 20") && why.ends_with("closed by an operator"), "{why}");
    assert_eq!(server.post("/sessions/0x77/close").0, 404);
    assert_eq!(server.post("/sessions/x/close").0, 400);
    assert_eq!(server.post("/sessions").0, 405);
}

#[test]
fn why_an_ephemeral_is_gone() {
    let server = Server::start();
    let (mut owner, mut other) = (server.open(), server.open());
    let why = |path: &str| server.get(&format!("/sessions/why?path={path}"));
    let says = |path: &str, expected: &str| {
        let answer = why(path);
        let text = answer["explanation"].as_str().unwrap().to_owned();
        assert!(text.starts_with(&format!("{} ", answer["path"].as_str().unwrap())), "{text}");
        assert!(text.contains(expected), "{text}");
        answer
    };
    owner.create("/plain", 0);
    says("/plain", "exists and is not ephemeral");
    owner.create("/here%20now", EPHEMERAL);
    let answer = says("/here%2520now", "exists and belongs to session");
    assert_eq!(answer["path"], "/here%20now");
    assert_eq!(answer["owner"]["client"], owner.addr());

    owner.create("/taken", EPHEMERAL);
    other.delete("/taken");
    let answer = says("/taken", "and was deleted by session");
    assert_eq!(answer["deleted"]["session_id"], owner.id());
    assert_eq!(answer["deleted"]["by_session_id"], other.id());
    assert_eq!((&answer["owner"]["state"], &answer["ended"]), (&json!("live"), &Value::Null));
    owner.create("/given", EPHEMERAL);
    owner.delete("/given");
    says("/given", "which owned it");

    // The same path again, and more of them than the record of an ended session names.
    other.create("/taken", EPHEMERAL);
    for i in 0..20 {
        other.create(&format!("/many{i}"), EPHEMERAL);
    }
    server.handle().expire_session(other.granted.session).unwrap();
    for path in ["/taken", "/many0", "/many19"] {
        let answer = says(path, "which expired: nothing heard from its client for 30000 ms");
        assert_eq!(answer["ended"]["session_id"], other.id());
        assert_eq!((&answer["deleted"], &answer["owner"]), (&Value::Null, &Value::Null));
    }
    owner.ask(&Request::CloseSession);
    says("/here%2520now", "which was closed by its client");
    let answer = says("/never", "is not remembered as an ephemeral znode. Of 22 ephemerals");
    assert_eq!((&answer["ephemerals_lost"], &answer["paths_remembered"]), (&json!(22), &json!(9)));

    for bad in ["", "?path=", "?path=x", "?path=/a%2", "?path=/%ff"] {
        assert_eq!(http(server.admin(), "GET", &format!("/sessions/why{bad}"), "").0, 400, "{bad}");
    }
}

#[test]
fn sessions_are_followed_live() {
    let server = Server::start();
    let nothing = server.get("/sessions/events");
    assert_eq!(nothing, json!({"events": [], "missed": 0, "next_after": 0}));
    // Held back until something happens, while others are served.
    let admin = server.admin();
    let waiting = thread::spawn(move || {
        http(admin, "GET", "/sessions/events?after=0&wait_ms=20000", "").1["events"][0].clone()
    });
    let client = server.open();
    let established = waiting.join().unwrap();
    assert_eq!((&established["seq"], &established["kind"]), (&json!(1), &json!("established")));
    assert_eq!(established["session_id"], client.id());
    assert_eq!(established["client"], client.addr());
    assert_eq!(
        (&established["timeout_ms"], &established["reason"]),
        (&json!(30_000), &Value::Null)
    );

    let (session, was) = (client.granted.session, client.addr());
    drop(client.stream);
    let lost = server.next_event(1);
    assert_eq!((&lost["kind"], &lost["client"]), (&json!("link_lost"), &json!(was)));
    assert_eq!(lost["reason"], "the connection ended");
    let addr = server.handle().client_addr();
    let client = Client::attach(addr, session, &client.granted.password);
    let resumed = server.next_event(2);
    assert_eq!((&resumed["kind"], &resumed["client"]), (&json!("resumed"), &json!(client.addr())));
    server.handle().expire_session(session).unwrap();
    let expired = server.next_event(3);
    assert_eq!((&expired["kind"], &expired["client"]), (&json!("expired"), &json!(client.addr())));
    let reason = "expired: nothing heard from its client for 30000 ms; ephemerals lost: 0";
    assert_eq!(expired["reason"], reason);

    let mut client = server.open();
    client.ask(&Request::CloseSession);
    assert_eq!(server.next_event(5)["kind"], "closed_by_client");
    let client = server.open();
    server.post(&format!("/sessions/{}/close", client.id()));
    assert_eq!(server.next_event(7)["kind"], "closed_by_operator");

    let page = server.get("/sessions/events?after=6");
    assert_eq!(page["events"].as_array().unwrap().len(), 2);
    assert_eq!((&page["missed"], &page["next_after"]), (&json!(0), &json!(8)));
    let empty = json!({"events": [], "missed": 0, "next_after": 8});
    assert_eq!(server.get("/sessions/events?after=8&wait_ms=1"), empty);
    for bad in ["?after=x", "?after=-1", "?wait_ms=soon"] {
        let path = format!("/sessions/events{bad}");
        assert_eq!(http(server.admin(), "GET", &path, "").0, 400, "{bad}");
    }
}

#[test]
fn whoever_follows_hears_of_the_servers_end() {
    let mut server = Server::start();
    let admin = server.admin();
    let mut stream = TcpStream::connect(admin).unwrap();
    write!(stream, "GET /sessions/events?after=0&wait_ms=20000 HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    // Another answer shows that the first question is in.
    server.get("/sessions/events");
    server.handle.take().unwrap().stop().unwrap();
    let mut text = String::new();
    // An answer or the end of the connection, but no wait of 20 seconds.
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let ended = stream.read_to_string(&mut text);
    let is_timeout = |error: std::io::Error| error.kind() == std::io::ErrorKind::WouldBlock;
    assert!(!ended.is_err_and(is_timeout), "{text}");
}

#[test]
fn sessions_of_this_server_alone_are_listed_marked_and_closed() {
    let server = Server::start_with(|config| config.sessions.local = true);
    let mut client = server.open();
    let id = client.id();
    let listed = server.get("/sessions");
    assert_eq!(listed["sessions"][0]["session_id"], id, "{listed}");
    assert_eq!(
        (&listed["sessions"][0]["local"], &listed["next_after"]),
        (&json!(true), &Value::Null)
    );
    let shown = server.get(&format!("/sessions/{id}"));
    assert_eq!((&shown["local"], &shown["opened_by_server"]), (&json!(true), &shown["server"]));
    assert!(shown["expires_in_ms"].as_u64() <= shown["timeout_ms"].as_u64(), "{shown}");
    let (status, closed) = server.post(&format!("/sessions/{id}/close"));
    assert_eq!(
        (status, &closed["closed"], &closed["ended_by"]),
        (200, &json!(true), &json!("operator"))
    );
    assert!(client.is_cut(), "its connection ends with it");
    assert_eq!(server.get("/sessions")["sessions"], json!([]));
    // Nobody remembers it: that would take a log.
    assert_eq!(server.get("/sessions/ended")["ended_sessions"], json!([]));
    assert_eq!(server.post(&format!("/sessions/{id}/close")).0, 404);
}
