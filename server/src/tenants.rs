//! Who shares the server: clients by their address and by the identity they have proven, and how
//! much each of them has under way.
//!
//! A connection counts for its address, and for its identity as well once it has proven one to this
//! server (SASL, a certificate): names in `digest` are anybody's to make up. Its tenant, with whom
//! it takes turns, is the identity if there is one, otherwise the address.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tenure_wire::SessionId;

use crate::config::Limit;
use crate::limits;

/// Number of a tenant with open connections; used again after the last one is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TenantId(u32);

impl TenantId {
    /// The tenant in a slot.
    #[cfg(test)]
    pub(crate) const fn new(slot: u32) -> TenantId {
        TenantId(slot)
    }

    /// Its place in tables.
    pub(crate) const fn slot(self) -> usize {
        self.0 as usize
    }
}

/// What a tenant is known by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TenantName {
    /// A client's address.
    Address(IpAddr),
    /// A proven identity, as `scheme:id`.
    Identity(String),
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TenantName::Address(address) => write!(f, "{address}"),
            TenantName::Identity(identity) => f.write_str(identity),
        }
    }
}

/// What a tenant has under way, and each of its connections: requests that wait for an answer,
/// bytes of answers not sent, watched paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) outstanding: usize,
    pub(crate) unsent: usize,
    pub(crate) watches: usize,
}

impl Usage {
    fn replace(&mut self, before: Usage, now: Usage) {
        self.outstanding = self.outstanding + now.outstanding - before.outstanding;
        self.unsent = self.unsent + now.unsent - before.unsent;
        self.watches = self.watches + now.watches - before.watches;
    }
}

/// One tenant and what it has under way.
#[derive(Debug)]
pub(crate) struct Tenant {
    /// What it is known by.
    pub(crate) name: TenantName,
    /// Its open connections.
    pub(crate) connections: u32,
    /// What they have under way.
    pub(crate) used: Usage,
    /// How many of them wait for a new session.
    pub(crate) opening: u32,
    /// Requests that it may make now.
    requests: Bucket,
}

impl Tenant {
    /// A limit as it is for this tenant; 0 for none.
    pub(crate) fn limit(&self, limit: Limit) -> usize {
        match self.name {
            TenantName::Address(_) => limit.per_address as usize,
            TenantName::Identity(_) => limit.per_identity as usize,
        }
    }
}

/// Requests that may be made now: a second's worth at most. Full until it is first used.
#[derive(Debug, Default)]
struct Bucket {
    used: f64,
    since: Option<Instant>,
}

impl Bucket {
    /// When the next request may be made, if not now.
    fn opens_at(&mut self, per_second: u32, now: Instant) -> Option<Instant> {
        let rate = f64::from(per_second);
        let passed = self.since.map_or(0.0, |since| (now - since).as_secs_f64());
        self.used = (self.used - passed * rate).max(0.0);
        self.since = Some(now);
        let lacking = self.used + 1.0 - rate.max(1.0);
        (lacking > 0.0).then(|| now + Duration::from_secs_f64(lacking / rate))
    }
}

/// All tenants with open connections.
#[derive(Debug, Default)]
pub(crate) struct Tenants {
    slots: Vec<Option<Tenant>>,
    free: Vec<u32>,
    by_name: HashMap<TenantName, TenantId>,
    /// How many have requests that wait for an answer.
    busy: usize,
    /// What all of them have under way.
    pub(crate) total: Usage,
    /// Bytes of large requests, of which some may wait for an answer.
    pub(crate) large: usize,
    requests: Bucket,
    /// Whose the sessions used through this server are, connected or not. Empty unless sessions
    /// are limited.
    owners: HashMap<SessionId, Vec<TenantName>>,
    owned: HashMap<TenantName, u32>,
}

