//! Which ephemeral znodes vanished last on this server, and how: local, bounded, for operators who
//! ask why something is gone.

use std::collections::VecDeque;

use tenure_wire::{SessionId, Zxid};

use crate::limits;

/// An ephemeral znode that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// Where it was.
    pub path: String,
    /// The session that owned it.
    pub owner: SessionId,
    /// The session that deleted it; `None` if it went with its owner.
    pub deleted_by: Option<SessionId>,
    /// The change that removed it.
    pub zxid: Zxid,
    /// Leader's wall clock when that was proposed.
    pub gone_ms: i64,
}

/// The ephemerals that vanished last, oldest first.
#[derive(Debug, Default)]
pub(crate) struct GoneEphemerals {
    gone: VecDeque<Gone>,
    /// Length of their paths together.
    bytes: usize,
}

impl GoneEphemerals {
    pub(crate) fn push(&mut self, gone: Gone) {
        self.bytes += gone.path.len();
        self.gone.push_back(gone);
        while self.gone.len() > limits::GONE_EPHEMERALS || self.bytes > limits::GONE_BYTES {
            let Some(oldest) = self.gone.pop_front() else { return };
            self.bytes -= oldest.path.len();
        }
    }

    /// The last one at this path.
    pub(crate) fn latest(&self, path: &str) -> Option<&Gone> {
        self.gone.iter().rev().find(|gone| gone.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(path: &str, zxid: i64) -> Gone {
        let (owner, deleted_by) = (SessionId(1), Some(SessionId(2)));
        Gone { path: path.to_owned(), owner, deleted_by, zxid: Zxid(zxid), gone_ms: 0 }
    }

    #[test]
    fn the_last_of_a_path_is_found_and_the_list_is_bounded() {
        let mut list = GoneEphemerals::default();
        list.push(gone("/a", 1));
        list.push(gone("/b", 2));
        list.push(gone("/a", 3));
        assert_eq!(list.latest("/a").map(|gone| gone.zxid), Some(Zxid(3)));
        assert_eq!(list.latest("/c"), None);
        for zxid in 0..limits::GONE_EPHEMERALS as i64 - 1 {
            list.push(gone("/x", zxid));
        }
        assert_eq!((list.gone.len(), list.latest("/b")), (limits::GONE_EPHEMERALS, None));
        assert!(list.latest("/a").is_some());
        let long = "/".repeat(limits::GONE_BYTES - 1);
        list.push(gone(&long, 9));
        assert!(list.bytes <= limits::GONE_BYTES && list.gone.len() <= 2);
        list.push(gone(&format!("{long}xx"), 10));
        assert_eq!((list.bytes, list.gone.len()), (0, 0), "what is longer than all is not kept");
    }
}
