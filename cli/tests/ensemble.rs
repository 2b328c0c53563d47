//! Three servers on one machine, killed and restarted: sessions and acknowledged writes stay.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::ensemble::{Ensemble, PATIENCE};
use support::{Handshake, Socket, code, foreign};
use tenure_client::{ErrorCode, Session, State};

#[test]
fn sessions_and_writes_outlive_any_one_server() {
    if foreign() {
        return;
    }
    let mut ensemble = Ensemble::start();
    let mut acknowledged = Vec::new();
    let mut client = ensemble.connect(0, &Handshake::new(30_000));
    client.create_mode("/owned", b"", 1).unwrap();
    for round in 0..4 {
        let leader = ensemble.leader();
        let at = (leader + 1 + round % 2) % 3;
        client = ensemble.connect(at, &client.ticket());
        assert_eq!(client.exists("/owned").unwrap().ephemeral_owner, client.id());
        for i in 0..20 {
            let path = format!("/r{round}-{i}");
            client.create(&path, b"").unwrap();
            acknowledged.push(path);
        }
        ensemble.kill(leader);
        // The survivors go on without it, and it comes back to them.
        client = ensemble.connect(at, &client.ticket());
        client.create(&format!("/without-{round}"), b"").unwrap();
        ensemble.spawn(leader);
        let mut witness = ensemble.connect(leader, &Handshake::new(30_000));
        assert_eq!(witness.call(&support::Op::sync("/")).err, 0);
        for path in &acknowledged {
            assert!(witness.exists(path).is_ok(), "{path} was acknowledged and is gone");
        }
        witness.close();
    }
    client.close();
    let mut last = ensemble.connect(ensemble.leader(), &Handshake::new(30_000));
    assert_eq!(last.exists("/owned"), Err(code::NO_NODE));
    last.close();
}

/// The lines about the members at the end of `conf` are those of `/zookeeper/config`.
fn assert_conf_tells_the_present_members(ensemble: &Ensemble, n: usize) {
    let config = ensemble.shell(n, &["config"]);
    let conf = ensemble.word(n, "conf");
    let (_, told) = conf.split_once("membership: \n").unwrap();
    assert_eq!(told.trim(), config.trim());
}

#[test]
fn a_fourth_server_joins_and_one_of_the_first_leaves() {
    if foreign() {
        return;
    }
    let lines = "reconfigEnabled=true\nskipACL=yes\ntenure.logTailEntries=50\n";
    let mut ensemble = Ensemble::start_with(lines);
    let leader = ensemble.leader();
    let mut client = ensemble.connect(leader, &Handshake::new(30_000));
    client.create_mode("/owned", b"", 1).unwrap();
    for i in 0..200 {
        client.create(&format!("/before-{i}"), b"").unwrap();
    }
    ensemble.spawn_fourth();
    let line = ensemble.fourth_line();
    let joined = ensemble.shell(leader, &["reconfig", "-add", &line]);
    assert!(joined.contains(&line), "{joined}");
    let mut at_fourth = ensemble.connect(3, &Handshake::new(30_000));
    assert_eq!(at_fourth.call(&support::Op::sync("/")).err, 0);
    assert_conf_tells_the_present_members(&ensemble, leader);
    assert_eq!(at_fourth.exists("/owned").unwrap().ephemeral_owner, client.id());
    at_fourth.close();
    // Of four, two are too few; of the three that are left, they are enough.
    let gone = (leader + 1) % 3;
    let left = ensemble.shell(3, &["reconfig", "-remove", &(gone + 1).to_string()]);
    assert!(!left.contains(&format!("server.{}=", gone + 1)), "{left}");
    assert_conf_tells_the_present_members(&ensemble, 3);
    ensemble.kill(gone);
    ensemble.kill((leader + 2) % 3);
    client = ensemble.connect(3, &client.ticket());
    client.create("/by-two-of-three", b"").unwrap();
    assert!(client.exists("/before-199").is_ok());
    client.close();
}

