//! Through real sockets, with a made-up server that answers on a thread of its own.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Instant;

use super::*;
use crate::admin::SavedSnapshot;
use crate::admin::fake::{ENDED, FIRST, FakeServer};
use crate::config::AdminTrust;
use crate::metrics::{Readings, ServerState};
use tenure_wire::Zxid;

/// An admin server in front of a made-up server.
fn start(admin: AdminSettings, metrics: MetricsSettings, mut server: FakeServer) -> AdminServer {
    let (sender, questions) = mpsc::channel::<AdminQuery>();
    thread::spawn(move || questions.into_iter().for_each(|query| query.answer(&mut server)));
    // A failed send is a server that is gone; the question is dropped, and that is the answer.
    let client = AdminClient::new(move |query| drop(sender.send(query)));
    AdminServer::start(&admin, &metrics, None, client, None)
}

fn settings() -> AdminSettings {
    AdminSettings { listen: Listen::on("127.0.0.1", 0), ..AdminSettings::default() }
}

fn serve(server: FakeServer) -> AdminServer {
    start(settings(), MetricsSettings::default(), server)
}

/// Status, head and body of one request.
fn request(addr: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    request_with(addr, method, path, "")
}

/// The same with more lines in its head.
fn request_with(addr: SocketAddr, method: &str, path: &str, more: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(addr).unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

fn get(admin: &AdminServer, path: &str) -> (u16, String) {
    let (status, _, body) = request(admin.addr().unwrap(), "GET", path);
    (status, body)
}

fn get_json(admin: &AdminServer, path: &str) -> (u16, Value) {
    let (status, body) = get(admin, path);
    let json = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"));
    (status, json)
}

/// Names and kinds of values, with names that are data (numbers, paths) replaced by a mark and
/// lists reduced to the kinds they hold.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mark = |name: &str| match name.parse::<i64>() {
                Ok(_) => "#".to_owned(),
                _ if name.starts_with('/') => "/".to_owned(),
                _ => name.to_owned(),
            };
            let fields: BTreeMap<_, _> =
                fields.iter().map(|(name, value)| (mark(name), shape(value))).collect();
            json!(fields)
        }
        Value::Array(items) => {
            let mut kinds: Vec<Value> = items.iter().map(shape).collect();
            kinds.dedup();
            // The reference server's list held no connection without a session.
            kinds.truncate(1);
            Value::Array(kinds)
        }
        Value::Number(number) if number.is_f64() => "fraction".into(),
        Value::Number(_) => "whole".into(),
        Value::String(_) => "text".into(),
        other => other.clone(),
    }
}

macro_rules! golden {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("golden/", $name, ".json")))),*]
    };
}

#[test]
fn bodies_have_the_form_of_the_reference_server() {
    let admin = serve(FakeServer::new());
    for (name, golden) in golden!(
        "configuration",
        "connections",
        "dirs",
        "dump",
        "get_trace_mask",
        "hash",
        "initial_configuration",
        "is_read_only",
        "last_snapshot",
        "leader",
        "observers",
        "ruok",
        "server_stats",
        "stats",
        "voting_view",
        "watches",
        "watches_by_path",
        "watch_summary",
        "zabstate",
        "stat_reset",
        "connection_stat_reset",
        "observer_connection_stat_reset",
        "nosuch",
        "set_trace_mask"
    ) {
        let (status, json) = get_json(&admin, &format!("/commands/{name}"));
        let golden: Value = serde_json::from_str(golden).unwrap();
        assert_eq!(status, 200, "{name}");
        assert_eq!(shape(&json), shape(&golden), "{name}");
        assert_eq!(json["error"], golden["error"], "{name}");
        assert_eq!(json["command"], golden["command"], "{name}");
    }
    let (status, head, body) = request(admin.addr().unwrap(), "GET", "/commands");
    assert_eq!((status, body.as_str()), (200, include_str!("golden/index.html")));
    assert!(head.contains("content-type: text/html"), "{head}");
    assert_eq!(get(&admin, "/commands/"), (200, body));
}

