//! One record of the log: its bytes, its checksums, and what they prove.
//!
//! ```text
//!  0  checksum of bytes 4..40, mixed with the segment's salt and the record's offset
//!  4  payload length
//!  8  checksum of the payload and its padding
//! 12  bytes of this segment known to be durable when this was written
//! 16  checksum (the field at 0) of the record before
//! 20  record kind, entry kind (hard state: 1 while catching up), two zero bytes
//! 24  index (hard state: commit)
//! 32  term
//! 40  payload, padded with zeros to a multiple of 8 (hard state: vote)
//! ```
//! The head's own checksum guards the length, so that garbage never causes a large read; salt and
//! offset keep bytes of a recycled file, or bytes that a client stored, from ever parsing. The
//! "durable" field tells damage from a torn write: see `recovery`.

use bytes::Bytes;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the log, from 1.
    pub index: u64,
    /// Term of the leader that proposed it.
    pub term: u64,
    /// The consensus library's entry type, opaque here.
    pub kind: u8,
    /// The encoded operation.
    pub data: Bytes,
}

/// Consensus state that must be as durable as the entries, and travels in the same stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HardState {
    /// Current term.
    pub term: u64,
    /// Candidate voted for in it, 0 for none.
    pub vote: u64,
    /// Highest index known to be committed.
    pub commit: u64,
    /// This server may have confirmed more than it holds, and must not vote.
    pub catching_up: bool,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An entry was appended; it replaces entries of the same or a higher index.
    Entry(Entry),
    /// The consensus state from here on.
    HardState(HardState),
    /// Everything before was synced: written when idle, so that later damage can be told from a
    /// torn write.
    Synced,
}

/// Bytes of a record before its payload.
pub(crate) const HEAD_BYTES: usize = 40;

/// Records start at multiples of this.
pub(crate) const ALIGN: u64 = 8;

const KIND_ENTRY: u8 = 1;
const KIND_HARD_STATE: u8 = 2;
const KIND_SYNCED: u8 = 3;

/// Where a record stands, which its checksum depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The segment's salt.
    pub(crate) salt: u64,
    /// Offset of the record in its segment.
    pub(crate) offset: u64,
}

/// What a record says about the records before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Link {
    /// Bytes of the segment known to be durable.
    pub(crate) durable: u32,
    /// Checksum of the record before.
    pub(crate) prev: u32,
}

/// A record's head whose own checksum was right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// Its own checksum, which the next record repeats.
    pub(crate) checksum: u32,
    /// What it says about earlier records.
    pub(crate) link: Link,
    len: u32,
    body_checksum: u32,
    kind: u8,
    entry_kind: u8,
    index: u64,
    term: u64,
}

impl Head {
    /// Bytes of the payload with its padding.
    pub(crate) fn body_bytes(&self) -> u64 {
        padded(u64::from(self.len))
    }

    /// Bytes of the whole record.
    pub(crate) fn record_bytes(&self) -> u64 {
        HEAD_BYTES as u64 + self.body_bytes()
    }
}

/// Bytes that an entry takes in the log.
pub(crate) fn entry_bytes(entry: &Entry) -> u64 {
    HEAD_BYTES as u64 + padded(entry.data.len() as u64)
}

/// Bytes that a hard state takes in the log.
pub(crate) const HARD_STATE_BYTES: u64 = HEAD_BYTES as u64 + 8;

fn padded(len: u64) -> u64 {
    len.next_multiple_of(ALIGN)
}

/// Appends an entry's bytes; returns the checksum that the next record repeats.
pub(crate) fn encode_entry(buf: &mut Vec<u8>, place: Place, link: Link, entry: &Entry) -> u32 {
    let fields = Fields {
        kind: KIND_ENTRY,
        entry_kind: entry.kind,
        index: entry.index,
        term: entry.term,
        payload: &entry.data,
    };
    encode(buf, place, link, &fields)
}

/// Appends a hard state's bytes; returns the checksum that the next record repeats.
pub(crate) fn encode_hard_state(
    buf: &mut Vec<u8>,
    place: Place,
    link: Link,
    state: &HardState,
) -> u32 {
    let vote = state.vote.to_le_bytes();
    let fields = Fields {
        kind: KIND_HARD_STATE,
        entry_kind: state.catching_up.into(),
        index: state.commit,
        term: state.term,
        payload: &vote,
    };
    encode(buf, place, link, &fields)
}

