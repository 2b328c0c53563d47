//! config, reconfig.

use std::fs;

use serde_json::{Value, json};
use tenure_client::{ReconfigSpec, WatchKind};

use super::Scope;
use crate::shell::command::Members;
use crate::shell::error::ShellError;
use crate::shell::format::stat_json;

/// Where the configuration is kept, for the watch's name.
const CONFIG: &str = "/zookeeper/config";

pub(super) async fn config(
    scope: Scope<'_>,
    for_clients: bool,
    watch: bool,
    stat: bool,
) -> Result<Value, ShellError> {
    let node = if watch {
        let (node, event) = scope.session.config_and_watch().await?;
        scope.watches.once(CONFIG, WatchKind::Data, event);
        node
    } else {
        scope.session.config().await?
    };
    let text = String::from_utf8_lossy(&node.data);
    let (version, servers) = client_part(&text);
    match for_clients {
        true => scope.out.line(&format!("{version} {servers}"))?,
        false => scope.out.line(&text)?,
    }
    if stat {
        scope.stat(&node.stat)?;
    }
    Ok(json!({
        "config": text,
        "version": version,
        "servers": servers,
        "stat": stat_json(&node.stat),
    }))
}

pub(super) async fn reconfig(
    scope: Scope<'_>,
    change: &Members,
    from_version: Option<i64>,
    stat: bool,
) -> Result<Value, ShellError> {
    let mut spec = ReconfigSpec { from_version, ..ReconfigSpec::default() };
    match change {
        Members::File(file) => {
            let text = fs::read_to_string(file)
                .map_err(|error| ShellError::Failed(format!("Error processing {file}: {error}")))?;
            let members = member_lines(&text);
            if members.is_empty() {
                let error = format!("Error processing {file}: it has no server.N= lines");
                return Err(ShellError::Failed(error));
            }
            spec.new_members = Some(members);
        }
        Members::All(members) => spec.new_members = Some(members.clone()),
        Members::Change { add, remove } => {
            spec.joining = add.clone();
            spec.leaving = remove.clone();
        }
    }
    let node = scope.session.reconfigure(&spec).await?;
    let text = String::from_utf8_lossy(&node.data);
    scope.out.line(&format!("Committed new configuration:\n{text}"))?;
    if stat {
        scope.stat(&node.stat)?;
    }
    Ok(json!({"config": text, "stat": stat_json(&node.stat)}))
}

/// The lines of a configuration that say who its members are.
fn member_lines(text: &str) -> String {
    let is_member = |line: &&str| {
        ["server.", "group.", "weight."].iter().any(|prefix| line.starts_with(prefix))
    };
    text.lines().map(str::trim).filter(is_member).collect::<Vec<_>>().join("\n")
}

/// The version, and the addresses that clients connect to, with commas between them.
fn client_part(text: &str) -> (&str, String) {
    let (mut version, mut servers) = ("", Vec::new());
    for line in text.lines() {
        let Some((name, value)) = line.trim().split_once('=') else { continue };
        if name == "version" {
            version = value;
        } else if name.starts_with("server.")
            && let Some((members, client)) = value.split_once(';')
        {
            // What is behind the first semicolon is the plain port; a second part is that of TLS.
            let client = client.split(';').next().unwrap_or_default();
            servers.push(match client.rsplit_once(':') {
                Some(_) => client.to_owned(),
                None => format!("{}:{client}", members.split(':').next().unwrap_or_default()),
            });
        }
    }
    (version, servers.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_need_is_taken_out_of_a_configuration() {
        let text = "server.1=a:1:2:participant;0.0.0.0:2181\nserver.2=b:1:2:observer;2182\n\
                    server.3=c:1:2\nversion=100000000";
        assert_eq!(client_part(text), ("100000000", "0.0.0.0:2181,b:2182".to_owned()));
        assert_eq!(client_part(""), ("", String::new()));
    }

    #[test]
    fn a_file_gives_its_member_lines_alone() {
        let text = "tickTime=2000\n server.1=a:1:2;3 \n# server.9=x\nweight.1=2\nversion=1\n";
        assert_eq!(member_lines(text), "server.1=a:1:2;3\nweight.1=2");
    }
}
