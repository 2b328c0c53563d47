//! The requests of a session in their order: those that wait for a link and those that wait for
//! their reply.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use tenure_wire::{OpCode, Xid, frame};

use super::watches::{Intent, WatchKind};
use crate::moment::Moment;

/// A request as the application hands it in.
#[derive(Debug)]
pub struct Submission<C, W> {
    /// The operation.
    pub op: OpCode,
    /// The whole frame, with any xid: it gets its own when it is sent.
    pub frame: Vec<u8>,
    /// Who is told of the outcome.
    pub completion: Option<C>,
    /// The watch that it sets.
    pub watch: Option<Intent<W>>,
    /// When the application gives up waiting.
    pub deadline: Option<Moment>,
}

/// A request on its way.
#[derive(Debug)]
pub(crate) struct Entry<C, W> {
    /// Position in the order of submission.
    seq: u64,
    pub(crate) xid: Xid,
    pub(crate) op: OpCode,
    frame: Vec<u8>,
    /// When it was sent on the present link.
    pub(crate) sent: Moment,
    pub(crate) completion: Option<C>,
    pub(crate) watch: Option<Intent<W>>,
    /// The application gave up before it was sent, so it is not sent.
    withdrawn: bool,
}

/// Both queues.
#[derive(Debug)]
pub(crate) struct Queue<C, W> {
    unsent: VecDeque<Entry<C, W>>,
    sent: VecDeque<Entry<C, W>>,
    deadlines: BinaryHeap<Reverse<(Moment, u64)>>,
    next_seq: u64,
    last_xid: Xid,
    /// Requests in both queues that will set a watch.
    intents: usize,
    /// Requests that may wait for their reply at once.
    window: usize,
}

/// A request that the application gave up on.
pub(crate) struct GivenUp<C> {
    pub(crate) completion: Option<C>,
    /// Whether it may have taken effect: it is a write and was sent.
    pub(crate) may_have_happened: bool,
}

impl<C, W> Queue<C, W> {
    pub(crate) fn new() -> Self {
        Self {
            unsent: VecDeque::new(),
            sent: VecDeque::new(),
            deadlines: BinaryHeap::new(),
            next_seq: 0,
            last_xid: Xid(0),
            intents: 0,
            window: usize::MAX,
        }
    }

    pub(crate) fn set_window(&mut self, requests: usize) {
        self.window = requests.max(1);
    }

    pub(crate) fn submit(&mut self, submission: Submission<C, W>) {
        let Submission { op, frame, completion, watch, deadline } = submission;
        let seq = self.next_seq;
        self.next_seq += 1;
        self.intents += usize::from(watch.is_some());
        if let Some(at) = deadline {
            self.forget_met_deadlines();
            self.deadlines.push(Reverse((at, seq)));
        }
        let (xid, sent) = (Xid(0), Moment::default());
        let entry = Entry { seq, xid, op, frame, sent, completion, watch, withdrawn: false };
        self.unsent.push_back(entry);
    }

    /// Whether a request could be sent now.
    pub(crate) fn has_next(&self) -> bool {
        !self.unsent.is_empty() && self.sent.len() < self.window
    }

    /// Appends frames in order until `out` is `limit` bytes long or as many requests as may be
    /// are outstanding. The last one's time of sending
    /// is returned if one of them vouches for the session once it is answered.
    pub(crate) fn transmit(&mut self, now: Moment, out: &mut Vec<u8>, limit: usize) -> bool {
        let mut vouches = false;
        while out.len() < limit && self.sent.len() < self.window {
            let Some(mut entry) = self.unsent.pop_front() else { break };
            if entry.withdrawn {
                continue;
            }
            // Behind the last positive one comes 1 again: 0 and the negative ones have a meaning.
            self.last_xid = Xid(self.last_xid.0.checked_add(1).unwrap_or(1));
            entry.xid = self.last_xid;
            entry.sent = now;
            let xid = frame::PREFIX_LEN..frame::PREFIX_LEN + 4;
            entry.frame[xid].copy_from_slice(&entry.xid.0.to_be_bytes());
            out.extend_from_slice(&entry.frame);
            if !is_read(entry.op) {
                entry.frame = Vec::new();
            }
            vouches |= vouches_when_answered(entry.op);
            self.sent.push_back(entry);
        }
        vouches
    }

    /// The request that the next reply must answer.
    pub(crate) fn front(&self) -> Option<&Entry<C, W>> {
        self.sent.front()
    }

