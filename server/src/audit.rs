//! The audit log: who changed what, one line of JSON for each, in files of its own.
//!
//! A thread writes it; whoever has something to record only puts it into a bounded queue. If the
//! disk is slow or full, records are lost rather than clients held up, and the log says how many
//! were lost as soon as it can be written again. Nothing is synced: after a power loss the last
//! lines may be missing.

mod file;
mod line;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::{self, JoinHandle};

pub(crate) use line::AuditLine;

use crate::config::AuditSettings;
use crate::limits;
use crate::log_limit::LogLimit;
use file::AuditFile;

/// The sending side: clonable, one per thread that has something to record.
#[derive(Clone)]
pub(crate) struct Audit {
    queue: SyncSender<AuditLine>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Bytes of texts in the queue.
    queued_bytes: AtomicUsize,
    /// Records lost since the log last said so.
    unreported: AtomicU64,
    /// Records lost since the server's start.
    lost: AtomicU64,
}

impl Shared {
    fn lose(&self, count: u64) {
        self.unreported.fetch_add(count, Ordering::Relaxed);
        self.lost.fetch_add(count, Ordering::Relaxed);
    }
}

/// The writing thread.
pub(crate) struct AuditThread(JoinHandle<()>);

impl AuditThread {
    /// Waits until everything in the queue is written. Every [`Audit`] must be dropped before.
    pub(crate) fn finish(self) {
        // A panic over there was told by its hook.
        let _ = self.0.join();
    }
}

impl Audit {
    /// Opens the log and starts its thread.
    ///
    /// # Errors
    /// If the log cannot be written: whoever wants one does not want a server without it.
    pub(crate) fn start(
        path: PathBuf,
        settings: &AuditSettings,
    ) -> io::Result<(Audit, AuditThread)> {
        let file = AuditFile::open(path, settings.max_file_bytes, settings.max_files)?;
        let (queue, lines) = mpsc::sync_channel(limits::AUDIT_QUEUE);
        let shared = Arc::new(Shared::default());
        let writer = Writer { file, shared: Arc::clone(&shared), noise: LogLimit::default() };
        let thread =
            thread::Builder::new().name("tenure-audit".into()).spawn(move || writer.run(&lines))?;
        Ok((Audit { queue, shared }, AuditThread(thread)))
    }

    /// Records something, unless too much waits already.
    pub(crate) fn record(&self, line: AuditLine) {
        let bytes = line.text_bytes();
        let queued = self.shared.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if queued + bytes > limits::AUDIT_QUEUE_BYTES || self.queue.try_send(line).is_err() {
            self.shared.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.shared.lose(1);
        }
    }

    /// Records lost since the server's start.
    pub(crate) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

struct Writer {
    file: AuditFile,
    shared: Arc<Shared>,
    noise: LogLimit,
}

impl Writer {
    fn run(mut self, lines: &Receiver<AuditLine>) {
        let mut text = Vec::new();
        while let Ok(first) = lines.recv() {
            text.clear();
            let mut count = 0;
            let mut next = Some(first);
            // What waits is written in one piece.
            while let Some(line) = next {
                self.shared.queued_bytes.fetch_sub(line.text_bytes(), Ordering::Relaxed);
                line.write(&mut text);
                count += 1;
                let is_full = text.len() >= limits::AUDIT_WRITE_BYTES;
                next = if is_full { None } else { lines.try_recv().ok() };
            }
            self.write(&text, count);
        }
        self.report_lost();
    }

    fn write(&mut self, text: &[u8], count: u64) {
        let is_reported = self.report_lost();
        let written = if is_reported { self.file.append(text) } else { Ok(()) };
        if !is_reported || written.is_err() {
            self.shared.lose(count);
        }
        if let Err(error) = written {
            self.complain(&error);
        }
    }

    /// Writes down how many records were lost before; returns whether that could be done.
    fn report_lost(&mut self) -> bool {
        let lost = self.shared.unreported.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return true;
        }
        let mut text = Vec::new();
        AuditLine::lost(lost).write(&mut text);
        match self.file.append(&text) {
            Ok(()) => {
                tracing::warn!(lost, "records of the audit log were lost");
                true
            }
            Err(error) => {
                self.shared.unreported.fetch_add(lost, Ordering::Relaxed);
                self.complain(&error);
                false
            }
        }
    }

    fn complain(&mut self, error: &io::Error) {
        if let Some(times) = self.noise.allow() {
            let path = self.file.path().display();
            tracing::error!(%path, %error, times, "the audit log cannot be written");
        }
    }
}

#[cfg(test)]
mod tests;
