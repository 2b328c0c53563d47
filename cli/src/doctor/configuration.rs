//! What a configuration says that it should not.

use tenure_server::config::{Checked, MemberRole, ServerConfig, WordList};

use super::finding::{Finding, Findings};

/// Shorter timeouts end sessions of clients that merely collect garbage.
const SHORT_TIMEOUT_MS: u32 = 500;

pub(super) fn look(checked: &Checked) -> Vec<Finding> {
    let mut found = Findings::about("configuration");
    for error in &checked.errors {
        found.problem(error.to_string(), "correct this: no server starts with it");
    }
    for warning in &checked.warnings {
        found.warning(warning.to_string(), "correct or remove the line, or live with what it says");
    }
    for ignored in &checked.ignored {
        found.note(ignored.to_string());
    }
    if checked.errors.is_empty() {
        if let Err(error) = tenure_server::check(&checked.config) {
            found.problem(error.to_string(), "correct this: no server starts with it");
        }
        openings(&checked.config, &mut found);
        dangers(&checked.config, &mut found);
        members(&checked.config, &mut found);
    }
    let mut list = found.into_list();
    if list.is_empty() {
        let mut good = Findings::about("configuration");
        good.good("reads without a mistake, and nothing in it is dangerous");
        list = good.into_list();
    }
    list
}

/// What strangers may do.
fn openings(config: &ServerConfig, found: &mut Findings) {
    let admin = &config.admin;
    let is_everywhere = admin.enabled && admin.listen.host.is_none();
    if is_everywhere {
        found.warning(
            format!("admin HTTP listens on every interface, port {}", admin.listen.port),
            "set admin.serverAddress=127.0.0.1, or let only operators reach that port",
        );
    }
    if is_everywhere && admin.close_sessions {
        found.problem(
            "tenure.admin.closeSessions=true: whoever reaches admin HTTP can end sessions",
            "set admin.serverAddress, or remove the line",
        );
    }
    if config.four_letter_words == WordList::All {
        found.warning(
            "4lw.commands.whitelist=*: anybody who can connect may ask for all watches and \
             sessions, which holds up the others while it is answered",
            "list what is needed: 4lw.commands.whitelist=srvr,ruok,mntr,conf",
        );
    }
    let is_plain = config.client.as_ref().is_some_and(|listen| listen.host.is_none());
    if is_plain {
        found.note("clients may connect without TLS from every network this machine is in");
    }
}

/// What loses data or sessions.
fn dangers(config: &ServerConfig, found: &mut Findings) {
    let min_ms = config.sessions.min_timeout_ms;
    if min_ms < SHORT_TIMEOUT_MS {
        found.warning(
            format!(
                "sessions may have timeouts of {min_ms} ms: a short pause of a client ends them"
            ),
            "set minSessionTimeout to 1000 or more",
        );
    }
    if config.snapshots.trust_empty {
        found.warning(
            "snapshot.trust.empty=true: a lost snapshot is taken for one that never was",
            "remove the line once the first snapshot is written",
        );
    }
    if config.data_dir.starts_with("/tmp") || config.data_log_dir.starts_with("/tmp") {
        found.warning(
            "data lie under /tmp, which many systems empty",
            "move dataDir to a folder of its own, such as /var/lib/tenure",
        );
    }
    if config.connections.max_per_address == 0 {
        found.note("maxClientCnxns=0: one machine may take all connections");
    }
}

/// How many may fail.
fn members(config: &ServerConfig, found: &mut Findings) {
    let ensemble = &config.ensemble;
    if !ensemble.is_distributed() {
        return found.note("a server of its own: there is no other to go on if it fails");
    }
    if ensemble.me().is_none() {
        let id = ensemble.my_id.map_or("unset".to_owned(), |id| id.to_string());
        found.problem(
            format!("myid is {id}, but no server.N line has that number"),
            "write this server's N to the file myid in dataDir",
        );
    }
    let voters = ensemble.members.iter().filter(|m| m.role == MemberRole::Participant).count();
    match voters {
        0 => found.problem("no member votes, so none can lead", "give one of them a vote"),
        1 => found.note("one member votes: the ensemble ends with it"),
        2 => found.warning(
            "two members vote, and both are needed: either failure stops all writes",
            "add a third",
        ),
        even if even % 2 == 0 => found.warning(
            format!("{even} members vote: they bear no more failures than {} would", even - 1),
            "have an odd number of voters; let the last one observe",
        ),
        _ => {}
    }
    for (n, member) in ensemble.members.iter().enumerate() {
        let shares = |address| {
            let earlier = &ensemble.members[..n];
            earlier.iter().any(|other| other.addresses.contains(address))
        };
        if member.addresses.iter().any(shares) {
            found.problem(
                format!("server.{} has the address of another member", member.id),
                "give each member an address of its own",
            );
        }
    }
}
