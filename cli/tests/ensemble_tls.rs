//! Ensembles whose members speak TLS with each other.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use support::ensemble::Ensemble;
use support::{Client, Handshake, Op, code, foreign};

/// Has `tenure certs` make an authority, and certificates for servers at these hosts.
fn certs(folder: &Path, servers: &[&str]) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.arg("certs").arg("--dir").arg(folder);
    servers.iter().for_each(|hosts| {
        command.args(["--server", hosts]);
    });
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// The lines that name the keys and certificates of a server at a host.
fn keys(folder: &Path, host: &str) -> String {
    format!(
        "ssl.quorum.keyStore.location={folder}/server-{host}.pem\n\
         ssl.quorum.trustStore.location={folder}/ca.pem\n",
        folder = folder.display()
    )
}

/// Changes the configuration of a server, for its next start.
fn edit(ensemble: &Ensemble, n: usize, edit: impl Fn(&str) -> String) {
    let path = ensemble.folder.path().join(format!("{n}.cfg"));
    let text = fs::read_to_string(&path).unwrap();
    fs::write(path, edit(&text)).unwrap();
}

fn log(ensemble: &Ensemble, n: usize) -> String {
    fs::read_to_string(ensemble.folder.path().join(format!("{n}.log"))).unwrap()
}

/// An ensemble of encrypted links with further settings, and the folder of its certificates.
fn secured(more: &str) -> (tempfile::TempDir, Ensemble) {
    let folder = tempfile::tempdir().unwrap();
    certs(folder.path(), &["127.0.0.1"]);
    let keys = keys(folder.path(), "127.0.0.1");
    let ensemble = Ensemble::start_with(&format!("sslQuorum=true\n{more}\n{keys}"));
    (folder, ensemble)
}

/// A write through one server that another one has seen.
fn check_replication(ensemble: &Ensemble, (from, to): (usize, usize), path: &str) {
    let mut writer = ensemble.connect(from, &Handshake::new(30_000));
    writer.create(path, b"x").unwrap();
    let mut reader = ensemble.connect(to, &Handshake::new(30_000));
    assert_eq!(reader.call(&Op::sync("/")).err, 0);
    assert!(reader.exists(path).is_ok(), "{path}");
    writer.close();
    reader.close();
}

#[test]
fn a_secured_ensemble_elects_replicates_and_sends_snapshots() {
    if foreign() {
        return;
    }
    let (_certs, mut ensemble) = secured("tenure.logTailEntries=50");
    let leader = ensemble.leader();
    let mut client = ensemble.connect(leader, &Handshake::new(30_000));
    client.create_mode("/owned", b"", 1).unwrap();
    // The last of them larger than what a link sends at once.
    for i in 0..200 {
        client.create(&format!("/{i}"), &vec![i as u8; 1000 * i]).unwrap();
    }
    // A member without a disk gets a snapshot.
    let lost = (leader + 1) % 3;
    ensemble.kill(lost);
    ensemble.wipe(lost);
    for i in 200..300 {
        client.create(&format!("/{i}"), b"x").unwrap();
    }
    ensemble.spawn(lost);
    let mut witness = ensemble.connect_in_sync(lost);
    assert_eq!(witness.get("/199").unwrap().0.unwrap(), vec![199; 199_000]);
    assert!(witness.exists("/299").is_ok());
    witness.close();
    assert!(log(&ensemble, lost).contains("snapshot received"), "{}", log(&ensemble, lost));
    // Another leader, and the sessions live on.
    ensemble.kill(leader);
    client = ensemble.connect(lost, &client.ticket());
    assert_eq!(client.exists("/owned").unwrap().ephemeral_owner, client.id());
    client.create("/after", b"").unwrap();
    client.close();
    assert!(!ensemble.logs().contains("neither encrypted"), "{}", ensemble.logs());
}

