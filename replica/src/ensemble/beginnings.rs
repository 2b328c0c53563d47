//! Sessions that a leader does not know yet.
//!
//! An entry may be durable at a quorum of followers before the leader's own disk has it. Then a
//! follower applies the beginning of a session, and its client may ask for more, while the leader
//! has still to apply it: to the leader the session is no stranger, it is on its way.

use std::collections::VecDeque;

use tenure_wire::{PASSWORD_LEN, SessionId};

use super::PeerMessage;
use crate::input::{ConnId, Now};
use crate::output::Outputs;
use crate::replica::Replica;
use crate::session::attach::Manner;

/// What a client wants that asks for its session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Its connection, to whichever member.
    pub(crate) conn: ConnId,
    pub(crate) session: SessionId,
    pub(crate) timeout_ms: u32,
    pub(crate) manner: Manner,
    pub(crate) password: Option<[u8; PASSWORD_LEN]>,
}

/// Who asks the leader about a session.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker {
    Client,
    /// Another member, for its client.
    Member(u64),
}

/// Wishes that wait until the leader has applied the log up to an index.
#[derive(Debug, Default)]
pub(crate) struct Beginnings(VecDeque<(u64, Asker, Wish)>);

impl Replica {
    /// Leader: whether a session that is unknown may begin with an entry not applied yet.
    pub(crate) fn may_begin(&self, session: SessionId) -> bool {
        let (applied, _) = self.state.applied;
        let is_unheard_of =
            self.state.sessions.get(session).is_none() && self.state.ended.get(session).is_none();
        is_unheard_of && applied < self.last_proposed()
    }

    /// Leader: keeps a wish for a session that may still begin, to judge it when that is known.
    pub(crate) fn waits_for_its_beginning(&mut self, asker: Asker, wish: Wish) -> bool {
        let waits = !self.is_alone() && self.may_begin(wish.session);
        if waits {
            let behind = self.last_proposed();
            self.following.beginnings.0.push_back((behind, asker, wish));
        }
        waits
    }

    /// Judges the wishes whose sessions would have begun by now.
    pub(crate) fn judge_beginnings(&mut self, now: Now, out: &mut Outputs) {
        let (applied, _) = self.state.applied;
        while let Some((_, asker, wish)) =
            self.following.beginnings.0.pop_front_if(|waiting| waiting.0 <= applied)
        {
            match asker {
                Asker::Member(member) => self.judge_for(member, wish, now, out),
                Asker::Client if self.attachments.get(wish.conn).is_some() => {
                    self.judge(wish, now, out);
                }
                Asker::Client => {}
            }
        }
    }

    /// Leader: tells another member whether its client may resume a session.
    pub(super) fn judge_for(&mut self, member: u64, wish: Wish, now: Now, out: &mut Outputs) {
        let valid = self.revalidate(member, wish, now, out);
        if valid {
            self.keep_promise(wish.session, wish.manner.is_tenure, now);
        }
        let (conn, behind) = (wish.conn, self.last_proposed());
        self.answer_when_confirmed(member, &PeerMessage::Revalidated { conn, valid, behind });
    }
}