    /// Takes the request that was answered.
    pub(crate) fn answered(&mut self) -> Option<Entry<C, W>> {
        let entry = self.sent.pop_front()?;
        self.intents -= usize::from(entry.watch.is_some());
        Some(entry)
    }

    /// The link is gone: reads go back to be sent again, and what may or may not have happened is
    /// handed out. Requests of our own housekeeping have no meaning on another link.
    pub(crate) fn link_lost(&mut self, unknown: &mut Vec<C>) {
        for mut entry in std::mem::take(&mut self.sent).into_iter().rev() {
            let abandoned = entry.completion.is_none();
            if is_read(entry.op) && !abandoned {
                self.unsent.push_front(entry);
                continue;
            }
            self.intents -= usize::from(entry.watch.is_some());
            unknown.extend(entry.completion.take());
        }
        unknown.reverse();
        self.unsent.retain(|entry| entry.completion.is_some() || entry.op == OpCode::CloseSession);
    }

    /// Everything that waits, sent or not: true with what may have happened.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(C, bool)) {
        for entry in std::mem::take(&mut self.sent) {
            let may_have_happened = !is_read(entry.op);
            entry.completion.into_iter().for_each(|c| each(c, may_have_happened));
        }
        for entry in std::mem::take(&mut self.unsent) {
            entry.completion.into_iter().for_each(|c| each(c, false));
        }
        self.deadlines.clear();
        self.intents = 0;
    }

    /// Deadlines of requests that were answered stay behind until there are more of them than of
    /// others: then all go at once.
    fn forget_met_deadlines(&mut self) {
        const SPARE: usize = 64;
        if self.deadlines.len() < SPARE + 2 * (self.sent.len() + self.unsent.len()) {
            return;
        }
        let Self { sent, unsent, deadlines, .. } = self;
        deadlines.retain(|Reverse((_, seq))| {
            sent.binary_search_by_key(seq, |entry| entry.seq).is_ok()
                || unsent.binary_search_by_key(seq, |entry| entry.seq).is_ok()
        });
    }

    /// When an application gives up waiting next.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    /// A request that has waited long enough.
    pub(crate) fn give_up(&mut self, now: Moment) -> Option<GivenUp<C>> {
        while let Some(Reverse((at, seq))) = self.deadlines.peek().copied() {
            if at > now {
                return None;
            }
            self.deadlines.pop();
            if let Ok(index) = self.sent.binary_search_by_key(&seq, |entry| entry.seq) {
                let entry = &mut self.sent[index];
                let may_have_happened = !is_read(entry.op);
                return Some(GivenUp { completion: entry.completion.take(), may_have_happened });
            }
            if let Ok(index) = self.unsent.binary_search_by_key(&seq, |entry| entry.seq) {
                let entry = &mut self.unsent[index];
                entry.withdrawn = true;
                self.intents -= usize::from(entry.watch.take().is_some());
                let completion = entry.completion.take();
                return Some(GivenUp { completion, may_have_happened: false });
            }
        }
        None
    }

    /// A watcher lost interest before its watch was set. False if no request will set it.
    pub(crate) fn drop_intent(&mut self, id: u64) -> bool {
        if self.intents == 0 {
            return false;
        }
        let all = self.sent.iter_mut().chain(&mut self.unsent);
        let mut intents = all.filter_map(|entry| entry.watch.as_mut());
        let intent = intents.find(|intent| intent.id == id);
        intent.map(|intent| intent.is_dropped = true).is_some()
    }

    /// Whether a request under way will set a watch on this path that is removed as `kind` is.
    pub(crate) fn will_watch(&self, path: &str, kind: WatchKind) -> bool {
        let all = || self.sent.iter().chain(&self.unsent).filter_map(|entry| entry.watch.as_ref());
        let same = |other: WatchKind| other.removal() == kind.removal();
        self.intents > 0 && all().any(|intent| same(intent.kind) && &*intent.path == path)
    }
}

/// Whether an operation changes nothing, so that it may be sent again.
fn is_read(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::GetChildren2
            | OpCode::Sync
            | OpCode::MultiRead
            | OpCode::GetEphemerals
            | OpCode::GetAllChildrenNumber
            | OpCode::WhoAmI
            | OpCode::AddWatch
            | OpCode::CheckWatches
    )
}

