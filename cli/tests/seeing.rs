//! What operators and their machinery see of running servers: probes, events, `tenure top`,
//! `tenure doctor`, checks and reloads of the configuration.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::dev::{Dev, PATIENCE, Row};
use tenure_client::Session;
use tenure_server::config::AdminTrust;
use tenure_testing::TestServer;

/// Status and body of a GET.
fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

fn get_json(address: &str, path: &str) -> (u16, Value) {
    let (status, body) = get(address, path).unwrap_or_else(|| panic!("{address}{path}"));
    (status, serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}")))
}

/// Asks until the answer is as wanted.
fn await_answer(address: &str, path: &str, wanted: impl Fn(u16, &Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let (status, body) = get_json(address, path);
        if wanted(status, &body) {
            return body;
        }
        assert!(Instant::now() < deadline, "{path}: {status} {body}");
        thread::yield_now();
    }
}

fn tenure(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_tenure")).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), text + &String::from_utf8(output.stderr).unwrap())
}

fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

fn admins(rows: &[Row]) -> String {
    rows.iter().map(|row| row.admin.as_str()).collect::<Vec<_>>().join(",")
}

fn host_of(row: &Row) -> &str {
    row.admin.trim_start_matches("http://").trim_end_matches('/')
}

/// Somebody who reads all the time.
struct Reading {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Reading {
    /// Reads when this returns.
    fn start(address: &str) -> Self {
        let (is_over, address) = (Arc::new(AtomicBool::new(false)), address.to_owned());
        let over = Arc::clone(&is_over);
        let (begun, has_begun) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let session = Session::establish(&address).await.unwrap();
                while !over.load(Ordering::Relaxed) {
                    session.get("/").await.unwrap();
                    let _ = begun.send(());
                }
                session.close().await.unwrap();
            });
        });
        has_begun.recv().unwrap();
        Self { is_over, thread: Some(thread) }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn assert_commands_tell_who_leads(leader: &Row, follower: &Row) {
    let (_, led) = get_json(host_of(follower), "/commands/leader");
    assert_eq!((&led["is_leader"], led["leader_id"].as_u64()), (&false.into(), Some(leader.id)));
    let (_, view) = get_json(host_of(leader), "/commands/voting_view");
    let view = view["current_config"].as_object().unwrap();
    assert_eq!((view.len(), &view["1"]["learner_type"]), (3, &"PARTICIPANT".into()));
    let (_, zab) = get_json(host_of(leader), "/commands/zabstate");
    assert_eq!((&zab["zabstate"], &zab["is_leader"]), (&"broadcast".into(), &true.into()));
}

/// The leader has timed their answers, and each of them how long it took to get in sync.
fn assert_followers_are_timed(of_leader: &str, followers: &[&Row]) {
    for follower in followers {
        assert_holds(of_leader, &[&format!("\nack_latency_count{{key=\"{}\"}} ", follower.id)]);
        let (_, metrics) = get(host_of(follower), "/metrics").unwrap();
        assert!(!metrics.contains("\nfollower_sync_time_count 0\n"), "{metrics}");
    }
}

