//! Snapshot files: written as a stream of checksummed chunks, under another name until durable.
//!
//! ```text
//! header: magic, version, length of the meta, checksum; then the meta
//! chunk:  stored length, raw length, checksum of the stored bytes, how stored, checksum of this
//! footer: the same head with kind "end", and as stored bytes: chunk count, raw bytes
//! ```
//! Every chunk's checksums are mixed with the checksum of the part before, so that the last one
//! covers the whole file: a chunk that is missing, doubled or swapped does not verify.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zstd::bulk::{Compressor, Decompressor};

use crate::disk::{Disk, DiskFile, OpenMode};
use crate::log::WriteError;
use crate::recovery::OpenError;
use crate::segment::FORMAT_VERSION;
use crate::window::Window;

/// What a snapshot is a snapshot of.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SnapshotMeta {
    /// Log index of the last entry contained.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// Zxid of the last change contained.
    pub zxid: i64,
    /// Whatever else the caller keeps, opaque here.
    pub extra: Vec<u8>,
}

/// Longest chunk, raw, in bytes: the largest request fits, and a reader's memory stays bounded.
pub const MAX_CHUNK_BYTES: usize = 128 << 20;

/// Longest `SnapshotMeta::extra` in bytes.
pub const MAX_EXTRA_BYTES: usize = 1 << 20;

const MAGIC: &[u8; 8] = b"TENURSNP";
const HEADER_BYTES: usize = 24;
const HEAD_BYTES: usize = 20;
const META_BYTES: usize = 24;
const FOOTER_BYTES: usize = 16;
const KIND_RAW: u8 = 0;
const KIND_ZSTD: u8 = 1;
const KIND_END: u8 = 2;
const ZSTD_LEVEL: i32 = 1;

/// Compressing less than this cannot pay.
const MIN_COMPRESS_BYTES: usize = 64;

/// Bytes gathered before a write call.
const BUFFER_BYTES: usize = 256 << 10;

/// Bytes written between syncs: one long sync at the end would hold up the log's.
const SYNC_EVERY_BYTES: u64 = 4 << 20;

const SUFFIX: &str = ".snap";
pub(crate) const UNFINISHED: &str = ".tmp";

/// Writes one snapshot; without `finish` it leaves only a file that the next start removes.
pub struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: DiskFile,
    path: PathBuf,
    buf: Vec<u8>,
    written: u64,
    synced: u64,
    chain: u32,
    chunks: u64,
    raw_bytes: u64,
    compressor: Compressor<'static>,
}

impl SnapshotWriter {
    /// Starts a snapshot in a folder, creating that if needed.
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        meta: &SnapshotMeta,
    ) -> Result<SnapshotWriter, WriteError> {
        if meta.extra.len() > MAX_EXTRA_BYTES {
            return Err(WriteError::TooLarge { bytes: meta.extra.len() as u64 });
        }
        let path = dir.join(file_name(meta));
        let unfinished = dir.join(format!("{}{UNFINISHED}", file_name(meta)));
        let failed = |error| WriteError::of("creating", &unfinished, &error);
        disk.create_dir(dir).map_err(failed)?;
        let file = DiskFile::open(&disk, &unfinished, OpenMode::Create).map_err(failed)?;
        let compressor = Compressor::new(ZSTD_LEVEL).map_err(failed)?;
        let (buf, chain) = encode_header(meta);
        Ok(SnapshotWriter {
            disk,
            dir: dir.to_path_buf(),
            file,
            path,
            buf,
            written: 0,
            synced: 0,
            chain,
            chunks: 0,
            raw_bytes: 0,
            compressor,
        })
    }

    /// Adds a chunk; a reader gets back the same chunks.
    pub fn chunk(&mut self, raw: &[u8]) -> Result<(), WriteError> {
        if raw.len() > MAX_CHUNK_BYTES {
            return Err(WriteError::TooLarge { bytes: raw.len() as u64 });
        }
        self.chunks += 1;
        self.raw_bytes += raw.len() as u64;
        if raw.len() >= MIN_COMPRESS_BYTES {
            let packed = self.compressor.compress(raw);
            let packed = packed.map_err(|error| self.error("compressing for", &error))?;
            if packed.len() < raw.len() {
                return self.part(KIND_ZSTD, &packed, raw.len());
            }
        }
        self.part(KIND_RAW, raw, raw.len())
    }

    /// Completes the file, makes it durable and gives it its name; returns its path.
    pub fn finish(mut self) -> Result<PathBuf, WriteError> {
        let footer = footer_bytes(self.chunks, self.raw_bytes);
        self.part(KIND_END, &footer, FOOTER_BYTES)?;
        self.flush()?;
        self.file.sync_data().map_err(|error| self.error("syncing", &error))?;
        let path = self.path.clone();
        self.file.rename(&path).map_err(|error| self.error("naming", &error))?;
        self.disk
            .sync_dir(&self.dir)
            .map_err(|error| self.error("syncing the folder of", &error))?;
        Ok(self.path)
    }

    /// Gives the snapshot up and frees its space.
    pub fn abandon(self) {
        let path = self.file.path().to_path_buf();
        drop(self.file);
        // The next start removes it if this does not.
        let _ = self.disk.remove(&path);
    }

    fn part(&mut self, kind: u8, stored: &[u8], raw_len: usize) -> Result<(), WriteError> {
        let head = encode_head(kind, stored, raw_len, self.chain);
        self.chain = u32::from_le_bytes(head[16..].try_into().expect("4 bytes"));
        self.buf.extend_from_slice(&head);
        self.buf.extend_from_slice(stored);
        if self.buf.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), WriteError> {
        let written = self.file.write_all_at(&self.buf, self.written);
        written.map_err(|error| self.error("writing", &error))?;
        self.written += self.buf.len() as u64;
        self.buf.clear();
        if self.written - self.synced >= SYNC_EVERY_BYTES {
            self.file.sync_data().map_err(|error| self.error("syncing", &error))?;
            self.synced = self.written;
        }
        Ok(())
    }

    fn error(&self, op: &'static str, error: &io::Error) -> WriteError {
        WriteError::of(op, self.file.path(), error)
    }
}

