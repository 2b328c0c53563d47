//! `tenure serve` as its owner meets it: what it says and how it exits when something is wrong.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::{Server, foreign};

/// Runs `tenure serve` until it ends by itself, which it must, soon.
fn serve(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tenure"))
        .arg("serve")
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("it runs although it should not have started: {arguments:?}");
        }
        // Nothing but the end of the process is to be seen.
        std::thread::sleep(Duration::from_millis(5));
    }
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[track_caller]
fn expect(outcome: (Option<i32>, String), code: i32, said: &[&str]) {
    let (status, log) = outcome;
    assert_eq!(status, Some(code), "{log}");
    for part in said {
        assert!(log.contains(part), "{part:?} is not in:\n{log}");
    }
}

#[test]
fn a_mistake_in_zoo_cfg_is_named_with_its_line_and_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("zoo.cfg");
    fs::write(&file, "# a comment\ntickTime=2000\n\nclientPort=many\ndataDir=d\n").unwrap();
    expect(serve(folder.path(), &["zoo.cfg"]), 2, &["zoo.cfg:4", "clientPort", "many"]);
    fs::write(&file, "tickTime=2000\nclientPort=0\n").unwrap();
    expect(serve(folder.path(), &["zoo.cfg"]), 2, &["zoo.cfg", "dataDir"]);
    expect(serve(folder.path(), &["absent.cfg"]), 2, &["absent.cfg", "cannot be read"]);
}

#[test]
fn a_wrong_argument_is_named_and_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    expect(serve(folder.path(), &["--listen", "nowhere"]), 2, &["--listen nowhere", "HOST:PORT"]);
    expect(serve(folder.path(), &["--set", "tickTime"]), 2, &["--set tickTime", "KEY=VALUE"]);
    expect(serve(folder.path(), &["--set", "tickTime=soon"]), 2, &["tickTime", "soon"]);
    expect(serve(folder.path(), &["70000", "d"]), 2, &["70000"]);
    expect(serve(folder.path(), &["--no-such-flag"]), 2, &["--no-such-flag"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}

/// The lines of a member of an ensemble, whose data folder `d` says that it is the first.
fn member(folder: &Path, more: &str) {
    fs::create_dir_all(folder.join("d")).unwrap();
    fs::write(folder.join("d/myid"), "1").unwrap();
    let lines = "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=d\nclientPort=0\n\
                 server.1=127.0.0.1:0:1\nserver.2=127.0.0.1:1:2\n";
    fs::write(folder.join("zoo.cfg"), format!("{lines}{more}")).unwrap();
}

#[test]
fn links_that_shall_be_secured_are_not_made_in_the_clear() {
    let folder = tempfile::tempdir().unwrap();
    for (lines, parts) in [
        ("sslQuorum=true\n", &["ssl.quorum.trustStore.location is missing"][..]),
        ("portUnification=true\n", &["ssl.quorum.trustStore.location is missing"]),
        (
            "sslQuorum=true\nssl.quorum.clientAuth=none\n",
            &["ssl.quorum.clientAuth=none: expected need"],
        ),
        (
            "sslQuorum=true\nssl.quorum.trustStore.location=nowhere.pem\n",
            &["ssl.quorum.trustStore.location=nowhere.pem: cannot be read"],
        ),
        ("quorum.auth.enableSasl=true\n", &["enableSasl=true", "sslQuorum=true instead"]),
    ] {
        member(folder.path(), lines);
        expect(serve(folder.path(), &["zoo.cfg"]), 2, parts);
    }
}

#[test]
fn a_line_of_its_own_leaves_a_member_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    // It gets as far as the line that stops it: with a number, of two members.
    member(folder.path(), "");
    let set = ["zoo.cfg", "--set", "sslQuorum=true"];
    expect(serve(folder.path(), &set), 2, &["ssl.quorum.trustStore.location is missing"]);
    fs::remove_file(folder.path().join("d/myid")).unwrap();
    expect(serve(folder.path(), &set), 2, &["myid is missing"]);
    // The members may stand in a file of their own.
    member(folder.path(), "");
    let text = fs::read_to_string(folder.path().join("zoo.cfg")).unwrap();
    let (members, others): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|line| line.starts_with("server."));
    fs::write(folder.path().join("members"), members.join("\n")).unwrap();
    let others = format!("{}\ndynamicConfigFile=members\n", others.join("\n"));
    fs::write(folder.path().join("zoo.cfg"), others).unwrap();
    expect(serve(folder.path(), &set), 2, &["ssl.quorum.trustStore.location is missing"]);
    fs::remove_file(folder.path().join("members")).unwrap();
    expect(serve(folder.path(), &set), 2, &["members: cannot be read"]);
}

