//! `tenure backup` and `tenure restore`: what comes back, and what is refused.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use support::ensemble::Ensemble;
use support::hosted::{Hosted, SUPER_USER, arg, members, tenure};
use support::{Handshake, foreign};
use tempfile::TempDir;
use tenure_client::{Session, SessionToken, Zxid};

/// A server with some state, a backup of it, and the session that owns an ephemeral.
struct Scene {
    place: TempDir,
    server: Hosted,
    token: SessionToken,
    last_zxid: Zxid,
}

impl Scene {
    async fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let server = Hosted::on(&place.path().join("data"));
        let session = Session::builder(&server.hosts()).timeout(Duration::from_secs(40));
        let session = session.establish().await.unwrap();
        session.create("/app", "before").await.unwrap();
        session.create("/app/mine", "").ephemeral().await.unwrap();
        session.create("/app/tasks", "").container().await.unwrap();
        for n in 0..500 {
            session.create(&format!("/app/n{n}"), &vec![b'x'; 200]).await.unwrap();
        }
        let (token, last_zxid) = (session.token().unwrap(), session.last_zxid());
        session.leave();
        Scene { place, server, token, last_zxid }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn back_up(&self, name: &str) -> (i32, String, String) {
        tenure(&["backup", "--server", &self.server.admin(), "--out", arg(&self.path(name))])
    }

    /// A backup that is whole.
    fn backup(&self) -> PathBuf {
        let (code, said, complaint) = self.back_up("backup");
        assert_eq!(code, 0, "{complaint}");
        assert!(said.contains("507 znodes, 1 of them ephemeral, and 1 sessions"), "{said}");
        self.path("backup")
    }
}

fn restore(from: &Path, to: &Path, more: &[&str]) -> (i32, String) {
    let words = [&["restore", "--from", arg(from), "--to", arg(to)], more].concat();
    let (code, said, complaint) = tenure(&words);
    (code, said + &complaint)
}

#[tokio::test]
async fn a_backup_holds_everything_up_to_when_it_was_asked_for() {
    let scene = Scene::new().await;
    let backup = scene.backup();
    let mode = fs::metadata(&backup).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");
    let later = scene.server.session().await;
    later.set("/app", "after").await.unwrap();
    later.close().await.unwrap();

    let to = scene.path("restored");
    let (code, said) = restore(&backup, &to, &[]);
    assert_eq!(code, 0, "{said}");
    let restored = Hosted::on(&to);
    let (code, said, _) =
        tenure(&["verify", &scene.server.hosts(), &restored.hosts(), "--auth", SUPER_USER]);
    assert_eq!(code, 1);
    // That one change and nothing else.
    assert!(said.contains("/app: data: 5 bytes \"after\" / 6 bytes \"before\""), "{said}");
    assert!(said.lines().all(|line| line.starts_with("/app: ") || line.contains("507")), "{said}");

    let session = Session::resume(&restored.hosts(), scene.token.clone()).await.unwrap();
    assert_eq!(session.id(), scene.token.id());
    assert_eq!(session.ephemerals("/").await.unwrap(), ["/app/mine"]);
    session.create("/new", "").await.unwrap();
    assert!(session.exists("/new").await.unwrap().unwrap().czxid > scene.last_zxid);
    session.close().await.unwrap();
}

/// What a member says of itself.
fn ready(member: &Hosted) -> String {
    let answer = ureq::get(format!("{}/readyz", member.admin())).call();
    answer.and_then(|answer| answer.into_body().read_to_string()).unwrap_or_default()
}

#[tokio::test]
async fn an_ensemble_is_restored_as_a_new_one_from_a_followers_backup() {
    let place = tempfile::tempdir().unwrap();
    let folders = |name: &str| -> Vec<PathBuf> {
        (1..=3).map(|n| place.path().join(format!("{name}{n}"))).collect()
    };
    let old = members(&folders("old"));
    let session = old[0].session().await;
    session.create("/app", "data").await.unwrap();
    session.create("/app/mine", "").ephemeral().await.unwrap();
    let token = session.token().unwrap();
    session.leave();
    for (n, member) in old.iter().enumerate() {
        // It may lag; what is read behind a sync has come to it.
        let reader = member.session().await;
        reader.sync("/app/mine").await.unwrap();
        reader.close().await.unwrap();
        // The first leader names the ensemble beside all else that it does.
        while !ready(member).contains("\"cluster\"") {
            thread::yield_now();
        }
        let out = place.path().join(format!("backup{n}"));
        let (code, said, complaint) =
            tenure(&["backup", "--server", &member.admin(), "--out", arg(&out)]);
        assert!(code == 0 && !said.contains("cluster 0000000000000000"), "{said}{complaint}");
    }
    let backup = place.path().join("backup2");
    let (_, said, _) = tenure(&["restore", "--from", arg(&backup), "--check"]);
    let cluster = said.trim_end().rsplit(' ').next().unwrap().to_owned();
    for folder in folders("new") {
        let (code, said) = restore(&backup, &folder, &["--cluster", &cluster]);
        assert_eq!(code, 0, "{said}");
    }
    let new = members(&folders("new"));
    for (old, new) in old.iter().zip(&new) {
        let (code, said, _) = tenure(&["verify", &old.hosts(), &new.hosts(), "--auth", SUPER_USER]);
        assert_eq!(code, 0, "{said}");
    }
    let session = Session::resume(&new[1].hosts(), token).await.unwrap();
    assert_eq!(session.ephemerals("/").await.unwrap(), ["/app/mine"]);
    session.create("/new", "").await.unwrap();
    session.close().await.unwrap();
    let out = place.path().join("of-new");
    let (_, said, _) = tenure(&["backup", "--server", &new[0].admin(), "--out", arg(&out)]);
    assert!(!said.contains(&cluster), "it is another ensemble: {said}");
}

