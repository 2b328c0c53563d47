//! Clients that speak TLS: sessions, certificates, and bytes that are not TLS.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use tempfile::TempDir;
use tenure_certs::{Authority, Issued, Validity};
use tenure_server::config::ServerConfig;
use tenure_server::{ServerHandle, limits};

const CERTIFICATES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates");
const JKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tls/golden/store.jks");
const PEM: &str = "ssl.keyStore.location=CERTIFICATES/server.pem\n\
                   ssl.trustStore.location=CERTIFICATES/ca.pem\n";
const TIMEOUT: Duration = Duration::from_secs(20);

/// A server with a plain, a secure and an admin port of its own.
struct Server {
    handle: Option<ServerHandle>,
    _folder: TempDir,
}

impl Server {
    fn start(lines: &str) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "dataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\nsecureClientPort=0\n\
             secureClientPortAddress=127.0.0.1\nadmin.serverAddress=127.0.0.1\n\
             admin.serverPort=0\nmaxClientCnxns=0\n{lines}",
            folder.path().display()
        );
        let text = text.replace("CERTIFICATES", CERTIFICATES);
        let (config, warnings) = ServerConfig::from_text(&text, "zoo.cfg").unwrap();
        assert_eq!(warnings, []);
        Server { handle: Some(tenure_server::start(&config).unwrap()), _folder: folder }
    }

    fn handle(&self) -> &ServerHandle {
        self.handle.as_ref().unwrap()
    }

    fn secure(&self) -> SocketAddr {
        self.handle().secure_client_addr().unwrap()
    }

    /// A connection without TLS to either port.
    fn plain(&self, addr: SocketAddr) -> TcpStream {
        let socket = TcpStream::connect(addr).unwrap();
        socket.set_read_timeout(Some(TIMEOUT)).unwrap();
        socket
    }

    /// Connects with the key and certificate in a file, if one is named; the handshake is not over.
    fn tls(
        &self,
        certificate: Option<&str>,
        version: &'static SupportedProtocolVersion,
    ) -> StreamOwned<ClientConnection, TcpStream> {
        let config = Arc::new(client_config(certificate, version));
        let records = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        StreamOwned::new(records, self.plain(self.secure()))
    }

    /// Opens a session over TLS.
    fn session(
        &self,
        certificate: Option<&str>,
        version: &'static SupportedProtocolVersion,
    ) -> io::Result<Session<StreamOwned<ClientConnection, TcpStream>>> {
        Session::open(self.tls(certificate, version))
    }

    /// Opens a session as a client that an authority has issued a certificate, to a server that it
    /// vouches for.
    fn session_of(
        &self,
        client: &Issued,
        by: &Authority,
    ) -> io::Result<Session<StreamOwned<ClientConnection, TcpStream>>> {
        let mut roots = RootCertStore::empty();
        let pem = by.certificate().as_bytes();
        roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(client.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(client.key.as_bytes()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .unwrap();
        let records = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap());
        Session::open(StreamOwned::new(records.unwrap(), self.plain(self.secure())))
    }

    /// Fails unless clients of both ports are served.
    fn check_serving(&self) {
        self.session(Some("client"), &TLS13).unwrap().exists("/");
        Session::open(self.plain(self.handle().client_addr())).unwrap().exists("/");
    }

    fn admin(&self, command: &str) -> String {
        let mut http = self.plain(self.handle().admin_addr().unwrap());
        let request = format!("GET /commands/{command} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        http.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        http.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.handle.take().unwrap().stop();
        if !std::thread::panicking() {
            stopped.unwrap();
        }
    }
}

fn client_config(
    certificate: Option<&str>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let provider = ring::default_provider();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(format!("{CERTIFICATES}/ca.pem")).unwrap()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(provider.clone()))
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots);
    let Some(name) = certificate else { return builder.with_no_client_auth() };
    let file = format!("{CERTIFICATES}/{name}.pem");
    let key = PrivateKeyDer::from_pem_file(&file).unwrap();
    let key = provider.key_provider.load_private_key(key).unwrap();
    let chain = vec![CertificateDer::from_pem_file(&file).unwrap()];
    let identity = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    builder.with_client_cert_resolver(Arc::new(identity))
}

/// A client session on any stream.
struct Session<S> {
    stream: S,
    xid: i32,
}

const CREATE: i32 = 1;
const EXISTS: i32 = 3;
const GET_DATA: i32 = 4;
const PING: i32 = 11;
const CLOSE: i32 = -11;