#[test]
fn a_removed_server_says_so_and_serves_again_once_it_is_added() {
    if foreign() {
        return;
    }
    let ensemble = Ensemble::start_with("reconfigEnabled=true\nskipACL=yes\n");
    // By then they have written down who they are.
    ensemble.wait_for(|| ensemble.logs().matches("the ensemble has an id").count() == 3);
    let leader = ensemble.leader();
    let gone = (leader + 1) % 3;
    let mut client = ensemble.connect(leader, &Handshake::new(30_000));
    let mut there = ensemble.connect(gone, &Handshake::new(30_000));
    let log =
        |n: usize| fs::read_to_string(ensemble.folder.path().join(format!("{n}.log"))).unwrap();
    let config = ensemble.shell(leader, &["config"]);
    let line = config.lines().find(|line| line.contains(&format!("server.{}=", gone + 1)));
    let line = line.unwrap().to_owned();
    let elections = log(leader).matches(" led ").count();
    ensemble.shell(leader, &["reconfig", "-remove", &(gone + 1).to_string()]);
    there.socket.expect_end();
    let said = "this server is not, or no longer, a member of its ensemble";
    ensemble.wait_for(|| log(gone).matches(said).count() == 2);
    assert!(ensemble.word(gone, "srvr").contains("not currently serving"));
    client.create("/without", b"").unwrap();
    // Other addresses make a restart necessary, which is said as well.
    let port = ensemble.ports[11];
    let moved = line.split(';').next().unwrap().to_owned() + &format!(";127.0.0.1:{port}");
    ensemble.shell(leader, &["reconfig", "-add", &moved]);
    there = ensemble.connect(gone, &there.ticket());
    assert!(there.exists("/without").is_ok());
    assert_eq!(log(gone).matches(said).count(), 2, "it was said once for each of the others");
    ensemble.wait_for(|| log(gone).contains(&format!("has port {port}, but it listens on port")));
    assert_eq!(log(leader).matches(" led ").count(), elections, "nobody was disturbed");
    client.create("/with", b"").unwrap();
    there.close();
    client.close();
}

#[test]
fn a_server_that_was_away_learns_of_members_that_it_does_not_know() {
    if foreign() {
        return;
    }
    let mut ensemble = Ensemble::start_with("reconfigEnabled=true\nskipACL=yes\n");
    ensemble.wait_for(|| ensemble.logs().matches("the ensemble has an id").count() == 3);
    let leader = ensemble.leader();
    let (away, gone) = ((leader + 1) % 3, (leader + 2) % 3);
    ensemble.kill(away);
    ensemble.spawn_fourth();
    let line = ensemble.fourth_line();
    ensemble.shell(leader, &["reconfig", "-add", &line]);
    ensemble.shell(leader, &["reconfig", "-remove", &(gone + 1).to_string()]);
    let mut client = ensemble.connect(3, &Handshake::new(30_000));
    client.create("/known", b"").unwrap();
    ensemble.wait_for(|| ensemble.logs().contains("caught up; votes again"));
    // The only one left that it could find is one that it has never heard of.
    ensemble.kill(gone);
    ensemble.kill(leader);
    ensemble.spawn(away);
    client = ensemble.connect(away, &client.ticket());
    assert!(client.exists("/known").is_ok());
    client.create("/by-two-of-three", b"").unwrap();
    client.close();
}

