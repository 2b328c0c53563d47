//! A log file: a header, then records with a checksum each, then zeros that were allocated ahead.
//!
//! ```text
//! header: "ZKLG", int version 2, long database id
//! record: long Adler-32 of the entry, int length, entry, byte 0x42
//! ```

use thiserror::Error;

use crate::txn::{self, Digest, Txn, TxnHeader};

/// A transaction and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Bytes from the start of the file.
    pub offset: usize,
    /// Who caused it, and when.
    pub header: TxnHeader,
    /// What it did.
    pub txn: Txn,
    /// What the tree should come to after it.
    pub digest: Option<Digest>,
}

/// What stands at a place in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogItem {
    /// A transaction.
    Record(LogRecord),
    /// Bytes that are no transaction, although they were one.
    Damage {
        /// Where they begin.
        offset: usize,
        /// Where the next intact record stands; `None` if there is none.
        until: Option<usize>,
        /// What is wrong.
        what: String,
    },
    /// An unfinished write at the end of all records: it was never acknowledged to anybody.
    Torn {
        /// Where it begins.
        offset: usize,
        /// How long it is.
        bytes: usize,
    },
}

/// Why a file is no log at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotLog {
    /// It does not start as logs do.
    #[error("it does not start with the header of a ZooKeeper log")]
    Header,
    /// It does, but is of an unknown version.
    #[error("its header names the format version {0}, and only 2 is known")]
    Version(i32),
}

/// Finds what stands in a log, in order.
#[derive(Clone, Debug)]
pub struct LogScanner<'a> {
    /// The file without the zeros at its end, as far as they are no part of a record.
    bytes: &'a [u8],
    /// Length of the whole file.
    size: usize,
    at: usize,
}

const MAGIC: &[u8; 4] = b"ZKLG";
const VERSION: i32 = 2;
const HEADER_BYTES: usize = 16;
/// Checksum and length.
const HEAD_BYTES: usize = 12;
const END_MARK: u8 = 0x42;

impl<'a> LogScanner<'a> {
    /// Checks the header. A file without one, because nothing was written to it yet, has no
    /// records.
    ///
    /// # Errors
    /// If that is no log, or not one of a known version.
    pub fn new(file: &'a [u8]) -> Result<Self, NotLog> {
        let written = file.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let bytes = &file[..written];
        let scanner = LogScanner { bytes, size: file.len(), at: HEADER_BYTES.min(written) };
        if written == 0 {
            return Ok(scanner);
        }
        if !file.starts_with(MAGIC) {
            return Err(NotLog::Header);
        }
        let Some(version) = file.get(4..8) else { return Ok(scanner) };
        match i32::from_be_bytes(version.try_into().expect("four bytes")) {
            VERSION => Ok(LogScanner { at: HEADER_BYTES.min(file.len()), ..scanner }),
            other => Err(NotLog::Version(other)),
        }
    }

    /// The entry at an offset and where it ends, or what is wrong.
    fn entry(&self, at: usize) -> Result<(&'a [u8], usize), Fault> {
        let head = self.bytes.get(at..at + HEAD_BYTES).ok_or(Fault::CutShort)?;
        let (checksum, length) = head.split_at(8);
        let checksum = u64::from_be_bytes(checksum.try_into().expect("eight bytes"));
        let length = i32::from_be_bytes(length.try_into().expect("four bytes"));
        let length = usize::try_from(length).map_err(|_| Fault::CutShort)?;
        let start = at + HEAD_BYTES;
        let rest = &self.bytes[start..];
        // The mark is no zero, so it lies within what was written.
        if length < TxnHeader::LEN || rest.get(length) != Some(&END_MARK) {
            return Err(Fault::CutShort);
        }
        let entry = &rest[..length];
        if u64::from(adler2::adler32_slice(entry)) != checksum {
            return Err(Fault::Checksum);
        }
        Ok((entry, start + length + 1))
    }

    /// The next offset at which an intact record stands.
    fn next_intact(&self, from: usize) -> Option<usize> {
        // The kind is looked at first: few places pass for a record's, and sums take time.
        let kind_at = HEAD_BYTES + TxnHeader::LEN - 4;
        let is_plausible = |at: &usize| {
            let kind = self.bytes.get(at + kind_at..at + kind_at + 4);
            let kind = kind.map(|kind| i32::from_be_bytes(kind.try_into().expect("four bytes")));
            self.bytes[*at..].starts_with(&[0; 4]) && kind.is_some_and(txn::is_known)
        };
        (from..self.bytes.len()).filter(is_plausible).find(|at| self.entry(*at).is_ok())
    }

    fn fault(&mut self, offset: usize, fault: Fault) -> LogItem {
        let until = self.next_intact(offset + 1);
        self.at = until.unwrap_or(self.size);
        match (fault, until) {
            (Fault::CutShort, None) => LogItem::Torn { offset, bytes: self.bytes.len() - offset },
            (fault, until) => LogItem::Damage { offset, until, what: fault.to_string() },
        }
    }
}

/// Why there is no record at a place.
#[derive(Clone, Copy, Debug, Error)]
enum Fault {
    #[error("no whole record stands there")]
    CutShort,
    #[error("the record does not match its checksum")]
    Checksum,
}

