//! One file of the log: its header, its name, and a reader that trusts nothing.

use std::io;
use std::path::{Path, PathBuf};

use crate::disk::DiskFile;
use crate::record::{self, ALIGN, HEAD_BYTES, Head, Place, Record};
use crate::window::Window;

/// Bytes before the first record.
pub(crate) const HEADER_BYTES: u64 = 64;

/// Version of the on-disk format this build writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// What a segment says of itself, written and synced before it gets its name.
///
/// Magic, version and the place of the checksum stay the same in every later format, so that an
/// older build can tell "newer" from "damaged".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// Mixed into every record's checksum.
    pub(crate) salt: u64,
    /// Position among the segments, from 1, without gaps.
    pub(crate) sequence: u64,
    /// Index of the first entry expected here.
    pub(crate) first_index: u64,
    /// Where the records of the segment before end; all of them are durable.
    pub(crate) previous_end: u64,
    /// Whether bytes after the last record may be left over from an earlier use.
    pub(crate) recycled: bool,
}

/// Why a header cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Not a header, or damaged.
    Damaged(&'static str),
    /// Intact, but of a format that this build does not know.
    Version(u32),
}

const MAGIC: &[u8; 8] = b"TENURLOG";
const CHECKSUM_AT: usize = 60;

impl Header {
    /// The header's bytes and its checksum, which the first record repeats.
    pub(crate) fn encode(&self) -> ([u8; HEADER_BYTES as usize], u32) {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12] = u8::from(self.recycled);
        bytes[16..24].copy_from_slice(&self.salt.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.first_index.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.previous_end.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        (bytes, checksum)
    }

    /// Reads a header; also returns its checksum.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Header, u32), HeaderFault> {
        let Some(bytes) = bytes.first_chunk::<{ HEADER_BYTES as usize }>() else {
            return Err(HeaderFault::Damaged("the file is shorter than a segment header"));
        };
        if &bytes[..8] != MAGIC {
            return Err(HeaderFault::Damaged("the file does not start as a log segment does"));
        }
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8"));
        let checksum = u32_at(CHECKSUM_AT);
        if crc32c::crc32c(&bytes[..CHECKSUM_AT]) != checksum {
            return Err(HeaderFault::Damaged("the segment header does not match its checksum"));
        }
        if u32_at(8) != FORMAT_VERSION {
            return Err(HeaderFault::Version(u32_at(8)));
        }
        let header = Header {
            salt: u64_at(16),
            sequence: u64_at(24),
            first_index: u64_at(32),
            previous_end: u64_at(40),
            recycled: bytes[12] != 0,
        };
        Ok((header, checksum))
    }
}

/// `<sequence>-<first index>.log`. The index alone would not do: after a change of leader a later
/// segment can start at the same index as an earlier one.
pub(crate) fn file_name(sequence: u64, first_index: u64) -> String {
    format!("{sequence:08x}-{first_index:016x}.log")
}

/// The sequence number in a segment's name, if it is one.
pub(crate) fn parse_file_name(name: &str) -> Option<u64> {
    let (sequence, first_index) = name.strip_suffix(".log")?.split_once('-')?;
    u64::from_str_radix(first_index, 16).ok()?;
    u64::from_str_radix(sequence, 16).ok()
}

/// The segments named in a folder listing, in order.
pub(crate) fn segment_paths(dir: &Path, names: &[String]) -> Vec<(u64, PathBuf)> {
    let parse = |name: &String| Some((parse_file_name(name)?, dir.join(name)));
    let mut segments: Vec<_> = names.iter().filter_map(parse).collect();
    segments.sort();
    segments
}

/// Reads the records of a segment one after the other.
pub(crate) struct Scanner<'a> {
    file: &'a DiskFile,
    window: Window,
    salt: u64,
    /// Offset of the next record to read.
    offset: u64,
    /// Checksum that the next record must repeat.
    prev: u32,
}

/// What follows the last record of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AfterEnd {
    /// Bytes of a record whose head is intact and whose payload is not; 0 if there is none.
    pub(crate) torn_bytes: u64,
    /// Where a record stands that could not be there unless the end had been written.
    pub(crate) proof_of_damage: Option<u64>,
    /// End of the last intact record or head found; the end itself if there is none.
    pub(crate) leftover_end: u64,
    /// Whether the place of the next record holds anything but zeros.
    pub(crate) has_bytes: bool,
}

