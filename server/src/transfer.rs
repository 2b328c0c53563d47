//! A snapshot's way to a member that was left behind: a connection and threads of its own, so that
//! neither the messages of the ensemble nor anybody's clients wait for it.
//!
//! The sender names its newest snapshot file, the receiver says how much of it is there already,
//! and the rest follows. What arrived is checked from end to end and durable before the receiver's
//! replica hears of it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use tenure_storage::snapshots::{self, SnapshotReader};
use tenure_storage::{Disk, IncomingSnapshot};

use crate::limits;
use crate::mail::{Mail, Mailbox, Sending};
use crate::peers::LinkStream;
use crate::recovery;

/// Where a member keeps its snapshots.
#[derive(Clone)]
pub(crate) struct SnapshotFolder {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    /// That of the index of znodes of a state that is read from one.
    pub(crate) hash_seed: u64,
}

/// The receiver's verdict.
const TAKEN: u8 = 0;
const REFUSED: u8 = 1;

/// Longest name of a snapshot file, with room to spare.
const MAX_NAME_BYTES: u16 = 255;

impl SnapshotFolder {
    /// Sends the newest snapshot on a connection that has said what it is for, unless that does
    /// not reach the log index `reaching`. Reports to the driver.
    pub(crate) fn send(
        &self,
        to: u64,
        reaching: u64,
        connect: impl FnOnce() -> io::Result<LinkStream>,
        mailbox: &Mailbox,
    ) {
        let report = |what| mailbox.post(Mail::SnapshotSending { to, what });
        let newest = match self.newest() {
            Ok(newest) => newest,
            Err(error) => {
                tracing::warn!(member = to, %error, "no snapshot can be sent");
                return report(Sending::Failed);
            }
        };
        let Some((path, index)) = newest.filter(|(_, index)| *index >= reaching) else {
            return report(Sending::NoneSoNew);
        };
        report(Sending::Began { index });
        let began = Instant::now();
        match connect().and_then(|stream| send_file(&stream, &path)) {
            Ok(bytes) => {
                let took_ms = began.elapsed().as_millis() as u64;
                tracing::info!(member = to, index, bytes, took_ms, "snapshot sent");
                report(Sending::Done);
            }
            Err(error) => {
                tracing::warn!(member = to, index, %error, "snapshot not sent; it will go on");
                report(Sending::Failed);
            }
        }
    }

    fn newest(&self) -> Result<Option<(PathBuf, u64)>, tenure_storage::OpenError> {
        let newest = snapshots::list(&self.disk, &self.dir)?.into_iter().next();
        let Some(path) = newest else { return Ok(None) };
        let index = SnapshotReader::open(&self.disk, &path)?.meta().index;
        Ok(Some((path, index)))
    }

    /// Takes the snapshot that another member sends, and hands it to the driver.
    pub(crate) fn receive(&self, stream: &LinkStream, from: u64, mailbox: &Mailbox) {
        match self.receive_file(stream, from) {
            Ok(path) => self.hand_in(from, &path, mailbox),
            Err(error) => {
                tracing::warn!(member = from, %error, "snapshot not received");
                // The sender may be gone; it tries again in any case.
                _ = (&mut &*stream).write_all(&[REFUSED]);
            }
        }
    }

    fn receive_file(&self, mut stream: &LinkStream, from: u64) -> io::Result<PathBuf> {
        stream.set_read_patience(Some(limits::PEER_STALL))?;
        let (name, size) = read_title(&mut stream)?;
        let failed = io::Error::other;
        let mut file =
            IncomingSnapshot::open(&self.disk, &self.dir, &name, from).map_err(failed)?;
        if file.written() > size {
            file.abandon();
            return Err(io::Error::other("more is here already than there is"));
        }
        tracing::info!(member = from, name, size, here = file.written(), "receiving a snapshot");
        stream.write_all(&file.written().to_be_bytes())?;
        let mut buffer = vec![0; limits::TRANSFER_CHUNK_BYTES];
        while file.written() < size {
            let room = buffer.len().min((size - file.written()) as usize);
            let read = stream.read(&mut buffer[..room])?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.append(&buffer[..read]).map_err(failed)?;
        }
        let path = file.finish().map_err(failed)?;
        stream.write_all(&[TAKEN])?;
        Ok(path)
    }

    /// Reads the state on this thread, so that clients do not wait for it.
    fn hand_in(&self, from: u64, path: &Path, mailbox: &Mailbox) {
        match recovery::restore(&self.disk, path, self.hash_seed) {
            Ok((meta, state)) => {
                tracing::info!(member = from, index = meta.index, "snapshot received");
                mailbox.post(Mail::SnapshotReceived { meta, state: Box::new(state) });
            }
            Err(error) => tracing::error!(member = from, %error, "a snapshot makes no state"),
        }
    }
}

fn read_title(from: &mut impl Read) -> io::Result<(String, u64)> {
    let mut length = [0; 2];
    from.read_exact(&mut length)?;
    let length = u16::from_be_bytes(length);
    if length > MAX_NAME_BYTES {
        return Err(io::Error::other("no snapshot has such a long name"));
    }
    let mut name = vec![0; length.into()];
    from.read_exact(&mut name)?;
    let mut size = [0; 8];
    from.read_exact(&mut size)?;
    let name = String::from_utf8(name).map_err(io::Error::other)?;
    Ok((name, u64::from_be_bytes(size)))
}

/// Sends what the other end lacks of a file. Returns how many bytes that were.
fn send_file(mut stream: &LinkStream, path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    stream.set_read_patience(Some(limits::PEER_STALL))?;
    stream.write_all(&(name.len() as u16).to_be_bytes())?;
    stream.write_all(name.as_bytes())?;
    stream.write_all(&size.to_be_bytes())?;
    let mut here = [0; 8];
    stream.read_exact(&mut here)?;
    let here = u64::from_be_bytes(here);
    file.seek(SeekFrom::Start(here))?;
    let mut buffer = vec![0; limits::TRANSFER_CHUNK_BYTES];
    let (began, mut sent) = (Instant::now(), 0);
    while here + sent < size {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        stream.write_all(&buffer[..read])?;
        sent += read as u64;
        // At this pace disk and network have room for everything that clients wait for.
        let due = Duration::from_secs_f64(sent as f64 / limits::TRANSFER_BYTES_PER_SECOND);
        thread::sleep(due.saturating_sub(began.elapsed()));
    }
    // It is checked from end to end before this comes.
    stream.set_read_patience(Some(limits::TRANSFER_VERDICT))?;
    let mut verdict = [REFUSED];
    stream.read_exact(&mut verdict)?;
    match verdict {
        [TAKEN] => Ok(sent),
        _ => Err(io::Error::other("the member refused it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_comes_out_whole_and_a_long_or_torn_one_does_not() {
        let title = [&[0, 2][..], b"ab", &7_u64.to_be_bytes()].concat();
        assert_eq!(read_title(&mut &title[..]).expect("whole"), ("ab".to_owned(), 7));
        for end in 0..title.len() {
            assert!(read_title(&mut &title[..end]).is_err());
        }
        assert!(read_title(&mut &[255; 80_000][..]).is_err());
    }
}
