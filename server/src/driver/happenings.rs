//! What happens to sessions: told to operators who follow it, to those who asked for it, and to the
//! log.

use tenure_replica::{CloseWhy, ConnId, EndReason, Event};
use tenure_wire::SessionId;

use super::Driver;
use crate::admin::{ElectionReport, ServerEventKind, SessionEvent, SessionEventKind};

impl Driver {
    /// Spreads the news.
    pub(super) fn note_event(&mut self, event: &Event) {
        match *event {
            Event::Leading { epoch } => {
                self.leading_since_us = self.clock.now().mono_us;
                tracing::info!(epoch, "leading");
            }
            Event::Led { epoch, leader, cause, leaderless_ms, sync_us, sessions } => {
                if let Some(sync_us) = sync_us {
                    self.metrics.in_sync(sync_us, self.replica.is_observer());
                }
                self.note_election(ElectionReport {
                    wall_ms: self.clock.now().wall_ms,
                    epoch,
                    leader,
                    cause,
                    leaderless_ms,
                    sessions,
                    settled: None,
                });
            }
            Event::ElectionSettled { epoch, returned, lost } => {
                tracing::info!(epoch, returned, lost, "sessions have returned after an election");
                self.elections.settled(epoch, returned, lost);
            }
            Event::DiskStalled => self.tell(ServerEventKind::DiskStalled),
            Event::CatchingUp { begins } => self.note_data_lost(begins),
            Event::ReadOnlyBegan { leaderless_ms } => {
                self.remember(ServerEventKind::ReadOnly { begins: true });
                tracing::warn!("serves read-only: no leader for {leaderless_ms} ms");
            }
            Event::ReadOnlyEnded { clients } => {
                self.remember(ServerEventKind::ReadOnly { begins: false });
                tracing::info!(clients, "serves read-only no longer: there is a leader again");
            }
            Event::SessionOpened { session, timeout_ms, conn } => {
                tracing::debug!(%session, timeout_ms, "session opened");
                let kind = SessionEventKind::Established;
                self.tell_followers(kind, session, timeout_ms, conn, None);
            }
            Event::SessionResumed { session, timeout_ms, conn } => {
                tracing::debug!(%session, timeout_ms, "session resumed");
                let kind = SessionEventKind::Resumed;
                self.tell_followers(kind, session, timeout_ms, Some(conn), None);
            }
            Event::SessionDetached { session, timeout_ms, conn, why } => {
                let reason = match why {
                    None => "the connection ended",
                    Some(CloseWhy::Moved) => "the session is used through another member now",
                    Some(CloseWhy::ReadOnlyEnded) => "the server is read-only no longer",
                    Some(_) => "the server lost its leader",
                };
                tracing::debug!(%session, reason, "session without a connection");
                let (kind, reason) = (SessionEventKind::LinkLost, Some(reason.to_owned()));
                self.tell_followers(kind, session, timeout_ms, Some(conn), reason);
            }
            // What the log tells again at the start is no news.
            Event::SessionEnded { .. } if self.on_serving.is_some() => {}
            Event::SessionEnded { session, reason, timeout_ms, ephemerals, conn } => {
                self.log_end(session, reason, ephemerals);
                self.tell_end(session, reason, timeout_ms);
                let kind = match reason {
                    EndReason::ClosedByClient => SessionEventKind::ClosedByClient,
                    EndReason::Expired { .. } => SessionEventKind::Expired,
                    EndReason::ClosedByOperator => SessionEventKind::ClosedByOperator,
                };
                let reason = Some(format!("{reason}; ephemerals lost: {ephemerals}"));
                self.tell_followers(kind, session, timeout_ms, conn, reason);
            }
        }
    }

    fn note_data_lost(&mut self, begins: bool) {
        self.remember(ServerEventKind::DataLost { begins });
        match begins {
            true => tracing::warn!(
                "this server's data was lost: it does not vote before it has caught up with a \
                 leader. If there is none any more, a file named `initialize` in its data folder \
                 makes it go on with what it has after a restart"
            ),
            false => tracing::info!("caught up; votes again"),
        }
    }

    fn note_election(&mut self, election: ElectionReport) {
        let ElectionReport { epoch, leader, cause, leaderless_ms, sessions, .. } = election;
        let name = cause.name();
        tracing::info!(epoch, leader, cause = name, leaderless_ms, sessions, "led");
        self.remember(ServerEventKind::Election { epoch, leader, cause, leaderless_ms });
        self.watch_election();
        self.metrics.elections += 1;
        self.metrics.leaderless_us.record(leaderless_ms * 1000);
        self.elections.push(election);
    }

    fn log_end(&mut self, session: SessionId, reason: EndReason, ephemerals: u32) {
        if reason == EndReason::ClosedByClient {
            tracing::debug!(%session, ephemerals, "session closed by its client");
            return;
        }
        if matches!(reason, EndReason::Expired { .. }) {
            self.metrics.sessions_expired += 1;
            self.watch_expiry(session);
        }
        if let Some(times) = self.noise.allow() {
            tracing::info!(%session, %reason, ephemerals, times, "session ended");
        }
    }

    fn tell_followers(
        &mut self,
        kind: SessionEventKind,
        session: SessionId,
        timeout_ms: u32,
        conn: Option<ConnId>,
        reason: Option<String>,
    ) {
        let wall_ms = self.clock.now().wall_ms;
        let client = conn.and_then(|conn| match self.leaving {
            Some((leaving, peer)) if leaving == conn => Some(peer),
            _ => self.peer_of(conn),
        });
        // The number is given where it is kept.
        let seq = 0;
        let event = SessionEvent { seq, wall_ms, kind, session, client, timeout_ms, reason };
        self.session_events.push(event);
    }
}