impl Iterator for LogScanner<'_> {
    type Item = LogItem;

    fn next(&mut self) -> Option<LogItem> {
        let offset = self.at;
        if offset >= self.bytes.len() {
            return None;
        }
        let (entry, end) = match self.entry(offset) {
            Ok(found) => found,
            Err(fault) => return Some(self.fault(offset, fault)),
        };
        self.at = end;
        Some(match txn::decode(entry) {
            Ok((header, txn, digest)) => LogItem::Record(LogRecord { offset, header, txn, digest }),
            Err(error) => {
                let what = format!("the record is intact, but not understood: {error}");
                LogItem::Damage { offset, until: Some(end), what }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::tests::{create_body, entry};
    use tenure_wire::Put;

    fn file(entries: &[Vec<u8>]) -> Vec<u8> {
        let mut out = [&MAGIC[..], &[0, 0, 0, 2], &[0; 8]].concat();
        for entry in entries {
            out.put_i64(adler2::adler32_slice(entry).into());
            out.put_buffer(Some(entry));
            out.push(END_MARK);
        }
        out
    }

    fn three() -> Vec<u8> {
        let entries: Vec<_> = (1..4)
            .map(|zxid| {
                let name = format!("/n{zxid}");
                entry(5, zxid, 1, &create_body(&name, false, Some(zxid as i32)))
            })
            .collect();
        file(&entries)
    }

    fn items(file: &[u8]) -> Vec<LogItem> {
        LogScanner::new(file).unwrap().collect()
    }

    fn zxids(items: &[LogItem]) -> Vec<i64> {
        let zxid = |item: &LogItem| match item {
            LogItem::Record(record) => record.header.zxid,
            LogItem::Damage { .. } => -1,
            LogItem::Torn { .. } => -2,
        };
        items.iter().map(zxid).collect()
    }

    #[test]
    fn zeros_that_were_allocated_ahead_are_no_records() {
        let mut bytes = three();
        assert_eq!(zxids(&items(&bytes)), [1, 2, 3]);
        bytes.extend([0; 5000]);
        assert_eq!(zxids(&items(&bytes)), [1, 2, 3]);
        assert_eq!(items(&bytes[..16]), []);
        assert_eq!(items(&[0; 200]), []);
        assert_eq!(items(b""), []);
    }

    #[test]
    fn other_files_are_no_logs() {
        assert_eq!(LogScanner::new(b"ZKSN\0\0\0\x02").err(), Some(NotLog::Header));
        let other = [&MAGIC[..], &[0, 0, 0, 3], &[0; 8]].concat();
        assert_eq!(LogScanner::new(&other).err(), Some(NotLog::Version(3)));
    }

    #[test]
    fn a_file_that_ends_anywhere_keeps_what_is_whole() {
        let whole = three();
        let third = items(&whole).iter().rev().find_map(|item| match item {
            LogItem::Record(record) => Some(record.offset),
            _ => None,
        });
        for end in 16..whole.len() {
            for zeros in [0, 40] {
                let cut = [&whole[..end], &vec![0; zeros][..]].concat();
                let found = items(&cut);
                let records = found.iter().filter(|item| matches!(item, LogItem::Record(_)));
                let expected = if end < third.unwrap() { 0..3 } else { 2..3 };
                assert!(expected.contains(&records.count()), "{end}: {found:?}");
                let odd = found.iter().any(|item| matches!(item, LogItem::Damage { .. }));
                assert!(!odd, "{end}: {found:?}");
            }
        }
    }

    #[test]
    fn an_altered_record_is_damage_and_the_ones_behind_it_are_found() {
        let whole = three();
        let places: Vec<usize> = items(&whole)
            .iter()
            .filter_map(|item| match item {
                LogItem::Record(record) => Some(record.offset),
                _ => None,
            })
            .collect();
        for at in places[1]..places[2] {
            let mut altered = whole.clone();
            altered[at] ^= 0x10;
            let found = items(&altered);
            assert_eq!(zxids(&found), [1, -1, 3], "byte {at}: {found:?}");
            let LogItem::Damage { offset, until, .. } = &found[1] else { panic!("{found:?}") };
            assert_eq!((*offset, *until), (places[1], Some(places[2])));
        }
        // The last one: what it says cannot have been torn, for its end is there.
        let mut altered = whole.clone();
        altered[places[2] + 40] ^= 0x10;
        assert_eq!(zxids(&items(&altered)), [1, 2, -1]);
        // A length that leads nowhere cannot be told from a torn write.
        let mut altered = whole;
        altered[places[2] + 9] ^= 0x10;
        assert_eq!(zxids(&items(&altered)), [1, 2, -2]);
    }

    #[test]
    fn an_intact_record_of_an_unknown_kind_is_told() {
        let bytes = file(&[entry(5, 1, 99, b""), entry(5, 2, -1, &[0; 4])]);
        let found = items(&bytes);
        assert_eq!(zxids(&found), [-1, 2]);
        let LogItem::Damage { what, .. } = &found[0] else { panic!("{found:?}") };
        assert!(what.contains("kind of transaction"), "{what}");
    }
}
