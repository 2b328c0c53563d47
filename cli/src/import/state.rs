//! The state of a Tenure server that equals what a ZooKeeper folder holds.

use tenure_replica::{FoundNode, Founder, NodeKind, State};
use tenure_wire::{SessionId, Zxid, derived_password};
use tenure_zkdata::{Kind, Tree, Znode};

use super::findings::Findings;
use super::folder::shown;

/// What was taken over, for people.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) znodes: u64,
    pub(crate) sessions: u64,
    pub(crate) ephemerals: u64,
    pub(crate) containers: u64,
    pub(crate) ttls: u64,
}

/// Each server's own: the members of its ensemble.
const CONFIG: &str = "/zookeeper/config";

/// Makes a state of a tree whose last change was this one. What cannot be taken over is told.
pub(crate) fn make(tree: &Tree, zxid: i64, epoch: u32, findings: &mut Findings) -> (State, Counts) {
    let mut founder = Founder::new(0);
    let mut counts = Counts::default();
    for (id, session) in &tree.sessions {
        let session_id = SessionId(*id);
        let timeout_ms = session.timeout_ms.max(0) as u32;
        let opened_ms = session.opened_ms.unwrap_or(0);
        // Clients of ZooKeeper hold the password that it derives from the id.
        founder.session(session_id, timeout_ms, derived_password(session_id), opened_ms);
        counts.sessions += 1;
    }
    for (path, znode) in in_order(tree) {
        let kind = match znode.stat.kind() {
            Kind::Persistent => NodeKind::Persistent,
            Kind::Ephemeral(session) => NodeKind::Ephemeral(SessionId(session)),
            Kind::Container => NodeKind::Container,
            Kind::Ttl(ttl_ms) => NodeKind::Ttl(ttl_ms),
        };
        let path = shown(path);
        match founder.znode(&node(path, znode, kind)) {
            Ok(()) => counts.add(kind),
            Err(error) => findings.loss(None, format!("{path}: {error}")),
        }
        if path == CONFIG && znode.data.as_deref().is_some_and(|data| !data.is_empty()) {
            let what = format!("{path}: emptied; the members are those of the new configuration");
            findings.note(None, what);
        }
    }
    (founder.finish(Zxid(zxid), epoch), counts)
}

/// Parents before their children, and children in the order in which they were created.
fn in_order(tree: &Tree) -> Vec<(&String, &Znode)> {
    let mut all: Vec<_> = tree.znodes.iter().collect();
    all.sort_by_key(|(path, znode)| (path.matches('/').count(), znode.stat.czxid));
    all
}

fn node<'a>(path: &'a str, znode: &'a Znode, kind: NodeKind) -> FoundNode<'a> {
    let stat = &znode.stat;
    FoundNode {
        path,
        data: znode.data.as_deref(),
        acl: &znode.acl,
        kind,
        zxids: [Zxid(stat.czxid), Zxid(stat.mzxid), Zxid(stat.pzxid)],
        times_ms: [stat.ctime, stat.mtime],
        versions: [stat.version, stat.aversion],
        created_children: stat.cversion,
    }
}

impl Counts {
    fn add(&mut self, kind: NodeKind) {
        self.znodes += 1;
        match kind {
            NodeKind::Persistent => {}
            NodeKind::Ephemeral(_) => self.ephemerals += 1,
            NodeKind::Container => self.containers += 1,
            NodeKind::Ttl(_) => self.ttls += 1,
        }
    }
}