impl AfterEnd {
    /// Nothing but zeros, or bytes that were never looked at.
    pub(crate) fn nothing(end: u64) -> AfterEnd {
        let (torn_bytes, proof_of_damage, has_bytes) = (0, None, false);
        AfterEnd { torn_bytes, proof_of_damage, leftover_end: end, has_bytes }
    }
}

/// Disks write sectors of this size as one.
const SECTOR_BYTES: u64 = 512;

impl<'a> Scanner<'a> {
    /// Starts at the first record; `limit` is the file's length or where its records are known
    /// to end.
    pub(crate) fn new(file: &'a DiskFile, header: (&Header, u32), limit: u64) -> Scanner<'a> {
        Scanner {
            file,
            window: Window::new(limit),
            salt: header.0.salt,
            offset: HEADER_BYTES,
            prev: header.1,
        }
    }

    /// Offset of the next record: after the last call of `next`, the end of the chain.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Checksum of the last record read.
    pub(crate) fn last_checksum(&self) -> u32 {
        self.prev
    }

    /// The next record, or `None` if what stands there does not continue the chain.
    pub(crate) fn next(&mut self) -> io::Result<Option<(Head, Record)>> {
        let Some((head, record)) = self.at(self.offset)? else { return Ok(None) };
        if head.link.prev != self.prev {
            return Ok(None);
        }
        self.offset += head.record_bytes();
        self.prev = head.checksum;
        Ok(Some((head, record)))
    }

    /// The intact record at an offset, whatever stands before it.
    fn at(&mut self, offset: u64) -> io::Result<Option<(Head, Record)>> {
        let Some(head) = self.head_at(offset)? else { return Ok(None) };
        match self.window.bytes(self.file, offset + HEAD_BYTES as u64, head.body_bytes())? {
            Some(body) => Ok(record::decode_body(&head, body).map(|record| (head, record))),
            None => Ok(None),
        }
    }

    fn head_at(&mut self, offset: u64) -> io::Result<Option<Head>> {
        let place = Place { salt: self.salt, offset };
        match self.window.bytes(self.file, offset, HEAD_BYTES as u64)? {
            Some(bytes) => {
                let bytes = bytes.first_chunk().expect("bytes() returns the length asked for");
                Ok(record::decode_head(bytes, place))
            }
            None => Ok(None),
        }
    }

    /// Looks at everything after the end of the chain; call when `next` has returned `None`.
    ///
    /// A record written when `durable` bytes were synced proves that everything before them was
    /// there. Without such a record, the end is only proven by one in the sector that the end cuts:
    /// it cannot have reached the disk without the bytes before it.
    pub(crate) fn after_end(&mut self) -> io::Result<AfterEnd> {
        let end = self.offset;
        let torn_bytes = self.head_at(end)?.map_or(0, |head| head.record_bytes());
        let head_bytes = (HEAD_BYTES as u64).min(self.window.limit().saturating_sub(end));
        let has_bytes = self
            .window
            .bytes(self.file, end, head_bytes)?
            .is_some_and(|b| b.iter().any(|b| *b != 0));
        let mut after =
            AfterEnd { torn_bytes, proof_of_damage: None, leftover_end: end, has_bytes };
        let mut at = end;
        while let Some(rest) = self.window.rest(self.file, at, HEAD_BYTES as u64)? {
            // Most of it is zeros or old bytes, and start-up waits for this loop.
            let skip = record::skip_no_heads(rest);
            if skip > 0 {
                at += skip;
                continue;
            }
            if self.head_at(at)?.is_none() {
                at += ALIGN;
                continue;
            }
            let Some((head, _)) = self.at(at)? else {
                // A payload written here later could complete it.
                after.leftover_end = at + HEAD_BYTES as u64;
                at += ALIGN;
                continue;
            };
            let same_sector = at > end && at / SECTOR_BYTES == (end - 1) / SECTOR_BYTES;
            if same_sector || u64::from(head.link.durable) > end {
                after.proof_of_damage.get_or_insert(at);
            }
            at += head.record_bytes();
            after.leftover_end = at;
        }
        Ok(after)
    }
}