#[test]
fn a_server_that_lost_its_data_comes_back_to_members_that_joined_meanwhile() {
    if foreign() {
        return;
    }
    let mut ensemble = Ensemble::prepare("reconfigEnabled=true\nskipACL=yes\n");
    (0..3).for_each(|n| ensemble.move_members(n));
    let configuration = fs::read_to_string(ensemble.folder.path().join("0.cfg")).unwrap();
    (0..3).for_each(|n| ensemble.spawn(n));
    let leader = ensemble.leader();
    let mut client = ensemble.connect(leader, &Handshake::new(30_000));
    client.create("/known", b"").unwrap();
    client.close();
    let third = fs::read_to_string(ensemble.members_file(2)).unwrap();
    let cfg = fs::read_to_string(ensemble.folder.path().join("2.cfg")).unwrap();
    fs::write(ensemble.folder.path().join("2.cfg"), cfg.clone() + &third).unwrap();
    ensemble.spawn_fourth();
    fs::write(ensemble.folder.path().join("2.cfg"), cfg).unwrap();
    let line = ensemble.fourth_line();
    ensemble.shell(leader, &["reconfig", "-add", &line]);
    ensemble.wait_for(|| {
        let lists =
            |n: usize| fs::read_to_string(ensemble.members_file(n)).unwrap().contains(&line);
        (0..3).all(lists)
    });
    let now = fs::read_to_string(ensemble.folder.path().join("0.cfg")).unwrap();
    assert_eq!(now, configuration, "the operator's own file stays as it is");
    // One that knows the others only from its file is needed where one of four is missing.
    let (lost, gone) = ((leader + 1) % 3, (leader + 2) % 3);
    ensemble.kill(lost);
    ensemble.wipe(lost);
    ensemble.spawn(lost);
    let mut client = ensemble.connect(lost, &Handshake::new(30_000));
    client.close();
    ensemble.kill(gone);
    client = ensemble.connect(lost, &Handshake::new(30_000));
    assert!(client.exists("/known").is_ok());
    client.create("/by-three-of-four", b"").unwrap();
    client.close();
}

#[test]
fn a_server_on_the_data_of_another_ensemble_gets_no_link() {
    if foreign() {
        return;
    }
    // Their members have the same numbers: only their ids tell them apart.
    let (mut ours, mut theirs) = (Ensemble::start(), Ensemble::start());
    for ensemble in [&mut ours, &mut theirs] {
        ensemble.wait_for(|| ensemble.logs().matches("the ensemble has an id").count() == 3);
        let leader = ensemble.leader();
        let mut client = ensemble.connect(leader, &Handshake::new(30_000));
        client.create("/known", b"").unwrap();
        client.close();
    }
    theirs.kill(0);
    ours.kill(0);
    let folder = |ensemble: &Ensemble| ensemble.folder.path().join("data0").display().to_string();
    let path = ours.folder.path().join("0.cfg");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace(&folder(&ours), &folder(&theirs))).unwrap();
    ours.spawn(0);
    let log = |n: usize| fs::read_to_string(ours.folder.path().join(format!("{n}.log"))).unwrap();
    ours.wait_for(|| [0, 1, 2].iter().all(|n| log(*n).contains("to the ensemble")));
    let lines = log(0).lines().filter(|line| line.contains("it refuses a link")).count();
    assert!(lines <= 2, "one line for each member that refuses:\n{}", log(0));
    assert!(ours.word(0, "srvr").contains("not currently serving"));
    // The others are as well as ever.
    let mut client = ours.connect(ours.leader(), &Handshake::new(30_000));
    client.create("/still", b"").unwrap();
    client.close();
}

#[test]
fn a_server_that_lost_its_disk_comes_back_from_a_snapshot() {
    if foreign() {
        return;
    }
    let mut ensemble = Ensemble::start_with("tenure.logTailEntries=50\n");
    let leader = ensemble.leader();
    let (lost, other) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut client = ensemble.connect(other, &Handshake::new(30_000));
    client.create_mode("/owned", b"", 1).unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        ensemble.kill(lost);
        // In the last round it has only been away.
        if round < 2 {
            ensemble.wipe(lost);
        }
        for i in 0..200 {
            let path = format!("/away-{round}-{i}");
            client.create(&path, &[7; 1_000]).unwrap();
            acknowledged.push(path);
        }
        ensemble.spawn(lost);
        let mut witness = ensemble.connect_in_sync(lost);
        for path in &acknowledged {
            assert!(witness.exists(path).is_ok(), "{path} was acknowledged and is gone");
        }
        assert_eq!(witness.exists("/owned").unwrap().ephemeral_owner, client.id());
        witness.close();
    }
    assert!(ensemble.logs().contains("snapshot received"), "{}", ensemble.logs());
    // What it was sent is durable there: with it and without the third one nothing is missing.
    ensemble.kill(leader);
    ensemble.kill(lost);
    ensemble.spawn(lost);
    client = ensemble.connect(lost, &client.ticket());
    for path in &acknowledged {
        assert!(client.exists(path).is_ok(), "{path} was acknowledged and is gone");
    }
    client.close();
}

