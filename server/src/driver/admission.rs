//! Who may have more: limits of tenants, handshakes in a storm, and memory.

use std::time::Instant;

use tenure_replica::{Answered, CloseWhy, ConnId, Event, Input};
use tenure_wire::{ConnectRequest, ErrorCode, SessionId};

use super::Driver;
use crate::admin::ServerEventKind;
use crate::limits;
use crate::metrics::Limited;
use crate::storm::Handshake;
use crate::tenants::{TenantId, TenantName, Usage};

/// A limit that was reached, and by whom, if not by all together.
pub(super) type Reached = (Limited, Option<TenantId>);

impl Driver {
    /// Counts for a connection's tenants what it has under way.
    pub(super) fn settle(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let limits = &self.rules.limits;
        let now = Usage {
            outstanding: self.replica.outstanding(id),
            unsent: match limits.unsent_kib.is_set() {
                true => connection.unsent(),
                false => 0,
            },
            watches: match limits.watches.is_set() {
                true => self.replica.watched_by(id),
                false => 0,
            },
        };
        if now.outstanding == 0 {
            self.tenants.large -= std::mem::take(&mut connection.large);
        }
        let before = std::mem::replace(&mut connection.used, now);
        if before == now {
            return;
        }
        for tenant in connection.tenants().into_iter().flatten() {
            self.tenants.settle(tenant, before, now);
        }
        self.tenants.settle_total(before, now);
        if now.outstanding < before.outstanding || now.unsent < before.unsent {
            self.look_at_paused();
        }
    }

    /// Whether there is room for a request of so many bytes beside other large ones that wait.
    pub(super) fn has_room_for(&mut self, id: ConnId, bytes: usize) -> bool {
        let Some(threshold) = self.rules.large_request else { return true };
        if bytes <= threshold {
            return true;
        }
        let Some(connection) = self.connections.get_mut(id) else { return false };
        if self.tenants.large + bytes > self.rules.max_large_requests {
            self.metrics.large_requests_rejected += 1;
            let tenant = connection.tenant();
            self.note_limit((Limited::LargeRequests, Some(tenant)));
            return false;
        }
        connection.large += bytes;
        self.tenants.large += bytes;
        true
    }

    /// Something happened after which connections left unread may be served again.
    pub(super) fn look_at_paused(&mut self) {
        self.to_resume = self.paused.len();
    }

    /// Takes a connection that is gone off its tenants.
    pub(super) fn leave_tenants(&mut self, tenants: [Option<TenantId>; 2], used: Usage) {
        for tenant in tenants.into_iter().flatten() {
            self.tenants.settle(tenant, used, Usage::default());
            self.tenants.leave(tenant);
        }
        self.tenants.settle_total(used, Usage::default());
        self.look_at_paused();
    }

    /// Whether a limit keeps these tenants from making requests now.
    pub(super) fn limit_reached(&mut self, tenants: [Option<TenantId>; 2]) -> Option<Reached> {
        let limits = self.rules.limits;
        for id in tenants.into_iter().flatten() {
            let Some(tenant) = self.tenants.get(id) else { continue };
            let is_over = |used: usize, max: usize| max > 0 && used >= max;
            if is_over(tenant.used.outstanding, tenant.limit(limits.outstanding)) {
                return Some((Limited::Outstanding, Some(id)));
            }
            if is_over(tenant.used.unsent, tenant.limit(limits.unsent_kib) * 1024) {
                return Some((Limited::Unsent, Some(id)));
            }
        }
        let max = limits.unsent_kib.total as usize * 1024;
        if max > 0 && self.tenants.total.unsent >= max {
            return Some((Limited::Unsent, None));
        }
        if !limits.requests_per_second.is_set() {
            return None;
        }
        let (rates, now) = (limits.requests_per_second, self.clock.instant());
        let (at_limit, opens) = self.tenants.requests_open_at(tenants, rates, now)?;
        self.rates_open_at = Some(self.rates_open_at.map_or(opens, |at| at.min(opens)));
        Some((Limited::Requests, at_limit))
    }

    /// Looks again at those who had made all the requests that they could, once they may again.
    pub(super) fn open_rates(&mut self, now: Instant) {
        if self.rates_open_at.take_if(|at| *at <= now).is_some() {
            self.look_at_paused();
        }
    }

