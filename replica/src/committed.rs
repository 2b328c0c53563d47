//! What happens when an entry is committed: it is applied, watches fire, the waiting client gets
//! its reply. A notification always stands before the reply that would reveal its change.

use tenure_wire::{ErrorCode, EventType, MemberRole, OpCode, Perms, SessionId, Xid};

use crate::apply::{Applied, Change, Closed, Done, local};
use crate::audit::is_refusal;
use crate::consensus::Committed;
use crate::entry::Origin;
use crate::input::{ConnId, Now};
use crate::limits;
use crate::output::{CloseWhy, Event, Output, Outputs};
use crate::replica::Replica;
use crate::reply::{Asked, body_of, notify, reply};
use crate::requests::close;
use crate::session::attach::Pending;
use crate::tree::acl::permits;

impl Replica {
    /// Applies one slice of committed entries, or fewer if one turns out to be a session's end of
    /// many slices.
    pub(crate) fn apply_committed(&mut self, now: Now, out: &mut Outputs) {
        let mut applied = None;
        for _ in 0..limits::APPLY_SLICE {
            if self.closing.is_some() {
                break;
            }
            // A sync, and the reads behind it, come before the session's next write.
            self.finish_syncs(now, out);
            let Some(entry) = self.to_apply.pop_front() else { break };
            applied = Some(entry.index);
            self.since_snapshot.entries += 1;
            self.since_snapshot.bytes += entry.data.len() as u64;
            self.apply_one(&entry, now, out);
        }
        if let Some(index) = applied {
            self.consensus.applied(index);
            self.finish_syncs(now, out);
            // With other voters, those who have answered may be enough.
            self.leadership_confirmed(now, out);
        }
        // A leader that was lost and found within its term need not have anything new.
        self.serve_when_caught_up(now, out);
        self.judge_beginnings(now, out);
        self.resume_waiting(now, out);
    }

    fn apply_one(&mut self, entry: &Committed, now: Now, out: &mut Outputs) {
        if entry.changes_members {
            self.consensus.change_members(entry.index, &entry.data);
            self.state.applied = (entry.index, entry.term);
            return;
        }
        self.finish_syncs_before(&entry.data, now, out);
        let was_reconfiguring = self.state.reconfiguring.is_some();
        self.changes.wanted = !self.watches.is_empty();
        match self.state.apply(entry.index, entry.term, &entry.data, &mut self.changes) {
            Applied::Nothing => self.fire(out),
            Applied::MembersSet => {
                self.fire(out);
                self.align_members();
            }
            Applied::ClusterNamed => self.links_changed = true,
            Applied::Prolonged { session, timeout_ms } => {
                // This leader's own clock has it from the resume; one that has been elected since
                // then learns of it here.
                if entry.term != self.consensus.term() {
                    self.expiry.prolong(session, timeout_ms);
                }
            }
            Applied::Request { origin, xid, op, outcome } => {
                self.fire(out);
                if let Some(conn) = local(origin, self.config.incarnation) {
                    if self.config.audit || is_refusal(&outcome) {
                        self.account_for_write(conn, &entry.data, &outcome, out);
                    }
                    self.answer_write(conn, xid, op, outcome, now, out);
                }
            }
            Applied::Opened { origin, session, timeout_ms, password } => {
                self.session_began(session, timeout_ms, now);
                let conn = local(origin, self.config.incarnation);
                out.items.push(Output::Event(Event::SessionOpened { session, timeout_ms, conn }));
                if let Some(conn) = conn {
                    self.establish(conn, session, password, now, out);
                }
            }
            Applied::NotOpened { origin } => {
                if let Some(conn) = local(origin, self.config.incarnation) {
                    self.detach(conn);
                    close(conn, CloseWhy::TooManySessions, out);
                }
            }
            Applied::Upgraded { session, timeout_ms } => {
                self.session_began(session, timeout_ms, now);
                if self.locals.remove(session).is_none() {
                    let conn = None;
                    let opened = Event::SessionOpened { session, timeout_ms, conn };
                    out.items.push(Output::Event(opened));
                }
            }
            Applied::Closing(closing) => {
                self.closing = Some(closing);
                self.close_slice(now, out);
            }
        }
        if was_reconfiguring != self.state.reconfiguring.is_some() {
            self.links_changed = true;
        }
        self.remember_gone(out);
        self.state.tree.finish_entry();
    }

    /// A session of the ensemble has begun: its leader knows who serves it, and starts its clock.
    fn session_began(&mut self, session: SessionId, timeout_ms: u32, now: Now) {
        if self.consensus.is_leader() {
            self.owners.set(session, (session.0 as u64) >> 56);
            self.expiry.add(session, timeout_ms);
            self.expiry.touch(session, now.mono_us);
        }
    }

    /// The log says who the members are.
    fn align_members(&mut self) {
        self.links_changed = true;
        if !self.config.members_are_fixed {
            let members = self.state.members();
            let voters = members.with_role(MemberRole::Participant);
            let observers = members.with_role(MemberRole::Observer);
            self.consensus.align_members(self.state.applied.0, &voters, &observers);
        }
    }

