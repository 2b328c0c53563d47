//! The snapshot thread: compresses and writes what the replica copies out, and purges old files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Instant, UNIX_EPOCH};

use tenure_replica::SnapshotMeta;
use tenure_storage::snapshots::{self, SnapshotReader, SnapshotWriter};
use tenure_storage::{Disk, WriteError};
use tenure_wire::Zxid;

use crate::admin::report::SnapshotReport;
use crate::founding::file_meta;
use crate::limits;
use crate::mail::{Mail, Mailbox};

/// Where snapshots go and how many of them stay.
pub(crate) struct SnapshotPolicy {
    /// The disk.
    pub(crate) disk: Arc<dyn Disk>,
    /// The folder.
    pub(crate) dir: PathBuf,
    /// How many are kept.
    pub(crate) retain: usize,
}

/// The driver's end of the snapshot thread.
pub(crate) struct Snapshotter {
    jobs: Sender<Job>,
    /// Chunks handed over and not written yet.
    waiting: Arc<AtomicUsize>,
}

enum Job {
    Begin(SnapshotMeta),
    Chunk(Vec<u8>),
    End,
    Abandon,
}

impl Snapshotter {
    /// Starts the thread. It ends with the driver; a snapshot under way is then left unfinished,
    /// and removed by the next start.
    pub(crate) fn start(policy: SnapshotPolicy, mailbox: Mailbox) -> std::io::Result<Snapshotter> {
        let (jobs, queue) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let worker =
            Worker { policy, mailbox, queue, waiting: Arc::clone(&waiting), under_way: None };
        thread::Builder::new().name("tenure-snapshot".into()).spawn(|| worker.run())?;
        Ok(Snapshotter { jobs, waiting })
    }

    /// Whether another chunk is welcome.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Acquire) < limits::SNAPSHOT_CHUNKS_IN_FLIGHT
    }

    /// A snapshot starts.
    pub(crate) fn begin(&self, meta: SnapshotMeta) {
        self.send(Job::Begin(meta));
    }

    /// The next bytes of it.
    pub(crate) fn chunk(&self, bytes: Vec<u8>) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        self.send(Job::Chunk(bytes));
    }

    /// It is complete; the answer is `Mail::SnapshotSaved` or `Mail::SnapshotFailed`.
    pub(crate) fn end(&self) {
        self.send(Job::End);
    }

    /// It is not wanted any more.
    pub(crate) fn abandon(&self) {
        self.send(Job::Abandon);
    }

    /// The thread lives as long as this sender.
    fn send(&self, job: Job) {
        let _ = self.jobs.send(job);
    }
}

struct UnderWay {
    writer: SnapshotWriter,
    index: u64,
    zxid: Zxid,
    began: Instant,
}

struct Worker {
    policy: SnapshotPolicy,
    mailbox: Mailbox,
    queue: Receiver<Job>,
    waiting: Arc<AtomicUsize>,
    /// `None` between snapshots, and after one failed until its end.
    under_way: Option<UnderWay>,
}

impl Worker {
    fn run(mut self) {
        while let Ok(job) = self.queue.recv() {
            match job {
                Job::Begin(meta) => self.begin(&meta),
                Job::Chunk(bytes) => self.chunk(&bytes),
                Job::End => self.end(),
                Job::Abandon => {
                    if let Some(unwanted) = self.under_way.take() {
                        unwanted.writer.abandon();
                    }
                }
            }
        }
    }

    fn begin(&mut self, meta: &SnapshotMeta) {
        let disk = Arc::clone(&self.policy.disk);
        match SnapshotWriter::create(disk, &self.policy.dir, &file_meta(meta)) {
            Ok(writer) => {
                let began = Instant::now();
                let (index, zxid) = (meta.index, meta.zxid);
                self.under_way = Some(UnderWay { writer, index, zxid, began });
            }
            Err(error) => Self::log_failure(&error),
        }
    }

    fn chunk(&mut self, bytes: &[u8]) {
        if let Some(under_way) = &mut self.under_way
            && let Err(error) = under_way.writer.chunk(bytes)
        {
            Self::log_failure(&error);
            if let Some(failed) = self.under_way.take() {
                failed.writer.abandon();
            }
        }
        if self.waiting.fetch_sub(1, Ordering::AcqRel) == limits::SNAPSHOT_CHUNKS_IN_FLIGHT {
            self.mailbox.post(Mail::SnapshotRoom);
        }
    }

    fn end(&mut self) {
        let Some(UnderWay { writer, index, zxid, began }) = self.under_way.take() else {
            self.mailbox.post(Mail::SnapshotFailed);
            return;
        };
        match writer.finish() {
            Ok(path) => {
                let took_us = began.elapsed().as_micros() as u64;
                tracing::info!(path = %path.display(), took_ms = took_us / 1000, "snapshot saved");
                let log_from = self.purge(index);
                let report = SnapshotReport { zxid, written_wall_ms: modified_wall_ms(&path) };
                let saved = Mail::SnapshotSaved { index, path, log_from, report, took_us };
                self.mailbox.post(saved);
            }
            Err(error) => {
                Self::log_failure(&error);
                self.mailbox.post(Mail::SnapshotFailed);
            }
        }
    }

    /// Removes the snapshots beyond those to keep. Returns where the log must still begin: at the
    /// snapshot before the newest, so that the newest may turn out damaged without loss.
    fn purge(&self, newest: u64) -> u64 {
        let SnapshotPolicy { disk, dir, retain } = &self.policy;
        if let Err(error) = snapshots::purge(disk, dir, *retain) {
            tracing::warn!(%error, "old snapshots could not be removed");
        }
        match snapshots::list(disk, dir) {
            Ok(paths) => match paths.get(1).map(|path| SnapshotReader::open(disk, path)) {
                Some(Ok(previous)) => previous.meta().index + 1,
                _ => newest + 1,
            },
            Err(_) => newest + 1,
        }
    }

    fn log_failure(error: &WriteError) {
        tracing::error!(%error, "snapshot given up; it will be tried again");
    }
}

/// When a file was last written, in milliseconds since the Unix epoch.
pub(crate) fn modified_wall_ms(path: &Path) -> i64 {
    let modified = std::fs::metadata(path).and_then(|found| found.modified());
    let since = modified.ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| since.as_millis() as i64)
}