/// Whether the reply to an operation tells that the leader has heard of the session since the
/// request was sent. That of a read does not: a follower without a leader gives it too.
pub(crate) fn vouches_when_answered(op: OpCode) -> bool {
    matches!(
        op,
        OpCode::Create
            | OpCode::Create2
            | OpCode::CreateContainer
            | OpCode::CreateTtl
            | OpCode::Delete
            | OpCode::SetData
            | OpCode::SetAcl
            | OpCode::Multi
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn submit(queue: &mut Queue<u32, u32>, op: OpCode, completion: u32, deadline: Option<u64>) {
        let frame = vec![0; 12];
        let deadline = deadline.map(Moment::from_nanos);
        let completion = Some(completion);
        queue.submit(Submission { op, frame, completion, watch: None, deadline });
    }

    fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    #[test]
    fn reads_are_sent_again_in_order_and_writes_are_not() {
        let mut queue = Queue::new();
        let ops = [OpCode::GetData, OpCode::SetData, OpCode::Exists, OpCode::Create, OpCode::Sync];
        for (number, op) in ops.into_iter().enumerate() {
            submit(&mut queue, op, number as u32, None);
        }
        let mut out = Vec::new();
        assert!(queue.transmit(at(1), &mut out, 48), "four of them");
        assert_eq!(out.len(), 48);
        let mut unknown = Vec::new();
        queue.link_lost(&mut unknown);
        assert_eq!(unknown, [1, 3]);
        out.clear();
        assert!(!queue.transmit(at(2), &mut out, 1 << 20), "nothing left vouches");
        let order: Vec<_> = std::iter::from_fn(|| queue.answered())
            .map(|entry| (entry.xid, entry.completion))
            .collect();
        assert_eq!(order, [(Xid(5), Some(0)), (Xid(6), Some(2)), (Xid(7), Some(4))]);
    }

    #[test]
    fn what_is_given_up_before_it_was_sent_is_never_sent() {
        let mut queue = Queue::new();
        submit(&mut queue, OpCode::SetData, 0, Some(5));
        queue.transmit(at(1), &mut Vec::new(), 100);
        submit(&mut queue, OpCode::SetData, 1, Some(6));
        submit(&mut queue, OpCode::GetData, 2, Some(9));
        assert_eq!(queue.next_deadline(), Some(at(5)));
        let given_up = |queue: &mut Queue<u32, u32>, now| {
            let gone = queue.give_up(at(now))?;
            Some((gone.completion, gone.may_have_happened))
        };
        assert_eq!(given_up(&mut queue, 4), None);
        assert_eq!(given_up(&mut queue, 7), Some((Some(0), true)));
        assert_eq!(given_up(&mut queue, 7), Some((Some(1), false)));
        assert_eq!(given_up(&mut queue, 7), None);
        let mut out = Vec::new();
        queue.transmit(at(7), &mut out, 100);
        assert_eq!(out.len(), 12, "the one in the middle is skipped");
        assert_eq!(
            queue.answered().map(|e| e.completion),
            Some(None),
            "its reply comes all the same"
        );
        assert_eq!(queue.answered().map(|e| e.completion), Some(Some(2)));
        assert!(queue.answered().is_none() && !queue.has_next());
    }

    #[test]
    fn no_more_than_the_window_are_outstanding() {
        let mut queue = Queue::new();
        queue.set_window(2);
        for completion in 0..3 {
            submit(&mut queue, OpCode::SetData, completion, None);
        }
        let mut out = Vec::new();
        queue.transmit(at(1), &mut out, 1000);
        assert_eq!((out.len(), queue.has_next()), (24, false));
        queue.answered();
        assert!(queue.has_next());
        queue.transmit(at(2), &mut out, 1000);
        assert_eq!((out.len(), queue.has_next()), (36, false));
    }

    #[test]
    fn deadlines_of_answered_requests_do_not_pile_up() {
        let mut queue = Queue::new();
        for completion in 0..10_000 {
            submit(&mut queue, OpCode::GetData, completion, Some(1_000_000));
            queue.transmit(at(1), &mut Vec::new(), 100);
            queue.answered();
        }
        assert!(queue.deadlines.len() < 100, "{}", queue.deadlines.len());
    }

    #[test]
    fn xids_start_again_behind_the_last() {
        let mut queue: Queue<u32, u32> = Queue::new();
        queue.last_xid = Xid(i32::MAX - 1);
        for completion in 0..2 {
            submit(&mut queue, OpCode::Exists, completion, None);
        }
        queue.transmit(at(0), &mut Vec::new(), 100);
        assert_eq!(queue.answered().map(|entry| entry.xid), Some(Xid(i32::MAX)));
        assert_eq!(queue.answered().map(|entry| entry.xid), Some(Xid(1)));
    }
}
