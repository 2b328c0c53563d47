//! What comes by itself: events of watches and changes of the session, collected from their
//! streams and told as zkCli tells them.

use std::future::Future;
use std::io;
use std::mem::discriminant;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Waker};
use std::thread::{self, Thread};

use serde_json::{Value, json};
use tenure_client::{
    Change, EventKind, Liveness, LostReason, OneTimeWatch, Risk, Session, State, Watch, WatchEvent,
    WatchKind,
};

use super::wait::thread_waker;

/// Something that came by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Watch(WatchEvent),
    Change(Change),
}

/// Takes events; it is called by one thread at a time.
pub(super) type Sink = Arc<dyn Fn(Event) + Send + Sync>;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Message {
    Add {
        path: String,
        kind: WatchKind,
        watch: Task,
    },
    /// Another session is followed from now on; watches of the last one are over.
    Follow(Task),
    Forget {
        path: String,
        kind: Option<WatchKind>,
    },
}

/// Hands watches over to the [`Poller`].
pub(super) struct Watches {
    sink: Sink,
    messages: Sender<Message>,
    poller: Option<Thread>,
}

/// Polls all streams and calls the sink.
pub(super) struct Poller {
    messages: Receiver<Message>,
    watches: Vec<(String, WatchKind, Task)>,
    changes: Option<Task>,
}

/// A way to hand over watches, and what will poll them.
pub(super) fn watches(sink: Sink) -> (Watches, Poller) {
    let (sender, messages) = channel();
    let watches = Watches { sink, messages: sender, poller: None };
    (watches, Poller { messages, watches: Vec::new(), changes: None })
}

impl Watches {
    /// Has a thread poll from now on, so that events are told as they come.
    pub(super) fn poll_in_background(&mut self, mut poller: Poller) -> io::Result<()> {
        let thread = thread::Builder::new().name("shell-events".to_owned()).spawn(move || {
            let waker = thread_waker();
            while poller.poll(&waker) {
                thread::park();
            }
        })?;
        self.poller = Some(thread.thread().clone());
        Ok(())
    }

    pub(super) fn once(&self, path: &str, kind: WatchKind, watch: OneTimeWatch) {
        let sink = Arc::clone(&self.sink);
        self.add(path, kind, async move {
            if let Ok(event) = watch.await {
                sink(Event::Watch(event));
            }
        });
    }

    pub(super) fn again(&self, path: &str, kind: WatchKind, mut watch: Watch) {
        let sink = Arc::clone(&self.sink);
        self.add(path, kind, async move {
            while let Some(event) = watch.next().await {
                sink(Event::Watch(event));
            }
        });
    }

    fn add(&self, path: &str, kind: WatchKind, watch: impl Future<Output = ()> + Send + 'static) {
        self.send(Message::Add { path: path.to_owned(), kind, watch: Box::pin(watch) });
    }

    /// Tells the changes of this session, after its present state.
    pub(super) fn follow(&self, session: &Session) {
        let (sink, mut changes) = (Arc::clone(&self.sink), session.changes());
        self.send(Message::Follow(Box::pin(async move {
            let Some(mut last) = changes.next().await else { return };
            while let Some(change) = changes.next().await {
                // Another reason for the same trouble is no news.
                let is_first_attempt = last.state == State::NotConnected;
                let is_news = change.state != last.state && !is_first_attempt
                    || discriminant(&change.liveness) != discriminant(&last.liveness);
                last = change.clone();
                if is_news {
                    sink(Event::Change(change));
                }
            }
        })));
    }

    /// Drops watches without asking the server, which takes them back as soon as that is possible.
    pub(super) fn forget(&self, path: &str, kind: Option<WatchKind>) {
        self.send(Message::Forget { path: path.to_owned(), kind });
    }

    fn send(&self, message: Message) {
        // The poller is gone only when the shell ends.
        let _ = self.messages.send(message);
        if let Some(poller) = &self.poller {
            poller.unpark();
        }
    }
}

impl Poller {
    /// Tells every event that is there already.
    pub(super) fn poll_now(&mut self) {
        self.poll(Waker::noop());
    }

    /// Polls everything once; whether there may be more to come.
    pub(super) fn poll(&mut self, waker: &Waker) -> bool {
        let is_open = self.take_messages();
        let cx = &mut Context::from_waker(waker);
        if let Some(changes) = &mut self.changes
            && changes.as_mut().poll(cx).is_ready()
        {
            self.changes = None;
        }
        self.watches.retain_mut(|(_, _, watch)| watch.as_mut().poll(cx).is_pending());
        is_open
    }

    fn take_messages(&mut self) -> bool {
        loop {
            match self.messages.try_recv() {
                Ok(Message::Add { path, kind, watch }) => {
                    // Watching the same twice tells no more than watching it once.
                    self.watches.retain(|(p, k, _)| (p, *k) != (&path, kind));
                    self.watches.push((path, kind, watch));
                }
                Ok(Message::Follow(changes)) => {
                    self.watches.clear();
                    self.changes = Some(changes);
                }
                Ok(Message::Forget { path, kind }) => self
                    .watches
                    .retain(|(p, k, _)| *p != path || kind.is_some_and(|kind| kind != *k)),
                Err(error) => return error == std::sync::mpsc::TryRecvError::Empty,
            }
        }
    }
}

