//! Whatever servers do, no thread and no file stays behind.

use std::process::Command;
use std::time::{Duration, Instant};

use tenure_client::Session;

use super::fake::{Fake, reply};

/// Set in a process of its own, in which no other test runs.
const ALONE: &str = "TENURE_TEST_LEAKS_ALONE";

/// Threads and open files of this process.
#[cfg(target_os = "linux")]
fn held() -> (usize, usize) {
    let count = |folder| std::fs::read_dir(folder).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[cfg(target_os = "linux")]
#[test]
fn bad_servers_leave_nothing_behind() {
    if std::env::var_os(ALONE).is_some() {
        return measure();
    }
    let test = "leaks::bad_servers_leave_nothing_behind";
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", test, "--nocapture"]).env(ALONE, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(target_os = "linux")]
fn measure() {
    let executor = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The client's own thread, that of the resolver and what they need come first and stay.
    executor.block_on(round(1));
    let settled = |before: (usize, usize)| {
        let since = Instant::now();
        while held() != before && since.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(5));
        }
        held()
    };
    let before = settled((0, 0));
    for servers in 2..5 {
        executor.block_on(round(servers));
    }
    assert_eq!(settled(before), before, "threads and files");
}

/// Sessions at several of every kind of bad server, and at names that do not exist.
#[cfg(target_os = "linux")]
async fn round(servers: usize) {
    let limit = Duration::from_millis(200);
    let begin = |hosts: &str| {
        Session::builder(hosts).timeout(limit).establish_timeout(limit).start().unwrap()
    };
    let mut fakes = Vec::new();
    let mut sessions = Vec::new();
    for _ in 0..servers {
        fakes.push(Fake::start(|_, link| link.ignore()));
        fakes.push(Fake::start(|_, _| {}));
        fakes.push(Fake::start(|_, link| {
            link.shake(500);
        }));
        fakes.push(Fake::start(|_, link| {
            link.read();
            link.write(&[0xee; 100]);
        }));
        fakes.push(Fake::start(|_, link| {
            if link.shake(500).is_some()
                && let Some(request) = link.request()
            {
                link.write(&reply(request.xid, 0, &[1]));
                link.ignore();
            }
        }));
    }
    for fake in &fakes {
        sessions.push(begin(&fake.hosts()));
    }
    sessions.push(begin("no-such-host.invalid"));
    sessions.push(begin("127.0.0.1:1"));
    let mut watches = Vec::new();
    for session in &sessions {
        watches.push(session.exists("/x").watch().timeout(limit).send());
        // Its outcome is of no interest.
        let _ = session.set("/x", "").timeout(limit).await;
    }
    for (index, session) in sessions.iter().enumerate() {
        match index % 3 {
            0 => session.leave(),
            1 => drop(session.close().await),
            _ => {}
        }
    }
}
