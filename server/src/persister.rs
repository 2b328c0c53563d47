//! The disk thread: appends the replica's batches to the log and reports when they are durable.
//!
//! Batches that queue up while a sync runs share the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tenure_replica::{HardState as OutputHardState, LogEntry, Persist};
use tenure_storage::{Entry, HardState, Log, WriteError};

use crate::RunError;
use crate::limits;
use crate::mail::{Mail, Mailbox, Synced};

/// When a batch counts as durable.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SyncPolicy {
    /// False by the owner's wish: batches are written, but not synced.
    pub(crate) force_sync: bool,
}

/// The driver's end of the disk thread.
pub(crate) struct Persister {
    jobs: Sender<Job>,
    /// Set when there is no more time to wait for room on the disk.
    is_stopping: Arc<AtomicBool>,
    busy: Busy,
    thread: Option<JoinHandle<Result<(), RunError>>>,
}

enum Job {
    Persist(Persist),
    CutBefore(u64),
}

impl Persister {
    /// Starts the thread, which owns the log from now on.
    pub(crate) fn start(
        log: Log,
        policy: SyncPolicy,
        mailbox: Mailbox,
    ) -> std::io::Result<Persister> {
        let (jobs, queue) = mpsc::channel();
        let gathered = Gathered::default();
        let is_stopping = Arc::new(AtomicBool::new(false));
        let busy = Busy::new();
        let worker = Worker {
            log,
            policy,
            mailbox,
            queue,
            is_stopping: Arc::clone(&is_stopping),
            busy: busy.clone(),
            gathered,
            bytes_since_fill: 0,
        };
        let thread = thread::Builder::new().name("tenure-disk".into()).spawn(|| worker.run())?;
        Ok(Persister { jobs, is_stopping, busy, thread: Some(thread) })
    }

    /// Has a batch made durable; the answer is `Mail::Persisted`.
    pub(crate) fn persist(&self, batch: Persist) {
        self.send(Job::Persist(batch));
    }

    /// Gives up the log before an index that a snapshot holds.
    pub(crate) fn cut_before(&self, index: u64) {
        self.send(Job::CutBefore(index));
    }

    /// For how long the thread has been at one write or sync; zero while it is at none.
    pub(crate) fn busy_for(&self) -> Duration {
        self.busy.lasted()
    }

    /// The thread ends by itself only after it has posted `Mail::Fatal`, which the driver then
    /// acts on: there is nothing to add here.
    fn send(&self, job: Job) {
        let _ = self.jobs.send(job);
    }

    /// Waits until everything handed over is written and synced. On a full disk that is not to
    /// be had: it was not acknowledged either, and is given up.
    pub(crate) fn finish(&mut self) -> Result<(), RunError> {
        self.is_stopping.store(true, Ordering::Release);
        // Dropping the sender is what ends the thread.
        self.jobs = mpsc::channel().0;
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(RunError::Thread("disk")),
            None => Ok(()),
        }
    }
}

/// Since when the disk thread has been at one operation, for whoever wants to know if it is stuck.
#[derive(Clone)]
struct Busy {
    start: Instant,
    /// Microseconds after `start`, 0 while there is no operation.
    since_us: Arc<AtomicU64>,
}

impl Busy {
    fn new() -> Self {
        Busy { start: Instant::now(), since_us: Arc::default() }
    }

    fn during<T>(&self, operation: impl FnOnce() -> T) -> T {
        let since_us = self.start.elapsed().as_micros() as u64;
        self.since_us.store(since_us.max(1), Ordering::Relaxed);
        let outcome = operation();
        self.since_us.store(0, Ordering::Relaxed);
        outcome
    }

    fn lasted(&self) -> Duration {
        match self.since_us.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            us => self.start.elapsed().saturating_sub(Duration::from_micros(us)),
        }
    }
}

/// What a job comes to, gathered until the next append or sync.
#[derive(Default)]
struct Gathered {
    /// Contiguous entries, to be appended by one call.
    entries: Vec<Entry>,
    hard_state: Option<HardState>,
    /// The newest batch, once there is one.
    ticket: Option<u64>,
    must_sync: bool,
    unsynced_entries: usize,
    unsynced_batches: usize,
}

struct Worker {
    log: Log,
    policy: SyncPolicy,
    mailbox: Mailbox,
    queue: Receiver<Job>,
    is_stopping: Arc<AtomicBool>,
    busy: Busy,
    gathered: Gathered,
    /// Log bytes written since the file was last filled ahead.
    bytes_since_fill: usize,
}

impl Worker {
    fn run(mut self) -> Result<(), RunError> {
        let outcome = self.work();
        if let Err(error) = &outcome {
            self.mailbox.post(Mail::Fatal(error.clone()));
        }
        outcome
    }

