//! The deployment files: their configurations start a server, and what they say fits together.

#![allow(clippy::unwrap_used, reason = "a failed expectation is a failed test")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use support::hosted::Hosted;
use tenure_server::config::{AdminSettings, ServerConfig};

fn read(name: &str) -> String {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    fs::read_to_string(deploy.join(name)).unwrap()
}

/// The configuration inside a ConfigMap: the lines that are indented below its name.
fn in_config_map(text: &str) -> String {
    let lines = text.lines().skip_while(|line| line.trim() != "zoo.cfg: |").skip(1);
    let lines = lines.take_while(|line| line.starts_with("    "));
    lines.map(|line| format!("{}\n", line.trim_start())).collect()
}

/// Reads a configuration whose folder is elsewhere, as a member with a number. Nothing in it may
/// be unknown, or known and without effect.
fn config_of(text: &str, folder: &str, member: u64) -> ServerConfig {
    let data = tempfile::tempdir().unwrap();
    fs::write(data.path().join("myid"), member.to_string()).unwrap();
    let line = format!("dataDir={folder}\n");
    assert_eq!(text.matches(&line).count(), 1, "{text}");
    let text = text.replace(&line, &format!("dataDir={}\n", data.path().display()));
    let file = data.path().join("zoo.cfg");
    fs::write(&file, text).unwrap();
    let (config, warnings) = ServerConfig::from_file(&file).unwrap();
    let warnings: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, [] as [&str; 0]);
    config
}

/// The values of a key in YAML, wherever it stands.
fn values<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
    lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).collect()
}

#[test]
fn the_configurations_are_those_of_three_members_on_the_usual_ports() {
    let kubernetes = in_config_map(&read("kubernetes/10-config.yaml"));
    let systemd = read("systemd/zoo.cfg");
    for (text, folder) in [(kubernetes, "/data"), (systemd, "/var/lib/tenure")] {
        for member in 1..=3 {
            let config = config_of(&text, folder, member);
            assert_eq!(config.client.as_ref().unwrap().port, default_client_port());
            assert_eq!(config.admin.listen.port, AdminSettings::default().listen.port);
            assert_eq!(config.ensemble.my_id, Some(member));
            assert_eq!(config.ensemble.members.len(), 3);
        }
    }
}

fn default_client_port() -> u16 {
    ServerConfig::default().client.unwrap().port
}

#[test]
fn the_manifests_fit_together() {
    let config = read("kubernetes/10-config.yaml");
    let services = read("kubernetes/20-services.yaml");
    let set = read("kubernetes/30-statefulset.yaml");
    let budget = read("kubernetes/40-disruption.yaml");
    let network = read("kubernetes/50-network.yaml");
    assert_eq!(values(&network, "port"), ["2181", "8080", "2888"]);
    let members = in_config_map(&config);
    let members: Vec<_> = members.lines().filter(|line| line.starts_with("server.")).collect();
    assert_eq!(values(&set, "replicas"), [members.len().to_string()]);
    let headless = values(&set, "serviceName")[0];
    for (ordinal, line) in members.iter().enumerate() {
        let expected = format!("server.{}=tenure-{ordinal}.{headless}:2888:3888", ordinal + 1);
        assert_eq!(**line, expected);
    }
    assert!(services.contains(&format!("name: {headless}\n")));
    assert!(services.contains("clusterIP: None"));
    assert_eq!(values(&services, "port"), ["2888", "2181"]);
    assert_eq!(values(&set, "containerPort"), ["2181", "2888", "8080"]);
    assert_eq!(values(&set, "path"), ["/healthz", "/healthz", "/readyz"]);
    assert!(set.contains("exec tenure serve /etc/tenure/zoo.cfg"));
    assert_eq!(values(&set, "mountPath"), ["/data", "/etc/tenure"]);
    let label = "app.kubernetes.io/name: tenure";
    for text in [&config, &services, &set, &budget, &network] {
        assert!(text.contains(label));
        // Tabs are no YAML, and an odd indentation is a mistake.
        assert!(!text.contains('\t'));
        let odd = text.lines().find(|line| (line.len() - line.trim_start().len()) % 2 == 1);
        assert_eq!(odd, None);
    }
}

/// Status of an answer of admin HTTP.
fn status(admin: &str, path: &str) -> u16 {
    let mut stream = TcpStream::connect(admin.trim_start_matches("http://")).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_probes_and_the_metrics_are_there() {
    let set = read("kubernetes/30-statefulset.yaml");
    let data = tempfile::tempdir().unwrap();
    let server = Hosted::on(data.path());
    for path in values(&set, "path").into_iter().chain(values(&set, "prometheus.io/path")) {
        assert_eq!(status(&server.admin(), path), 200, "{path}");
    }
}

#[test]
fn the_image_and_the_service_run_what_there_is() {
    let image = read("docker/Dockerfile");
    assert!(image.contains("EXPOSE 2181 2888 8080"));
    let toolchain = include_str!("../../rust-toolchain.toml");
    let version = toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap();
    let version = version.trim_matches('"');
    let minor = version.split('.').take(2).collect::<Vec<_>>().join(".");
    assert!(image.contains(&format!("FROM rust:{minor}-")), "built with {version} elsewhere");
    let user = values(&read("kubernetes/30-statefulset.yaml"), "runAsUser")[0].to_owned();
    assert!(image.contains(&format!("USER {user}:{user}")));
    let command = image.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_tenure"))
        .args(["serve", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let options = command.iter().filter(|word| word.starts_with("--"));
    for option in options {
        assert!(help.contains(option.as_str()), "{option}");
    }
    let unit = read("systemd/tenure.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    assert_eq!(start, "/usr/local/bin/tenure serve /etc/tenure/zoo.cfg");
    assert!(unit.contains("StateDirectory=tenure"), "which is /var/lib/tenure");
    for (name, what) in [("2 3", "RestartPreventExitStatus"), ("SIGTERM", "KillSignal")] {
        assert!(unit.contains(&format!("{what}={name}")));
    }
    let listed = read("README.md");
    for line in listed.lines().filter(|line| line.contains("](")) {
        for link in line.split("](").skip(1) {
            let path = link.split(')').next().unwrap();
            let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
            assert!(deploy.join(path).exists(), "{path}");
        }
    }
}