#[test]
fn a_member_restored_alone_is_let_in_by_nobody() {
    if foreign() {
        return;
    }
    let admin = "admin.enableServer=true\nadmin.serverAddress=127.0.0.1\nadmin.serverPort=0\n";
    let mut ensemble = Ensemble::start_with(admin);
    let leader = ensemble.leader();
    let lost = (leader + 1) % 3;
    let mut client = ensemble.connect(leader, &Handshake::new(30_000));
    client.create("/before", b"").unwrap();
    let log = |n: usize| fs::read_to_string(ensemble.folder.path().join(format!("{n}.log")));
    ensemble.wait_for(|| log(leader).unwrap().contains("the ensemble has an id"));
    let text = log(leader).unwrap();
    let server = text.split(" admin=").nth(1).unwrap().split_whitespace().next().unwrap();
    let backup = ensemble.folder.path().join("backup");
    let (code, said, why) = tenure(&["backup", "--server", server, "--out", arg(&backup)]);
    assert_eq!(code, 0, "{said}{why}");
    client.create("/since", b"").unwrap();

    ensemble.kill(lost);
    ensemble.wipe(lost);
    let data = ensemble.folder.path().join(format!("data{lost}"));
    let (code, said) = restore(&backup, &data, &[]);
    assert_eq!(code, 0, "{said}");
    ensemble.spawn(lost);
    ensemble.wait_for(|| ensemble.logs().contains("on one restored from a backup"));
    assert!(ensemble.word(lost, "srvr").contains("not currently serving"));
    // What the message says to do is all there is to do.
    ensemble.kill(lost);
    ensemble.wipe(lost);
    ensemble.spawn(lost);
    let mut witness = ensemble.connect_in_sync(lost);
    assert!(witness.exists("/since").is_ok());
    witness.close();
    client.close();
}

#[tokio::test]
async fn backups_under_load_hold_one_moment_and_hold_up_nobody() {
    let scene = Scene::new().await;
    let session = scene.server.session().await;
    let admin = scene.server.admin();
    let out = scene.path("loaded");
    let taking = {
        let out = out.clone();
        thread::spawn(move || tenure(&["backup", "--server", &admin, "--out", arg(&out)]))
    };
    // Two counters that change together.
    session.create("/one", "0").await.unwrap();
    session.create("/two", "0").await.unwrap();
    let mut n = 0;
    while !taking.is_finished() {
        n += 1;
        let (number, both) = (n.to_string(), session.transaction());
        both.set("/one", &number, None).set("/two", &number, None).commit().await.unwrap();
    }
    let (code, _, complaint) = taking.join().unwrap();
    assert_eq!(code, 0, "{complaint}");
    let to = scene.path("restored");
    let (code, said) = restore(&out, &to, &[]);
    assert_eq!(code, 0, "{said}");
    let restored = Hosted::on(&to);
    let reader = restored.session().await;
    let read = async |path| Some(reader.exists(path).await.unwrap()?.version);
    // Both or, from before they were created one after the other, what was there then.
    let (one, two) = (read("/one").await, read("/two").await);
    assert!(one == two || two.is_none() && one == Some(0), "{one:?} {two:?}");
    reader.close().await.unwrap();
    session.close().await.unwrap();
}

