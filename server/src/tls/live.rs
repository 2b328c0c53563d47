//! Keys and certificates that are replaced while the server runs.
//!
//! A thread looks at the files every now and then. New handshakes use what is in them; connections
//! that are there already go on as they are. A file that cannot be used changes nothing.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::{io, mem};

use super::error::TlsError;
use super::settings::Settings;
use crate::limits;

/// The newest of something that was read from files.
pub(crate) struct Live<T>(RwLock<Arc<T>>);

impl<T: Send + Sync + 'static> Live<T> {
    /// Reads it; if it is to be read again, returns what watches the files as well.
    pub(super) fn start(
        whose: &'static str,
        settings: Settings<'_>,
        reloads: bool,
        make: fn(Settings<'_>) -> Result<T, TlsError>,
    ) -> Result<(Arc<Self>, Option<Watch>), TlsError> {
        // Before they are read, so that no change in between is missed.
        let files = Files::of(settings);
        let live = Arc::new(Live(RwLock::new(Arc::new(make(settings)?))));
        if !reloads {
            return Ok((live, None));
        }
        let (target, owned) = (Arc::clone(&live), settings.owned());
        let reload = move || make(owned.borrowed()).map(|made| target.set(made));
        Ok((live, Some(Watch { whose, files, reload: Box::new(reload) })))
    }

    fn set(&self, new: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
    }
}

impl<T> Live<T> {
    /// As it is now.
    pub(crate) fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Files whose changes count while the server runs.
pub(crate) struct Watch {
    /// Whose connections they are for.
    whose: &'static str,
    files: Files,
    reload: Box<dyn Fn() -> Result<(), TlsError> + Send>,
}

impl Watch {
    fn look(&mut self) {
        if !self.files.have_changed() {
            return;
        }
        match (self.reload)() {
            Ok(()) => {
                let whose = self.whose;
                tracing::info!("TLS of {whose}: changed keys and certificates are in use");
            }
            Err(error) => tracing::error!(
                "TLS of {}: changed keys and certificates cannot be used, so those read before \
                 stay: {error}",
                self.whose
            ),
        }
    }
}

/// Files, and how each looked last.
struct Files(Vec<(PathBuf, Option<Stamp>)>);

/// Modification time in seconds and nanoseconds, length, and the file behind the name: a link may
/// be turned to another one.
type Stamp = (i64, i64, u64, u64);

impl Files {
    fn of(settings: Settings<'_>) -> Self {
        let stamped = |path: PathBuf| {
            let stamp = stamp(&path);
            (path, stamp)
        };
        Files(settings.files().into_iter().map(stamped).collect())
    }

    fn have_changed(&mut self) -> bool {
        let mut have_changed = false;
        for (path, last) in &mut self.0 {
            let now = stamp(path);
            have_changed |= mem::replace(last, now) != now;
        }
        have_changed
    }
}

fn stamp(path: &PathBuf) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.len(), found.ino()))
}

/// The thread that looks at files, until this is dropped.
pub(crate) struct Reloader {
    _alive: Sender<()>,
}

impl Reloader {
    /// Watches files, if there are any to watch.
    pub(crate) fn start(mut watches: Vec<Watch>) -> io::Result<Option<Self>> {
        if watches.is_empty() {
            return Ok(None);
        }
        let (_alive, ended) = mpsc::channel();
        thread::Builder::new().name("tenure-tls".into()).spawn(move || {
            while ended.recv_timeout(limits::TLS_RELOAD) == Err(RecvTimeoutError::Timeout) {
                watches.iter_mut().for_each(Watch::look);
            }
        })?;
        Ok(Some(Reloader { _alive }))
    }
}