    fn work(&mut self) -> Result<(), RunError> {
        while let Some(job) = self.next_job()? {
            self.take(job)?;
            // Whatever queued up meanwhile shares the sync.
            while let Ok(job) = self.queue.try_recv() {
                self.take(job)?;
            }
            self.append()?;
            if let Some(ticket) = self.gathered.ticket.take() {
                let must_sync = std::mem::take(&mut self.gathered.must_sync);
                let synced = match must_sync && self.policy.force_sync {
                    true => Some(self.sync()?),
                    false => None,
                };
                self.mailbox.post(Mail::Persisted { ticket, synced });
            }
            if self.bytes_since_fill >= limits::LOG_FILL_EVERY_BYTES {
                self.fill_ahead()?;
            }
        }
        self.sync().map(|_| ())
    }

    /// The next job, or `None` when there will be none. Idle time is used to prepare the log.
    fn next_job(&mut self) -> Result<Option<Job>, RunError> {
        match self.queue.try_recv() {
            Ok(job) => return Ok(Some(job)),
            Err(TryRecvError::Disconnected) => return Ok(None),
            Err(TryRecvError::Empty) => {}
        }
        loop {
            match self.queue.recv_timeout(limits::DISK_IDLE) {
                Ok(job) => return Ok(Some(job)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if self.fill_ahead()? => {}
                Err(RecvTimeoutError::Timeout) => return Ok(self.queue.recv().ok()),
            }
        }
    }

    fn take(&mut self, job: Job) -> Result<(), RunError> {
        match job {
            Job::Persist(batch) => self.gather(batch),
            Job::CutBefore(index) => {
                self.append()?;
                self.busy.during(|| self.log.cut_before(index)).map_err(RunError::Disk)
            }
        }
    }

    fn gather(&mut self, batch: Persist) -> Result<(), RunError> {
        let Persist { ticket, hard_state, entries, must_sync } = batch;
        if let (Some(last), Some(first)) = (self.gathered.entries.last(), entries.first())
            && first.index != last.index + 1
        {
            self.append()?;
        }
        self.gathered.unsynced_entries += entries.len();
        self.gathered.unsynced_batches += 1;
        for LogEntry { index, term, kind, data } in entries {
            self.bytes_since_fill += data.len() + limits::LOG_RECORD_BYTES;
            self.gathered.entries.push(Entry { index, term, kind, data });
        }
        if let Some(OutputHardState { term, vote, commit, catching_up }) = hard_state {
            self.gathered.hard_state = Some(HardState { term, vote, commit, catching_up });
        }
        self.gathered.ticket = Some(ticket);
        self.gathered.must_sync |= must_sync;
        Ok(())
    }

    /// Appends what is gathered. A full disk is waited out: the writes concerned just take longer,
    /// and back-pressure bounds what gathers behind them.
    fn append(&mut self) -> Result<(), RunError> {
        let hard_state = self.gathered.hard_state.take();
        if hard_state.is_none() && self.gathered.entries.is_empty() {
            return Ok(());
        }
        let mut tries = 0;
        // A wait for room is no write that lasts.
        while let Err(error) =
            self.busy.during(|| self.log.append(hard_state, &self.gathered.entries))
        {
            let is_full = matches!(error, WriteError::Full { .. });
            if !is_full || self.is_stopping.load(Ordering::Acquire) {
                return Err(RunError::Disk(error));
            }
            if tries % limits::DISK_FULL_TRIES_PER_LINE == 0 {
                tracing::error!("{error}; writes wait until there is room, reads go on");
            }
            if tries == 0 {
                self.mailbox.post(Mail::DiskFull(true));
            }
            tries += 1;
            thread::sleep(limits::DISK_FULL_RETRY);
        }
        if tries > 0 {
            tracing::info!("the disk has room again; writes go on");
            self.mailbox.post(Mail::DiskFull(false));
        }
        self.gathered.entries.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<Synced, RunError> {
        let began = Instant::now();
        self.busy.during(|| self.log.sync()).map_err(RunError::Disk)?;
        let took = began.elapsed();
        let entries = std::mem::take(&mut self.gathered.unsynced_entries);
        let waiting = std::mem::take(&mut self.gathered.unsynced_batches);
        Ok(Synced { entries, took_us: took.as_micros() as u64, waiting })
    }

    /// One step of preparing the log's file; returns whether there is more to prepare.
    fn fill_ahead(&mut self) -> Result<bool, RunError> {
        self.bytes_since_fill = 0;
        match self.busy.during(|| self.log.prepare_next()) {
            Ok(has_more) => Ok(has_more),
            // The append that needs the room will say so.
            Err(WriteError::Full { .. }) => Ok(false),
            Err(error) => Err(RunError::Disk(error)),
        }
    }
}

#[cfg(test)]
mod tests;