/// Reads a snapshot chunk by chunk, checking as it goes.
pub struct SnapshotReader {
    file: DiskFile,
    size: u64,
    meta: SnapshotMeta,
    offset: u64,
    chain: u32,
    chunks: u64,
    raw_bytes: u64,
    done: bool,
    window: Window,
    decompressor: Decompressor<'static>,
}

impl SnapshotReader {
    /// Opens a snapshot and reads what it is one of.
    pub fn open(disk: &Arc<dyn Disk>, path: &Path) -> Result<SnapshotReader, OpenError> {
        SnapshotReader::open_part(disk, path, 0..u64::MAX)
    }

    /// Opens a snapshot that is the part of a file between two offsets, or up to its end.
    pub fn open_part(
        disk: &Arc<dyn Disk>,
        path: &Path,
        part: Range<u64>,
    ) -> Result<SnapshotReader, OpenError> {
        let failed = |error| OpenError::io("opening", path, error);
        let file = DiskFile::open(disk, path, OpenMode::Read).map_err(failed)?;
        let size = file.size().map_err(failed)?.min(part.end);
        let mut reader = SnapshotReader {
            file,
            size,
            meta: SnapshotMeta::default(),
            offset: part.start,
            chain: 0,
            chunks: 0,
            raw_bytes: 0,
            done: false,
            window: Window::new(size),
            decompressor: Decompressor::new().map_err(failed)?,
        };
        reader.read_header()?;
        Ok(reader)
    }

