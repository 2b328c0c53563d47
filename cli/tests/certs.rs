//! `tenure certs`, and servers and shells that use what it makes.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::foreign;

const PATIENCE: Duration = Duration::from_secs(60);

fn tenure(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenure"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn expect(output: &Output, code: i32, said: &[&str]) {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in said {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

/// `tenure serve` on free ports, until it is dropped.
struct Serving {
    child: Child,
    log: std::path::PathBuf,
}

impl Serving {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let log = folder.join("log");
        let child = Command::new(env!("CARGO_BIN_EXE_tenure"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data-dir", "data"])
            .args(["--set", "admin.enableServer=false", "--set", "secureClientPort=0"])
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let serving = Serving { child, log };
        serving.wait_for(" serving ");
        serving
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn wait_for(&self, line: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(line) {
            assert!(Instant::now() < deadline, "{line:?} is not in:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The port behind this word of the line that says that it serves.
    fn port(&self, word: &str) -> u16 {
        let log = self.log();
        let place = log.split(&format!(" {word}=")).nth(1).unwrap().split(' ').next().unwrap();
        place.rsplit(':').next().unwrap().parse().unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

#[test]
fn two_commands_make_mutual_tls() {
    if foreign() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    expect(&tenure(folder, &["certs"]), 0, &["server at localhost", "client x509:CN=client"]);
    let server = Serving::start(folder, &["--certs", "certs"]);
    let (secure, plain) = (server.port("secure_clients"), server.port("clients"));
    let at = |host: &str| format!("{host}:{secure}");
    let shell = |at: &str, flags: &[&str], command: &[&str]| {
        tenure(folder, &[&["shell", "-s", at], flags, command].concat())
    };
    let client = ["--tls-ca", "certs/ca.pem", "--tls-cert", "certs/client-client.pem"];
    expect(&shell(&at("localhost"), &client, &["create", "/x", "y"]), 0, &["/x"]);
    expect(&shell(&at("127.0.0.1"), &client, &["get", "/x"]), 0, &["y"]);
    expect(&shell(&at("127.0.0.1"), &client, &["whoami"]), 0, &["x509", "CN=client"]);

    // Without a certificate, with one of somebody else, and with no word of TLS.
    let wait = ["--wait", "500"];
    let nobody = [&client[..2], &wait].concat();
    expect(&shell(&at("localhost"), &nobody, &["get", "/x"]), 3, &["CertificateRequired"]);
    expect(&tenure(folder, &["certs", "--dir", "others"]), 0, &[]);
    let other = ["--tls-ca", "certs/ca.pem", "--tls-cert", "others/client-client.pem"];
    expect(&shell(&at("localhost"), &[&other[..], &wait].concat(), &["ls", "/"]), 3, &["received"]);
    let distrusts = [&["--tls-ca", "others/ca.pem"], &client[2..], &wait].concat();
    let refused = shell(&at("localhost"), &distrusts, &["ls", "/"]);
    expect(&refused, 3, &["invalid peer certificate"]);
    expect(&shell(&at("localhost"), &wait, &["ls", "/"]), 3, &[]);
    server.wait_for("it does not speak TLS, and this port takes nothing else");
    let misled = shell(&format!("localhost:{plain}"), &[&client[..], &wait].concat(), &["ls", "/"]);
    expect(&misled, 3, &["does this port take TLS?"]);
    server.wait_for("it speaks TLS, and this port does not");
    server.wait_for("peer sent no certificates");
    // All the same, it serves.
    expect(&shell(&at("localhost"), &client, &["get", "/x"]), 0, &["y"]);

    for (flags, said) in [
        (&["--tls-ca", "nowhere"][..], "--tls-ca nowhere: cannot be read"),
        (&["--tls-ca", "certs/ca-key.pem"], "there is no authority's certificate"),
        (&["--tls-ca", "certs/ca.pem", "--tls-cert", "certs/ca.pem"], "no client's private key"),
        (&["--tls-cert", "certs/client-client.pem"], "--tls-ca"),
    ] {
        expect(&shell(&at("localhost"), flags, &["ls", "/"]), 2, &[said]);
    }
}

#[test]
fn a_renewed_certificate_is_used_by_the_server_that_runs() {
    if foreign() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    expect(&tenure(folder, &["certs"]), 0, &[]);
    let server = Serving::start(folder, &["--certs", "certs"]);
    expect(&tenure(folder, &["certs"]), 2, &["server-localhost.pem is there already", "--renew"]);
    let before = fs::read(folder.join("certs/server-localhost.pem")).unwrap();
    expect(&tenure(folder, &["certs", "--renew", "--server", "127.0.0.1,localhost"]), 0, &[]);
    expect(&tenure(folder, &["certs", "--renew", "--server", "localhost"]), 0, &[]);
    assert_ne!(fs::read(folder.join("certs/server-localhost.pem")).unwrap(), before);
    server.wait_for("TLS of clients: changed keys and certificates are in use");
    fs::write(folder.join("certs/server-localhost.pem"), "half of it").unwrap();
    server.wait_for("changed keys and certificates cannot be used, so those read before stay");
    expect(&tenure(folder, &["certs", "--renew", "--server", "localhost", "--days", "7"]), 0, &[]);
    server.wait_for("ssl.keyStore.location: this server's certificate expires in 6 days");
    let place = format!("localhost:{}", server.port("secure_clients"));
    let client = ["--tls-ca", "certs/ca.pem", "--tls-cert", "certs/client-client.pem"];
    let shell = [&["shell", "-s", &place], &client[..], &["ls", "/"]].concat();
    expect(&tenure(folder, &shell), 0, &["zookeeper"]);
}

#[test]
fn what_is_wrong_with_a_folder_of_certificates_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let serve = |dir: &str| {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "d", "--certs", dir];
        tenure(folder, &arguments)
    };
    expect(&serve("nowhere"), 2, &["--certs", "nowhere"]);
    expect(&tenure(folder, &["certs", "--client", "alice"]), 0, &["x509:CN=alice"]);
    expect(&serve("certs"), 2, &["has no server-HOST.pem", "tenure certs --server HOST"]);
    expect(&tenure(folder, &["certs", "--server", "a", "--server", "b,::1"]), 0, &["a", "b, ::1"]);
    expect(&serve("certs"), 2, &["several servers' certificates", "server-a.pem", "server-b.pem"]);
    for (arguments, said) in [
        (&["--client", "../alice"][..], "expected letters"),
        (&["--client", ""], "expected letters"),
        (&["--server", "zk,bücher.example"], "\"bücher.example\" is no host name or address"),
        (&["--server", "../zk"], "\"../zk\" is no host name or address"),
        (&["--server", ""], "is no host name or address"),
        (&["--days", "0"], "--days"),
    ] {
        expect(&tenure(folder, &[&["certs"], arguments].concat()), 2, &[said]);
    }
    fs::remove_file(folder.join("certs/ca-key.pem")).unwrap();
    expect(&tenure(folder, &["certs", "--client", "bob"]), 2, &["without", "ca-key.pem"]);
    fs::write(folder.join("certs/ca-key.pem"), "nothing").unwrap();
    expect(&tenure(folder, &["certs", "--client", "bob"]), 2, &["private key cannot be used"]);
    let of = folder.join("certs/client-alice.pem");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(of).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn half_open_handshakes_by_the_thousand_hold_up_no_client() {
    if foreign() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    expect(&tenure(folder, &["certs"]), 0, &[]);
    let unbounded = ["--set", "maxClientCnxns=0", "--certs", "certs"];
    let server = Serving::start(folder, &unbounded);
    let secure = server.port("secure_clients");
    let mut crowd = Vec::new();
    for number in 0..1500 {
        let mut socket = TcpStream::connect(("127.0.0.1", secure)).unwrap();
        // The beginning of a record that never ends.
        socket.write_all(&[0x16, 3, 1, 2, 0, 1, 0][..number % 8]).unwrap();
        crowd.push(socket);
    }
    let place = format!("localhost:{secure}");
    let client = ["--tls-ca", "certs/ca.pem", "--tls-cert", "certs/client-client.pem"];
    let shell = [&["shell", "-s", &place], &client[..], &["create", "/x"]].concat();
    expect(&tenure(folder, &shell), 0, &["/x"]);
    // Nobody was told anything.
    for socket in &mut crowd[..3] {
        socket.set_nonblocking(true).unwrap();
        let error = socket.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }
}

#[test]
fn admin_http_speaks_tls_alone_or_both() {
    if foreign() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    expect(&tenure(folder, &["certs"]), 0, &[]);
    let on =
        ["--certs", "certs", "--set", "admin.enableServer=true", "--set", "admin.serverPort=0"];
    let trust = ["--tls-ca", "certs/ca.pem"];
    let client = [&trust[..], &["--tls-cert", "certs/client-client.pem"]].concat();
    let list = |url: &str, flags: &[&str]| {
        tenure(folder, &[&["session", "list", "--admin", url], flags].concat())
    };

    let forced = ["--set", "admin.forceHttps=true"];
    let server = Serving::start(folder, &[&on[..], &forced].concat());
    let port = server.port("admin");
    let (https, http) = (format!("https://localhost:{port}"), format!("http://localhost:{port}"));
    expect(&list(&https, &trust), 0, &["session"]);
    expect(&list(&https, &[]), 1, &["say whom to trust, with --tls-ca"]);
    expect(&list(&http, &trust), 1, &["admin HTTP there?", "has an https:// address"]);
    expect(&tenure(folder, &["certs", "--dir", "others"]), 0, &[]);
    expect(&list(&https, &["--tls-ca", "others/ca.pem"]), 1, &["invalid peer certificate"]);
    // Whoever does not finish a handshake holds up nobody.
    let _half = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let top = [&["top", "--once", "--interval", "0.1", "--admin", &https], &trust[..]].concat();
    expect(&tenure(folder, &top), 0, &["standalone"]);
    let backup = [&["backup", "--out", "b", "--server", &https], &trust[..]].concat();
    expect(&tenure(folder, &backup), 0, &["wrote b"]);
    drop(server);

    let both = ["--set", "admin.portUnification=true"];
    let server = Serving::start(folder, &[&on[..], &both].concat());
    let port = server.port("admin");
    expect(&list(&format!("https://127.0.0.1:{port}"), &trust), 0, &["session"]);
    expect(&list(&format!("http://127.0.0.1:{port}"), &[]), 0, &["session"]);
    drop(server);

    let known = ["--set", "admin.forceHttps=true", "--set", "admin.needClientAuth=true"];
    let server = Serving::start(folder, &[&on[..], &known].concat());
    let https = format!("https://localhost:{}", server.port("admin"));
    expect(&list(&https, &client), 0, &["session"]);
    expect(&list(&https, &trust), 1, &["CertificateRequired"]);
}