#[test]
fn an_empty_server_elects_nobody_who_lacks_writes_unless_it_is_told_to() {
    if foreign() {
        return;
    }
    let mut ensemble = Ensemble::start();
    let leader = ensemble.leader();
    let (lagging, lost) = ((leader + 1) % 3, (leader + 2) % 3);
    let mut client = ensemble.connect(leader, &Handshake::new(30_000));
    client.create("/known-to-all", b"").unwrap();
    // Without anything two servers would be a new ensemble.
    let mut witness = ensemble.connect(lagging, &Handshake::new(30_000));
    assert_eq!(witness.call(&support::Op::sync("/")).err, 0);
    witness.close();
    ensemble.kill(lagging);
    client.create("/known-to-two", b"").unwrap();
    ensemble.kill(lost);
    ensemble.wipe(lost);
    ensemble.kill(leader);
    ensemble.spawn(lost);
    ensemble.spawn(lagging);
    let deadline = Instant::now() + PATIENCE;
    while !ensemble.logs().contains("it does not vote before it has caught up") {
        assert!(Instant::now() < deadline, "it votes:\n{}", ensemble.logs());
        std::thread::sleep(Duration::from_millis(10));
    }
    for n in [lagging, lost] {
        let srvr = ensemble.word(n, "srvr");
        assert!(srvr.contains("not currently serving"), "{n}: {srvr:?}\n{}", ensemble.logs());
    }
    // With the one that knows everything, all is well.
    ensemble.spawn(leader);
    client = ensemble.connect(lagging, &client.ticket());
    assert!(client.exists("/known-to-two").is_ok());
    // Should that one be gone for good, an operator decides.
    ensemble.kill(lost);
    ensemble.wipe(lost);
    ensemble.kill(leader);
    let word = ensemble.folder.path().join(format!("data{lost}/initialize"));
    fs::write(&word, "").unwrap();
    ensemble.spawn(lost);
    client = ensemble.connect(lost, &client.ticket());
    assert!(client.exists("/known-to-two").is_ok());
    assert!(!word.exists(), "it holds once");
    client.close();
}

#[test]
fn one_server_of_three_serves_nobody() {
    if foreign() {
        return;
    }
    let mut ensemble = Ensemble::start();
    let leader = ensemble.leader();
    let client = ensemble.connect(leader, &Handshake::new(30_000));
    let ticket = client.ticket();
    ensemble.kill((leader + 1) % 3);
    ensemble.kill((leader + 2) % 3);
    let deadline = Instant::now() + PATIENCE;
    while !ensemble.word(leader, "srvr").contains("not currently serving") {
        assert!(Instant::now() < deadline, "it still claims to serve:\n{}", ensemble.logs());
    }
    let mut socket = Socket::new(TcpStream::connect(ensemble.address(leader)).unwrap());
    socket.write_frame(&ticket.encode()).unwrap();
    socket.expect_end();
    // With a quorum the session is still there: nobody expires while nobody leads.
    ensemble.spawn((leader + 1) % 3);
    let client = ensemble.connect(leader, &ticket);
    client.close();
}

