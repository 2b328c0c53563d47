//! Repeats the changes of the logs on a snapshot, and finds out what is missing between them.
//!
//! Zxids count up by one within an epoch, failed requests included, and start at one in the next.
//! So a record that is gone shows, unless it was the last of its epoch.

use std::path::Path;

use tenure_zkdata::{
    Digest, LogItem, LogRecord, LogScanner, Misfit, MisfitKind, Snapshot, Tree, is_digest_known,
};

use super::findings::Findings;
use super::folder::{FolderError, bytes_of, shown};

/// A tree on its way to the last change.
pub(crate) struct Replay {
    tree: Tree,
    /// The last change that the snapshot's name vouches for.
    base: i64,
    /// The last change made.
    last: i64,
    /// The last change that the snapshot may hold some of.
    snapshot_end: i64,
    replayed: u64,
    /// What the tree must come to at some zxid.
    snapshot_digest: Option<(i64, Digest)>,
    last_digest: Option<Digest>,
    /// Places that do not decode, until the next record tells whether anything was lost.
    pending: Vec<Pending>,
    misfits: Vec<(i64, Misfit)>,
}

struct Pending {
    file: String,
    offset: usize,
    what: String,
    is_torn: bool,
}

/// A zxid as people write it.
pub(crate) fn describe(zxid: i64) -> String {
    format!("zxid {zxid:#x}")
}

fn epoch(zxid: i64) -> i64 {
    zxid >> 32
}

impl Replay {
    /// Begins with a snapshot that holds all changes up to `base`, and maybe some later ones.
    pub(crate) fn new(snapshot: Snapshot, base: i64) -> Self {
        let Snapshot { tree, digest, last_zxid, .. } = snapshot;
        let snapshot_digest =
            digest.filter(|(zxid, digest)| *zxid >= base && is_digest_known(*digest));
        let ends = [Some(base), last_zxid, snapshot_digest.map(|(zxid, _)| zxid)];
        let of_znodes = tree.znodes.values().map(|znode| &znode.stat);
        let newest = of_znodes.map(|stat| stat.czxid.max(stat.mzxid).max(stat.pzxid)).max();
        let snapshot_end = ends.into_iter().chain([newest]).flatten().max().unwrap_or(base);
        Replay {
            tree,
            base,
            last: base,
            snapshot_end,
            replayed: 0,
            snapshot_digest,
            last_digest: None,
            pending: Vec::new(),
            misfits: Vec::new(),
        }
    }

    /// Begins with what a new server has.
    pub(crate) fn from_nothing() -> Self {
        let snapshot = Snapshot {
            tree: Tree::fresh(),
            digest: None,
            last_zxid: None,
            without_acl: Vec::new(),
        };
        Replay::new(snapshot, 0)
    }

    /// The last change made so far.
    pub(crate) fn zxid(&self) -> i64 {
        self.last
    }

    /// Changes taken from logs so far.
    pub(crate) fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Goes through logs, oldest first.
    pub(crate) fn logs(
        &mut self,
        logs: Vec<(&str, &Path)>,
        findings: &mut Findings,
    ) -> Result<(), FolderError> {
        self.check_snapshot_digest(findings);
        for (name, path) in logs {
            let bytes = bytes_of(path)?;
            let scanner = match LogScanner::new(&bytes) {
                Ok(scanner) => scanner,
                Err(error) => {
                    let (file, what) = (name.to_owned(), error.to_string());
                    self.pending.push(Pending { file, offset: 0, what, is_torn: false });
                    continue;
                }
            };
            for item in scanner {
                self.item(name, item, findings);
            }
        }
        Ok(())
    }

    fn item(&mut self, name: &str, item: LogItem, findings: &mut Findings) {
        let (offset, what, is_torn) = match item {
            LogItem::Record(record) => return self.record(name, record, findings),
            LogItem::Torn { offset, bytes } => {
                (offset, format!("an unfinished write of {bytes} bytes"), true)
            }
            LogItem::Damage { offset, until, what } => {
                let until = match until {
                    Some(until) => format!("the next record stands at {until}"),
                    None => "no record follows in this file".to_owned(),
                };
                (offset, format!("{what}; {until}"), false)
            }
        };
        self.pending.push(Pending { file: name.to_owned(), offset, what, is_torn });
    }

