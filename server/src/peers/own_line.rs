//! What the ensemble says about this server itself: a reconfig may give it other addresses, and
//! those it listens at only change at a start.

use tenure_replica::Membership;

use crate::config::{Listen, Member, MemberAddress, ServerConfig};

/// Where this server has listened since its start.
#[derive(Debug)]
pub(super) struct OwnLine {
    addresses: Vec<MemberAddress>,
    client: Option<Listen>,
    secure_client: Option<Listen>,
    /// The line as it was looked at last.
    seen: Option<Member>,
}

impl OwnLine {
    /// As this member of the configuration.
    pub(super) fn new(me: &Member, config: &ServerConfig) -> Self {
        OwnLine {
            addresses: me.addresses.clone(),
            client: config.client.clone(),
            secure_client: config.secure_client.clone(),
            seen: None,
        }
    }

    /// Looks at what the ensemble says now, and tells an operator once what a restart is needed
    /// for.
    pub(super) fn look(&mut self, me: u64, members: &Membership) {
        let line = members.iter().find(|member| member.id == me);
        if line == self.seen.as_ref() {
            return;
        }
        self.seen = line.cloned();
        for difference in line.into_iter().flat_map(|line| self.differences(line)) {
            tracing::warn!(
                "{difference}; it does so after a restart with this line in its configuration: \
                 {}",
                line.map(Member::to_string).unwrap_or_default()
            );
        }
    }

    fn differences(&self, line: &Member) -> Vec<String> {
        let place = |address: &MemberAddress| format!("{}:{}", address.host, address.quorum_port);
        let places =
            |all: &[MemberAddress]| all.iter().map(place).collect::<Vec<_>>().join(" and ");
        let (listens, told) = (places(&self.addresses), places(&line.addresses));
        let mut found = Vec::new();
        if listens != told {
            found.push(format!(
                "the other members look for this server at {told}, but it listens at {listens}"
            ));
        }
        let ports = [
            ("clients", &self.client, &line.client),
            ("clients with TLS", &self.secure_client, &line.secure_client),
        ];
        for (who, listens, told) in ports {
            let Some(told) = told.as_ref().map(|told| told.port) else { continue };
            match listens.as_ref().map(|listens| listens.port) {
                // Whichever was free.
                Some(0) => {}
                Some(listens) if listens == told => {}
                Some(listens) => found.push(format!(
                    "the ensemble tells {who} that this server has port {told}, but it listens on \
                     port {listens}"
                )),
                None => found.push(format!(
                    "the ensemble tells {who} that this server has port {told}, but it does not \
                     listen for them"
                )),
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Member {
        Member::from_line(text).expect("a line")
    }

    #[test]
    fn only_what_needs_a_restart_is_told() {
        let config = ServerConfig { client: Some(Listen::everywhere(2181)), ..Default::default() };
        let own = OwnLine::new(&line("server.1=a:2888:3888;2181"), &config);
        let differences = |text: &str| own.differences(&line(text));
        assert!(differences("server.1=a:2888:3888;2181").is_empty());
        assert!(differences("server.1=a:2888:3999:observer").is_empty(), "a role changes at once");
        let moved = differences("server.1=b:2889:3888;2181");
        assert!(moved[0].contains("at b:2889, but it listens at a:2888"), "{moved:?}");
        let moved = differences("server.1=a:2888:3888;2182");
        assert!(moved[0].contains("has port 2182, but it listens on port 2181"), "{moved:?}");
        assert_eq!(differences("server.1=a:1:3888;2182").len(), 2);
    }
}
