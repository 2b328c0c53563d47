//! What arrives: frames out of bytes, replies to their requests, notifications to their watchers.

use bytes::Bytes;
use tenure_wire::{
    AUTH_XID, ErrorCode, EventType, FrameError, NOTIFICATION_XID, OpCode, PING_XID, Reader,
    ReplyHeader, SET_WATCHES_XID, WatcherEvent, Zxid, frame,
};

use super::watches::{Event, EventKind, WatchKind};
use super::{Action, Failure, Link, LinkId, Machine, PlantedBug, Reply, vouches_when_answered};
use crate::moment::Moment;
use crate::status::{LinkFault, Liveness, LostReason};

/// The longest frame that is believed to be one at all: more is a sign of another protocol.
const MAX_CREDIBLE: usize = 1 << 30;

impl<C, W: Clone> Machine<C, W> {
    /// Takes bytes that arrived on a link.
    pub fn received(&mut self, id: LinkId, bytes: &[u8], now: Moment) {
        self.observe(now);
        if self.link_id() == Some(id)
            && let Err(fault) = self.take(id, bytes, now)
        {
            self.lose_link(fault, now);
        }
        self.settle(now);
    }

    fn take(&mut self, id: LinkId, bytes: &[u8], now: Moment) -> Result<(), LinkFault> {
        if self.partial.is_empty() {
            let used = self.take_frames(id, bytes, now)?;
            if self.link_id() == Some(id) {
                self.partial = bytes[used..].to_vec();
            }
            return Ok(());
        }
        let mut whole = std::mem::take(&mut self.partial);
        whole.extend_from_slice(bytes);
        let used = self.take_frames(id, &whole, now)?;
        if self.link_id() == Some(id) && used < whole.len() {
            whole.drain(..used);
            self.partial = whole;
        }
        Ok(())
    }

    /// Takes whole frames off the front of `bytes`, and returns how many bytes that were.
    fn take_frames(&mut self, id: LinkId, bytes: &[u8], now: Moment) -> Result<usize, LinkFault> {
        let mut at = 0;
        while self.link_id() == Some(id) {
            let skipped = self.skip.min(bytes.len() - at);
            self.skip -= skipped;
            at += skipped;
            let rest = &bytes[at..];
            match frame::split(rest, self.settings.max_reply_bytes) {
                Ok(Some(payload)) => {
                    at += payload.end;
                    self.take_frame(id, &rest[payload], now)?;
                }
                Ok(None) => break,
                Err(FrameError::TooLong { length, .. }) if length <= MAX_CREDIBLE => {
                    if !self.skip_reply(rest, length)? {
                        break;
                    }
                }
                Err(error) => return Err(LinkFault::Protocol(error.to_string())),
            }
        }
        Ok(at)
    }

    /// Fails the request whose reply is too long, and lets its bytes pass. False until the reply's
    /// header is there.
    fn skip_reply(&mut self, bytes: &[u8], length: usize) -> Result<bool, LinkFault> {
        let header = frame::PREFIX_LEN..frame::PREFIX_LEN + ReplyHeader::LEN;
        let Some(header) = bytes.get(header) else { return Ok(false) };
        let header = ReplyHeader::decode(&mut Reader::new(header)).map_err(garbled)?;
        let awaited = self.queue.front().is_some_and(|entry| entry.xid == header.xid);
        if !self.is_attached() || !awaited {
            let limit = self.settings.max_reply_bytes;
            let what = format!("a frame of {length} bytes, more than the {limit} allowed");
            return Err(LinkFault::Protocol(what));
        }
        let entry = self.queue.answered().expect("it was awaited");
        let limit = self.settings.max_reply_bytes;
        let failed = Failure::TooLong { bytes: length, limit };
        self.actions.extend(entry.completion.map(|c| Action::Finish(c, Err(failed))));
        self.skip = frame::PREFIX_LEN + length;
        Ok(true)
    }

    fn take_frame(&mut self, id: LinkId, payload: &[u8], now: Moment) -> Result<(), LinkFault> {
        match self.link {
            Link::Shaking { sent: Some(sent), .. } => self.shaken(id, sent, payload, now),
            Link::Attached { .. } => self.take_reply(payload, now),
            _ => Err(LinkFault::Protocol("the server spoke before it was asked".to_owned())),
        }
    }

    fn take_reply(&mut self, payload: &[u8], now: Moment) -> Result<(), LinkFault> {
        let mut reader = Reader::new(payload);
        let header = ReplyHeader::decode(&mut reader).map_err(garbled)?;
        match header.xid {
            NOTIFICATION_XID => self.notified(header.zxid, reader),
            PING_XID => match self.upkeep.ping_sent.take() {
                Some(sent) => {
                    self.vouch(sent, now);
                    Ok(())
                }
                None => Err(LinkFault::Protocol("an answer to a ping never sent".to_owned())),
            },
            AUTH_XID => self.authenticated(header.err),
            SET_WATCHES_XID if self.upkeep.rearm_pending > 0 => {
                self.upkeep.rearm_pending -= 1;
                self.tell_of_gap();
                Ok(())
            }
            _ => self.answered(header, reader.rest(), now),
        }
    }

    /// A server confirmed a packet that was sent at `sent`, and the leader knows of it. The answer
    /// may have waited out a pause, and then tell of a session that may be gone again.
    fn vouch(&mut self, sent: Moment, now: Moment) {
        self.prove();
        let counted = self.counted_from(sent);
        self.upkeep.confirmed = self.upkeep.confirmed.max(counted);
        if let Some(held) = self.held.as_mut().filter(|held| !held.is_local) {
            held.vouched = held.vouched.max(Some(counted));
        }
        let is_late = self.valid_until().is_some_and(|until| until <= now);
        if matches!(self.liveness, Liveness::AtRisk { .. }) && !is_late {
            self.set(self.state, Liveness::Live);
        }
    }