    fn record(&mut self, name: &str, record: LogRecord, findings: &mut Findings) {
        let LogRecord { offset, header, txn, digest } = record;
        let zxid = header.zxid;
        if zxid <= self.base {
            return self.settle(findings, |_| (false, "it lies before the snapshot"));
        }
        if zxid <= self.last {
            let what = format!(
                "{} comes again, after {}; passed over",
                describe(zxid),
                describe(self.last)
            );
            return findings.note(Some((name, Some(offset))), what);
        }
        let same_epoch = epoch(zxid) == epoch(self.last);
        let expected = if same_epoch { self.last + 1 } else { epoch(zxid) << 32 | 1 };
        if zxid > expected {
            self.settle(findings, |_| (true, "changes are missing behind it"));
            let what = format!(
                "{} changes before this one are missing: {} to {:#x}",
                zxid - expected,
                describe(expected),
                zxid - 1
            );
            findings.loss(Some((name, Some(offset))), what);
        } else if same_epoch {
            self.settle(findings, |_| (false, "nothing is missing behind it"));
        } else {
            self.settle(findings, |pending| match pending.is_torn {
                true => (false, "it ended its epoch, and was acknowledged to nobody"),
                false => (true, "a change at the end of its epoch may be missing"),
            });
        }
        let mut misfits = Vec::new();
        self.tree.apply(&header, txn, &mut misfits);
        self.misfits.extend(misfits.into_iter().map(|misfit| (zxid, misfit)));
        self.last = zxid;
        self.replayed += 1;
        self.last_digest = digest.filter(|digest| is_digest_known(*digest));
        self.check_snapshot_digest(findings);
    }

    /// The next record tells what odd places before it mean.
    fn settle(
        &mut self,
        findings: &mut Findings,
        judge: impl Fn(&Pending) -> (bool, &'static str),
    ) {
        for pending in self.pending.drain(..) {
            let (is_loss, why) = judge(&pending);
            let what = format!("{}; {why}", pending.what);
            findings.add(is_loss, Some((&pending.file, Some(pending.offset))), what);
        }
    }

    /// At the zxid that a snapshot's digest is of, the tree must come to it.
    fn check_snapshot_digest(&mut self, findings: &mut Findings) {
        if let Some((zxid, digest)) = self.snapshot_digest
            && self.last >= zxid
        {
            self.snapshot_digest = None;
            if self.last == zxid {
                self.compare(digest, "the snapshot", findings);
            }
        }
    }

    fn compare(&self, digest: Digest, source: &str, findings: &mut Findings) {
        // After a loss that is told already it cannot be otherwise.
        if findings.losses() == 0 && self.tree.digest() != digest.value {
            let what = format!(
                "at {} the znodes do not add up to the digest that {source} has: something was \
                 altered or lost that no other checksum tells",
                describe(self.last)
            );
            findings.loss(None, what);
        }
    }

    /// The tree as a server that starts would have it, and the last change.
    pub(crate) fn finish(mut self, findings: &mut Findings) -> (Tree, i64) {
        self.settle(findings, |pending| match pending.is_torn {
            true => (false, "it is the last one, and was acknowledged to nobody"),
            false => (true, "what stood there is lost"),
        });
        if self.last < self.snapshot_end {
            let what = format!(
                "the snapshot has changes up to {}, the logs only up to {}: some of those between \
                 them may be missing",
                describe(self.snapshot_end),
                describe(self.last)
            );
            findings.loss(None, what);
            self.last = self.snapshot_end;
        } else if let Some(digest) = self.last_digest {
            self.compare(digest, "the log", findings);
        }
        self.report_misfits(findings);
        let dropped = self.tree.drop_orphans();
        findings.list(
            false,
            dropped.into_iter().map(|(session, path)| {
                format!("{path}: deleted, as at any start, for its session {session:#x} has ended")
            }),
        );
        let without_parent = self.drop_without_parent();
        findings.list(
            true,
            without_parent.into_iter().map(|path| format!("{path}: its parent is missing")),
        );
        (self.tree, self.last)
    }

    /// A snapshot is taken while changes are made, so that some that the logs have after it are in
    /// it already. After losses, others do not fit that depended on what was lost.
    fn report_misfits(&mut self, findings: &mut Findings) {
        let mut misfits = std::mem::take(&mut self.misfits);
        if findings.losses() > 0 {
            let end = self.snapshot_end;
            let depended = misfits.extract_if(.., |(zxid, _)| *zxid > end);
            let depended: Vec<_> = depended.collect();
            findings.list(true, depended.into_iter().map(|(zxid, misfit)| tell(zxid, &misfit)));
        }
        if !misfits.is_empty() {
            let what = format!(
                "{} changes that the logs have were in the snapshot already, which was taken while \
                 they were made",
                misfits.len()
            );
            findings.note(None, what);
        }
    }

    fn drop_without_parent(&mut self) -> Vec<String> {
        let mut dropped = Vec::new();
        // Parents stand before their children.
        for path in self.tree.znodes.keys().cloned().collect::<Vec<_>>() {
            let parent = path.rsplit_once('/').map(|(parent, _)| parent);
            if parent.is_some_and(|parent| !self.tree.znodes.contains_key(parent)) {
                self.tree.znodes.remove(&path);
                dropped.push(path);
            }
        }
        dropped
    }
}

fn tell(zxid: i64, misfit: &Misfit) -> String {
    let why = match misfit.kind {
        MisfitKind::NoNode => "there is no such znode",
        MisfitKind::NodeExists => "it is there already",
        MisfitKind::NoParent => "its parent is missing",
    };
    format!("{}: not changed by {}, for {why}", shown(&misfit.path), describe(zxid))
}