impl Tenants {
    /// Whether there is more than one.
    pub(crate) fn are_several(&self) -> bool {
        self.by_name.len() > 1
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// A tenant with open connections.
    pub(crate) fn get(&self, id: TenantId) -> Option<&Tenant> {
        self.slots.get(id.slot())?.as_ref()
    }

    fn get_mut(&mut self, id: TenantId) -> Option<&mut Tenant> {
        self.slots.get_mut(id.slot())?.as_mut()
    }

    /// Counts one connection more.
    pub(crate) fn enter(&mut self, name: TenantName) -> TenantId {
        let id = match self.by_name.get(&name) {
            Some(id) => *id,
            None => self.add(name),
        };
        if let Some(tenant) = self.get_mut(id) {
            tenant.connections += 1;
        }
        id
    }

    fn add(&mut self, name: TenantName) -> TenantId {
        let (used, requests) = (Usage::default(), Bucket::default());
        let tenant = Tenant { name: name.clone(), connections: 0, used, opening: 0, requests };
        let id = match self.free.pop() {
            Some(slot) => TenantId(slot),
            None => {
                self.slots.push(None);
                // No more than there are connections, whose numbers are smaller.
                TenantId(self.slots.len() as u32 - 1)
            }
        };
        self.slots[id.slot()] = Some(tenant);
        self.by_name.insert(name, id);
        id
    }

    /// Counts one connection less; what it had under way must have been taken off before.
    pub(crate) fn leave(&mut self, id: TenantId) {
        let Some(tenant) = self.get_mut(id) else { return };
        tenant.connections -= 1;
        if tenant.connections == 0
            && let Some(tenant) = self.slots[id.slot()].take()
        {
            self.by_name.remove(&tenant.name);
            self.free.push(id.0);
        }
    }

    /// A connection of this tenant has other things under way than before.
    pub(crate) fn settle(&mut self, id: TenantId, before: Usage, now: Usage) {
        let Some(tenant) = self.get_mut(id) else { return };
        let was_busy = tenant.used.outstanding > 0;
        tenant.used.replace(before, now);
        match (was_busy, tenant.used.outstanding > 0) {
            (false, true) => self.busy += 1,
            (true, false) => self.busy -= 1,
            _ => {}
        }
    }

    /// The same for all of them.
    pub(crate) fn settle_total(&mut self, before: Usage, now: Usage) {
        self.total.replace(before, now);
    }

    /// How many of a number of places each of those may have that want any.
    fn share_of(&self, places: usize) -> usize {
        (places / self.busy.max(limits::TENANTS_THAT_SHARE)).max(1)
    }

    /// Whether a tenant's requests that wait take up its share of a number of places.
    pub(crate) fn has_share_of(&self, id: TenantId, places: usize) -> bool {
        self.get(id).is_some_and(|tenant| tenant.used.outstanding >= self.share_of(places))
    }

    /// When the connection of these tenants may make another request, if not now, and who is at
    /// its limit.
    pub(crate) fn requests_open_at(
        &mut self,
        ids: [Option<TenantId>; 2],
        limit: Limit,
        now: Instant,
    ) -> Option<(Option<TenantId>, Instant)> {
        for id in ids.into_iter().flatten() {
            let Some(tenant) = self.get_mut(id) else { continue };
            let rate = tenant.limit(limit) as u32;
            let opens = (rate > 0).then(|| tenant.requests.opens_at(rate, now)).flatten();
            if let Some(opens) = opens {
                return Some((Some(id), opens));
            }
        }
        let rate = limit.total;
        let opens = (rate > 0).then(|| self.requests.opens_at(rate, now)).flatten();
        opens.map(|opens| (None, opens))
    }

    /// Counts a request.
    pub(crate) fn count_request(&mut self, ids: [Option<TenantId>; 2]) {
        for id in ids.into_iter().flatten() {
            if let Some(tenant) = self.get_mut(id) {
                tenant.requests.used += 1.0;
            }
        }
        self.requests.used += 1.0;
    }

    /// Counts connections that wait for a new session.
    pub(crate) fn add_opening(&mut self, id: TenantId, more: i32) {
        if let Some(tenant) = self.get_mut(id) {
            tenant.opening = tenant.opening.saturating_add_signed(more);
        }
    }

    /// Whether a session counts for a tenant.
    pub(crate) fn owns(&self, name: &TenantName, session: SessionId) -> bool {
        self.owners.get(&session).is_some_and(|names| names.contains(name))
    }

    /// Sessions of a tenant, connected or not.
    pub(crate) fn sessions_of(&self, name: &TenantName) -> u32 {
        self.owned.get(name).copied().unwrap_or(0)
    }

    /// A session is used by these tenants.
    pub(crate) fn own(&mut self, session: SessionId, names: Vec<TenantName>) {
        self.disown(session);
        for name in &names {
            *self.owned.entry(name.clone()).or_insert(0) += 1;
        }
        self.owners.insert(session, names);
    }

    /// A session has ended, or is used elsewhere.
    pub(crate) fn disown(&mut self, session: SessionId) {
        for name in self.owners.remove(&session).into_iter().flatten() {
            if let Some(count) = self.owned.get_mut(&name) {
                *count -= 1;
                if *count == 0 {
                    self.owned.remove(&name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> TenantName {
        TenantName::Address(IpAddr::from([10, 0, 0, last]))
    }

    fn waiting(outstanding: usize) -> Usage {
        Usage { outstanding, ..Usage::default() }
    }

    #[test]
    fn a_tenant_is_there_as_long_as_it_has_connections() {
        let mut tenants = Tenants::default();
        let one = tenants.enter(address(1));
        assert_eq!(tenants.enter(address(1)), one);
        assert!(!tenants.are_several());
        let user = tenants.enter(TenantName::Identity("sasl:bob".into()));
        assert!(tenants.are_several() && user != one);
        tenants.leave(one);
        assert_eq!(tenants.get(one).map(|tenant| tenant.connections), Some(1));
        tenants.leave(one);
        assert!(tenants.get(one).is_none() && !tenants.are_several());
        assert_eq!(tenants.enter(address(2)), one);
    }

    #[test]
    fn places_are_shared_by_those_who_want_any() {
        let mut tenants = Tenants::default();
        let ids: Vec<_> = (0..10).map(|last| tenants.enter(address(last))).collect();
        assert_eq!(tenants.share_of(1000), 125);
        for id in &ids {
            tenants.settle(*id, waiting(0), waiting(10));
        }
        assert_eq!((tenants.share_of(1000), tenants.share_of(2)), (100, 1));
        tenants.settle(ids[0], waiting(10), waiting(0));
        tenants.settle(ids[1], waiting(10), waiting(3));
        assert_eq!(tenants.share_of(900), 100);
        assert_eq!(tenants.get(ids[1]).map(|tenant| tenant.used.outstanding), Some(3));
    }

    #[test]
    fn a_rate_lets_a_second_be_saved_up_and_no_more() {
        let mut tenants = Tenants::default();
        let ids = [Some(tenants.enter(address(1))), None];
        let limit = Limit { per_address: 10, ..Limit::default() };
        let start = Instant::now();
        let mut made = |after_ms: u64| {
            let now = start + Duration::from_millis(after_ms);
            let mut made = 0;
            while tenants.requests_open_at(ids, limit, now).is_none() {
                tenants.count_request(ids);
                made += 1;
            }
            made
        };
        assert_eq!([made(0), made(0), made(500), made(60_000)], [10, 0, 5, 10]);
        let (at_limit, opens) = tenants
            .requests_open_at(ids, limit, start + Duration::from_secs(60))
            .expect("all is used up");
        assert_eq!(at_limit, ids[0]);
        assert_eq!(opens, start + Duration::from_millis(60_100));
    }

    #[test]
    fn sessions_are_counted_for_whoever_uses_them() {
        let mut tenants = Tenants::default();
        tenants.own(SessionId(1), vec![address(1)]);
        tenants.own(SessionId(2), vec![address(1), address(2)]);
        assert_eq!((tenants.sessions_of(&address(1)), tenants.sessions_of(&address(2))), (2, 1));
        // It moved to another address.
        tenants.own(SessionId(1), vec![address(3)]);
        tenants.disown(SessionId(2));
        tenants.disown(SessionId(2));
        let counts = [1, 2, 3].map(|last| tenants.sessions_of(&address(last)));
        assert_eq!(counts, [0, 0, 1]);
    }
}
