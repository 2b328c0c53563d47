//! `tenure shell` through its binary: every command in scripts, with what it prints and its exit
//! code; and what happens when the server or the user goes away.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::Server;

/// Settings under which every command can be shown.
const SETTINGS: &str = "tickTime=500\nextendedTypesEnabled=true\nreconfigEnabled=true";

fn shell(address: SocketAddr) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(["shell", "-server", &address.to_string()]);
    command
}

/// Runs one command.
fn one(address: SocketAddr, words: &[&str]) -> (i32, String, String) {
    texts(shell(address).args(words).stdin(Stdio::null()).output().unwrap())
}

/// Runs the lines of a script.
fn script(mut command: Command, lines: &str) -> (i32, String, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    texts(child.wait_with_output().unwrap())
}

fn texts(output: Output) -> (i32, String, String) {
    let code = output.status.code().unwrap();
    (code, String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// The text with what differs from run to run taken out: zxids, times, the hash of a password.
fn settled(text: &str) -> String {
    let mut lines = Vec::new();
    for line in text.lines() {
        let (name, value) = line.split_once(" = ").unwrap_or((line, ""));
        let line = match name {
            "cZxid" | "mZxid" | "pZxid" => {
                assert!(value.starts_with("0x"), "{line}");
                format!("{name} = Z")
            }
            "ctime" | "mtime" => {
                assert_eq!(value.split(' ').count(), 6, "{line}");
                format!("{name} = T")
            }
            _ => match line.split_once(" zxid: ") {
                Some((event, _)) => format!("{event} zxid: Z"),
                None => line.to_owned(),
            },
        };
        lines.push(line);
    }
    lines.join("\n")
}

/// Compares line by line, so that a difference shows in its place.
fn assert_lines(found: &str, expected: &str) {
    let found = settled(found);
    for (number, (found_line, line)) in found.lines().zip(expected.lines()).enumerate() {
        assert_eq!(found_line, line, "line {} of:\n{found}", number + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{found}");
}

fn stat(version: i32, aversion: i32, length: i32) -> String {
    format!(
        "cZxid = Z\nctime = T\nmZxid = Z\nmtime = T\npZxid = Z\ncversion = 0\n\
         dataVersion = {version}\naclVersion = {aversion}\nephemeralOwner = 0x0\n\
         dataLength = {length}\nnumChildren = 0"
    )
}

fn event(kind: &str, path: &str) -> String {
    format!("\nWATCHER::\n\nWatchedEvent state:SyncConnected type:{kind} path:{path} zxid: Z")
}

/// Commands with what they print on standard output and standard error.
type Steps = Vec<(String, String, String)>;

fn step(steps: &mut Steps, line: &str, out: impl Into<String>) {
    steps.push((line.to_owned(), out.into(), String::new()));
}

fn fails(steps: &mut Steps, line: &str, error: &str) {
    steps.push((line.to_owned(), String::new(), error.to_owned()));
}

/// Runs all steps in one shell, and compares both outputs whole.
fn run(server: &Server, steps: &Steps, code: i32) {
    let lines: String = steps.iter().map(|(line, _, _)| format!("{line}\n")).collect();
    let all = |part: fn(&(String, String, String)) -> &String| {
        let parts: Vec<&str> =
            steps.iter().map(|step| part(step).as_str()).filter(|part| !part.is_empty()).collect();
        parts.join("\n")
    };
    let (found, out, err) = script(shell(server.address()), &lines);
    assert_lines(&err, &all(|step| &step.2));
    assert_lines(&out, &all(|step| &step.1));
    assert_eq!(found, code, "{err}");
}

#[test]
fn znodes_are_created_read_changed_and_deleted() {
    let server = Server::with(SETTINGS);
    let s = &mut Steps::new();
    step(s, "create /a first", "Created /a");
    step(s, "create /b \"two words\"", "Created /b");
    step(s, "get /b", "two words");
    step(s, "create /json {\"a\":1}", "Created /json");
    step(s, "get /json", "{\"a\":1}");
    step(s, "create -e /e", "Created /e");
    step(s, "get /e", "null");
    step(s, "create -s /a/s- x", "Created /a/s-0000000000");
    step(s, "create -s -e /a/ x", "Created /a/0000000001");
    step(s, "create -c /c", "Created /c");
    step(s, "create -t 3600000 /t x", "Created /t");
    step(s, "create -p /p/q/r x", "Created /p/q/r");
    step(s, "create /acl x world:anyone:cdr", "Created /acl");
    fails(s, "create /a", "Node already exists: /a");
    fails(s, "create /none/below", "Node does not exist: /none/below");
    fails(s, "create /e/child", "Ephemerals cannot have children: /e/child");
    fails(s, "set /acl y", "Insufficient permission : /acl");
    fails(s, "create /x x digest:wrong:r", "Acl is not valid : /x");
    step(s, "get -s /b", format!("two words\n{}", stat(0, 0, 9)));
    step(s, "get -b /b", "dHdvIHdvcmRz");
    step(
        s,
        "get -x /b",
        "         +-------------------------------------------------+
         |  0  1  2  3  4  5  6  7  8  9  a  b  c  d  e  f |
+--------+-------------------------------------------------+----------------+
|00000000| 74 77 6f 20 77 6f 72 64 73                      |two words       |
+--------+-------------------------------------------------+----------------+",
    );
    fails(s, "get /none", "Node does not exist: /none");
    step(s, "set /b second", "");
    step(s, "set -s -v 1 /b third", stat(2, 0, 5));
    fails(s, "set -v 1 /b x", "version No is not valid : /b");
    step(s, "set -b /b Zm91cg==", "");
    step(s, "get /b", "four");
    step(s, "STAT /b", stat(3, 0, 4));
    fails(s, "stat /none", "Node does not exist: /none");
    step(s, "ls /", "[a, acl, b, c, e, json, p, t, zookeeper]");
    step(s, "ls -s /b", format!("[]\n{}", stat(3, 0, 4)));
    step(s, "ls -R /p", "/p\n/p/q\n/p/q/r");
    fails(s, "ls /none", "Node does not exist: /none");
    step(s, "getAllChildrenNumber /p", "2");
    step(s, "getEphemerals", "[/a/0000000001, /e]");
    step(s, "getEphemerals /a", "[/a/0000000001]");
    step(s, "sync /", "Sync is OK");
    fails(s, "delete /p", "Node not empty: /p");
    fails(s, "delete -v 9 /b", "version No is not valid : /b");
    step(s, "delete -v 3 /b", "");
    step(s, "deleteall -b 2 /a", "");
    step(s, "delete -r /p", "");
    fails(s, "deleteall /none", "Node does not exist: /none");
    fails(s, "deleteall /", "the root cannot be deleted; name what is below it");
    step(s, "ls /", "[acl, c, e, json, t, zookeeper]");
    s.push(("rmr /json".into(), String::new(), "'rmr' is deprecated; use 'deleteall path'".into()));
    s.push((
        "ls /c true".into(),
        "[]".into(),
        "'ls path [watch]' is deprecated; use 'ls [-w] path'".into(),
    ));
    step(s, "quit", "");
    // The first that failed was a refusal.
    run(&server, s, 1);
    // What was ephemeral went with the session.
    let (code, out, _) = one(server.address(), &["ls", "/"]);
    assert_eq!((code, out.as_str()), (0, "[acl, c, t, zookeeper]\n"));
}

#[test]
fn access_is_granted_shown_and_refused() {
    let server = Server::with(SETTINGS);
    let s = &mut Steps::new();
    step(s, "create /a x", "Created /a");
    step(s, "create /a/b x", "Created /a/b");
    step(s, "getAcl /a", "'world,'anyone\n: cdrwa");
    step(s, "whoami", "Auth scheme: User\nip: 127.0.0.1");
    step(s, "addauth digest user:pw", "");
    step(s, "setAcl -s /a/b auth:user:cdrwa,ip:127.0.0.1:r", stat(0, 1, 1));
    step(
        s,
        "getAcl -s /a/b",
        format!(
            "'digest,'user:2Om+GBbT2q/tS6pdvACZbbm7/1A=\n: cdrwa\n'ip,'127.0.0.1\n: r\n{}",
            stat(0, 1, 1)
        ),
    );
    fails(s, "setAcl -v 7 /a/b world:anyone:r", "version No is not valid : /a/b");
    fails(s, "setAcl /a foo:bar:r", "Acl is not valid : /a");
    fails(s, "setAcl /a foo:bar", "foo:bar does not have the form scheme:id:perm");
    step(s, "setAcl -R /a world:anyone:cdra", "");
    step(s, "GETACL /a/b", "'world,'anyone\n: cdra");
    step(s, "connect", "");
    fails(s, "set /a/b y", "Insufficient permission : /a/b");
    run(&server, s, 1);
    let (code, out, _) = script(shell(server.address()), "addauth digest u:p\nwhoami\n");
    assert_eq!(code, 0);
    assert!(out.contains("\ndigest: u\n") && out.contains("\nip: 127.0.0.1\n"), "{out}");
}

#[test]
fn wrong_credentials_end_the_session_and_connect_makes_another() {
    let server = Server::with(SETTINGS);
    let (code, out, err) =
        script(shell(server.address()), "addauth nonsense x\nls /\nconnect\nls /\n");
    assert_eq!(code, 1, "{err}");
    assert_eq!(out, "[zookeeper]\n");
    let errors: Vec<&str> = err.lines().collect();
    assert_eq!(errors.len(), 2, "{err}");
    assert!(errors[0].contains("AuthFailed"), "{err}");
    assert!(errors[1].starts_with("Not connected: "), "{err}");
}

#[test]
fn quotas_are_set_listed_and_taken_away() {
    let server = Server::with(SETTINGS);
    let limits = |text: &str, used: &str| {
        format!(
            "absolute path is /zookeeper/quota/q/zookeeper_limits\n\
             Output quota for /q {text}\nOutput stat for /q {used}"
        )
    };
    let s = &mut Steps::new();
    step(s, "create /q x", "Created /q");
    step(s, "create /q/a xx", "Created /q/a");
    step(s, "setquota -n 5 /q", "");
    step(
        s,
        "listquota /q",
        limits("count=5,bytes=-1=;byteHardLimit=-1;countHardLimit=-1", "count=2,bytes=3"),
    );
    step(s, "setquota -b 100 -N 6 -B 200 /q", "");
    step(s, "create /q/b xxx", "Created /q/b");
    step(
        s,
        "listquota /q",
        limits("count=5,bytes=100=;byteHardLimit=200;countHardLimit=6", "count=3,bytes=6"),
    );
    s.push((
        "setquota -n 1 /q".into(),
        String::new(),
        "[Warning]: the count quota you create is less than the existing count:3".into(),
    ));
    fails(s, "setquota -n 9 /q/a", "/q/a has a parent /q which has a quota");
    fails(s, "setquota -n 9 /none", "/none does not exist.");
    step(s, "delquota -n -B /q", "");
    step(
        s,
        "listquota /q",
        limits("count=-1,bytes=100=;byteHardLimit=-1;countHardLimit=6", "count=3,bytes=6"),
    );
    step(s, "delquota /q", "");
    s.push((
        "listquota /q".into(),
        "absolute path is /zookeeper/quota/q/zookeeper_limits".into(),
        "quota for /q does not exist.".into(),
    ));
    fails(s, "delquota /q", "Quota does not exist for /q");
    step(s, "ls /zookeeper/quota", "[]");
    step(s, "setquota -n 9 /q/a", "");
    fails(s, "setquota -n 9 /q", "/q has a child /q/a which has a quota");
    run(&server, s, 1);
}

#[test]
fn watches_tell_what_happens_right_behind_the_command() {
    let server = Server::with(SETTINGS);
    let s = &mut Steps::new();
    step(s, "create /a x", "Created /a");
    step(s, "get -w /a", "x");
    step(s, "set /a y", event("NodeDataChanged", "/a"));
    step(s, "set /a z", "");
    step(s, "ls -w /a", "[]");
    step(s, "create /a/b", format!("Created /a/b\n{}", event("NodeChildrenChanged", "/a")));
    fails(s, "stat -w /soon", "Node does not exist: /soon");
    step(s, "create /soon", format!("Created /soon\n{}", event("NodeCreated", "/soon")));
    step(s, "addWatch /w", "");
    step(s, "addWatch -m PERSISTENT /a", "");
    step(s, "create /w", format!("Created /w\n{}", event("NodeCreated", "/w")));
    step(s, "create /w/c", format!("Created /w/c\n{}", event("NodeCreated", "/w/c")));
    step(s, "delete /w/c", event("NodeDeleted", "/w/c"));
    step(s, "delete /a/b", event("NodeChildrenChanged", "/a"));
    step(s, "printwatches", "printwatches is on");
    step(s, "printwatches off", "");
    step(s, "set /a unseen", "");
    step(s, "printwatches on", "");
    step(s, "removewatches -r /w", event("PersistentWatchRemoved", "/w"));
    step(s, "set /w x", "");
    step(s, "removewatches -p -l /a", event("PersistentWatchRemoved", "/a"));
    step(s, "set /a x", "");
    let none = "KeeperErrorCode = No such watcher for /a";
    fails(s, "removewatches /a", none);
    fails(s, "removewatches -c /a", none);
    step(s, "get -w /a", "x");
    step(s, "removewatches -d /a", event("DataWatchRemoved", "/a"));
    run(&server, s, 1);
}

#[test]
fn the_shells_own_commands_and_comments() {
    let server = Server::with(SETTINGS);
    let s = &mut Steps::new();
    step(s, "# a comment, and an empty line", "");
    step(s, "  ", "");
    step(s, "create /a 1", "Created /a");
    step(s, "get /a", "1");
    step(s, "redo 1", "1");
    step(s, "history", "0 - create /a 1\n1 - get /a\n2 - get /a\n3 - history");
    fails(s, "redo 99", "Command index out of range");
    step(s, "version", format!("Tenure CLI version: {}", env!("CARGO_PKG_VERSION")));
    step(s, "close", "");
    fails(s, "ls /", "Not connected; 'connect' makes a session");
    fails(s, "close", "Not connected");
    fails(s, "session", "Not connected; 'connect' makes a session");
    step(s, &format!("connect {}/a", server.address()), "");
    step(s, "get /", "1");
    step(s, "create /in x", "Created /in");
    step(s, "ls -R /", "/\n/in");
    step(s, "get -w /in", "x");
    step(s, "set /in y", event("NodeDataChanged", "/in"));
    fails(s, "setquota -n 1 /in", "quotas are kept outside of the chroot /a; connect without one");
    step(s, "deleteall /", "");
    step(s, "exit", "");
    step(s, "create /never", "");
    run(&server, s, 1);

    let (code, out, _) = script(shell(server.address()), "session\nhelp\nhelp get\n");
    assert_eq!(code, 0);
    for part in ["state = CONNECTED\n", "liveness = live\n", "valid for = ", "getAllChildrenNumber"]
    {
        assert!(out.contains(part), "{part} is missing in:\n{out}");
    }
    assert!(out.contains("  -x             show the data as a hex dump\n"), "{out}");
}

#[test]
fn the_ensembles_configuration_is_shown_and_cannot_be_changed_alone() {
    let server = Server::with(SETTINGS);
    let s = &mut Steps::new();
    step(s, "config -c", " ");
    fails(s, "reconfig -remove 3,4", "KeeperErrorCode = Unimplemented");
    fails(s, "reconfig -v 1 -add server.5=h:1:2;3", "KeeperErrorCode = Unimplemented");
    fails(
        s,
        "reconfig -file /none",
        "Error processing /none: No such file or directory (os error 2)",
    );
    run(&server, s, 1);
    let (code, out, _) = one(server.address(), &["config", "-s", "-w"]);
    assert_eq!(code, 0);
    assert!(out.contains("aclVersion = -1\n"), "{out}");
}

#[test]
fn exit_codes_tell_whose_fault_it_is() {
    let server = Server::with(SETTINGS);
    let address = server.address();
    for (words, code, error) in [
        (&["get", "/none"][..], 1, "Node does not exist: /none\n"),
        (&["get", "none"], 2, "Path must start with / character\n"),
        (&["get", "-z", "/"], 2, "get: no flag -z\nusage: get [-s] [-w] [-b] [-x] path\n"),
        (&["get", "/a/", "-s"], 2, "Path must not end with / character\n"),
        (&["create", "-c", "-e", "/a"], 2, "-c cannot be combined with -s or -e."),
        (&["create", "/a//b"], 2, "Invalid path or data for \"/a//b\": "),
        (&["help", "nothing"], 2, "\tls [-s] [-w] [-R] path\n"),
        (&["ls", "/"], 0, ""),
    ] {
        let (found, _, err) = one(address, words);
        assert_eq!(found, code, "{words:?}: {err}");
        assert!(err.starts_with(error), "{words:?}: {err}");
    }
    let (code, out, err) = one(address, &["frobnicate", "/"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("\tgetAcl [-s] path\n"), "{err}");
    assert!(err.ends_with("Command not found: frobnicate\n"), "{err}");
    // A script goes on, and tells of the first failure.
    let (code, out, err) = script(shell(address), "get none\nget /none\nls /\nget \"x\n");
    assert_eq!((code, out.as_str()), (2, "[zookeeper]\n"));
    assert!(err.ends_with("column 5: the \" that starts here is never closed\n"), "{err}");
    let mut wrong = Command::new(env!("CARGO_BIN_EXE_tenure"));
    let wrong = wrong.args(["shell", "-s", "host:port:7", "ls", "/"]).output().unwrap();
    let (code, _, err) = texts(wrong);
    assert_eq!(code, 2, "{err}");
    let mut java = shell(address);
    let (code, _, err) =
        texts(java.args(["-client-configuration", "zk.properties", "ls", "/"]).output().unwrap());
    assert_eq!(code, 2);
    assert!(err.contains("zk.properties"), "{err}");
}

#[test]
fn without_a_server_it_says_what_it_tried() {
    // A port that nobody listens on, and one whose owner never says a word.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    for (address, cause) in
        [(free, "cannot be reached"), (silent.local_addr().unwrap(), "no answer so far")]
    {
        let mut command = shell(address);
        command.args(["-wait", "600", "-timeout", "1000"]);
        let (code, out, err) = script(command, "ls /\n");
        assert_eq!((code, out.as_str()), (3, ""), "{err}");
        assert!(err.starts_with(&address.to_string()), "{err}");
        assert!(err.contains("within 600 ms") && err.contains(cause), "{err}");
    }
    // What asks no server needs none.
    let (code, out, _) = one(free, &["version"]);
    assert!(code == 0 && out.starts_with("Tenure CLI version: "), "{out}");
}

#[test]
fn json_is_one_document_per_command() {
    let server = Server::with(SETTINGS);
    let mut command = shell(server.address());
    command.arg("--json");
    let lines = "create /a one\nget -s /a\nls -w /\ncreate /b\nset -b /b /w==\nget /b\nget /none\n\
                 getAcl /a\nls -R /a\nwhoami\nsession\nhistory\nfrob\nversion\ndelete /a\n";
    let (code, out, err) = script(command, lines);
    assert_eq!(code, 1);
    let documents: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let errors: Vec<Value> = err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents[0]["created"], "/a");
    assert_eq!(
        (&documents[1]["data"], &documents[1]["stat"]["dataLength"]),
        (&"one".into(), &3.into())
    );
    assert_eq!(documents[2]["children"], serde_json::json!(["a", "zookeeper"]));
    let event = documents.iter().find(|document| document["event"].is_string()).unwrap();
    assert_eq!((&event["event"], &event["path"]), (&"NodeChildrenChanged".into(), &"/".into()));
    assert!(documents.iter().any(|document| document["data_base64"] == "/w=="), "{out}");
    assert!(documents.iter().any(|document| document["acl"][0]["perms"] == "cdrwa"), "{out}");
    assert!(documents.iter().any(|document| document["state"] == "CONNECTED"), "{out}");
    assert_eq!(documents.last().unwrap()["deleted"], "/a");
    // One for each of fifteen commands but two, and the event.
    assert_eq!((documents.len(), errors.len()), (14, 2), "{out}{err}");
    assert_eq!((&errors[0]["error"], &errors[0]["path"]), (&"NoNode".into(), &"/none".into()));
    assert_eq!((&errors[1]["error"], &errors[1]["exit_code"]), (&"Usage".into(), &2.into()));
}

#[test]
fn data_are_printed_byte_for_byte() {
    let server = Server::with(SETTINGS);
    let address = server.address();
    let (code, _, err) =
        script(shell(address), "create /a x\nset -b /a AP+BCg==\ncreate /null\ncreate /empty ''\n");
    assert_eq!(code, 0, "{err}");
    let output = shell(address).args(["get", "/a"]).output().unwrap();
    assert_eq!(output.stdout, b"\x00\xff\x81\n\n");
    assert_eq!(one(address, &["get", "/null"]).1, "null\n");
    assert_eq!(one(address, &["get", "/empty"]).1, "\n");
    assert_eq!(one(address, &["get", "-x", "/empty"]).1, "\n");
}

#[test]
fn a_large_subtree_is_listed_and_deleted() {
    let server = Server::with(SETTINGS);
    let address = server.address();
    let mut lines = "create /big\n".to_owned();
    for i in 0..30 {
        lines.push_str(&format!("create /big/{i:02}\n"));
        for j in 0..30 {
            lines.push_str(&format!("create /big/{i:02}/{j:02}\n"));
        }
    }
    assert_eq!(script(shell(address), &lines).0, 0);
    let (code, out, _) = one(address, &["ls", "-R", "/big"]);
    let listed: Vec<&str> = out.lines().collect();
    assert_eq!((code, listed.len()), (0, 931));
    assert!(listed.is_sorted());
    let (code, out, _) = one(address, &["--json", "deleteall", "-b", "7", "/big"]);
    let document: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &document["znodes"]), (0, &931.into()));
    assert_eq!(one(address, &["ls", "/"]).1, "[zookeeper]\n");
}

/// A shell that stays while the test goes on.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    out: BufReader<ChildStdout>,
    err: ChildStderr,
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take();
        let out = BufReader::new(child.stdout.take().unwrap());
        let err = child.stderr.take().unwrap();
        Self { child, input, out, err }
    }

    fn send(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    /// Reads until a line that holds `part`.
    fn wait_for(&mut self, part: &str) {
        let mut all = String::new();
        while !all.lines().last().is_some_and(|line| line.contains(part)) {
            assert_ne!(self.out.read_line(&mut all).unwrap(), 0, "no {part} in:\n{all}");
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Exit code and standard error.
    fn end(mut self) -> (i32, String) {
        drop(self.input.take());
        let mut text = String::new();
        self.err.read_to_string(&mut text).unwrap();
        (self.child.wait().unwrap().code().unwrap(), text)
    }
}

#[test]
fn events_are_told_while_it_waits_for_input() {
    let server = Server::with(SETTINGS);
    let mut shell = Running::start(shell(server.address()));
    shell.send("create /a x");
    shell.send("addWatch /a");
    shell.send("sync /");
    shell.wait_for("Sync is OK");
    assert_eq!(one(server.address(), &["create", "/a/b"]).0, 0);
    shell.wait_for("type:NodeCreated path:/a/b");
    assert_eq!(one(server.address(), &["set", "/a", "y"]).0, 0);
    shell.wait_for("type:NodeDataChanged path:/a ");
    assert_eq!(shell.end().0, 0);
}

#[test]
fn a_signal_closes_the_session() {
    for signal in [Signal::INT, Signal::TERM] {
        let server = Server::with(SETTINGS);
        let mut running = Running::start(shell(server.address()));
        running.send("create -e /mine x");
        running.wait_for("Created /mine");
        running.signal(signal);
        // Before its input ends, which would end it too.
        running.child.wait().unwrap();
        let (code, err) = running.end();
        assert_eq!(code, 130, "{err}");
        assert_eq!(one(server.address(), &["ls", "/"]).1, "[zookeeper]\n");
    }
}

#[test]
fn a_server_that_comes_back_finds_the_same_session() {
    let mut server = Server::with(SETTINGS);
    let mut running = Running::start({
        let mut command = shell(server.address());
        command.args(["-timeout", "20000", "-wait", "20000"]);
        command
    });
    running.send("create -e /mine x");
    running.wait_for("Created /mine");
    server.kill();
    server.restart();
    running.send("getEphemerals");
    running.wait_for("[/mine]");
    let (code, err) = running.end();
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("state:Disconnected") && err.contains("state:SyncConnected"), "{err}");
}

#[test]
fn a_session_that_is_lost_is_told_by_the_exit_code() {
    let mut server = Server::with(SETTINGS);
    let mut running = Running::start({
        let mut command = shell(server.address());
        command.args(["-timeout", "1000", "-wait", "20000"]);
        command
    });
    running.send("create /a x");
    running.wait_for("Created /a");
    server.kill();
    // The first waits for the end, the others come after it; all are told the same reason.
    running.send("get /a");
    running.send("get /a");
    running.send("addauth digest a:b");
    let (code, err) = running.end();
    assert_eq!(code, 3, "{err}");
    let reason = "Not connected: the session is lost: no server vouched";
    assert_eq!(err.matches(reason).count(), 3, "{err}");
}

#[test]
fn a_closed_output_ends_it_quietly() {
    let server = Server::with(SETTINGS);
    let mut child = shell(server.address())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(b"ls /\nls /\n").unwrap();
    let (code, _, err) = texts(child.wait_with_output().unwrap());
    assert_eq!((code, err.as_str()), (0, ""));
}

#[test]
fn a_ttl_that_the_server_does_not_know_is_explained() {
    let server = Server::start();
    let (code, _, err) = one(server.address(), &["create", "-t", "1000", "/t"]);
    assert_eq!(code, 1);
    assert!(err.contains("need extendedTypesEnabled=true"), "{err}");
}