    /// Counts that a limit was reached, and says so now and then.
    pub(super) fn note_limit(&mut self, (limited, tenant): Reached) {
        let name = tenant.and_then(|id| self.tenants.get(id)).map(|tenant| tenant.name.to_string());
        let tenant = name.as_deref().unwrap_or("all");
        self.metrics.limited[limited as usize] += 1;
        let is_known = self.limits_reached.contains_key(tenant);
        if is_known || self.limits_reached.len() < limits::TENANTS_REMEMBERED {
            let report = self.limits_reached.entry(tenant.to_owned()).or_default();
            *report.limits_reached.entry(limited.name()).or_insert(0) += 1;
        }
        if let Some(times) = self.limit_noise[limited as usize].allow() {
            let limit = limited.name();
            tracing::warn!(event = "limit_reached", limit, tenant, times, "limit reached");
            let (tenant, times) = (tenant.to_owned(), times.into());
            self.remember(ServerEventKind::Throttling { limit, tenant, times });
        }
    }

    /// An answer says that there was no room.
    pub(super) fn note_refused(&mut self, answered: &Answered) {
        let limited = match answered.write {
            true if self.memory.refuses() => Limited::Memory,
            true => Limited::Znodes,
            false => Limited::Watches,
        };
        let tenant = self.connections.get(answered.conn).map(|connection| connection.tenant());
        self.note_limit((limited, tenant));
    }

    /// Whether the client of this handshake may have its session; otherwise it is to be sent away.
    /// `chance` is random, from 0 to 1.
    pub(super) fn admits(&mut self, id: ConnId, request: &ConnectRequest<'_>, chance: f64) -> bool {
        let now = self.clock.instant();
        let is_new = request.session == SessionId(0);
        let handshake = match is_new {
            false => Handshake::Renewed,
            true if self.rules.local_sessions => Handshake::Local,
            true => Handshake::Global,
        };
        let Some(connection) = self.connections.get(id) else { return false };
        let address = connection.address;
        if !self.storm.admits(handshake, chance, now) {
            self.metrics.connections_dropped += 1;
            self.note_limit((Limited::Storm, Some(address)));
            return false;
        }
        let Some(tenant) = self.tenants.get(address) else { return false };
        let max = tenant.limit(self.rules.limits.sessions) as u32;
        let has = self.tenants.sessions_of(&tenant.name) + tenant.opening;
        if is_new && max > 0 && has >= max {
            self.note_limit((Limited::Sessions, Some(address)));
            return false;
        }
        if is_new {
            self.begin_opening(id);
        }
        true
    }

    fn begin_opening(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.is_opening = true;
        self.openings += 1;
        self.tenants.add_opening(connection.address, 1);
    }