    fn remember_gone(&mut self, out: &mut Outputs) {
        let mut vanished = std::mem::take(&mut self.changes.gone);
        for gone in vanished.drain(..) {
            self.account_for_gone(&gone, out);
            self.gone.push(gone);
        }
        self.changes.gone = vanished;
    }

    /// One slice of a session's end.
    pub(crate) fn close_slice(&mut self, now: Now, out: &mut Outputs) {
        let Some(closing) = self.closing.take() else { return };
        self.changes.wanted = !self.watches.is_empty();
        let gone_on = self.state.go_on_closing(closing, &mut self.changes);
        self.fire(out);
        self.remember_gone(out);
        self.state.tree.finish_entry();
        match gone_on {
            Err(closing) => self.closing = Some(closing),
            Ok(closed) => self.session_closed(&closed, now, out),
        }
    }

    fn session_closed(&mut self, closed: &Closed, now: Now, out: &mut Outputs) {
        let Closed { session, reason, timeout_ms, ephemerals, .. } = *closed;
        self.expiry.remove(session);
        self.owners.remove(session);
        let conn = self.attachments.conn_of(session);
        let ended = Event::SessionEnded { session, reason, timeout_ms, ephemerals, conn };
        out.items.push(Output::Event(ended));
        if self.consensus.is_leader() {
            self.account_for_end(session, reason, out);
        }
        let asked = closed.origin.and_then(|(origin, xid)| self.asked_here(origin, xid));
        if let Some((conn, xid)) = asked {
            let op = OpCode::CloseSession;
            self.answer_write(conn, xid, op, Ok(Done::Deleted), now, out);
            self.detach(conn);
            // The reply goes out before the socket closes (trap 10).
            close(conn, CloseWhy::SessionClosed, out);
        }
        if let Some(conn) = self.attachments.conn_of(session) {
            self.detach(conn);
            close(conn, CloseWhy::SessionEnded, out);
        }
    }

    fn asked_here(&self, origin: Origin, xid: Xid) -> Option<(ConnId, Xid)> {
        let conn = local(origin, self.config.incarnation)?;
        self.attachments.get(conn).map(|_| (conn, xid))
    }

    fn answer_write(
        &mut self,
        conn: ConnId,
        xid: Xid,
        op: OpCode,
        outcome: Result<Done, ErrorCode>,
        now: Now,
        out: &mut Outputs,
    ) {
        let waited_for =
            |pending: &Pending| matches!(pending, Pending::Write { xid: own, .. } if *own == xid);
        let Some(Pending::Write { received_us, .. }) = self.attachments.pop_if(conn, waited_for)
        else {
            return;
        };
        let latency_us = now.mono_us.saturating_sub(received_us);
        let asked = Asked { conn, xid, op: op.code(), write: true, latency_us };
        _ = reply(out, asked, self.state.zxid, |bytes| {
            body_of(op, &outcome?, bytes);
            Ok(())
        });
        if op == OpCode::Reconfig
            && let Some(attachment) = self.attachments.get_mut(conn)
        {
            attachment.reconfigures = false;
            return self.take_deferred(conn, now, out);
        }
        self.drain(conn, now, out);
    }

    /// Tells watchers of the changes just made. Whoever may not read a znode hears nothing of it,
    /// but its one-time watches are used up all the same (reference 1.11).
    fn fire(&mut self, out: &mut Outputs) {
        if self.changes.list.is_empty() {
            return;
        }
        let mut changes = std::mem::take(&mut self.changes.list);
        let zxid = self.state.applying;
        let (watches, attachments) = (&mut self.watches, &self.attachments);
        let (acls, skip_acl) = (&self.state.tree.acls, self.config.skip_acl);
        for change in &changes {
            let Change { kind, path, acl, parent_acl } = change;
            let mut deliver = |conn: ConnId, event: EventType, at: &str| {
                let of_parent = event == EventType::NodeChildrenChanged;
                let acl = acls.get(if of_parent { *parent_acl } else { *acl });
                let Some(attachment) = attachments.get(conn) else { return };
                if skip_acl || permits(acl, Perms::READ, &attachment.identities) {
                    notify(out, conn, zxid, event, at);
                }
            };
            match kind {
                EventType::NodeCreated => watches.created(path, &mut deliver),
                EventType::NodeDeleted => watches.deleted(path, &mut deliver),
                _ => watches.data_changed(path, &mut deliver),
            }
        }
        changes.clear();
        self.changes.list = changes;
    }

    /// One bounded slice of background work.
    pub(crate) fn work(&mut self, snapshot_room: bool, now: Now, out: &mut Outputs) {
        self.watches.drop_slice();
        if self.closing.is_some() {
            self.close_slice(now, out);
            self.apply_committed(now, out);
            return;
        }
        if !self.to_apply.is_empty() {
            self.apply_committed(now, out);
        }
        if snapshot_room {
            self.snapshot_slice(out);
        }
    }
}