impl<S: Read + Write> Session<S> {
    fn open(stream: S) -> io::Result<Session<S>> {
        let mut session = Session { stream, xid: 0 };
        let zxid_timeout_and_id = [&[0; 8][..], &10_000_i32.to_be_bytes(), &[0; 8]].concat();
        let password = [&16_i32.to_be_bytes()[..], &[0; 16]].concat();
        session.send(&[&[0; 4][..], &zxid_timeout_and_id, &password, &[0]].concat())?;
        let answer = session.receive()?;
        assert_eq!(answer[4..8], 10_000_i32.to_be_bytes());
        Ok(session)
    }

    fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let len = i32::try_from(payload.len()).unwrap();
        self.stream.write_all(&[&len.to_be_bytes(), payload].concat())?;
        self.stream.flush()
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut len = [0; 4];
        self.stream.read_exact(&mut len)?;
        let mut payload = vec![0; u32::from_be_bytes(len) as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(payload)
    }

    fn request(&mut self, op: i32, body: &[u8]) {
        self.xid += 1;
        self.send(&[&self.xid.to_be_bytes(), &op.to_be_bytes(), body].concat()).unwrap();
    }

    /// The body of the reply to request `xid`, which must have succeeded.
    fn reply(&mut self, xid: i32) -> Vec<u8> {
        let mut frame = self.receive().unwrap();
        assert_eq!((&frame[..4], &frame[12..16]), (&xid.to_be_bytes()[..], &[0; 4][..]));
        frame.split_off(16)
    }

    fn call(&mut self, op: i32, body: &[u8]) -> Vec<u8> {
        self.request(op, body);
        self.reply(self.xid)
    }

    fn create(&mut self, path: &str, data: &[u8]) {
        let acl = [&[0, 0, 0, 1, 0, 0, 0, 31][..], &text("world"), &text("anyone")].concat();
        let body = [&text(path), &buffer(data), &acl, &[0; 4][..]].concat();
        assert_eq!(self.call(CREATE, &body), text(path));
    }

    fn exists(&mut self, path: &str) {
        assert_eq!(self.call(EXISTS, &[&text(path)[..], &[0]].concat()).len(), 68);
    }
}