#[test]
fn one_server_of_three_serves_reads_to_those_who_agree() {
    if foreign() {
        return;
    }
    let mut ensemble = Ensemble::start_with("readonlymode.enabled=true\n");
    let left = ensemble.leader();
    let others = [(left + 1) % 3, (left + 2) % 3];
    let mut client = ensemble.connect(left, &Handshake::new(30_000));
    client.create("/before", b"old").unwrap();
    assert_eq!(ensemble.word(left, "isro"), "rw");
    others.iter().for_each(|other| ensemble.kill(*other));
    let deadline = Instant::now() + PATIENCE;
    while ensemble.word(left, "isro") != "ro" {
        assert!(Instant::now() < deadline, "it is not read-only:\n{}", ensemble.logs());
    }
    assert!(ensemble.logs().contains("serves read-only: no leader for "), "{}", ensemble.logs());
    let agreeing = Handshake { read_only: Some(true), ..Handshake::new(30_000) };
    let mut reader = ensemble.connect(left, &agreeing);
    assert_eq!(reader.session.read_only, Some(true));
    assert_eq!(reader.get("/before").unwrap().0.as_deref(), Some(&b"old"[..]));
    assert_eq!(reader.create("/more", b""), Err(code::NOT_READ_ONLY));
    reader.ping();
    let known = Handshake { read_only: Some(true), ..client.ticket() };
    for handshake in [&Handshake::new(30_000), &known] {
        let mut socket = Socket::new(TcpStream::connect(ensemble.address(left)).unwrap());
        socket.write_frame(&handshake.encode()).unwrap();
        socket.expect_end();
    }
    let srvr = ensemble.word(left, "srvr");
    assert_eq!(srvr.lines().nth(1), Some("READ-ONLY mode; serving only read-only clients"));
    assert!(srvr.contains("Mode: read-only"), "{srvr}");
    let mntr = ensemble.word(left, "mntr");
    assert!(mntr.contains("zk_server_state\tread-only"), "{mntr}");
    assert!(mntr.contains("zk_local_sessions\t1\n"), "{mntr}");
    assert_eq!(ensemble.shell(left, &["-r", "get", "/before"]), "old\n");
    // With a quorum it serves everybody again, and nobody read-only.
    ensemble.spawn(others[0]);
    reader.socket.expect_end();
    let mut client = ensemble.connect(left, &client.ticket());
    client.create("/after", b"").unwrap();
    client.close();
    let gone = Handshake { read_only: Some(true), ..reader.ticket() };
    Socket::new(TcpStream::connect(ensemble.address(left)).unwrap()).expect_refusal(&gone);
    assert_eq!(ensemble.word(left, "isro"), "rw");
}

#[tokio::test]
async fn a_client_of_ours_reads_where_nobody_writes_and_moves_to_where_one_can() {
    if foreign() {
        return;
    }
    let mut ensemble = Ensemble::start_with("readonlymode.enabled=true\n");
    ensemble.leader();
    (0..3).for_each(|n| ensemble.kill(n));
    // It never gets to the others again, so it stays as it is while they go on without it.
    ensemble.isolate(0);
    ensemble.spawn(0);
    let hosts = format!("{},{}", ensemble.address(0), ensemble.address(1));
    let builder = Session::builder(&hosts).read_only(true).establish_timeout(PATIENCE);
    let session = builder.establish().await.unwrap();
    assert_eq!(session.state(), State::ConnectedReadOnly);
    assert_eq!(session.valid_until(), None, "nobody vouches for it");
    session.children("/").await.unwrap();
    let refused = session.create("/w", "").await.unwrap_err();
    assert!(refused.is(ErrorCode::NotReadOnly), "{refused}");
    let mut changes = session.changes();
    (1..3).for_each(|n| ensemble.spawn(n));
    let moved = async {
        while session.state() != State::Connected {
            changes.next().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, moved).await.unwrap_or_else(|_| panic!("{}", ensemble.logs()));
    session.create("/w", "").await.unwrap();
    assert_eq!(ensemble.word(0, "isro"), "ro", "the one it came from has not changed");
    session.close().await.unwrap();
}