#[tokio::test]
async fn torn_and_altered_backups_are_refused() {
    let scene = Scene::new().await;
    let backup = scene.backup();
    let whole = fs::read(&backup).unwrap();
    let (copy, to) = (scene.path("copy"), scene.path("restored"));
    let check = |bytes: &[u8], expected: &[&str]| {
        fs::write(&copy, bytes).unwrap();
        let (code, said) = restore(&copy, &to, &[]);
        assert_eq!(code, 3, "{said}");
        assert!(expected.iter().any(|text| said.contains(text)), "{said}");
        assert!(!to.exists(), "nothing was written");
    };
    for end in [0, 5, 11, 12, 100, whole.len() / 2, whole.len() - 1] {
        check(&whole[..end], &["was cut short"]);
    }
    for at in (0..whole.len()).step_by(whole.len() / 40).chain(whole.len() - 60..whole.len()) {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        let expected =
            ["was altered", "cut short", "is no backup", "has backup format", "manifest"];
        check(&altered, &expected);
    }
    let longer = [&whole[..], b"more"].concat();
    check(&longer, &["cut short"]);
    let (code, said) = restore(&backup, &to, &["--check"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("507 znodes") && !to.exists(), "{said}");
}

#[tokio::test]
async fn foreign_backups_are_refused_by_what_they_are() {
    let scene = Scene::new().await;
    let (file, to) = (scene.path("foreign"), scene.path("restored"));
    let mut newer = b"TENUREBK".to_vec();
    newer.extend(9_u32.to_le_bytes());
    newer.extend([0; 100]);
    for (bytes, expected) in [
        (&b"ZKSN\0\0\0\x02rest"[..], "a snapshot of ZooKeeper"),
        (b"ZKLG\0\0\0\x02rest", "a log of ZooKeeper"),
        (b"TENURSNP and the rest", "a snapshot out of a data folder"),
        (b"\x1f\x8b and the rest of it", "compressed with gzip"),
        (b"something else altogether", "does not begin as backups do"),
        (&newer, "has backup format 9"),
    ] {
        fs::write(&file, bytes).unwrap();
        let (code, said) = restore(&file, &to, &[]);
        assert!(code == 3 && said.contains(expected), "{said}");
    }
    let (code, said) = restore(&scene.path("none"), &to, &[]);
    assert!(code == 3 && said.contains("opening"), "{said}");

    let backup = scene.backup();
    let (code, said) = restore(&backup, &to, &["--cluster", "00000000000000ab"]);
    let (_, cluster) = said.split_once("is a backup of cluster ").unwrap();
    let (cluster, _) = cluster.split_once(", not of 00000000000000ab").unwrap();
    assert!(code == 3 && cluster != "0000000000000000", "{said}");
    let (code, said) = restore(&backup, &to, &["--cluster", cluster]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = restore(&backup, &to, &[]);
    assert!(code == 3 && said.contains("holds data already"), "{said}");
    // And onto a server that runs.
    let (code, said) = restore(&backup, &scene.path("data"), &[]);
    assert!(code == 3 && said.contains("in use by another process"), "{said}");
}

#[tokio::test]
async fn servers_that_hand_out_no_backup_are_told_and_leave_no_file() {
    let scene = Scene::new().await;
    scene.backup();
    let (code, _, complaint) = scene.back_up("backup");
    assert!(code == 1 && complaint.contains("exists already"), "{complaint}");

    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("out");
    let take = |server: &str| tenure(&["backup", "--server", server, "--out", arg(&out)]);
    let off = Hosted::with(&place.path().join("off"), |config| config.admin.snapshot = false);
    let (code, _, complaint) = take(&off.admin());
    assert!(code == 1 && complaint.contains("admin.snapshot.enabled=false"), "{complaint}");
    let rare = Hosted::with(&place.path().join("rare"), |config| {
        config.admin.snapshot_interval_ms = 300_000;
    });
    assert_eq!(take(&rare.admin()).0, 0);
    fs::remove_file(&out).unwrap();
    let (code, _, complaint) = take(&rare.admin());
    assert!(code == 1 && complaint.contains("admin.rateLimiterIntervalInMS"), "{complaint}");
    let (code, _, complaint) = take("http://127.0.0.1:1");
    assert!(code == 1 && complaint.contains("is the server's admin HTTP there?"), "{complaint}");

    // One that breaks off, and one that is something else.
    let head = "HTTP/1.1 200 OK\r\ntenure-version: 3.9.5\r\nsnapshot_size: 5000\r\n";
    for (answer, expected) in [
        (format!("{head}Connection: close\r\n\r\nTENURSNP"), "broke off after 8 of 5000 bytes"),
        (format!("{head}Content-Length: 5000\r\n\r\nTENURSNP"), "broke off"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nZKSN".to_owned(), "is no admin HTTP"),
        (
            "HTTP/1.1 200 OK\r\nsnapshot_size: 4\r\nContent-Length: 4\r\n\r\nZKSN".to_owned(),
            "is no admin HTTP",
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            _ = std::io::Read::read(&mut stream, &mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let (code, _, complaint) = take(&url);
        assert!(code == 1 && complaint.contains(expected), "{complaint}");
        serving.join().unwrap();
    }
    let left: Vec<_> = fs::read_dir(place.path()).unwrap().flatten().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[tokio::test]
async fn a_backup_is_exported_for_zookeeper_with_a_word_on_its_sessions() {
    let scene = Scene::new().await;
    let (backup, to) = (scene.backup(), scene.path("zookeeper"));
    let (code, said, complaint) = tenure(&["export", "--from", arg(&backup), "--to", arg(&to)]);
    assert_eq!(code, 0, "{complaint}");
    assert!(said.contains("1 sessions were established by Tenure"), "{said}");
    let (code, said, _) =
        tenure(&["verify", &scene.server.hosts(), arg(&to), "--auth", SUPER_USER]);
    assert_eq!(code, 0, "{said}");
    assert!(to.join("version-2/currentEpoch").is_file());
}
