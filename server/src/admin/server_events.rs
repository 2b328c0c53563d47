//! What happened to the server lately that an operator should know of: each kind with its own
//! fields, one log line, one metric and a place in `/events`.

use std::collections::VecDeque;
use std::net::IpAddr;

use axum::http::StatusCode;
use serde_json::{Value, json};
use tenure_replica::ElectionCause;

use super::clock::Moment;
use super::query::{AdminClient, AdminQuery};
use super::sessions::{Answered, bad_request};
use crate::limits;

/// What can happen to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEventKind {
    /// This server serves under another leader.
    Election {
        /// The epoch that began.
        epoch: u64,
        /// The leader's number.
        leader: u64,
        /// Why there was none.
        cause: ElectionCause,
        /// How long this server did not serve for lack of one.
        leaderless_ms: u64,
    },
    /// For lack of a leader only reads are served, or that is over.
    ReadOnly {
        /// Whether it begins.
        begins: bool,
    },
    /// This member lost its data and has no vote, or has caught up with a leader.
    DataLost {
        /// Whether it begins.
        begins: bool,
    },
    /// Syncs of the log took longer than `fsync.warningthresholdms`.
    SlowSync {
        /// The longest.
        worst_ms: u64,
        /// How many, one soon after the other.
        times: u64,
    },
    /// The disk stands still, so another member shall lead.
    DiskStalled,
    /// The disk of the log is full.
    DiskFull,
    /// The disk has room again.
    DiskHasRoom {
        /// How long it had none.
        after_ms: u64,
    },
    /// The wall clock went another way than time does.
    ClockStep {
        /// How far, backwards if negative.
        by_ms: i64,
    },
    /// The I/O loop stood still.
    Pause {
        /// For how long.
        for_ms: u64,
    },
    /// Many sessions expired at about the same time.
    ExpiryStorm {
        /// How many.
        sessions: u64,
        /// From the first to the last.
        over_ms: u64,
        /// What most likely made their clients fall silent.
        cause: StormCause,
    },
    /// Clients were held up or turned away because of a limit.
    Throttling {
        /// Which limit.
        limit: &'static str,
        /// Whose: an address, an identity, or `all`.
        tenant: String,
        /// How often, within a minute.
        times: u64,
    },
    /// There is too little memory for writes that need more, or enough again.
    ShortOfMemory {
        /// Whether it begins.
        begins: bool,
        /// Bytes used.
        used: u64,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The configuration was read again.
    Reloaded {
        /// Keys that count from now on.
        applied: Vec<String>,
        /// Keys whose new values need a restart.
        needs_restart: Vec<String>,
    },
}

/// What makes many clients fall silent at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StormCause {
    /// This server stood still for so long, shortly before.
    Pause {
        /// Milliseconds.
        for_ms: u64,
    },
    /// The leader changed shortly before.
    Election,
    /// Nearly all of them were on one machine, or behind one gate.
    OneAddress(IpAddr),
    /// They were on several machines, and nothing else is known.
    ManyAddresses,
}