    /// What it is a snapshot of.
    pub fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// Offset of the next chunk in the file, in bytes.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next chunk, or `None` after the last one, when the whole file has been checked.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>, OpenError> {
        let Some((at, head)) = self.next_head()? else { return Ok(None) };
        let stored = self.bytes(at + HEAD_BYTES as u64, head.stored_len)?;
        if head.kind == KIND_RAW {
            return Ok(Some(stored.to_vec()));
        }
        // Not through `bytes`, which would hold all of `self` while the decompressor works.
        let stored = self.window.bytes(&self.file, at + HEAD_BYTES as u64, head.stored_len as u64);
        let stored = stored.ok().flatten().unwrap_or_default();
        match self.decompressor.decompress(stored, head.raw_len) {
            Ok(raw) if raw.len() == head.raw_len => Ok(Some(raw)),
            _ => Err(self.damaged(at, "the chunk does not decompress")),
        }
    }

    /// Checks the next chunk and steps over it; `None` after the footer.
    fn next_head(&mut self) -> Result<Option<(u64, Head)>, OpenError> {
        if self.done {
            return Ok(None);
        }
        let (at, chain) = (self.offset, self.chain);
        let head = Head::decode(self.bytes(at, HEAD_BYTES)?, chain);
        let head = head.ok_or_else(|| self.damaged(at, "this is not the next chunk"))?;
        let expected = footer_bytes(self.chunks, self.raw_bytes);
        let stored = self.bytes(at + HEAD_BYTES as u64, head.stored_len)?;
        let footer_fits = stored == expected;
        if crc32c::crc32c(stored) != head.stored_checksum {
            return Err(self.damaged(at, "the chunk does not match its checksum"));
        }
        self.offset = at + (HEAD_BYTES + head.stored_len) as u64;
        self.chain = head.chain;
        if head.kind == KIND_END {
            if !footer_fits || self.offset != self.size {
                return Err(self.damaged(at, "the footer does not match the file"));
            }
            self.done = true;
            return Ok(None);
        }
        self.chunks += 1;
        self.raw_bytes += head.raw_len as u64;
        Ok(Some((at, head)))
    }

    fn read_header(&mut self) -> Result<(), OpenError> {
        let start = self.offset;
        let header = self.bytes(start, HEADER_BYTES)?;
        let u32_at = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("4"));
        let (version, meta_len, meta_checksum) = (u32_at(8), u32_at(12) as usize, u32_at(16));
        let intact = &header[..8] == MAGIC && crc32c::crc32c(&header[..20]) == u32_at(20);
        let chain = u32_at(20);
        if !intact {
            return Err(self.damaged(start, "the header does not match its checksum"));
        }
        if version != FORMAT_VERSION {
            let file = self.file.path().to_path_buf();
            return Err(OpenError::Version { file, found: version });
        }
        let meta_at = start + HEADER_BYTES as u64;
        let meta = self.bytes(meta_at, meta_len)?;
        if meta.len() < META_BYTES || crc32c::crc32c(meta) != meta_checksum {
            let what = "the snapshot's description does not match its checksum";
            return Err(self.damaged(meta_at, what));
        }
        let u64_at = |at: usize| u64::from_le_bytes(meta[at..at + 8].try_into().expect("8"));
        self.meta = SnapshotMeta {
            index: u64_at(0),
            term: u64_at(8),
            zxid: u64_at(16) as i64,
            extra: meta[META_BYTES..].to_vec(),
        };
        self.offset = meta_at + meta_len as u64;
        self.chain = chain;
        Ok(())
    }

    /// Bytes of the file; their absence is damage.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], OpenError> {
        let path = self.file.path();
        match self.window.bytes(&self.file, offset, len as u64) {
            Ok(Some(bytes)) => Ok(bytes),
            Ok(None) => Err(OpenError::damaged(path, offset, "the file ends too early")),
            Err(error) => Err(OpenError::io("reading", path, error)),
        }
    }

    fn damaged(&self, offset: u64, what: &str) -> OpenError {
        OpenError::damaged(self.file.path(), offset, what)
    }
}

struct Head {
    stored_len: usize,
    raw_len: usize,
    stored_checksum: u32,
    kind: u8,
    chain: u32,
}

impl Head {
    /// Reads a head; `chain` is the checksum of the part before.
    fn decode(bytes: &[u8], chain: u32) -> Option<Head> {
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4"));
        let head = Head {
            stored_len: u32_at(0) as usize,
            raw_len: u32_at(4) as usize,
            stored_checksum: u32_at(8),
            kind: bytes[12],
            chain: u32_at(16),
        };
        let sizes = head.raw_len <= MAX_CHUNK_BYTES && head.stored_len <= head.raw_len;
        let intact = head.chain == crc32c::crc32c_append(chain, &bytes[..16]);
        (intact && sizes && head.kind <= KIND_END).then_some(head)
    }
}

fn encode_head(kind: u8, stored: &[u8], raw_len: usize, chain: u32) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&(stored.len() as u32).to_le_bytes());
    head[4..8].copy_from_slice(&(raw_len as u32).to_le_bytes());
    head[8..12].copy_from_slice(&crc32c::crc32c(stored).to_le_bytes());
    head[12] = kind;
    let chain = crc32c::crc32c_append(chain, &head[..16]);
    head[16..].copy_from_slice(&chain.to_le_bytes());
    head
}