fn buffer(bytes: &[u8]) -> Vec<u8> {
    [&i32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn text(text: &str) -> Vec<u8> {
    buffer(text.as_bytes())
}

#[test]
fn a_session_lives_over_either_version_and_ends_cleanly() {
    let server = Server::start(PEM);
    for (path, version) in [("/1", &TLS12), ("/2", &TLS13)] {
        let mut session = server.session(Some("client"), version).unwrap();
        session.create(path, b"data");
        session.exists(path);
        session.call(CLOSE, &[]);
        // Not cut off: a cut is an error here.
        assert_eq!(session.stream.read(&mut [0; 1]).unwrap(), 0);
    }
}

#[test]
fn where_a_certificate_is_required_nothing_is_done_without_one() {
    let enforced = "enforce.auth.enabled=true\nenforce.auth.schemes=x509\n";
    let server = Server::start(&format!("{PEM}{enforced}"));
    server.session(Some("client"), &TLS13).unwrap().exists("/");
    let mut plain = Session::open(server.plain(server.handle().client_addr())).unwrap();
    plain.request(EXISTS, &[&text("/")[..], &[0]].concat());
    let refused = plain.receive().unwrap();
    assert_eq!((&refused[12..], plain.xid), (&(-124_i32).to_be_bytes()[..], 1));
    assert_eq!(plain.stream.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn a_java_key_store_serves_as_well() {
    let lines = format!(
        "ssl.keyStore.location={JKS}\nssl.keyStore.password=p\\u00e4\\u00dfword\n\
         ssl.trustStore.location={JKS}\nssl.trustStore.password=p\\u00e4\\u00dfword"
    );
    Server::start(&lines).check_serving();
}

#[test]
fn words_and_reports_know_secure_connections() {
    let server = Server::start(PEM);
    let mut session = server.session(Some("client"), &TLS13).unwrap();
    session.exists("/");
    let mut word = server.tls(Some("client"), &TLS13);
    word.write_all(b"srvr").unwrap();
    let mut answer = String::new();
    word.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("Mode: standalone"), "{answer}");

    let report = server.admin("connections");
    let body = report.split_once("\r\n\r\n").unwrap().1;
    let report: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(report["connections"].as_array().unwrap().len(), 0, "{body}");
    let secure = report["secure_connections"].as_array().unwrap();
    assert!(secure.iter().any(|connection| connection["session_id"] != 0), "{body}");
    let port = server.secure().port();
    assert!(server.admin("configuration").contains(&format!("{port}")));
}

#[test]
fn replies_far_larger_than_a_record_arrive_whole_and_in_order() {
    let server = Server::start(PEM);
    let mut session = server.session(Some("client"), &TLS13).unwrap();
    let data: Vec<u8> = (0..900_000_u32).map(|i| (i / 7) as u8).collect();
    session.create("/large", &data);
    // More than socket buffers hold: the server has to wait in the middle of records.
    let asked = 20;
    let first = session.xid + 1;
    for _ in 0..asked {
        session.request(GET_DATA, &[&text("/large")[..], &[0]].concat());
    }
    for xid in first..first + asked {
        assert_eq!(session.reply(xid)[4..4 + data.len()], data, "request {xid}");
    }
}

#[test]
fn requests_of_many_records_read_at_once_are_all_answered() {
    let server = Server::start(PEM);
    let mut session = server.session(Some("client"), &TLS12).unwrap();
    let ping = [&8_i32.to_be_bytes()[..], &(-2_i32).to_be_bytes(), &PING.to_be_bytes()].concat();
    let count = 20_000;
    session.stream.write_all(&ping.repeat(count)).unwrap();
    for _ in 0..count {
        assert_eq!(session.receive().unwrap()[..4], (-2_i32).to_be_bytes());
    }
}

#[test]
fn only_clients_of_the_authority_are_let_in() {
    let server = Server::start(PEM);
    for version in [&TLS12, &TLS13] {
        for good in ["client", "version1"] {
            server.session(Some(good), version).unwrap().exists("/");
        }
        let refused = [
            (None, "CertificateRequired"),
            (Some("stranger"), "UnknownCA"),
            (Some("version1-expired"), "CertificateExpired"),
            (Some("version1-forged"), "DecryptError"),
            (Some("version1-stranger"), "UnknownCA"),
        ];
        for (certificate, alert) in refused {
            let error = server.session(certificate, version).map(|_| ()).unwrap_err();
            let told = format!("{error:?}");
            // TLS 1.2 has no word for a missing certificate.
            let is_missing = certificate.is_none() && told.contains("HandshakeFailure");
            assert!(told.contains(alert) || is_missing, "{certificate:?}: {told}");
        }
    }
    server.check_serving();
    assert!(server.admin("monitor").contains("\"unsuccessful_handshake\" : 10"));
}

#[test]
fn a_certificate_may_be_left_out_where_it_is_only_wanted() {
    let server = Server::start(&format!("{PEM}ssl.clientAuth=want\n"));
    server.session(None, &TLS13).unwrap().exists("/");
    assert!(server.session(Some("stranger"), &TLS13).is_err());
    let server = Server::start(&format!("{PEM}ssl.clientAuth=none\n"));
    server.session(None, &TLS13).unwrap().exists("/");
}

#[test]
fn bytes_for_the_other_port_leave_the_server_serving() {
    let server = Server::start(PEM);
    for bytes in [&b"ruok"[..], b"GET / HTTP/1.1\r\n\r\n", &[0, 0, 0, 45, 0, 0], &[0x16, 3, 1]] {
        let mut misled = server.plain(server.secure());
        misled.write_all(bytes).unwrap();
        misled.shutdown(std::net::Shutdown::Write).unwrap();
        // An alert, or nothing; then the end, or a reset.
        let mut answer = Vec::new();
        let _ = misled.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"imok") && answer.len() < 16, "{answer:02x?}");
    }
    let config = Arc::new(client_config(Some("client"), &TLS13));
    let records = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let plain = server.plain(server.handle().client_addr());
    assert!(Session::open(StreamOwned::new(records, plain)).is_err());
    server.check_serving();
}

#[test]
fn a_handshake_may_come_byte_by_byte_but_not_for_ever() {
    let server = Server::start(&format!("{PEM}nio.sessionlessCnxnTimeout=300\n"));
    let mut silent = server.plain(server.secure());
    let config = Arc::new(client_config(Some("client"), &TLS13));
    let records = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let socket = server.plain(server.secure());
    socket.set_nodelay(true).unwrap();
    let mut session = Session::open(StreamOwned::new(records, ByteByByte(socket))).unwrap();
    session.exists("/");
    let begun = Instant::now();
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0);
    assert!(begun.elapsed() < TIMEOUT);
}