#[test]
fn aliases_answer_under_the_primary_name() {
    let admin = serve(FakeServer::new());
    assert_eq!(get_json(&admin, "/commands/monitor").1["cnt_updatelatency"], 1);
    for (alias, name) in [
        ("conf", "configuration"),
        ("config", "configuration"),
        ("cons", "connections"),
        ("crst", "connection_stat_reset"),
        ("srst", "stat_reset"),
        ("orst", "observer_connection_stat_reset"),
        ("env", "environment"),
        ("envi", "environment"),
        ("sysp", "system_properties"),
        ("gtmk", "get_trace_mask"),
        ("stmk", "set_trace_mask"),
        ("icfg", "initial_configuration"),
        ("isro", "is_read_only"),
        ("lsnp", "last_snapshot"),
        ("lead", "leader"),
        ("mntr", "monitor"),
        ("obsr", "observers"),
        ("srvr", "server_stats"),
        ("stat", "stats"),
        ("wchc", "watches"),
        ("wchp", "watches_by_path"),
        ("wchs", "watch_summary"),
    ] {
        let (status, json) = get_json(&admin, &format!("/commands/{alias}"));
        assert_eq!((status, json["command"].as_str()), (200, Some(name)), "{alias}");
    }
    let (_, monitor) = get_json(&admin, "/commands/mntr");
    assert_eq!(monitor["znode_count"], 9);
    assert_eq!(monitor["server_state"], "standalone");
    // `srst` was among the aliases.
    assert_eq!(monitor["cnt_updatelatency"], 0);
    let (_, mask) = get_json(&admin, "/commands/stmk?x=1&traceMask=7");
    assert_eq!(mask["tracemask"], 7);
    let (_, bad) = get_json(&admin, "/commands/stmk?traceMask=abc");
    assert_eq!(bad["error"], "setTraceMask requires long traceMask argument, got abc");
}

#[test]
fn while_not_serving() {
    let mut server = FakeServer::new();
    server.readings.serving = false;
    let admin = serve(server);
    let (status, json) = get_json(&admin, "/commands/stat");
    assert_eq!(status, 200);
    assert_eq!(json["error"], "This ZooKeeper instance is not currently serving requests");
    assert_eq!(get_json(&admin, "/commands/ruok").1["error"], Value::Null);
    assert_eq!(get_json(&admin, "/health").0, 200);
    let (status, ready) = get_json(&admin, "/ready");
    assert_eq!((status, &ready["ready"]), (503, &json!(false)));
}

#[test]
fn while_read_only() {
    let mut server = FakeServer::new();
    server.readings.state = ServerState::ReadOnly;
    let admin = serve(server);
    assert_eq!(get_json(&admin, "/commands/isro").1["read_only"], json!(true));
    assert_eq!(get_json(&admin, "/commands/srvr").1["read_only"], json!(true));
    assert_eq!(get_json(&admin, "/commands/mntr").1["server_state"], "read-only");
    let (status, ready) = get_json(&admin, "/ready");
    assert_eq!((status, &ready["ready"]), (503, &json!(false)));
    assert_eq!((&ready["state"], &ready["reason"]), (&json!("read-only"), &json!("read_only")));
}