#[test]
fn mistakes_in_a_list_of_members_are_named_and_exit_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let two = "1=127.0.0.1:2888,2=127.0.0.1:2889";
    let ensemble = |id: &str, list: &str| serve(folder.path(), &["--id", id, "--ensemble", list]);
    expect(ensemble("3", two), 2, &["--ensemble: member 3 is not in the list, which has 1, 2"]);
    expect(ensemble("1", "1=a:2888,1=b:2888"), 2, &["member 1 is listed twice"]);
    expect(ensemble("1", "1=a:2888,2=b:many"), 2, &["2=b:many", "ID=HOST:PORT"]);
    expect(ensemble("one", two), 2, &["--id", "one"]);
    expect(serve(folder.path(), &["--id", "1"]), 2, &["--ensemble"]);
    expect(serve(folder.path(), &["--ensemble", two]), 2, &["--id"]);
    expect(serve(folder.path(), &["zoo.cfg", "--id", "1", "--ensemble", two]), 2, &["CONFIG"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was created");
}

#[test]
fn the_data_folder_of_another_member_is_refused_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    fs::write(folder.path().join("d/myid"), "2\n").unwrap();
    let list = "1=127.0.0.1:2888,2=127.0.0.1:2889";
    let arguments = ["--id", "1", "--ensemble", list, "--data-dir", "d"];
    expect(serve(folder.path(), &arguments), 2, &["d/myid", "member 2, not of member 1"]);
    assert_eq!(fs::read_dir(folder.path().join("d")).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(folder.path().join("d/myid")).unwrap(), "2\n");
}

#[test]
fn a_server_that_nobody_could_connect_to_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("zoo.cfg"), "tickTime=2000\ndataDir=d\n").unwrap();
    expect(serve(folder.path(), &["zoo.cfg"]), 2, &["no clientPort"]);
}

#[test]
fn a_data_folder_in_use_is_named_with_its_process_and_exits_with_3() {
    if foreign() {
        return;
    }
    let server = Server::start();
    let data = server.data_dir();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    let arguments = [&arguments[..], &["--set", "admin.enableServer=false"]].concat();
    expect(serve(folder.path(), &arguments), 3, &["in use", "pid", data.to_str().unwrap()]);
    server.connect().close();
}

#[test]
fn a_data_folder_of_another_version_exits_with_3_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("d/tenure");
    fs::create_dir_all(home.join("log")).unwrap();
    fs::write(home.join("VERSION"), "tenure 999\n").unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--data-dir", "d"];
    expect(serve(folder.path(), &arguments), 3, &["999", "VERSION"]);
    assert_eq!(fs::read_to_string(home.join("VERSION")).unwrap(), "tenure 999\n");
}

#[test]
fn a_damaged_log_stops_the_start_with_file_and_offset_and_exits_with_3() {
    if foreign() {
        return;
    }
    let mut server = Server::start();
    let mut client = server.connect();
    for i in 0..50 {
        client.create(&format!("/n{i}"), &[7; 200]).unwrap();
    }
    assert_eq!(server.stop(), Some(0));
    let log = server.data_dir().join("tenure/log");
    let segment = fs::read_dir(log).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&segment).unwrap();
    // The data of a znode in the middle: what follows it is intact, so it is no torn write.
    let hit = bytes.windows(100).position(|w| w == [7; 100]).unwrap();
    bytes[hit] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = server.data_dir();
    let arguments = ["--listen", "127.0.0.1:0", "--data-dir", data.to_str().unwrap()];
    let name = segment.file_name().unwrap().to_str().unwrap();
    expect(serve(folder.path(), &arguments), 3, &[name, "offset"]);
}

#[test]
fn a_port_in_use_is_named_and_exits_with_1() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["--listen", &address, "--data-dir", "d"];
    expect(serve(folder.path(), &arguments), 1, &["cannot listen", &address]);
}

#[test]
fn exit_codes_are_told_by_help() {
    let help = Command::new(env!("CARGO_BIN_EXE_tenure")).args(["serve", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    for code in ["0  ", "1  ", "2  ", "3  ", "4  "] {
        assert!(help.contains(code), "{code:?} is not in:\n{help}");
    }
}

#[test]
fn a_stop_keeps_data_and_sessions_for_the_next_start() {
    let mut server = Server::start();
    let mut client = server.connect();
    client.create("/kept", b"data").unwrap();
    client.create_mode("/mine", b"", support::ops::EPHEMERAL).unwrap();
    assert_eq!(server.stop(), Some(0));
    client.socket.expect_end();
    server.restart();
    let mut client = server.establish(&client.ticket());
    assert_eq!(client.get("/kept").unwrap().0.unwrap(), b"data");
    client.exists("/mine").unwrap();
    client.close();
}

#[test]
fn a_stop_answers_the_writes_under_way() {
    let mut server = Server::start();
    let mut client = server.connect();
    let ops: Vec<_> =
        (0..500).map(|i| support::Op::create(&format!("/w{i}"), &[1; 100], 0)).collect();
    client.send_all(&ops);
    // The first answer shows that the batch has arrived; the others are under way.
    client.reply();
    assert_eq!(server.stop(), Some(0));
    let mut answered = 1;
    while let Ok(reply) = client.try_reply() {
        assert_eq!(reply.err, 0);
        answered += 1;
    }
    server.restart();
    let mut client = server.connect();
    let kept = client.children("/").unwrap().len() - 1;
    assert!(kept >= answered, "{answered} answered, {kept} kept");
    client.close();
}