/// Appends the marker for "everything before was synced".
pub(crate) fn encode_synced(buf: &mut Vec<u8>, place: Place, link: Link) -> u32 {
    let fields = Fields { kind: KIND_SYNCED, entry_kind: 0, index: 0, term: 0, payload: &[] };
    encode(buf, place, link, &fields)
}

struct Fields<'a> {
    kind: u8,
    entry_kind: u8,
    index: u64,
    term: u64,
    payload: &'a [u8],
}

fn encode(buf: &mut Vec<u8>, place: Place, link: Link, fields: &Fields<'_>) -> u32 {
    let start = buf.len();
    let len = u32::try_from(fields.payload.len()).expect("Log::append bounds the batch");
    let padding = (padded(u64::from(len)) - u64::from(len)) as usize;
    let zeros = &[0; ALIGN as usize][..padding];
    let body_checksum = crc32c::crc32c_append(crc32c::crc32c(fields.payload), zeros);
    buf.extend_from_slice(&[0; 4]);
    buf.extend_from_slice(&len.to_le_bytes());
    buf.extend_from_slice(&body_checksum.to_le_bytes());
    buf.extend_from_slice(&link.durable.to_le_bytes());
    buf.extend_from_slice(&link.prev.to_le_bytes());
    buf.extend_from_slice(&[fields.kind, fields.entry_kind, 0, 0]);
    buf.extend_from_slice(&fields.index.to_le_bytes());
    buf.extend_from_slice(&fields.term.to_le_bytes());
    let checksum = head_checksum(place, &buf[start + 4..start + HEAD_BYTES]);
    buf[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    buf.extend_from_slice(fields.payload);
    buf.extend_from_slice(zeros);
    checksum
}

fn head_checksum(place: Place, rest: &[u8]) -> u32 {
    let mut mixed = [0; 16];
    mixed[..8].copy_from_slice(&place.salt.to_le_bytes());
    mixed[8..].copy_from_slice(&place.offset.to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c(&mixed), rest)
}

/// Refuses cheaply what cannot be a head.
fn may_be_head(bytes: &[u8; HEAD_BYTES]) -> bool {
    (KIND_ENTRY..=KIND_SYNCED).contains(&bytes[20]) && bytes[22] == 0 && bytes[23] == 0
}

/// Bytes at the start of these where no record can begin; 0 if one may begin at once.
pub(crate) fn skip_no_heads(bytes: &[u8]) -> u64 {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut at = 0;
    while let Some(head) = bytes[at..].first_chunk::<HEAD_BYTES>() {
        if may_be_head(head) {
            break;
        }
        // A head begins no earlier than its own length before the zeros end.
        let zeros = bytes[at..].first_chunk::<{ ZEROS.len() }>() == Some(&ZEROS);
        at += if zeros { ZEROS.len() - HEAD_BYTES } else { ALIGN as usize };
    }
    at as u64
}

/// Reads a head, or `None` if these bytes are not one written for this place.
pub(crate) fn decode_head(bytes: &[u8; HEAD_BYTES], place: Place) -> Option<Head> {
    if !may_be_head(bytes) {
        return None;
    }
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let checksum = u32_at(0);
    if checksum != head_checksum(place, &bytes[4..]) {
        return None;
    }
    Some(Head {
        checksum,
        link: Link { durable: u32_at(12), prev: u32_at(16) },
        len: u32_at(4),
        body_checksum: u32_at(8),
        kind: bytes[20],
        entry_kind: bytes[21],
        index: u64_at(24),
        term: u64_at(32),
    })
}

/// Reads the record of a head from its padded payload, or `None` if the payload is not it.
pub(crate) fn decode_body(head: &Head, body: &[u8]) -> Option<Record> {
    if body.len() as u64 != head.body_bytes() || crc32c::crc32c(body) != head.body_checksum {
        return None;
    }
    let payload = &body[..head.len as usize];
    match head.kind {
        KIND_ENTRY => Some(Record::Entry(Entry {
            index: head.index,
            term: head.term,
            kind: head.entry_kind,
            data: Bytes::copy_from_slice(payload),
        })),
        KIND_HARD_STATE => {
            let vote = u64::from_le_bytes(payload.try_into().ok()?);
            let (term, commit, catching_up) = (head.term, head.index, head.entry_kind != 0);
            Some(Record::HardState(HardState { term, vote, commit, catching_up }))
        }
        KIND_SYNCED if payload.is_empty() => Some(Record::Synced),
        _ => None,
    }
}