#[tokio::test]
async fn an_ensemble_is_seen_while_it_has_a_quorum_and_when_it_loses_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    let rows = dev.table(3);
    let leader = rows.iter().find(|row| row.role == "leader").unwrap();
    let followers: Vec<&Row> = rows.iter().filter(|row| row.role == "follower").collect();
    for row in &rows {
        let ready = await_answer(host_of(row), "/readyz", |status, _| status == 200);
        assert_eq!(ready["ready"], true, "{ready}");
        assert_eq!(get_json(host_of(row), "/healthz").0, 200);
    }
    let session = Session::establish(&leader.address).await.unwrap();
    session.create("/seen", "").await.unwrap();
    let status = await_answer(host_of(leader), "/status", |_, status| {
        let followers = status["followers"].as_array().unwrap();
        followers.len() == 2 && followers.iter().all(|follower| follower["in_sync"] == true)
    });
    assert_eq!(status["leader"].as_u64(), Some(leader.id), "{status}");
    let (_, metrics) = get(host_of(leader), "/metrics").unwrap();
    assert_holds(
        &metrics,
        &[
            "\nquorum_size 3\n",
            "\nlearners 2\n",
            "\nsynced_followers 2\n",
            "\ntenure_ready 1\n",
            "\ntenure_requests_total{op=\"create2\"} 1\n",
            &format!("\ntenure_leader_id {}\n", leader.id),
        ],
    );
    assert_followers_are_timed(&metrics, &followers);
    let (_, events) = get_json(host_of(leader), "/events");
    assert_eq!(events["events"][0]["kind"], "election", "{events}");
    assert_commands_tell_who_leads(leader, followers[0]);

    let reading = Reading::start(&followers[0].address);
    let (code, text) = tenure(&["top", "--once", "--interval", "0.2", "--admin", &admins(&rows)]);
    drop(reading);
    assert_eq!(code, 0, "{text}");
    let headline = format!("tenure top: server {} leads; 3 of 3 answer, 3 ready", leader.id);
    assert_holds(&text, &[&headline, "Requests/s", "reads p", "2 live, 0 nearly", "leads, after"]);
    let requests = text.lines().find(|line| line.starts_with("Requests/s")).unwrap();
    assert_holds(requests, &["getData "]);
    let busiest = text.lines().skip_while(|line| !line.starts_with("Busiest")).nth(1).unwrap();
    assert_holds(busiest, &["  0x", "  127.0.0.1:"]);
    let hot = text.lines().skip_while(|line| !line.starts_with("Hot paths")).nth(1).unwrap();
    assert!(hot.ends_with(" %  /"), "{text}");

    let everywhere = ["-s", &leader.address, "--admin", &admins(&rows)];
    let (code, text) = tenure(&[&["doctor", "--no-disk-speed"], &everywhere[..]].concat());
    assert_holds(&text, &["healthy: 3 of 3 voters serve", "clocks agree", "runs everywhere"]);
    assert!(code == 0 || text.contains("problem "), "{text}");

    for follower in &followers {
        dev.enter(&format!("kill {}", follower.id));
        dev.expect(&["was killed"]);
    }
    let ready = await_answer(host_of(leader), "/readyz", |status, _| status == 503);
    assert_eq!((&ready["ready"], &ready["reason"]), (&false.into(), &"no_leader".into()));
    // A restart would not bring the others back.
    assert_eq!(get_json(host_of(leader), "/healthz").0, 200);
    let (code, text) =
        tenure(&[&["doctor", "--no-disk-speed", "--json"], &everywhere[..]].concat());
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 1, "{text}");
    let quorum = found["findings"].as_array().unwrap().iter().find(|finding| {
        finding["what"].as_str().unwrap().contains("no quorum: 0 of 3 voters serve")
    });
    assert_eq!(quorum.unwrap()["level"], "problem", "{text}");
    assert!(quorum.unwrap()["todo"].as_str().unwrap().contains("start members"), "{text}");

    dev.enter(&format!("start {}", followers[0].id));
    await_answer(host_of(leader), "/readyz", |status, _| status == 200);
}

#[test]
fn a_paused_server_is_unhealthy_and_tells_of_the_pause() {
    let server = TestServer::builder().admin(true).start().unwrap();
    let admin = server.admin_addr().unwrap().to_string();
    assert_eq!(get_json(&admin, "/healthz").0, 200);
    server.pause().unwrap();
    let (status, body) = get_json(&admin, "/healthz");
    assert_eq!((status, body["reason"].as_str()), (503, Some("io_loop_stuck")), "{body}");
    server.resume();
    await_answer(&admin, "/healthz", |status, _| status == 200);
    let (_, events) = get_json(&admin, "/events");
    let pause = events["events"].as_array().unwrap().iter().find(|e| e["kind"] == "pause");
    // Health is given up after two seconds.
    assert!(pause.unwrap()["for_ms"].as_u64() >= Some(2_000), "{events}");
    let (_, metrics) = get(&admin, "/metrics").unwrap();
    assert_holds(&metrics, &["\ntenure_pauses_total 1\n", "\njvm_pause_time_ms_count 1\n"]);
}

#[tokio::test]
async fn many_expiries_at_once_are_one_event() {
    let server = TestServer::builder().admin(true).start().unwrap();
    let admin = server.admin_addr().unwrap().to_string();
    let mut sessions = Vec::new();
    for _ in 0..25 {
        sessions.push(Session::establish(&server.hosts()).await.unwrap());
    }
    for session in &sessions {
        server.expire_session(tenure_wire::SessionId(session.id().0)).unwrap();
    }
    let events = await_answer(&admin, "/events", |_, body| {
        body["events"].as_array().unwrap().iter().any(|event| event["kind"] == "expiry_storm")
    });
    let events = events["events"].as_array().unwrap();
    let storms: Vec<&Value> = events.iter().filter(|e| e["kind"] == "expiry_storm").collect();
    assert_eq!((storms.len(), storms[0]["sessions"].as_u64()), (1, Some(25)), "{storms:?}");
    assert_eq!(storms[0]["cause"], "one_address", "{storms:?}");
    assert_eq!(storms[0]["address"], "127.0.0.1", "{storms:?}");
    let (_, metrics) = get(&admin, "/metrics").unwrap();
    assert_holds(&metrics, &["\ntenure_expiry_storms_total 1\n", "\nstale_sessions_expired 25\n"]);
}