impl ServerEventKind {
    /// Its name in JSON and in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Election { .. } => "election",
            Self::ReadOnly { .. } => "read_only",
            Self::DataLost { .. } => "data_lost",
            Self::SlowSync { .. } => "slow_sync",
            Self::DiskStalled => "disk_stalled",
            Self::DiskFull => "disk_full",
            Self::DiskHasRoom { .. } => "disk_has_room",
            Self::ClockStep { .. } => "clock_step",
            Self::Pause { .. } => "pause",
            Self::ExpiryStorm { .. } => "expiry_storm",
            Self::Throttling { .. } => "throttling",
            Self::ShortOfMemory { .. } => "short_of_memory",
            Self::Reloaded { .. } => "reloaded",
        }
    }

    /// What it means, in a sentence.
    pub fn message(&self) -> String {
        match self {
            Self::Election { leader, leaderless_ms, .. } => {
                format!("member {leader} leads, after {leaderless_ms} ms without a leader")
            }
            Self::ReadOnly { begins: true } => "no leader: only reads are served".into(),
            Self::ReadOnly { begins: false } => "there is a leader again".into(),
            Self::DataLost { begins: true } => {
                "this member lost its data: it has no vote before it has caught up".into()
            }
            Self::DataLost { begins: false } => "caught up with the leader; votes again".into(),
            Self::SlowSync { worst_ms, times } => format!(
                "{times} slow syncs of the log, the worst of {worst_ms} ms: every write waited; \
                 look for what else uses this disk"
            ),
            Self::DiskStalled => "the disk stands still, so another member shall lead".into(),
            Self::DiskFull => "the disk of the log is full: writes wait; make room".into(),
            Self::DiskHasRoom { after_ms } => {
                format!("the disk has room again after {after_ms} ms; writes go on")
            }
            Self::ClockStep { by_ms } => format!(
                "the wall clock went by {by_ms} ms more than time did: it was set, or the machine \
                 slept. Sessions are not concerned, times in logs and stats are"
            ),
            Self::Pause { for_ms } => format!(
                "the server stood still for {for_ms} ms: paused, without CPU or memory, or \
                 busy with one large thing"
            ),
            Self::ExpiryStorm { sessions, over_ms, cause } => format!(
                "{sessions} sessions expired within {over_ms} ms: {}",
                match cause {
                    StormCause::Pause { for_ms } =>
                        format!("this server had stood still for {for_ms} ms"),
                    StormCause::Election =>
                        "the leader had changed; clients did not come back".into(),
                    StormCause::OneAddress(ip) =>
                        format!("nearly all were at {ip}; look at that machine and its network"),
                    StormCause::ManyAddresses =>
                        "on several machines; look at the network between".into(),
                }
            ),
            Self::Throttling { limit, tenant, times } => format!(
                "the limit of {limit} was reached {times} times by {tenant}: they wait, or are \
                 turned away, and nobody else is concerned"
            ),
            Self::ShortOfMemory { begins: true, used, limit } => format!(
                "{used} bytes of memory are used, {limit} are the limit: writes that need more \
                 are refused; delete znodes, or give the server more"
            ),
            Self::ShortOfMemory { begins: false, .. } => {
                "enough memory again: all writes are taken".into()
            }
            Self::Reloaded { applied, needs_restart } => format!(
                "the configuration was read again; applied: {}; needs a restart: {}",
                listed(applied),
                listed(needs_restart)
            ),
        }
    }

    /// Takes another event in, if both are of what goes on and on.
    fn takes_in(&mut self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::SlowSync { worst_ms, times },
                Self::SlowSync { worst_ms: other_ms, times: more },
            ) => {
                *worst_ms = (*worst_ms).max(*other_ms);
                *times += more;
                true
            }
            (
                Self::Throttling { limit, tenant, times },
                Self::Throttling { limit: other_limit, tenant: other_tenant, times: more },
            ) if limit == other_limit && tenant == other_tenant => {
                *times += more;
                true
            }
            _ => false,
        }
    }

    /// Whether it is worth a warning.
    pub(crate) fn is_trouble(&self) -> bool {
        !matches!(
            self,
            Self::Election { .. }
                | Self::ReadOnly { begins: false }
                | Self::DataLost { begins: false }
                | Self::DiskHasRoom { .. }
                | Self::ShortOfMemory { begins: false, .. }
                | Self::Reloaded { .. }
        )
    }

    /// Its fields as JSON.
    pub(crate) fn fields(&self) -> Value {
        match self {
            Self::Election { epoch, leader, cause, leaderless_ms } => json!({
                "epoch": epoch,
                "leader": leader,
                "cause": cause.name(),
                "leaderless_ms": leaderless_ms,
            }),
            Self::ReadOnly { begins } | Self::DataLost { begins } => json!({"begins": begins}),
            Self::SlowSync { worst_ms, times } => json!({"worst_ms": worst_ms, "times": times}),
            Self::DiskStalled | Self::DiskFull => json!({}),
            Self::DiskHasRoom { after_ms } => json!({"after_ms": after_ms}),
            Self::ClockStep { by_ms } => json!({"by_ms": by_ms}),
            Self::Pause { for_ms } => json!({"for_ms": for_ms}),
            Self::ExpiryStorm { sessions, over_ms, cause } => {
                let (name, address) = match cause {
                    StormCause::Pause { .. } => ("pause", None),
                    StormCause::Election => ("election", None),
                    StormCause::OneAddress(ip) => ("one_address", Some(ip.to_string())),
                    StormCause::ManyAddresses => ("many_addresses", None),
                };
                json!({
                    "sessions": sessions,
                    "over_ms": over_ms,
                    "cause": name,
                    "address": address,
                })
            }
            Self::Throttling { limit, tenant, times } => {
                json!({"limit": limit, "tenant": tenant, "times": times})
            }
            Self::ShortOfMemory { begins, used, limit } => {
                json!({"begins": begins, "used_bytes": used, "limit_bytes": limit})
            }
            Self::Reloaded { applied, needs_restart } => {
                json!({"applied": applied, "needs_restart": needs_restart})
            }
        }
    }
}