fn footer_bytes(chunks: u64, raw_bytes: u64) -> [u8; FOOTER_BYTES] {
    let mut footer = [0; FOOTER_BYTES];
    footer[..8].copy_from_slice(&chunks.to_le_bytes());
    footer[8..].copy_from_slice(&raw_bytes.to_le_bytes());
    footer
}

fn encode_header(meta: &SnapshotMeta) -> (Vec<u8>, u32) {
    let mut described = Vec::with_capacity(META_BYTES + meta.extra.len());
    described.extend_from_slice(&meta.index.to_le_bytes());
    described.extend_from_slice(&meta.term.to_le_bytes());
    described.extend_from_slice(&meta.zxid.to_le_bytes());
    described.extend_from_slice(&meta.extra);
    let mut bytes = Vec::with_capacity(BUFFER_BYTES + HEADER_BYTES);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&(described.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&described).to_le_bytes());
    let checksum = crc32c::crc32c(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(&described);
    (bytes, checksum)
}

fn file_name(meta: &SnapshotMeta) -> String {
    format!("{:016x}-{:016x}{SUFFIX}", meta.zxid, meta.index)
}

fn parse_file_name(name: &str) -> Option<u64> {
    let (zxid, index) = name.strip_suffix(SUFFIX)?.split_once('-')?;
    u64::from_str_radix(zxid, 16).ok()?;
    u64::from_str_radix(index, 16).ok()
}

/// Whether a snapshot's file can be called so.
pub(crate) fn is_name(name: &str) -> bool {
    parse_file_name(name).is_some()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

/// The snapshots of a folder, newest first, unchecked; none if there is no such folder.
pub fn list(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let names = names(disk, dir)?;
    let parse = |name: &String| Some((parse_file_name(name)?, dir.join(name)));
    let mut found: Vec<_> = names.iter().filter_map(parse).collect();
    found.sort();
    Ok(found.into_iter().rev().map(|(_, path)| path).collect())
}

fn names(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<String>, OpenError> {
    match disk.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|error| OpenError::io("listing", dir, error)),
    }
}

/// Reads a whole snapshot and checks every byte of it, in bounded memory. The checksums cover the
/// stored bytes, so that nothing need be decompressed.
pub fn validate(disk: &Arc<dyn Disk>, path: &Path) -> Result<SnapshotMeta, OpenError> {
    let mut reader = SnapshotReader::open(disk, path)?;
    while reader.next_head()?.is_some() {}
    Ok(reader.meta)
}

/// A snapshot file and whether it can be used.
pub struct Candidate {
    /// The file.
    pub path: PathBuf,
    /// What it is a snapshot of, or why it is none.
    pub checked: Result<SnapshotMeta, OpenError>,
}

/// Every snapshot of a folder, newest first, each checked in full.
pub fn candidates(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<Candidate>, OpenError> {
    let check = |path: PathBuf| Candidate { checked: validate(disk, &path), path };
    Ok(list(disk, dir)?.into_iter().map(check).collect())
}

/// The newest snapshot of a folder that is intact from end to end.
pub fn newest_valid(
    disk: &Arc<dyn Disk>,
    dir: &Path,
) -> Result<Option<(PathBuf, SnapshotMeta)>, OpenError> {
    for path in list(disk, dir)? {
        match validate(disk, &path) {
            Ok(meta) => return Ok(Some((path, meta))),
            Err(OpenError::Damaged { .. } | OpenError::Version { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Removes all but the newest `retain` snapshots; returns those removed.
pub fn purge(disk: &Arc<dyn Disk>, dir: &Path, retain: usize) -> Result<Vec<PathBuf>, OpenError> {
    let old: Vec<PathBuf> = list(disk, dir)?.into_iter().skip(retain).collect();
    for path in &old {
        disk.remove(path).map_err(|error| OpenError::io("removing", path, error))?;
    }
    Ok(old)
}

/// Removes what unfinished snapshots left; returns a note for each.
pub fn remove_leftovers(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<String>, OpenError> {
    let mut notes = Vec::new();
    for name in names(disk, dir)?.iter().filter(|name| name.ends_with(UNFINISHED)) {
        let path = dir.join(name);
        disk.remove(&path).map_err(|error| OpenError::io("removing", &path, error))?;
        notes.push(format!("removed an unfinished snapshot: {}", path.display()));
    }
    Ok(notes)
}