#[tokio::test]
async fn sessions_are_shown_to_whom_the_server_knows() {
    let server = TestServer::builder().admin(true).configure(|config| {
        config.admin.trust = AdminTrust::Nobody;
        config.auth.super_digest = Some("super:xQJmxLMiHGwaqBvst5y6rkB6HQs=".to_owned());
    });
    let server = server.start().unwrap();
    let admin = format!("http://{}", server.admin_addr().unwrap());
    let top = ["top", "--once", "--interval", "0.1", "--admin", &admin];
    let (code, text) = tenure(&top);
    assert_eq!(code, 0, "{text}");
    assert_holds(&text, &["0 live, the server refuses: ", "Authorization: digest"]);
    let (code, text) = tenure(&["session", "list", "--admin", &admin]);
    assert_eq!(code, 1, "{text}");
    for arguments in [&top[..], &["session", "list", "--admin", &admin]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
        let command = command.args(arguments).env("TENURE_ADMIN_AUTH", "digest super:admin");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        assert!(text.contains("0 nearly expired") || text.contains("no live sessions"), "{text}");
    }
}

#[tokio::test]
async fn slow_syncs_are_one_event_and_count() {
    let builder = TestServer::builder().admin(true);
    // Every sync takes that long.
    let server = builder.configure(|c| c.durability.slow_sync_warning_ms = 0).start().unwrap();
    let admin = server.admin_addr().unwrap().to_string();
    let session = Session::establish(&server.hosts()).await.unwrap();
    session.create("/a", "").await.unwrap();
    session.set("/a", "b").await.unwrap();
    session.close().await.unwrap();
    let (_, events) = get_json(&admin, "/events");
    let events = events["events"].as_array().unwrap();
    let slow: Vec<&Value> = events.iter().filter(|e| e["kind"] == "slow_sync").collect();
    assert_eq!(slow.len(), 1, "{events:?}");
    let times = slow[0]["times"].as_u64().unwrap();
    assert!(times >= 4, "{slow:?}");
    let (_, metrics) = get(&admin, "/metrics").unwrap();
    assert_holds(&metrics, &["\ntenure_slow_syncs_total "]);
}

#[test]
fn a_configuration_is_checked_without_starting_anything() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("zoo.cfg"), folder.path().join("data"));
    let name = path.to_str().unwrap();
    fs::write(&path, "tickTime=fast\nclientPort=2181\nsnapcount=7\ncnxTimeout=5\n").unwrap();
    let (code, text) = tenure(&["serve", "--check", name]);
    assert_eq!(code, 2, "{text}");
    assert_holds(
        &text,
        &[
            &format!("error: {name}:1: tickTime=fast: expected a whole number"),
            &format!("error: {name}: dataDir is missing"),
            &format!("warning: {name}:3: snapcount: unknown key, ignored; is snapCount meant?"),
            &format!("ignored: {name}:4: cnxTimeout: "),
            "errors: 2, warnings: 1, keys without effect: 1; a server does not start",
        ],
    );
    let good = format!("dataDir={}\nclientPort=2181\n", data.display());
    fs::write(&path, good.clone()).unwrap();
    let (code, text) = tenure(&["serve", "--check", name]);
    assert_eq!(code, 0, "{text}");
    assert_holds(&text, &["errors: 0, warnings: 0, keys without effect: 0; a server starts"]);
    assert!(!data.exists(), "nothing is made");
    // What only shows when keys are read.
    fs::write(&path, good + "secureClientPort=2281\nssl.keyStore.location=/nowhere.pem\n").unwrap();
    let (code, text) = tenure(&["serve", "--check", name]);
    assert_eq!(code, 2, "{text}");
    assert_holds(&text, &["error: ", "/nowhere.pem"]);
    let (code, text) = tenure(&["serve", "--check", "/nowhere.cfg"]);
    assert_eq!(code, 2, "{text}");
    assert_holds(&text, &["error: /nowhere.cfg: cannot be read"]);
}

/// A server of a file of its own, for signals.
struct Signalled {
    child: Child,
    folder: tempfile::TempDir,
    admin: String,
    address: String,
}