#[test]
fn handshakes_under_way_are_counted_while_they_are() {
    let server = Server::start(PEM);
    let expect = |under_way: usize| {
        let line = format!("\"outstanding_tls_handshake\" : {under_way},");
        let deadline = Instant::now() + TIMEOUT;
        while !server.admin("monitor").contains(&line) {
            assert!(Instant::now() < deadline, "{line} {}", server.admin("monitor"));
            std::thread::yield_now();
        }
    };
    let silent = server.plain(server.secure());
    let mut hesitant = server.tls(Some("client"), &TLS13);
    hesitant.conn.write_tls(&mut hesitant.sock).unwrap();
    let session = server.session(Some("client"), &TLS13).unwrap();
    expect(2);
    // Whoever speaks no TLS is refused, and is not in a handshake any more.
    (&silent).write_all(b"no handshake at all").unwrap();
    expect(1);
    hesitant.conn.complete_io(&mut hesitant.sock).unwrap();
    expect(0);
    drop((silent, session, hesitant));
}

#[test]
fn half_open_handshakes_by_the_thousand_hold_up_nobody() {
    tenure_server::raise_open_files_limit();
    let server = Server::start(PEM);
    let config = Arc::new(client_config(Some("client"), &TLS13));
    let hello = || {
        let config = Arc::clone(&config);
        let mut records = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        let mut bytes = Vec::new();
        records.write_tls(&mut bytes).unwrap();
        bytes
    };
    let bytes = hello();
    // Some say nothing, some half a hello, some a whole one and then nothing more.
    let half_open: Vec<TcpStream> = (0..1500)
        .map(|i| {
            let mut socket = server.plain(server.secure());
            socket.write_all(&bytes[..bytes.len() * (i % 3) / 2]).unwrap();
            socket
        })
        .collect();
    let mut session = server.session(Some("client"), &TLS13).unwrap();
    session.create("/x", b"1");
    session.exists("/x");
    server.check_serving();
    drop(half_open);
    session.exists("/x");
}

/// Writes every byte by itself.
struct ByteByByte(TcpStream);

impl Write for ByteByByte {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(&bytes[..bytes.len().min(1)])
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Read for ByteByByte {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

#[test]
fn a_server_for_tls_alone_serves() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "dataDir={}\nsecureClientPort=0\nsecureClientPortAddress=127.0.0.1\n\
         admin.enableServer=false\n{PEM}",
        folder.path().display()
    );
    let text = text.replace("CERTIFICATES", CERTIFICATES);
    let (config, _) = ServerConfig::from_text(&text, "zoo.cfg").unwrap();
    let handle = tenure_server::start(&config).unwrap();
    assert_eq!(Some(handle.client_addr()), handle.secure_client_addr());
    let server = Server { handle: Some(handle), _folder: folder };
    server.session(Some("client"), &TLS13).unwrap().exists("/");
}

#[test]
fn one_port_takes_clients_with_and_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "dataDir={}\nclientPort=0\nclientPortAddress=127.0.0.1\nclient.portUnification=true\n\
         admin.enableServer=false\nmaxClientCnxns=3\n{PEM}",
        folder.path().display()
    );
    let text = text.replace("CERTIFICATES", CERTIFICATES);
    let (config, warnings) = ServerConfig::from_text(&text, "zoo.cfg").unwrap();
    assert_eq!(warnings, []);
    let handle = tenure_server::start(&config).unwrap();
    let addr = handle.client_addr();
    let server = Server { handle: Some(handle), _folder: folder };
    let tls = |certificate| {
        let config = Arc::new(client_config(certificate, &TLS13));
        let records = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
        Session::open(StreamOwned::new(records, server.plain(addr)))
    };
    // More than may be there at once: each must count, and cease to, at the port it came through.
    for round in 0..10 {
        let mut plain = patiently(|| Session::open(server.plain(addr)));
        let mut encrypted = patiently(|| tls(Some("client")));
        plain.create(&format!("/{round}"), b"x");
        encrypted.exists(&format!("/{round}"));
        drop((plain, encrypted));
        patiently(|| match tls(None) {
            Err(error) if format!("{error:?}").contains("CertificateRequired") => Ok(()),
            Err(error) => Err(error),
            Ok(_) => panic!("without a certificate"),
        });
    }
}

/// Tries until it succeeds: the server notices in its own time that others are gone.
fn patiently<T>(attempt: impl Fn() -> io::Result<T>) -> T {
    let begun = Instant::now();
    loop {
        match attempt() {
            Ok(outcome) => return outcome,
            Err(error) => assert!(begun.elapsed() < TIMEOUT, "{error:?}"),
        }
    }
}