impl Event {
    /// The event as zkCli prints it, and what the session means by it.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Watch(WatchEvent { kind: EventKind::Gap, path, .. }) => {
                format!("\nWATCHER::\n\nevents of {path} may have been missed; look again\n")
            }
            Self::Watch(WatchEvent { kind, path, zxid }) => {
                let zxid = zxid.map_or(-1, |zxid| zxid.0);
                block("SyncConnected", type_name(*kind), path, zxid)
            }
            Self::Change(change) => {
                let note = note(&change.liveness).map(|note| note + "\n").unwrap_or_default();
                match change_name(change) {
                    Some(state) => block(state, "None", "null", -1) + &note,
                    None => format!("\n{note}"),
                }
            }
        }
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        match self {
            Self::Watch(WatchEvent { kind, path, zxid }) => json!({
                "event": type_name(*kind),
                "path": path,
                "zxid": zxid.map(|zxid| zxid.to_string()),
            }),
            Self::Change(change) => json!({
                "event": "Session",
                "state": change.state.name(),
                "liveness": change.liveness.to_string(),
                "server": change.server.map(|server| server.to_string()),
            }),
        }
    }
}

/// The event in which zkCli tells a removed watch.
pub(super) fn removed(kind: Option<WatchKind>, path: &str) -> String {
    let name = match kind {
        Some(WatchKind::Children) => "ChildWatchRemoved",
        Some(WatchKind::Data | WatchKind::Exist) => "DataWatchRemoved",
        Some(WatchKind::Persistent | WatchKind::Recursive) | None => "PersistentWatchRemoved",
    };
    block("SyncConnected", name, path, -1)
}

fn block(state: &str, kind: &str, path: &str, zxid: i64) -> String {
    format!("\nWATCHER::\n\nWatchedEvent state:{state} type:{kind} path:{path} zxid: {zxid}\n")
}

fn type_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Created => "NodeCreated",
        EventKind::Deleted => "NodeDeleted",
        EventKind::DataChanged => "NodeDataChanged",
        EventKind::ChildrenChanged => "NodeChildrenChanged",
        EventKind::Gap => "Gap",
    }
}

/// What ZooKeeper's clients call the change; a server's silence has no name there.
fn change_name(change: &Change) -> Option<&'static str> {
    Some(match (change.state, &change.liveness) {
        (_, Liveness::AtRisk { cause: Risk::Silent, .. }) => return None,
        (State::Connected, _) => "SyncConnected",
        (State::ConnectedReadOnly, _) => "ConnectedReadOnly",
        (State::AuthFailed, _) => "AuthFailed",
        (State::Closed, Liveness::Lost(LostReason::Closed | LostReason::Left)) => "Closed",
        (State::Closed, _) => "Expired",
        (State::Connecting | State::NotConnected, _) => "Disconnected",
    })
}

fn note(liveness: &Liveness) -> Option<String> {
    match liveness {
        Liveness::AtRisk { until, cause } => Some(format!(
            "the session lives for another {:.1} s at least: {cause}",
            until.remaining().as_secs_f32()
        )),
        Liveness::Lost(LostReason::Closed) | Liveness::Live | Liveness::Establishing => None,
        Liveness::Lost(reason) => {
            Some(format!("the session is lost: {reason}; 'connect' makes a new one"))
        }
    }
}

#[cfg(test)]
mod tests {
    use tenure_client::{Moment, Zxid};

    use super::*;

    #[test]
    fn a_watch_event_is_zkclis_block() {
        let zxid = Some(Zxid(0x1_0000_0011));
        let path = "/a".to_owned();
        let event = Event::Watch(WatchEvent { kind: EventKind::DataChanged, path, zxid });
        assert_eq!(
            event.text(),
            "\nWATCHER::\n\n\
             WatchedEvent state:SyncConnected type:NodeDataChanged path:/a zxid: 4294967313\n"
        );
        assert_eq!(event.json()["zxid"], "0x100000011");
    }

    #[test]
    fn changes_have_the_names_of_zookeepers_clients() {
        let change = |state, liveness| Change { state, liveness, at: Moment::now(), server: None };
        let expired = Liveness::Lost(LostReason::Expired { account: None });
        for (change, name) in [
            (change(State::Connected, Liveness::Live), "SyncConnected"),
            (change(State::Closed, Liveness::Lost(LostReason::Closed)), "Closed"),
            (change(State::Closed, expired), "Expired"),
        ] {
            let text = Event::Change(change).text();
            assert!(text.contains(&format!("state:{name} type:None path:null zxid: -1")), "{text}");
        }
        let until = Moment::now();
        let silent = change(State::Connected, Liveness::AtRisk { until, cause: Risk::Silent });
        let text = Event::Change(silent).text();
        assert!(!text.contains("WATCHER") && text.contains("the server is silent"), "{text}");
    }
}