fn listed(keys: &[String]) -> String {
    match keys {
        [] => "nothing".into(),
        keys => keys.join(", "),
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    /// Its number: 1 for the first since the server's start, then without a gap.
    pub seq: u64,
    /// When, by this server's wall clock, in milliseconds since the Unix epoch.
    pub wall_ms: i64,
    /// What.
    pub kind: ServerEventKind,
}

/// The latest of them.
#[derive(Debug, Default)]
pub(crate) struct ServerEvents {
    ring: VecDeque<ServerEvent>,
    last: u64,
}

impl ServerEvents {
    /// Numbers and keeps an event. What goes on and on is one event as long as no minute passes
    /// without it; returns whether it is news.
    pub(crate) fn push(&mut self, wall_ms: i64, kind: ServerEventKind) -> bool {
        let soon_ms = limits::EVENTS_TOGETHER.as_millis() as u64;
        let recent = self.ring.iter_mut().rev();
        let mut recent = recent.take_while(|event| event.wall_ms.abs_diff(wall_ms) < soon_ms);
        if let Some(event) = recent.find_map(|event| event.kind.takes_in(&kind).then_some(event)) {
            event.wall_ms = wall_ms;
            return false;
        }
        if self.ring.len() == limits::SERVER_EVENTS {
            self.ring.pop_front();
        }
        self.last += 1;
        self.ring.push_back(ServerEvent { seq: self.last, wall_ms, kind });
        true
    }

    /// Those after a number, the oldest first.
    pub(crate) fn after(&self, seq: u64) -> Vec<ServerEvent> {
        self.ring.iter().filter(|event| event.seq > seq).cloned().collect()
    }
}

/// The answer to `/events`.
pub(crate) async fn events(after: Option<&str>, client: &AdminClient) -> Answered {
    let Ok(after) = after.unwrap_or("0").parse::<u64>() else {
        return bad_request("after", "the number of an event; 0 for the first");
    };
    let events = client.ask(|reply| AdminQuery::ServerEvents(after, reply)).await?;
    let shown: Vec<Value> = events.iter().map(show).collect();
    Some((StatusCode::OK, json!({"events": shown})))
}

fn show(event: &ServerEvent) -> Value {
    let mut shown = json!({
        "seq": event.seq,
        "at": Moment::of(event.wall_ms).iso(),
        "kind": event.kind.name(),
        "message": event.kind.message(),
    });
    if let (Value::Object(shown), Value::Object(fields)) = (&mut shown, event.kind.fields()) {
        shown.extend(fields);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_and_on_is_one_event() {
        let mut events = ServerEvents::default();
        let slow = |worst_ms| ServerEventKind::SlowSync { worst_ms, times: 1 };
        assert!(events.push(1_000, slow(1_200)));
        assert!(!events.push(2_000, slow(3_000)));
        assert!(!events.push(3_000, slow(1_500)));
        let kinds: Vec<_> = events.after(0).into_iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [ServerEventKind::SlowSync { worst_ms: 3_000, times: 3 }]);
        assert!(events.push(500_000, slow(1_100)));
        assert!(events.push(500_001, ServerEventKind::DiskFull));
        // Something else in between makes no difference.
        assert!(!events.push(500_002, slow(1_100)));
        let throttled = |tenant: &str| ServerEventKind::Throttling {
            limit: "requests",
            tenant: tenant.to_owned(),
            times: 3,
        };
        assert!(events.push(500_003, throttled("10.0.0.1")));
        assert!(events.push(500_004, throttled("10.0.0.2")));
        assert!(!events.push(500_005, throttled("10.0.0.1")));
        let seqs: Vec<_> = events.after(1).into_iter().map(|event| event.seq).collect();
        assert_eq!(seqs, [2, 3, 4, 5]);
        assert_eq!(events.after(3)[0].kind.fields()["times"], 6);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut events = ServerEvents::default();
        for n in 0..=limits::SERVER_EVENTS as i64 {
            events.push(n, ServerEventKind::ClockStep { by_ms: n });
        }
        assert_eq!(events.after(0).len(), limits::SERVER_EVENTS);
        assert_eq!(events.after(0)[0].seq, 2);
    }
}