#[test]
fn readiness_says_what_it_lacks() {
    type Spoil = fn(&mut FakeServer);
    let cases: [(Spoil, &str); 7] = [
        (|s| s.readings.stopping = true, "stopping"),
        (|s| s.readings.disk_full = true, "disk_full"),
        (|s| s.readings.serving = false, "starting"),
        (|s| (s.readings.serving, s.readings.quorum_size) = (false, Some(3)), "no_leader"),
        (
            |s| {
                (s.readings.serving, s.readings.quorum_size) = (false, Some(3));
                s.readings.led_by = Some(2);
            },
            "catching_up",
        ),
        (|s| s.readings.catching_up = true, "data_lost"),
        (|s| s.readings.state = ServerState::ReadOnly, "read_only"),
    ];
    for (spoil, reason) in cases {
        let mut server = FakeServer::new();
        spoil(&mut server);
        let admin = serve(server);
        let (status, ready) = get_json(&admin, "/readyz");
        assert_eq!((status, &ready["reason"]), (503, &json!(reason)), "{ready}");
        assert!(ready["error"].is_string(), "{ready}");
        // None of that is mended by a restart.
        assert_eq!(get_json(&admin, "/healthz"), (200, json!({"healthy": true})), "{reason}");
    }
    let admin = serve(FakeServer::new());
    assert_eq!(get_json(&admin, "/readyz"), (200, json!({"ready": true, "state": "standalone"})));
}

#[test]
fn a_disk_that_does_not_finish_is_no_health() {
    let mut server = FakeServer::new();
    server.readings.disk_busy_ms = 29_999;
    assert_eq!(get_json(&serve(server), "/healthz").0, 200);
    let mut server = FakeServer::new();
    server.readings.disk_busy_ms = 30_000;
    let (status, json) = get_json(&serve(server), "/healthz");
    assert_eq!((status, &json["reason"]), (503, &json!("disk_stuck")), "{json}");
    assert!(json["error"].as_str().unwrap().contains("30000 ms"), "{json}");
}

#[test]
fn the_znodes_that_are_asked_for_most() {
    let (status, json) = get_json(&serve(FakeServer::new()), "/hot");
    assert_eq!((status, &json["sampled"]), (200, &json!(4)));
    assert_eq!(json["paths"], json!([{"path": "/a", "count": 3}]));
}

#[test]
fn what_happened_to_the_server() {
    let admin = serve(FakeServer::new());
    let (status, json) = get_json(&admin, "/events");
    let event = &json["events"][0];
    assert_eq!((status, &event["seq"], &event["by_ms"]), (200, &json!(3), &json!(-60_000)));
    assert_eq!(event["kind"], "clock_step");
    assert_eq!(event["at"], "2023-11-14T22:13:20.000Z");
    assert_eq!(get_json(&admin, "/events?after=3").1, json!({"events": []}));
    assert_eq!(get_json(&admin, "/events?after=x").0, 400);
}

#[test]
fn a_member_tells_to_which_ensemble_it_belongs() {
    let mut server = FakeServer::new();
    server.readings.cluster = 0xfeed;
    let (_, ready) = get_json(&serve(server), "/ready");
    assert_eq!(ready["cluster"], json!("000000000000feed"));
}

#[test]
fn a_server_that_does_not_answer() {
    let client = AdminClient::new(drop);
    let admin = AdminServer::start(&settings(), &MetricsSettings::default(), None, client, None);
    let (status, json) = get_json(&admin, "/healthz");
    assert_eq!((status, &json["reason"]), (503, &json!("io_loop_stuck")));
    for path in ["/commands/ruok", "/readyz", "/metrics", "/sessions", "/sessions/1"] {
        let (status, json) = get_json(&admin, path);
        assert_eq!((status, &json["error"]), (503, &json!("the server does not answer")), "{path}");
    }
}

#[test]
fn metrics_on_both_ports() {
    let metrics = MetricsSettings {
        prometheus: Some(Listen::on("127.0.0.1", 0)),
        ..MetricsSettings::default()
    };
    let admin = start(settings(), metrics, FakeServer::new());
    let prometheus = admin.prometheus_addr().unwrap();
    for addr in [admin.addr().unwrap(), prometheus] {
        let (status, head, body) = request(addr, "GET", "/metrics");
        assert_eq!(status, 200);
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        assert!(
            body.contains("\nznode_count 9\n") && body.contains("\nprocess_max_fds "),
            "{body}"
        );
    }
    assert_eq!(request(prometheus, "GET", "/commands/ruok").0, 404);
    assert_eq!(request(prometheus, "POST", "/metrics").0, 405);
}