    /// The link is good for more than a handshake.
    fn prove(&mut self) {
        if !self.upkeep.proven {
            self.upkeep.proven = true;
            self.hosts.reached();
        }
    }

    fn answered(&mut self, header: ReplyHeader, body: &[u8], now: Moment) -> Result<(), LinkFault> {
        let front = self.queue.front();
        if front.is_none_or(|entry| entry.xid != header.xid) {
            let awaited = match front {
                Some(entry) => format!("that to {} with xid {} was due", entry.op, entry.xid),
                None => "none was due".to_owned(),
            };
            let what = format!("a reply with xid {}, while {awaited}", header.xid);
            return Err(LinkFault::Protocol(what));
        }
        let entry = self.queue.answered().expect("it is the front");
        self.prove();
        // Not from notifications: several may share a zxid, and some may be still to come.
        if header.zxid > self.last_zxid {
            self.last_zxid = header.zxid;
        }
        let vouches = vouches_when_answered(entry.op) || self.has(PlantedBug::ReadsVouch);
        if header.err == 0 && vouches {
            self.vouch(entry.sent, now);
        } else if vouches {
            // What was to save a ping did not: it is due as if nothing had been asked.
            self.upkeep.asked = self.upkeep.confirmed;
        }
        let found_nothing = entry.op == OpCode::Exists && header.err == NO_NODE;
        let succeeded = header.err == 0 || found_nothing;
        if let Some(mut intent) = entry.watch.filter(|_| succeeded) {
            if found_nothing {
                intent.kind = WatchKind::Exist;
            }
            let (path, id, is_dropped) = (intent.path.clone(), intent.id, intent.is_dropped);
            self.watches.add(intent);
            if is_dropped {
                self.drop_watch(&path, id);
            }
        }
        if entry.op == OpCode::CloseSession {
            let completions = self.closing.take().map(|closing| closing.completions);
            self.closed(completions.unwrap_or_default());
            return Ok(());
        }
        let outcome = match succeeded {
            true => Ok(Reply {
                body: Bytes::copy_from_slice(if found_nothing { &[] } else { body }),
                zxid: header.zxid,
                code: header.err,
            }),
            false => Err(Failure::Code(header.err)),
        };
        // The news of a loss goes before what follows from it.
        match ErrorCode::from_code(header.err) {
            Some(ErrorCode::SessionExpired) => self.lose(LostReason::Expired { account: None }),
            Some(ErrorCode::SessionClosedRequireSaslAuth | ErrorCode::AuthFailed) => {
                self.lose(LostReason::AuthFailed { scheme: None });
            }
            _ => {}
        }
        self.actions.extend(entry.completion.map(|c| Action::Finish(c, outcome)));
        Ok(())
    }

    fn authenticated(&mut self, err: i32) -> Result<(), LinkFault> {
        let index = self.upkeep.auths_confirmed;
        if index >= self.upkeep.auths_sent {
            return Err(LinkFault::Protocol("an answer to credentials never sent".to_owned()));
        }
        if err != 0 {
            let scheme = Some(self.settings.auths[index].scheme.clone());
            self.lose(LostReason::AuthFailed { scheme });
            return Ok(());
        }
        self.upkeep.auths_confirmed += 1;
        let confirmed = Reply { body: Bytes::new(), zxid: self.last_zxid, code: 0 };
        for (_, completion) in self.auth_waiting.extract_if(.., |(wanted, _)| *wanted == index) {
            self.actions.push_back(Action::Finish(completion, Ok(confirmed.clone())));
        }
        if self.auth_waiting.is_empty() {
            self.establish_by = None;
        }
        Ok(())
    }

    fn notified(&mut self, zxid: Zxid, mut reader: Reader<'_>) -> Result<(), LinkFault> {
        let event = WatcherEvent::decode(&mut reader).map_err(garbled)?;
        let kind = match event.kind {
            EventType::NodeCreated => EventKind::Created,
            EventType::NodeDeleted => EventKind::Deleted,
            EventType::NodeDataChanged => EventKind::DataChanged,
            EventType::NodeChildrenChanged => EventKind::ChildrenChanged,
            // Nothing that a server sends of its own accord today.
            _ => return Ok(()),
        };
        let mut told = Vec::new();
        self.watches.notify(event.kind, &event.path, &mut told);
        if told.is_empty() {
            return Ok(());
        }
        let event = Event { kind, path: (&*event.path).into(), zxid: (zxid.0 > 0).then_some(zxid) };
        for (watcher, is_last) in told {
            self.actions.push_back(Action::Notify(watcher, event.clone(), is_last));
        }
        Ok(())
    }

    /// Once all watches are set again: those of persistent watchers did not see what happened
    /// meanwhile.
    pub(super) fn tell_of_gap(&mut self) {
        if self.upkeep.rearm.is_some() || self.upkeep.rearm_pending > 0 {
            return;
        }
        for (path, watcher) in self.watches.persistent() {
            let event = Event { kind: EventKind::Gap, path: path.clone(), zxid: None };
            self.actions.push_back(Action::Notify(watcher.clone(), event, false));
        }
    }
}

const NO_NODE: i32 = ErrorCode::NoNode.code();

fn garbled(error: tenure_wire::DecodeError) -> LinkFault {
    LinkFault::Protocol(error.to_string())
}