/// Writes a file as those do who renew certificates: whole or not at all.
fn replace(path: &std::path::Path, text: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, text).unwrap();
    std::fs::rename(&fresh, path).unwrap();
}

#[test]
fn renewed_certificates_are_used_and_broken_ones_change_nothing() {
    let validity = Validity::days(SystemTime::now(), 10);
    let (old, new) = (Authority::new("old", validity), Authority::new("new", validity));
    let (old, new) = (old.unwrap(), new.unwrap());
    let files = tempfile::tempdir().unwrap();
    let (keys, trusted) = (files.path().join("keys.pem"), files.path().join("trusted.pem"));
    let key_store = |by: &Authority| by.server(&["localhost"], validity).unwrap().key_store();
    replace(&keys, &key_store(&old));
    replace(&trusted, old.certificate());
    let server = Server::start(&format!(
        "ssl.keyStore.location={}\nssl.trustStore.location={}\nclient.certReload=true\n",
        keys.display(),
        trusted.display()
    ));
    let session = |by: &Authority| {
        let client = by.client("somebody", validity).unwrap();
        server.session_of(&client, by)
    };
    let mut before = session(&old).unwrap();
    assert!(session(&new).is_err());
    // One after the other; in between, servers and clients do not trust each other.
    replace(&keys, &key_store(&new));
    replace(&trusted, new.certificate());
    let begun = Instant::now();
    let mut after = loop {
        if let Ok(session) = session(&new) {
            break session;
        }
        assert!(begun.elapsed() < TIMEOUT, "the new certificates are not used");
    };
    assert!(session(&old).is_err());
    // Whoever is there stays.
    before.exists("/");
    // A broken file is read, and passed over: the next good one shows that it was seen.
    replace(&keys, "nothing of use");
    let begun = Instant::now();
    while begun.elapsed() < 2 * limits::TLS_RELOAD {
        session(&new).unwrap().exists("/");
    }
    after.exists("/");
    replace(&keys, &key_store(&old));
    replace(&trusted, old.certificate());
    let begun = Instant::now();
    while session(&old).is_err() {
        assert!(begun.elapsed() < TIMEOUT, "a broken file ended the watch");
    }
}

#[test]
fn a_revoked_certificate_opens_nothing() {
    let validity = Validity::days(SystemTime::now(), 10);
    let authority = Authority::new("somebody", validity).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let keys = file("keys.pem", &authority.server(&["localhost"], validity).unwrap().key_store());
    let trusted = file("trusted.pem", authority.certificate());
    let (good, bad) = (authority.client("good", validity), authority.client("bad", validity));
    let (good, bad) = (good.unwrap(), bad.unwrap());
    let list = authority.revocation_list(&[bad.serial], validity).unwrap();
    let revoked = file("revoked.pem", &list);
    let server = Server::start(&format!(
        "ssl.keyStore.location={keys}\nssl.trustStore.location={trusted}\nssl.crl=true\n\
         ssl.crlFile={revoked}\n"
    ));
    for (client, is_good) in [(good, true), (bad, false)] {
        match server.session_of(&client, &authority) {
            Ok(mut session) if is_good => session.exists("/"),
            Err(error) if !is_good => assert!(format!("{error:?}").contains("Revoked"), "{error}"),
            _ => panic!("{is_good}"),
        }
    }
}

#[test]
fn noise_in_a_handshake_leaves_the_server_serving() {
    let server = Server::start(PEM);
    let config = Arc::new(client_config(Some("client"), &TLS13));
    let mut records = ClientConnection::new(config, "localhost".try_into().unwrap()).unwrap();
    let mut flight = Vec::new();
    records.write_tls(&mut flight).unwrap();
    let mut state = 7_u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for _ in 0..200 {
        let mut said = flight[..1 + next(flight.len())].to_vec();
        for _ in 0..3 {
            let at = next(said.len());
            said[at] ^= 1 << next(8);
        }
        let mut socket = server.plain(server.secure());
        // It may have had enough of it before all is said.
        let _ = socket.write_all(&said);
        let _ = socket.shutdown(std::net::Shutdown::Write);
        let mut heard = Vec::new();
        let _ = socket.read_to_end(&mut heard);
        // The server's own part of a handshake, an alert, or nothing.
        assert!(heard.is_empty() || matches!(heard[0], 0x15 | 0x16), "{heard:02x?}");
    }
    server.check_serving();
}