impl Signalled {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free: Vec<_> =
            (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let port = |n: usize| free[n].local_addr().unwrap().port();
        let (client, admin) = (port(0), port(1));
        drop(free);
        let fixed = format!(
            "dataDir={}\nclientPort={client}\nclientPortAddress=127.0.0.1\n\
             admin.serverAddress=127.0.0.1\nadmin.serverPort={admin}\n",
            folder.path().join("data").display()
        );
        fs::write(folder.path().join("fixed"), &fixed).unwrap();
        fs::write(folder.path().join("zoo.cfg"), &fixed).unwrap();
        let log = fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_tenure"))
            .arg("serve")
            .arg(folder.path().join("zoo.cfg"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let admin = format!("127.0.0.1:{admin}");
        let deadline = Instant::now() + PATIENCE;
        while get(&admin, "/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(Instant::now() < deadline, "it does not start");
            thread::yield_now();
        }
        Self { child, folder, admin, address: format!("127.0.0.1:{client}") }
    }

    /// Reloads the file with other lines behind those that stay; waits for what the log says.
    fn reload(&self, lines: &str, expected: &str) -> String {
        let fixed = fs::read_to_string(self.folder.path().join("fixed")).unwrap();
        fs::write(self.folder.path().join("zoo.cfg"), fixed + lines).unwrap();
        kill_process(Pid::from_child(&self.child), Signal::HUP).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = log_of(self.folder.path());
            if log.contains(expected) {
                return log;
            }
            assert!(Instant::now() < deadline, "{expected:?} is not in:\n{log}");
            thread::yield_now();
        }
    }

    fn word(&self, word: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(word.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Signalled {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

fn log_of(folder: &Path) -> String {
    fs::read_to_string(folder.join("log")).unwrap()
}

#[tokio::test]
async fn a_reload_changes_what_it_can_and_says_what_needs_a_restart() {
    let server = Signalled::start();
    assert_holds(&server.word("ruok"), &["ruok is not executed"]);
    let lines = "4lw.commands.whitelist=srvr,ruok,conf\nmaxSessionTimeout=9000\nsnapCount=77\n\
                 maxClientCnxns=3\ntenure.logLevel=debug\n\
                 tenure.limits.watches.perAddress=1\n";
    let log = server.reload(lines, "the configuration was read again");
    assert_holds(&log, &["maxClientCnxns (unset -> 3)", "needs a restart: snapCount"]);
    assert_eq!(server.word("ruok"), "imok");
    assert_holds(&server.word("conf"), &["maxSessionTimeout=9000", "maxClientCnxns=3"]);
    let wish = std::time::Duration::from_secs(30);
    let session = Session::builder(&server.address).timeout(wish).establish().await.unwrap();
    assert_eq!(session.timeout().as_millis(), 9000);
    let _watch = session.exists("/a").watch().await.unwrap();
    assert!(session.exists("/b").watch().await.is_err());
    let (_, events) = get_json(&server.admin, "/events");
    let throttled = events["events"].as_array().unwrap().iter().find(|e| e["limit"] == "watches");
    assert_eq!(throttled.unwrap()["kind"], "throttling");
    assert_eq!(throttled.unwrap()["tenant"], "127.0.0.1");
    session.close().await.unwrap();
    let (_, conf) = get_json(&server.admin, "/commands/conf");
    assert_eq!(conf["max_session_timeout"], 9000, "{conf}");
    let held: Vec<TcpStream> =
        (0..3).map(|_| TcpStream::connect(&server.address).unwrap()).collect();
    let mut fourth = TcpStream::connect(&server.address).unwrap();
    // It is closed at accept; the others are not.
    assert_eq!(fourth.read(&mut [0; 1]).unwrap_or(0), 0);
    drop(held);
    await_answer(&server.admin, "/commands/srvr", |_, body| {
        body["server_stats"]["num_alive_client_connections"] == 0
    });

    // A mistake changes nothing, not even what is right beside it.
    let log = server.reload("maxSessionTimeout=1\ntickTime=-5\n", "nothing is changed");
    assert_holds(&log, &["zoo.cfg:7: tickTime=-5: expected a whole number"]);
    assert_holds(&server.word("conf"), &["maxSessionTimeout=9000"]);
    let (_, events) = get_json(&server.admin, "/events");
    let events = events["events"].as_array().unwrap();
    let reloads: Vec<&Value> = events.iter().filter(|e| e["kind"] == "reloaded").collect();
    assert_eq!((reloads.len(), &reloads[0]["needs_restart"][0]), (1, &"snapCount".into()));
    assert_holds(&log, &["DEBUG session opened"]);
}

/// What runs on a small disk of its own: the server, and who fills the disk and makes room again, a
/// line of input for each.
const ON_A_SMALL_DISK: &str = "mount -t tmpfs -o size=80m small \"$1\" || exit 9
    \"$2\" serve \"$3\" & server=$!; echo mounted
    read -r line; dd if=/dev/zero of=\"$1/filler\" bs=4k 2>/dev/null; echo full
    read -r line; rm \"$1/filler\"; echo room
    read -r line; kill -9 $server";

#[tokio::test]
async fn a_full_disk_is_no_readiness_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let (data, path) = (folder.path().join("data"), folder.path().join("zoo.cfg"));
    fs::create_dir(&data).unwrap();
    let free: Vec<_> =
        (0..2).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let address = |n: usize| free[n].local_addr().unwrap().to_string();
    let (client, admin) = (address(0), address(1));
    let port = |address: &str| address.rsplit_once(':').unwrap().1.to_owned();
    let text = format!(
        "dataDir={}\nclientPort={}\nadmin.serverPort={}\npreAllocSize=64\n",
        data.display(),
        port(&client),
        port(&admin)
    );
    fs::write(&path, text).unwrap();
    drop(free);
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", ON_A_SMALL_DISK, "sh"]).arg(&data);
    command.arg(env!("CARGO_BIN_EXE_tenure")).arg(&path).stdin(Stdio::piped());
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = spawned else { return skipped("unshare is not there") };
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    if lines.next().is_none() {
        return skipped("disks are mounted by root alone");
    }
    let deadline = Instant::now() + PATIENCE;
    while get(&admin, "/readyz").is_none_or(|(status, _)| status != 200) {
        assert!(Instant::now() < deadline, "it does not start");
    }
    let writer = Session::establish(&client).await.unwrap();
    writeln!(input, "fill").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "full");
    // More than was set aside.
    let writing = tokio::spawn(async move {
        for n in 0..3 {
            writer.create(&format!("/large{n}"), &vec![b'x'; 500_000]).await.unwrap();
        }
    });
    let ready = tokio::task::spawn_blocking({
        let admin = admin.clone();
        move || await_answer(&admin, "/readyz", |status, _| status == 503)
    });
    assert_eq!(ready.await.unwrap()["reason"], "disk_full");
    assert_eq!(get_json(&admin, "/healthz").0, 200);
    writeln!(input, "room").unwrap();
    writing.await.unwrap();
    await_answer(&admin, "/readyz", |status, _| status == 200);
    let (_, events) = get_json(&admin, "/events");
    let kinds: Vec<&Value> =
        events["events"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["disk_full", "disk_has_room"]);
    writeln!(input, "end").unwrap();
    child.wait().unwrap();
}

fn skipped(why: &str) {
    // Written past the test harness's capture, so that a skip is never silent.
    let line = format!("SKIPPED a_full_disk_is_no_readiness: {why}\n");
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("zoo.cfg");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = format!(
        "dataDir={0}/data\nclientPort={1}\nclientPortAddress=127.0.0.1\nsnapcount=5\n\
         4lw.commands.whitelist=*\nminSessionTimeout=100\nsyncEnabled=true\n\
         ssl.keyStore.location={2}/../server/tests/certificates/server.pem\n\
         ssl.trustStore.location={2}/../server/tests/certificates/version1-expired.pem\n",
        folder.path().display(),
        taken.local_addr().unwrap().port(),
        env!("CARGO_MANIFEST_DIR"),
    );
    fs::write(&path, text).unwrap();
    let (code, text) = tenure(&["doctor", path.to_str().unwrap()]);
    assert_eq!(code, 1, "{text}");
    assert_holds(
        &text,
        &[
            "snapcount: unknown key, ignored; is snapCount meant?",
            "4lw.commands.whitelist=*",
            "-> list what is needed",
            "timeouts of 100 ms",
            "note     ",
            "syncEnabled: accepted without effect",
            "will be made at the start",
            "fdatasync of 4096 bytes: median",
            "open files: ",
            "is taken, and not by a server of this configuration",
            "-> see who has it",
            "expired ",
            "-> replace it now",
            "more days",
        ],
    );
    // Nothing is left behind.
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let (code, text) = tenure(&["doctor", "/nowhere.cfg"]);
    assert_eq!(code, 1, "{text}");
    assert_holds(&text, &["problem  /nowhere.cfg: cannot be read", "-> name a zoo.cfg"]);
}