#[test]
fn a_server_that_nobody_vouches_for_neither_joins_nor_votes() {
    if foreign() {
        return;
    }
    let (ours, theirs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certs(ours.path(), &["127.0.0.1", "127.0.0.9"]);
    certs(theirs.path(), &["127.0.0.1"]);
    let ours_keys = keys(ours.path(), "127.0.0.1");
    let mut ensemble = Ensemble::prepare(&format!("sslQuorum=true\n{ours_keys}"));
    let good = fs::read_to_string(ensemble.folder.path().join("2.cfg")).unwrap();
    let without = |text: &str| text.replace("sslQuorum=true\n", "").replace(&ours_keys, "");
    // The trust store is the right one in each case: only who it is itself is not.
    let foreign_keys = keys(theirs.path(), "127.0.0.1").replace(
        &format!("{}/ca.pem", theirs.path().display()),
        &ours.path().join("ca.pem").display().to_string(),
    );
    let elsewhere = keys(ours.path(), "127.0.0.9");
    let strangers = [
        (good.replace(&ours_keys, &foreign_keys), "invalid peer certificate", "CertificateUnknown"),
        (without(&good), "it does not speak TLS, and links here must (sslQuorum=true)", "hung up"),
        (
            good.replace(&ours_keys, &elsewhere),
            "finds no host of server 3's server.N line",
            "server 3's",
        ),
    ];
    ensemble.spawn(0);
    // One of two is no majority: whoever makes it one votes.
    for (n, (text, told_to_us, told_to_it)) in strangers.iter().enumerate() {
        edit(&ensemble, 2, |_| text.clone());
        _ = fs::remove_file(ensemble.folder.path().join("2.log"));
        ensemble.spawn(2);
        ensemble.wait_for(|| log(&ensemble, 0).contains(told_to_us));
        ensemble.wait_for(|| {
            let log = log(&ensemble, 2);
            log.contains(told_to_it)
                || log.contains("BadSignature")
                || log.contains("UnknownCA")
                || log.contains("DecryptError")
        });
        let words = [ensemble.word(0, "srvr"), ensemble.word(2, "srvr")];
        assert!(!words.concat().contains("Mode: "), "case {n}: {words:?}");
        assert!(!log(&ensemble, 0).contains("member connected"), "{}", log(&ensemble, 0));
        ensemble.kill(2);
    }
    // The right one is let in at once.
    edit(&ensemble, 2, |_| good.clone());
    ensemble.spawn(2);
    ensemble.leader();
    check_replication(&ensemble, (0, 2), "/both");
}

#[test]
fn an_ensemble_changes_over_from_plain_to_encrypted_links_while_it_serves() {
    if foreign() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certs(folder.path(), &["127.0.0.1"]);
    let keys = keys(folder.path(), "127.0.0.1");
    let mut ensemble = Ensemble::start();
    let mut client: Client = ensemble.connect(0, &Handshake::new(60_000));
    client.create_mode("/owned", b"", 1).unwrap();
    let steps = [
        ("", format!("{keys}portUnification=true\n")),
        ("portUnification=true\n", "portUnification=true\nsslQuorum=true\n".to_owned()),
        ("portUnification=true\n", String::new()),
    ];
    for (step, (old, new)) in steps.iter().enumerate() {
        for n in 0..3 {
            ensemble.kill(n);
            edit(&ensemble, n, |text| match *old {
                "" => format!("{text}{new}"),
                old => text.replace(old, new),
            });
            ensemble.spawn(n);
            let at = (n + 1) % 3;
            client = ensemble.connect(at, &client.ticket());
            assert_eq!(client.exists("/owned").unwrap().ephemeral_owner, client.id());
            check_replication(&ensemble, (n, at), &format!("/step{step}-{n}"));
        }
    }
    client.close();
    let mut last = ensemble.connect(1, &Handshake::new(30_000));
    assert_eq!(last.exists("/owned"), Err(code::NO_NODE));
    assert!(last.exists("/step0-0").is_ok() && last.exists("/step2-2").is_ok());
    last.close();
    for told in [
        "takes encrypted links and dials plain ones",
        "portUnification=true: links between members may be plain",
    ] {
        assert!(ensemble.logs().contains(told), "{told}");
    }
}

#[test]
fn members_go_over_to_another_authority_without_a_restart() {
    if foreign() {
        return;
    }
    let (folder, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    certs(folder.path(), &["127.0.0.1"]);
    certs(new.path(), &["127.0.0.1"]);
    let (trusted, own) = ("ca.pem", "server-127.0.0.1.pem");
    let new_file = |name: &str| fs::read_to_string(new.path().join(name)).unwrap();
    let old_trusted = fs::read_to_string(folder.path().join(trusted)).unwrap();
    let replace = |name: &str, text: &str| {
        let fresh = folder.path().join("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, folder.path().join(name)).unwrap();
    };
    let keys = keys(folder.path(), "127.0.0.1");
    let lines = format!("sslQuorum=true\nsslQuorumReloadCertFiles=true\n{keys}");
    let mut ensemble = Ensemble::start_with(&lines);
    let mut client = ensemble.connect(ensemble.leader(), &Handshake::new(60_000));
    client.create_mode("/owned", b"", 1).unwrap();
    let all_say = |ensemble: &Ensemble, line: &str, times: usize| {
        ensemble.wait_for(|| (0..3).all(|n| log(ensemble, n).matches(line).count() == times));
    };
    // A file of no use changes nothing.
    replace(own, "nothing of use");
    all_say(&ensemble, "TLS of members: changed keys and certificates cannot be used", 1);
    // Both are trusted first, then the new one vouches, then the old one is forgotten.
    let steps = [
        (trusted, format!("{old_trusted}{}", new_file(trusted))),
        (own, new_file(own)),
        (trusted, new_file(trusted)),
    ];
    for (step, (name, text)) in steps.iter().enumerate() {
        replace(name, text);
        // The first of the steps comes upon a key store that is of no use still.
        match step {
            0 => all_say(&ensemble, "certificates cannot be used", 2),
            step => all_say(&ensemble, "changed keys and certificates are in use", step),
        }
    }
    // Links that are there go on. After a restart there are only new ones.
    for n in 0..3 {
        ensemble.kill(n);
        ensemble.spawn(n);
        let at = (n + 1) % 3;
        client = ensemble.connect(at, &client.ticket());
        assert_eq!(client.exists("/owned").unwrap().ephemeral_owner, client.id());
        check_replication(&ensemble, (n, at), &format!("/{n}"));
    }
    client.close();
}

#[test]
fn a_fourth_server_joins_a_secured_ensemble_by_reconfig() {
    if foreign() {
        return;
    }
    let more = "reconfigEnabled=true\nskipACL=yes\ntenure.logTailEntries=20";
    let (_certs, mut ensemble) = secured(more);
    let leader = ensemble.leader();
    let mut client = ensemble.connect(leader, &Handshake::new(30_000));
    for i in 0..100 {
        client.create(&format!("/{i}"), b"").unwrap();
    }
    client.close();
    ensemble.spawn_fourth();
    let line = ensemble.fourth_line();
    let joined = ensemble.shell(leader, &["reconfig", "-add", &line]);
    assert!(joined.contains(&line), "{joined}");
    check_replication(&ensemble, (3, leader), "/from-the-fourth");
    // Three of four, of which the new one is needed.
    ensemble.kill(leader);
    check_replication(&ensemble, (3, (leader + 1) % 3), "/with-the-fourth");
}

#[test]
fn an_ensemble_for_tls_alone_tells_its_status_over_tls() {
    if foreign() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    certs(folder.path(), &["127.0.0.1"]);
    let tenure = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
        command.args(arguments).current_dir(folder.path()).output().unwrap()
    };
    assert!(tenure(&["certs", "--dir", ".", "--client", "operator"]).status.success());
    let quorum = keys(folder.path(), "127.0.0.1");
    let clients = quorum.replace("ssl.quorum.", "ssl.");
    let mut ensemble = Ensemble::prepare(&format!("sslQuorum=true\n{quorum}{clients}"));
    for n in 0..3 {
        edit(&ensemble, n, |text| text.replace("clientPort", "secureClientPort"));
        ensemble.spawn(n);
    }
    let addresses: Vec<_> = (0..3).map(|n| ensemble.address(n).to_string()).collect();
    let addresses = addresses.join(",");
    let status = ["ensemble", "status", "-s", &addresses];
    let flags = ["--tls-ca", "ca.pem", "--tls-cert", "client-operator.pem"];
    ensemble.wait_for(|| {
        let told = tenure(&[&status[..], &flags].concat()).stdout;
        String::from_utf8(told).unwrap().contains("\nhealthy: 3 of 3")
    });
    let told = tenure(&status);
    assert_eq!(told.status.code(), Some(1), "{told:?}");
    // An operator's certificate is that of a client alone, and its shell works as well.
    let shell = [&["shell", "-s", &addresses], &flags[..], &["create", "/x", "y"]].concat();
    assert!(tenure(&shell).status.success());
    let (one, other) = addresses.split_once(',').unwrap();
    let verify = ["verify", one, other, "--ignore", "/zookeeper"];
    let same = tenure(&[&verify[..], &flags].concat());
    assert!(same.status.success(), "{same:?}");
    assert!(String::from_utf8(same.stdout).unwrap().contains("no differences"));
    let plain = format!("plain:{one}");
    let unread = ["verify", &plain, other, "--wait", "300"];
    let unread = tenure(&[&unread[..], &flags].concat());
    assert_eq!(unread.status.code(), Some(3), "{unread:?}");

    let config = ensemble.folder.path().join("0.cfg");
    let doctor = ["doctor", "--no-disk-speed", config.to_str().unwrap()];
    let told = tenure(&[&doctor[..], &flags].concat());
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(text.contains("a server answers at"), "{text}");
    let named = tenure(&[&["doctor", "-s", &addresses], &flags[..]].concat());
    let text = String::from_utf8(named.stdout).unwrap();
    assert!(text.contains("3 of 3 voters serve"), "{text}");
    let text = String::from_utf8(tenure(&doctor).stdout).unwrap();
    assert!(text.contains("name who vouches for it: --tls-ca"), "{text}");
}
