//! The admin commands about an ensemble: who leads, who votes, what this member is.

use serde_json::{Map, Value, json};

use super::report::EnsembleReport;
use crate::config::{Member, MemberAddress, MemberRole};
use crate::metrics::{Readings, ServerState};

/// Fields of `leader`; none while nobody leads.
pub(super) fn leader(
    readings: &Readings,
    ensemble: &EnsembleReport,
) -> Option<Vec<(String, Value)>> {
    let leads = readings.led_by?;
    let host = ensemble.members.iter().find(|member| member.id == leads)?.addresses.first()?;
    Some(fields(json!({
        "is_leader": readings.state == ServerState::Leader,
        "leader_id": leads,
        "leader_ip": host.host,
    })))
}

/// Fields of `voting_view`: those who vote, by their numbers. A server of its own has nobody.
pub(super) fn voting_view(ensemble: Option<&EnsembleReport>) -> Vec<(String, Value)> {
    let members = ensemble.map(|ensemble| &ensemble.members[..]).unwrap_or_default();
    let voters = members.iter().filter(|member| member.role == MemberRole::Participant);
    let view = |member: &Member| {
        let shown = |port: fn(&MemberAddress) -> u16| -> Vec<String> {
            member.addresses.iter().map(|at| format!("{}:{}", at.host, port(at))).collect()
        };
        json!({
            "server_addresses": shown(|at| at.quorum_port),
            "election_addresses": shown(|at| at.election_port),
            "client_address": client_address(member),
            "learner_type": "PARTICIPANT",
        })
    };
    let views: Map<String, Value> =
        voters.map(|member| (member.id.to_string(), view(member))).collect();
    fields(json!({"current_config": views}))
}

/// Fields of `zabstate`; a server of its own has hardly any.
pub(super) fn zab_state(
    readings: &Readings,
    ensemble: Option<&EnsembleReport>,
) -> Vec<(String, Value)> {
    let Some(EnsembleReport { me, .. }) = ensemble else {
        return fields(json!({"voting": false, "zabstate": ""}));
    };
    let own = |port: fn(&MemberAddress) -> u16| {
        me.addresses.first().map(|at| format!("{}:{}", at.host, port(at)))
    };
    let zxid = readings.zxid.0 as u64;
    let state = match (readings.serving && !readings.state.is_read_only(), readings.led_by) {
        (true, _) => "broadcast",
        (false, Some(_)) => "synchronization",
        (false, None) => "election",
    };
    fields(json!({
        "myid": me.id,
        "is_leader": readings.state == ServerState::Leader,
        "quorum_address": own(|at| at.quorum_port),
        "election_address": own(|at| at.election_port),
        "client_address": client_address(me),
        "voting": me.role == MemberRole::Participant,
        "last_zxid": readings.zxid.to_string(),
        "zab_epoch": zxid >> 32,
        "zab_counter": zxid & 0xffff_ffff,
        "zabstate": state,
    }))
}

fn client_address(member: &Member) -> Option<String> {
    member.client.as_ref().map(ToString::to_string)
}

fn fields(value: Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => fields.into_iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::report::ConfigReport;
    use crate::config::{EnsembleSettings, ServerConfig};

    #[test]
    fn those_who_vote_are_the_present_ones() {
        let mut settings = EnsembleSettings::default();
        settings.set_members(2, "1=a:2888;2181,2=b:2888:observer;2181").expect("a good list");
        let config = ServerConfig { ensemble: settings, ..ServerConfig::default() };
        let mut ensemble = ConfigReport::new(&config, None, None).ensemble.expect("members");
        let voters = |ensemble: &EnsembleReport| -> Vec<String> {
            let view = voting_view(Some(ensemble));
            let by_id = view[0].1.as_object().expect("an object");
            by_id.iter().map(|(id, view)| format!("{id} {}", view["server_addresses"][0])).collect()
        };
        assert_eq!(voters(&ensemble), ["1 \"a:2888\""]);
        ensemble.follow("server.2=b:1:2\nserver.3=c:3:4\nserver.4=d:5:6:observer\nversion=7", 7);
        assert_eq!(voters(&ensemble), ["2 \"b:1\"", "3 \"c:3\""]);
    }
}
