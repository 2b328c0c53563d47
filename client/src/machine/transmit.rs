//! What is sent, and in which order: the handshake, then pings before credentials before watches
//! before the application's requests.

use tenure_wire::{AUTH_XID, PING_XID, Request, SET_WATCHES_XID};

use super::{Link, Machine, encode_as};
use crate::moment::Moment;

/// Bytes of paths in one request that sets watches again, unless a single path is longer: far below
/// every server's frame limit.
const REARM_BYTES: usize = 64 * 1024;

impl<C, W: Clone> Machine<C, W> {
    /// Appends what is to be sent on the link now, up to about `limit` bytes in `out`. What is
    /// appended counts as sent at `now`. A ping that is due always goes first: however much the
    /// application has queued, it waits behind no more than was handed out before.
    pub fn transmit(&mut self, now: Moment, out: &mut Vec<u8>, limit: usize) {
        match &mut self.link {
            Link::Shaking { sent: sent @ None, .. } => {
                *sent = Some(now);
                return self.shake(out);
            }
            Link::Attached { .. } => {}
            _ => return,
        }
        if self.upkeep.ping_sent.is_none() && self.ping_at() <= now {
            encode_as(PING_XID, &Request::Ping, out);
            self.upkeep.ping_sent = Some(now);
            self.upkeep.asked = now;
        }
        while let Some(auth) = self.settings.auths.get(self.upkeep.auths_sent) {
            let (scheme, credentials) = (auth.scheme.as_str().into(), Some(&auth.credentials[..]));
            encode_as(AUTH_XID, &Request::Auth { scheme, auth: credentials }, out);
            self.upkeep.auths_sent += 1;
        }
        while let Some(after) = &self.upkeep.rearm
            && out.len() < limit
        {
            match self.watches.rearm(after.as_ref(), self.upkeep.rearm_zxid, REARM_BYTES) {
                Some((request, last)) => {
                    encode_as(SET_WATCHES_XID, &request, out);
                    self.upkeep.rearm = Some(Some(last));
                    self.upkeep.rearm_pending += 1;
                }
                None => {
                    self.upkeep.rearm = None;
                    self.tell_of_gap();
                }
            }
        }
        if self.upkeep.rearm.is_none() && self.queue.transmit(now, out, limit) {
            self.upkeep.asked = now;
        }
    }

    /// Whether [`Machine::transmit`] would append anything now.
    pub fn has_to_transmit(&self, now: Moment) -> bool {
        match self.link {
            Link::Shaking { sent, .. } => sent.is_none(),
            Link::Attached { .. } => {
                (self.upkeep.ping_sent.is_none() && self.ping_at() <= now)
                    || self.upkeep.auths_sent < self.settings.auths.len()
                    || self.upkeep.rearm.is_some()
                    || self.queue.has_next()
            }
            _ => false,
        }
    }
}
