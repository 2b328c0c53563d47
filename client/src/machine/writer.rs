//! A session at a server that cannot write: it looks for one that can, and moves there.

use std::time::Duration;

use super::{Action, Host, Machine};
use crate::moment::Moment;
use crate::status::LinkFault;

/// The pause before the first server is asked: the present one may have lost its leader for moments
/// only. It doubles up to the longest one, since each question costs a connection.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The search, as long as the link leads to a server that cannot write.
#[derive(Debug)]
pub(super) struct Search {
    /// When to ask the next server, unless one is being asked.
    next: Moment,
    pause: Duration,
    asked: Option<Host>,
}

impl Search {
    pub(super) fn from(now: Moment) -> Self {
        Search { next: now + FIRST_PAUSE, pause: FIRST_PAUSE, asked: None }
    }

    /// When there is something to do.
    pub(super) fn due(&self) -> Option<Moment> {
        self.asked.is_none().then_some(self.next)
    }

    fn go_on(&mut self, now: Moment) {
        self.asked = None;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.next = now + self.pause;
    }
}

impl<C, W: Clone> Machine<C, W> {
    /// Has the next server asked, if it is time.
    pub(super) fn look_for_writer(&mut self, now: Moment) {
        let is_attached = self.is_attached();
        let Some(search) = self.upkeep.search.as_mut().filter(|_| is_attached) else { return };
        if search.due().is_none_or(|due| due > now) {
            return;
        }
        match self.hosts.another(self.at.as_ref()) {
            Some(host) => {
                search.asked = Some(host.clone());
                self.actions.push_back(Action::AskWriter(host));
            }
            None => search.go_on(now),
        }
    }

    /// What became of an [`Action::AskWriter`]: whether that server can write.
    pub fn writer_answered(&mut self, host: &Host, can_write: bool, now: Moment) {
        self.observe(now);
        let is_attached = self.is_attached();
        let search = self.upkeep.search.as_mut();
        // The answer may come when the link has changed.
        let wanted = search.filter(|s| is_attached && s.asked.as_ref() == Some(host));
        if let Some(search) = wanted {
            search.go_on(now);
            if can_write {
                self.hosts.prefer(host.clone());
                self.lose_link(LinkFault::WriterFound, now);
            }
        }
        self.settle(now);
    }
}
