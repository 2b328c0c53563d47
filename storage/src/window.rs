//! Reads a file through a window, so that memory stays bounded however large the file is.

use std::io;

use crate::disk::DiskFile;

const WINDOW_BYTES: u64 = 256 << 10;

/// A part of a file held in memory.
pub(crate) struct Window {
    /// Nothing at or after this offset is read.
    limit: u64,
    bytes: Vec<u8>,
    /// Offset of the first byte held.
    at: u64,
}

impl Window {
    /// A window over the first `limit` bytes of a file.
    pub(crate) fn new(limit: u64) -> Window {
        Window { limit, bytes: Vec::new(), at: 0 }
    }

    /// Where the readable part of the file ends.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes of the file, or `None` if they are not all before the limit and in the file.
    pub(crate) fn bytes(
        &mut self,
        file: &DiskFile,
        offset: u64,
        len: u64,
    ) -> io::Result<Option<&[u8]>> {
        Ok(self.rest(file, offset, len)?.map(|rest| &rest[..len as usize]))
    }

    /// The same, with whatever else the window holds behind them.
    pub(crate) fn rest(
        &mut self,
        file: &DiskFile,
        offset: u64,
        len: u64,
    ) -> io::Result<Option<&[u8]>> {
        let Some(end) = offset.checked_add(len).filter(|end| *end <= self.limit) else {
            return Ok(None);
        };
        if offset < self.at || end > self.at + self.bytes.len() as u64 {
            let want = len.max(WINDOW_BYTES).min(self.limit - offset) as usize;
            self.bytes.truncate(want);
            self.bytes.shrink_to(want.max(WINDOW_BYTES as usize));
            self.bytes.resize(want, 0);
            let got = file.read_full_at(&mut self.bytes, offset)?;
            self.bytes.truncate(got);
            self.at = offset;
            if (got as u64) < len {
                return Ok(None);
            }
        }
        Ok(Some(&self.bytes[(offset - self.at) as usize..]))
    }
}
