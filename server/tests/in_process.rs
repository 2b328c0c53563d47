//! Servers inside a test's own process: nothing about one is global.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use tenure_server::config::{Listen, ServerConfig};
use tenure_server::{ServerHandle, StartError, start};
use tenure_wire::{ConnectRequest, ConnectResponse, SessionId, frame};

fn config(data_dir: &Path) -> ServerConfig {
    let mut config = ServerConfig {
        client: Some(Listen::on("127.0.0.1", 0)),
        data_dir: data_dir.to_path_buf(),
        data_log_dir: data_dir.to_path_buf(),
        ..ServerConfig::default()
    };
    config.admin.enabled = false;
    config
}

/// Opens or resumes a session and hangs up.
fn attach(server: &ServerHandle, session: SessionId, password: &[u8]) -> ConnectResponse {
    let mut stream = TcpStream::connect(server.client_addr()).unwrap();
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
    ConnectResponse::decode(&answer[4..]).unwrap()
}

#[test]
fn two_servers_in_one_process_do_not_know_of_each_other() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (a, b) = (start(&config(one.path())).unwrap(), start(&config(other.path())).unwrap());
    assert_ne!(a.client_addr(), b.client_addr());
    let at_a = attach(&a, SessionId(0), &[0; 16]);
    assert_ne!(at_a.session, SessionId(0));
    assert_eq!(attach(&b, at_a.session, &at_a.password).session, SessionId(0), "unknown there");
    assert_eq!(attach(&a, at_a.session, &at_a.password).session, at_a.session);
    a.stop().unwrap();
    attach(&b, SessionId(0), &[0; 16]);
    b.stop().unwrap();
}

#[test]
fn a_folder_serves_one_server_at_a_time_and_sessions_outlive_each() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(&config(dir.path())).unwrap();
    let session = attach(&first, SessionId(0), &[0; 16]);
    let second = start(&config(dir.path()));
    assert!(matches!(second.err(), Some(StartError::Folder(_))));
    first.stop().unwrap();
    let again = start(&config(dir.path())).unwrap();
    let resumed = attach(&again, session.session, &session.password);
    assert_eq!((resumed.session, resumed.timeout_ms), (session.session, 30_000));
    again.stop().unwrap();
}
