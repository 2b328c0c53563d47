//! A scripted session of ZooKeeper's own shell.

use std::fs::{self, File};
use std::io::Write;
use std::process::Stdio;

use anyhow::{Context, ensure};

use super::Tally;
use super::server::PeerServer;
use crate::{peers_folder, zookeeper};

/// Commands, and what the shell must have printed for each.
const SCRIPT: [(&str, &[&str]); 32] = [
    ("create /shell first", &["Created /shell"]),
    ("get /shell", &["first"]),
    ("get -s /shell", &["first", "cZxid = 0x", "dataVersion = 0", "numChildren = 0"]),
    ("set -s /shell second", &["dataVersion = 1"]),
    ("set -v 0 /shell third", &["version No is not valid : /shell"]),
    ("stat /shell", &["dataVersion = 1", "dataLength = 6"]),
    ("create -e /shell/e", &["Created /shell/e"]),
    ("create -e -s /shell/s-", &["Created /shell/s-0000000001"]),
    ("create -c /shell/c", &["Created /shell/c"]),
    ("create -t 3600000 /shell/t", &["Created /shell/t"]),
    ("create /shell/c/a x world:anyone:cdr", &["Created /shell/c/a"]),
    ("set /shell/c/a y", &["Insufficient permission : /shell/c/a"]),
    ("create /shell", &["Node already exists: /shell"]),
    ("create /none/below", &["Node does not exist: /none/below"]),
    ("ls /shell", &["[c, e, s-0000000001, t]"]),
    ("ls -s /shell", &["[c, e, s-0000000001, t]", "numChildren = 4"]),
    ("ls -R /shell", &["/shell/c/a"]),
    ("getAcl /shell", &["'world,'anyone\n: cdrwa"]),
    ("addauth digest user:pw", &[]),
    ("setAcl /shell auth:user:cdrwa", &[]),
    ("getAcl -s /shell", &["'digest,'user:", ": cdrwa", "aclVersion = 1"]),
    ("whoami", &["digest: user", "ip: 127.0.0.1"]),
    ("getEphemerals /shell", &["/shell/e", "/shell/s-0000000001"]),
    ("getAllChildrenNumber /shell", &["5"]),
    ("sync /shell", &["Sync is OK"]),
    ("setquota -n 9 /shell/c", &[]),
    (
        "listquota /shell/c",
        &["Output quota for /shell/c count=9", "Output stat for /shell/c count=2"],
    ),
    ("delquota /shell/c", &[]),
    ("delete /shell", &["Node not empty: /shell"]),
    ("deleteall /shell", &[]),
    ("stat /shell", &["Node does not exist: /shell"]),
    // The shell ends with the success or failure of its last command.
    ("ls /", &["zookeeper"]),
];

/// The same for a shell that speaks TLS and is a user of SASL.
const SECURE_SCRIPT: [(&str, &[&str]); 7] = [
    ("create /secure-zkcli first sasl:bob:cdrwa", &["Created /secure-zkcli"]),
    ("get /secure-zkcli", &["first"]),
    ("getAcl /secure-zkcli", &["'sasl,'bob\n: cdrwa"]),
    ("whoami", &["sasl: bob", "ip: 127.0.0.1"]),
    ("addauth digest user:pw", &[]),
    ("whoami", &["digest: user", "sasl: bob"]),
    ("ls /", &["secure-zkcli"]),
];

/// Runs the script in one shell.
pub(super) fn check(server: &PeerServer) -> anyhow::Result<Tally> {
    run(server, &SCRIPT, &[], &["-server", &server.address().to_string()])
}

/// Runs the script of a secured shell, whose file of users is written here.
pub(super) fn check_secure(server: &PeerServer) -> anyhow::Result<Tally> {
    let (address, certificates) = server.secure()?;
    let jaas = certificates.file("zkcli-jaas.conf");
    let login = "org.apache.zookeeper.server.auth.DigestLoginModule required";
    let user = "username=\"bob\" password=\"bobs password\"";
    fs::write(&jaas, format!("Client {{ {login} {user}; }};\n"))?;
    let settings = certificates.file("zkcli.properties");
    let text = format!(
        "zookeeper.client.secure=true\n\
         zookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty\n\
         zookeeper.ssl.keyStore.location={}\nzookeeper.ssl.trustStore.location={}\n",
        certificates.file("client-both.pem").display(),
        certificates.file("ca.pem").display()
    );
    fs::write(&settings, text)?;
    let options = [
        format!("-Djava.security.auth.login.config={}", jaas.display()),
        "-Dzookeeper.fips-mode=false".to_owned(),
    ];
    let host = format!("localhost:{}", address.port());
    let settings = settings.display().to_string();
    let arguments = ["-client-configuration", &settings, "-server", &host];
    run(server, &SECURE_SCRIPT, &options, &arguments)
}

fn run(
    server: &PeerServer,
    script: &[(&str, &[&str])],
    options: &[String],
    arguments: &[&str],
) -> anyhow::Result<Tally> {
    let jars = zookeeper::jars()?;
    let printed = peers_folder().join("zkcli.out");
    let output = File::create(&printed)?;
    let mut command = zookeeper::client_command();
    command.arg(jars.join("*")).args(options).arg("org.apache.zookeeper.ZooKeeperMain");
    command.arg("-waitforconnection").args(arguments);
    let mut shell = command
        .envs(server.client_environment())
        .stdin(Stdio::piped())
        .stdout(output.try_clone()?)
        .stderr(output)
        .spawn()
        .context("cannot run java")?;
    let mut input = shell.stdin.take().context("the shell has no input")?;
    for (line, _) in script {
        writeln!(input, "{line}")?;
    }
    writeln!(input, "quit")?;
    drop(input);
    let status = shell.wait()?;
    let text = fs::read_to_string(&printed)?;
    ensure!(status.success(), "the shell ended with {status}:\n{text}");
    let mut tally = Tally::default();
    for (number, (line, expected)) in script.iter().enumerate() {
        let said = answer(&text, number);
        let missing = expected.iter().find(|expected| !said.contains(**expected));
        // Silence is the answer of success where nothing is expected.
        if missing.is_none() && (!expected.is_empty() || said.trim().is_empty()) {
            tally.passed += 1;
            println!("zkcli: ok {line}");
        } else {
            tally.failed += 1;
            println!("zkcli: FAIL {line}: expected {expected:?}, got {said:?}");
        }
    }
    Ok(tally)
}

/// What the shell printed between two of its numbered prompts.
fn answer(printed: &str, number: usize) -> &str {
    let prompt = |number| format!("(CONNECTED) {number}] ");
    let Some((_, after)) = printed.split_once(&prompt(number)) else { return "" };
    after.split("[zk: ").next().unwrap_or_default()
}
