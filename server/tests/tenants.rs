//! Who counts for whom: limits of identities, and what operators see of tenants.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use md5::{Digest, Md5};
use serde_json::{Value, json};
use tenure_server::config::{Listen, ServerConfig};
use tenure_server::{ServerHandle, start};
use tenure_wire::{
    ConnectRequest, ConnectResponse, Reader, ReplyHeader, Request, RequestHeader, SessionId, Xid,
    frame,
};

const REALM: &str = "zk-sasl-md5";
/// There is no room for what was asked.
const NO_ROOM: i32 = -125;

struct Server {
    handle: Option<ServerHandle>,
    _folder: tempfile::TempDir,
}

impl Server {
    fn start(configure: impl FnOnce(&mut ServerConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = ServerConfig {
            client: Some(Listen::on("127.0.0.1", 0)),
            data_dir: folder.path().to_path_buf(),
            data_log_dir: folder.path().to_path_buf(),
            ..ServerConfig::default()
        };
        config.admin.listen = Listen::on("127.0.0.1", 0);
        config.auth.sasl_users =
            vec![("bob".into(), "secret".into()), ("eve".into(), "secret".into())];
        configure(&mut config);
        Server { handle: Some(start(&config).unwrap()), _folder: folder }
    }

    fn handle(&self) -> &ServerHandle {
        self.handle.as_ref().unwrap()
    }

    fn open(&self) -> Client {
        Client::open(self.handle().client_addr())
    }

    /// What operators see of a tenant.
    fn tenant(&self, name: &str) -> Value {
        let mut stream = TcpStream::connect(self.handle().admin_addr().unwrap()).unwrap();
        stream.write_all(b"GET /tenants HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let body: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
        let tenants = body["tenants"].as_array().unwrap();
        tenants.iter().find(|tenant| tenant["name"] == name).cloned().unwrap_or(Value::Null)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            handle.stop().unwrap();
        }
    }
}

struct Client(TcpStream);

impl Client {
    fn open(addr: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let request = ConnectRequest {
            timeout_ms: 30_000,
            session: SessionId(0),
            password: Some(&[0; 16]),
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
        assert!(ConnectResponse::decode(&answer[4..]).unwrap().timeout_ms > 0);
        Client(stream)
    }

    /// The error code and the body of the answer; `None` if there is none.
    fn ask(&mut self, request: &Request<'_>) -> Option<(i32, Vec<u8>)> {
        let mut bytes = Vec::new();
        let start = frame::begin(&mut bytes);
        RequestHeader { xid: Xid(1), op: request.op().code() }.encode(&mut bytes);
        request.encode(&mut bytes);
        frame::end(&mut bytes, start);
        self.0.write_all(&bytes).ok()?;
        let mut length = [0; 4];
        self.0.read_exact(&mut length).ok()?;
        let mut answer = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut answer).ok()?;
        let mut reader = Reader::new(&answer);
        let header = ReplyHeader::decode(&mut reader).unwrap();
        Some((header.err, reader.rest().to_vec()))
    }

    fn watch(&mut self, path: &str) -> Option<i32> {
        self.ask(&Request::Exists { path: path.into(), watch: true }).map(|(err, _)| err)
    }

    /// Proves a password; whether the server answers that.
    fn prove(&mut self, user: &str) -> bool {
        let (_, body) = self.ask(&Request::Sasl { token: None }).unwrap();
        let challenge = String::from_utf8(body[4..].to_vec()).unwrap();
        let nonce = challenge.split_once("nonce=\"").unwrap().1.split_once('"').unwrap().0;
        let mut secret = Md5::digest(format!("{user}:{REALM}:secret")).to_vec();
        secret.extend_from_slice(format!(":{nonce}:c").as_bytes());
        let (first, second) = (hex(&Md5::digest(secret)), hex(&Md5::digest("AUTHENTICATE:u")));
        let response = hex(&Md5::digest(format!("{first}:{nonce}:00000001:c:auth:{second}")));
        let token = format!(
            "username=\"{user}\",realm=\"{REALM}\",nonce=\"{nonce}\",cnonce=\"c\",nc=00000001,\
             digest-uri=\"u\",response={response},qop=auth"
        );
        let answer = self.ask(&Request::Sasl { token: Some(token.as_bytes()) });
        answer.is_some_and(|(err, _)| err == 0)
    }

    fn is_cut(&mut self) -> bool {
        matches!(self.0.read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_identity_may_have_so_many_connections() {
    let server = Server::start(|config| config.limits.connections.per_identity = 1);
    let (mut first, mut second, mut third) = (server.open(), server.open(), server.open());
    assert!(first.prove("bob"));
    second.prove("bob");
    assert!(second.is_cut());
    assert!(third.prove("eve"));
    assert_eq!(first.watch("/"), Some(0));
    let bob = server.tenant("sasl:bob");
    assert_eq!((&bob["connections"], &bob["watches"]), (&json!(1), &json!(1)));
    assert_eq!(bob["limits_reached"], json!({"connections": 1}));
    let address = server.tenant("127.0.0.1");
    assert_eq!((&address["connections"], &address["limits_reached"]), (&json!(2), &json!({})));
}

#[test]
fn an_identity_may_have_so_many_sessions() {
    let server = Server::start(|config| config.limits.sessions.per_identity = 1);
    let (mut first, mut second) = (server.open(), server.open());
    assert!(first.prove("bob"));
    second.prove("bob");
    assert!(second.is_cut());
    assert_eq!(server.tenant("sasl:bob")["limits_reached"], json!({"sessions": 1}));
    assert_eq!(first.watch("/"), Some(0));
}

#[test]
fn an_identity_has_limits_of_its_own_beside_those_of_its_address() {
    let server = Server::start(|config| {
        config.limits.watches.per_identity = 2;
        config.limits.watches.per_address = 3;
    });
    let (mut bob, mut nobody) = (server.open(), server.open());
    assert!(bob.prove("bob"));
    assert_eq!((bob.watch("/"), bob.watch("/zookeeper")), (Some(0), Some(0)));
    assert_eq!(bob.watch("/zookeeper/quota"), Some(NO_ROOM));
    assert_eq!(nobody.watch("/"), Some(0));
    assert_eq!(nobody.watch("/zookeeper"), Some(NO_ROOM));
    let reached = |name: &str| server.tenant(name)["limits_reached"].clone();
    assert_eq!(reached("sasl:bob"), json!({"watches": 1}));
    assert_eq!(reached("127.0.0.1"), json!({"watches": 1}));
}