#[test]
fn sessions_alive_and_ended() {
    let admin = serve(FakeServer::new());
    let (status, page) = get_json(&admin, "/sessions");
    assert_eq!((status, page["sessions"].as_array().unwrap().len()), (200, 2));
    assert_eq!(page["next_after"], Value::Null);
    assert_eq!(page["sessions"][0]["session_id"], FIRST.to_string());
    assert_eq!(page["sessions"][0]["ephemerals"], 2);

    let (_, page) = get_json(&admin, "/sessions?limit=1");
    assert_eq!(page["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(page["next_after"], FIRST.to_string());
    let (_, rest) = get_json(&admin, &format!("/sessions?limit=1&after={FIRST}"));
    assert_eq!(rest["sessions"][0]["session_id"], "0x100001f60120001");
    assert_eq!(rest["next_after"], Value::Null);

    for id in [FIRST.to_string(), FIRST.0.to_string()] {
        let (status, one) = get_json(&admin, &format!("/sessions/{id}"));
        assert_eq!((status, &one["state"]), (200, &json!("live")));
        assert_eq!(one["ephemeral_paths"], json!(["/a/e2", "/a/e1"]));
        assert_eq!(one["opened_at"], "2026-11-23T15:26:40.000Z");
        assert_eq!(one["last_heard_at"], "2026-11-23T15:28:20.587Z");
        assert_eq!(one["deadline_at"], "2026-11-23T15:28:50.599Z");
    }
    let (status, one) = get_json(&admin, &format!("/sessions/{ENDED}"));
    assert_eq!(status, 200);
    let expected = json!({
        "session_id": "0x100001f60120002",
        "state": "ended",
        "opened_at": "2026-11-23T15:26:40.000Z",
        "ended_at": "2026-11-23T15:28:20.125Z",
        "ended_by": "server",
        "reason": "expired: nothing heard from its client for 4003 ms",
        "silent_ms": 4003,
        "timeout_ms": 4000,
        "zxid": "0x5",
        "ephemerals_lost": 1,
        "ephemeral_paths": ["/lost"],
    });
    assert_eq!(one, expected);
    assert_eq!(get_json(&admin, "/sessions/ended").1, json!({"ended_sessions": [expected]}));
    assert_eq!(get_json(&admin, "/sessions/0x77").0, 404);
    for path in ["/sessions/x", "/sessions?after=x", "/sessions?limit=0", "/sessions?limit=x"] {
        assert_eq!(get_json(&admin, path).0, 400, "{path}");
    }
}

#[test]
fn tenants_and_the_limits_they_reached() {
    let admin = serve(FakeServer::new());
    let (status, body) = get_json(&admin, "/tenants");
    let bob = json!({
        "name": "sasl:bob",
        "connections": 2,
        "outstanding_requests": 0,
        "unsent_bytes": 0,
        "watches": 7,
        "limits_reached": {"watches": 3},
    });
    assert_eq!((status, body), (200, json!({"tenants": [bob]})));
}

#[test]
fn elections_and_what_they_cost() {
    let admin = serve(FakeServer::new());
    let (status, body) = get_json(&admin, "/elections");
    let first = json!({
        "at": "2023-11-14T22:13:20.000Z",
        "epoch": 5,
        "first_zxid": "0x500000000",
        "leader": 2,
        "cause": "leader_link_broken",
        "leaderless_ms": 184,
        "sessions": 200,
        "sessions_returned": 199,
        "sessions_lost": 1,
    });
    assert_eq!((status, &body["elections"][1]), (200, &first));
    assert_eq!(body["elections"][0]["sessions_lost"], Value::Null, "not known yet");
}

#[test]
fn every_answer_to_why_is_a_sentence() {
    let admin = serve(FakeServer::new());
    for (path, sentence) in [
        (
            "/a/e1",
            "/a/e1 exists and belongs to session 0x100001f60120000, whose client \
             127.0.0.1:35802 is connected.",
        ),
        ("/a", "/a exists and is not ephemeral: it belongs to no session."),
        (
            "/gone",
            "/gone belonged to session 0x100001f60120000 and was deleted by session \
             0x100001f60120001 at 2026-11-23T15:27:43.000Z.",
        ),
        (
            "/let%20go",
            "/let go was deleted at 2026-11-23T15:27:43.000Z by session 0x100001f60120000, which \
             owned it.",
        ),
        (
            "/lost",
            "/lost vanished at 2026-11-23T15:28:20.125Z with session 0x100001f60120002, which \
             expired: nothing heard from its client for 4003 ms.",
        ),
        (
            "/cut",
            "/cut does not exist, and is not remembered as an ephemeral znode. Of 12 ephemerals \
             that went with sessions, the paths of 9 are remembered; it may be one of the others.",
        ),
        ("/no", "/no does not exist, and is not remembered as an ephemeral znode."),
    ] {
        let (status, answer) = get_json(&admin, &format!("/sessions/why?path={path}"));
        assert_eq!((status, &answer["explanation"]), (200, &json!(sentence)));
    }
}

#[test]
fn what_could_hurt_needs_an_administrator_and_figures_do_not() {
    let nobody = AdminSettings { trust: AdminTrust::Nobody, ..settings() };
    let admin = start(nobody, MetricsSettings::default(), FakeServer::new());
    let addr = admin.addr().unwrap();
    let close = format!("/sessions/{FIRST}/close");
    let guarded = [
        "/commands/dump",
        "/commands/wchc",
        "/commands/watches_by_path",
        "/commands/icfg",
        "/commands/srst",
        "/commands/crst",
        "/commands/snapshot",
        "/sessions",
        "/sessions/ended",
        "/sessions/",
        "/sessions/why?path=/a",
    ];
    for path in guarded {
        let (status, _, body) = request(addr, "GET", path);
        assert_eq!((status, body.contains("Authorization: digest")), (401, true), "{path}");
    }
    for path in [&*close, "/commands/restore"] {
        assert_eq!(request(addr, "POST", path).0, 401, "{path}");
    }
    for path in ["/commands/mntr", "/commands/stat", "/metrics", "/health", "/ready", "/"] {
        assert_eq!(request(addr, "GET", path).0, 200, "{path}");
    }
    let shown = |method: &str, path: &str, auth: &str| {
        let more = format!("Authorization: digest super:{auth}\r\n");
        request_with(addr, method, path, &more).0
    };
    assert_eq!(shown("GET", "/sessions", "secret"), 200);
    assert_eq!(shown("GET", "/commands/dump", "secret"), 200);
    assert_eq!(shown("POST", &close, "secret"), 200);
    assert_eq!(shown("GET", "/sessions", "wrong"), 403);
    assert_eq!(shown("POST", &close, "wrong"), 403);
}

#[test]
fn the_configuration_is_shown_without_its_secrets() {
    let mut server = FakeServer::new();
    server.config.initial_text = "clientPort=22181\n\
        DigestAuthenticationProvider.superDigest = super:xQJmxLMiHGwaqBvst5y6rkB6HQs=\n\
        ssl.keyStore.password: hush\nssl.keyStore.passwordPath=/etc/pw\n# password=none\n"
        .into();
    let admin = serve(server);
    let shown = get_json(&admin, "/commands/icfg").1["initial_configuration"].clone();
    let expected = "clientPort=22181\nDigestAuthenticationProvider.superDigest=***\n\
        ssl.keyStore.password=***\nssl.keyStore.passwordPath=/etc/pw\n# password=none\n";
    assert_eq!(shown, expected);
}

#[test]
fn other_paths_and_methods() {
    let admin = serve(FakeServer::new());
    let addr = admin.addr().unwrap();
    assert_eq!(request(addr, "GET", "/").0, 200);
    assert_eq!(request(addr, "GET", "/nothing").0, 404);
    assert_eq!(get_json(&admin, "/commands/ruok/x").1["error"], "Unknown command: ruok/x");
    assert_eq!(get_json(&admin, "/commands/STAT").1["error"], "Unknown command: STAT");
    for (method, path, status) in [
        ("HEAD", "/commands/ruok", 200),
        ("POST", "/commands/ruok", 405),
        ("PUT", "/sessions", 405),
        ("DELETE", "/", 405),
        ("GET", "/commands/snapshot", 503),
        ("GET", "/commands/snap?streaming=true", 503),
        ("POST", "/commands/restore", 503),
        ("POST", "/sessions/0x100001f60120000/close", 200),
        ("POST", "/sessions/0x77/close", 404),
        ("GET", "/sessions/0x77/close", 405),
    ] {
        let (found, _, body) = request(addr, method, path);
        assert_eq!(found, status, "{method} {path}");
        assert_eq!(body.is_empty(), method == "HEAD", "{method} {path}");
    }
}

#[test]
fn another_command_url() {
    for (url, path, page) in [("/x/y", "/x/y/ruok", "/x/y"), ("", "/ruok", "/")] {
        let admin_settings = AdminSettings { command_url: url.into(), ..settings() };
        let admin = start(admin_settings, MetricsSettings::default(), FakeServer::new());
        assert_eq!(get_json(&admin, path).1["command"], "ruok", "{url}");
        assert_eq!(get(&admin, page).0, 200, "{url}");
        assert_eq!(get(&admin, "/health").0, 200, "{url}");
        assert_eq!(get(&admin, "/commands/ruok").0, 404, "{url}");
    }
}

#[test]
fn a_taken_port_stops_nobody() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = Listen::on("127.0.0.1", taken.local_addr().unwrap().port());
    let metrics = MetricsSettings { prometheus: Some(listen.clone()), process_info: true };
    let admin = start(AdminSettings { listen, ..settings() }, metrics, FakeServer::new());
    assert_eq!((admin.addr(), admin.prometheus_addr()), (None, None));
    let off = AdminSettings { enabled: false, ..settings() };
    assert_eq!(start(off, MetricsSettings::default(), FakeServer::new()).addr(), None);
}

#[test]
fn a_client_that_drips_or_says_nothing_is_closed() {
    let patient = AdminSettings { idle_timeout_ms: 300, ..settings() };
    let admin = start(patient, MetricsSettings::default(), FakeServer::new());
    let addr = admin.addr().unwrap();
    let mut silent = TcpStream::connect(addr).unwrap();
    let mut dripping = TcpStream::connect(addr).unwrap();
    dripping.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let started = Instant::now();
    let closed = loop {
        let sent = dripping.write_all(b"G");
        match dripping.read(&mut [0; 64]) {
            Ok(0) => break true,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock && sent.is_ok() => {}
            Err(_) => break true,
            // A refusal of the nonsense is fine as well, as long as it closes.
            Ok(_) => {}
        }
        if started.elapsed() > Duration::from_secs(10) {
            break false;
        }
    };
    assert!(closed && started.elapsed() >= Duration::from_millis(250));
    silent.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert_eq!(silent.read(&mut [0; 64]).unwrap_or(0), 0);
    assert_eq!(get(&admin, "/health").0, 200);
}

#[test]
fn a_crowd_of_silent_clients_does_not_lock_others_out_for_long() {
    let patient = AdminSettings { idle_timeout_ms: 300, ..settings() };
    let admin = start(patient, MetricsSettings::default(), FakeServer::new());
    let crowd: Vec<TcpStream> =
        (0..100).map(|_| TcpStream::connect(admin.addr().unwrap()).unwrap()).collect();
    assert_eq!(get(&admin, "/health").0, 200);
    drop(crowd);
}

#[test]
fn dropping_it_frees_the_port() {
    let admin = serve(FakeServer::new());
    let addr = admin.addr().unwrap();
    let _open = TcpStream::connect(addr).unwrap();
    drop(admin);
    assert!(TcpStream::connect(addr).is_err());
}

/// A server that has saved a snapshot of these bytes.
fn with_snapshot(folder: &tempfile::TempDir, is_late: bool) -> FakeServer {
    let path = folder.path().join("saved.snap");
    std::fs::write(&path, "a snapshot").unwrap();
    let snapshot = Some(SavedSnapshot { path, zxid: Zxid(0x1_0000_001f) });
    let mut server = FakeServer { snapshot, is_late, ..FakeServer::new() };
    server.readings.cluster = 0xfeed;
    server
}

#[test]
fn a_snapshot_is_streamed_and_described() {
    let folder = tempfile::tempdir().unwrap();
    let often = AdminSettings { snapshot_interval_ms: 0, ..settings() };
    let admin = start(often, MetricsSettings::default(), with_snapshot(&folder, false));
    let (status, head, body) = request(admin.addr().unwrap(), "GET", "/commands/snapshot");
    assert_eq!((status, &*body), (200, "a snapshot"), "{head}");
    for expected in [
        "last_zxid: 0x10000001f",
        "snapshot_size: 10",
        "application/octet-stream",
        "tenure-version",
    ] {
        assert!(head.contains(expected), "{expected}: {head}");
    }
    let (status, described) = get_json(&admin, "/commands/snap?streaming=false");
    assert_eq!((status, &described["last_zxid"]), (200, &json!("0x10000001f")));
    assert_eq!(described["snapshot_size"], "10");
}

#[test]
fn no_snapshot_leaves_an_ensemble_that_has_no_id() {
    let folder = tempfile::tempdir().unwrap();
    let of = |cluster| {
        let mut server = with_snapshot(&folder, false);
        server.readings.cluster = cluster;
        serve(server)
    };
    let (status, body) = get_json(&of(0), "/commands/snapshot");
    assert_eq!(status, 503);
    assert!(body["error"].as_str().unwrap().contains("no id yet"), "{body}");
    let named = of(0xfeed);
    let (status, head, _) = request(named.addr().unwrap(), "GET", "/commands/snapshot");
    assert!(status == 200 && head.contains("tenure-cluster: 000000000000feed"), "{head}");
}

#[test]
fn a_snapshot_that_takes_long_is_waited_for_in_several_requests() {
    let folder = tempfile::tempdir().unwrap();
    let impatient = AdminSettings { idle_timeout_ms: 300, ..settings() };
    let admin = start(impatient, MetricsSettings::default(), with_snapshot(&folder, true));
    let (status, body) = get_json(&admin, "/commands/snapshot");
    assert_eq!((status, &body["error"]), (202, &json!("it is being written; ask again")));
    assert_eq!(get(&admin, "/commands/snapshot"), (200, "a snapshot".to_owned()));
}

#[test]
fn snapshots_are_rare_and_can_be_switched_off() {
    let folder = tempfile::tempdir().unwrap();
    let admin = serve(with_snapshot(&folder, false));
    assert_eq!(get(&admin, "/commands/snapshot").0, 200);
    let (status, body) = get_json(&admin, "/commands/snapshot");
    assert_eq!(status, 429);
    assert!(body["error"].as_str().unwrap().contains("admin.rateLimiterIntervalInMS"), "{body}");
    let off = AdminSettings { snapshot: false, ..settings() };
    let admin = start(off, MetricsSettings::default(), with_snapshot(&folder, false));
    assert_eq!(get_json(&admin, "/commands/snapshot").0, 503);
    let waiting = FakeServer {
        readings: Readings { serving: false, ..Readings::default() },
        ..with_snapshot(&folder, false)
    };
    assert_eq!(get_json(&serve(waiting), "/commands/snapshot").0, 503);
}