    /// Notices that a connection has the session that it waited for, or waits no more.
    pub(super) fn end_opening(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id).filter(|c| c.is_opening) else {
            return;
        };
        let waits = self.replica.attachment(id).is_some_and(|attachment| !attachment.established);
        if !waits {
            connection.is_opening = false;
            let address = connection.address;
            self.opening_ended(address);
        }
    }

    /// One connection less waits for a new session.
    pub(super) fn opening_ended(&mut self, address: TenantId) {
        self.openings -= 1;
        self.tenants.add_opening(address, -1);
        self.look_at_paused();
    }

    /// Keeps count of whose sessions there are, and of who waits for one.
    pub(super) fn count_sessions(&mut self, event: &Event) {
        match *event {
            Event::SessionOpened { session, conn: Some(conn), .. } => {
                self.end_opening(conn);
                self.own_session(session, conn);
            }
            Event::SessionResumed { session, conn, .. } => self.own_session(session, conn),
            Event::SessionDetached { session, why: Some(CloseWhy::Moved), .. }
            | Event::SessionEnded { session, .. } => self.tenants.disown(session),
            _ => {}
        }
    }

    /// A client uses a session here: whose it is counts.
    fn own_session(&mut self, session: SessionId, id: ConnId) {
        if !self.rules.limits.sessions.is_set() {
            return;
        }
        let Some(connection) = self.connections.get(id) else { return };
        let tenants = connection.tenants().into_iter().flatten();
        let names = tenants.filter_map(|id| Some(self.tenants.get(id)?.name.clone())).collect();
        self.tenants.own(session, names);
    }

    /// Notices an identity that a client has proven, for which its connection counts from now on.
    pub(super) fn note_identity(&mut self, id: ConnId) {
        let Some(attachment) = self.replica.attachment(id) else { return };
        let Some(proven) = attachment.proven_identity() else { return };
        let (session, established) = (attachment.session, attachment.established);
        let Some(connection) = self.connections.get_mut(id).filter(|c| c.identity.is_none()) else {
            return;
        };
        let name = TenantName::Identity(proven);
        let identity = self.tenants.enter(name.clone());
        connection.identity = Some(identity);
        self.tenants.settle(identity, Usage::default(), connection.used);
        let limits = self.rules.limits;
        let Some(tenant) = self.tenants.get(identity) else { return };
        let (has, max) = (tenant.connections as usize, tenant.limit(limits.connections));
        if max > 0 && has > max {
            self.note_limit((Limited::Connections, Some(identity)));
            return self.hang_up(id);
        }
        let max = tenant.limit(limits.sessions) as u32;
        if max > 0 && self.tenants.sessions_of(&name) >= max && !self.tenants.owns(&name, session) {
            self.note_limit((Limited::Sessions, Some(identity)));
            return self.hang_up(id);
        }
        if established {
            self.own_session(session, id);
        }
    }

    /// Tells the replica how many paths a connection may watch, if that is limited.
    pub(super) fn bound_watches(&mut self, id: ConnId) {
        let limit = self.rules.limits.watches;
        if !limit.is_set() {
            return;
        }
        self.settle(id);
        let mut room = self.watch_room(id);
        if room == 0 && self.watches_counted.elapsed() >= limits::RECOUNT {
            // Watches end by themselves: those of idle connections may be fewer by now.
            self.watches_counted = self.clock.instant();
            let all: Vec<ConnId> =
                self.connections.iter().map(|connection| connection.id).collect();
            all.into_iter().for_each(|id| self.settle(id));
            room = self.watch_room(id);
        }
        let paths = self.replica.watched_by(id).saturating_add(room);
        let now = self.clock.now();
        self.replica.step(Input::WatchBound { conn: id, paths }, now, &mut self.out);
    }

    fn watch_room(&self, id: ConnId) -> usize {
        let limit = self.rules.limits.watches;
        let room = |used: usize, max: usize| match max {
            0 => usize::MAX,
            max => max.saturating_sub(used),
        };
        let tenants = self.connections.get(id).map(|connection| connection.tenants());
        let tenants = tenants.into_iter().flatten().flatten();
        let rooms = tenants.filter_map(|id| {
            let tenant = self.tenants.get(id)?;
            Some(room(tenant.used.watches, tenant.limit(limit)))
        });
        rooms.fold(room(self.tenants.total.watches, limit.total as usize), usize::min)
    }

    /// Looks at the memory now and then: without enough, writes that need more are refused.
    pub(super) fn look_at_memory(&mut self, now: Instant) {
        if !self.memory.is_due(now) {
            return;
        }
        let state = self.replica.state();
        let watches = self.replica.watch_counts();
        let kept = state.tree.data_bytes()
            + state.tree.len() as u64 * limits::ZNODE_BYTES
            + state.sessions.len() as u64 * limits::SESSION_BYTES
            + (watches.data + watches.child) as u64 * limits::WATCH_BYTES
            + self.unsent_total as u64;
        let Some(refuses) = self.memory.look(kept, now) else { return };
        let (used, limit) = (self.memory.used(), self.memory.limit().unwrap_or(0));
        let event = "memory_limit";
        match refuses {
            true => tracing::error!(
                event,
                used,
                limit,
                "short of memory: writes that need more are refused, all else goes on"
            ),
            false => {
                tracing::warn!(event, used, limit, "enough memory again: all writes are taken")
            }
        }
        self.remember(ServerEventKind::ShortOfMemory { begins: refuses, used, limit });
        let now = self.clock.now();
        self.replica.step(Input::RefuseGrowth(refuses), now, &mut self.out);
    }
}

/// Whether an answer says that there was no room for what was asked.
pub(super) fn is_no_room(answered: &Answered) -> bool {
    answered.err == ErrorCode::QuotaExceeded.code()
}
