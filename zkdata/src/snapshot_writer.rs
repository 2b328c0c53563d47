//! Writes a snapshot file as ZooKeeper 3.9 does, part by part.

use std::io::{self, Write};

use adler2::Adler32;
use tenure_wire::{Acl, Put, encode_acls};

use crate::snapshot::{DATABASE, END, MAGIC, VERSION};
use crate::stat::{StoredStat, digest_of};
use crate::txn::{DIGEST_VERSION, Digest};

/// Bytes gathered before a write.
const BUFFER_BYTES: usize = 64 << 10;

/// Writes one snapshot.
pub struct SnapshotWriter<W> {
    out: W,
    sum: Adler32,
    buf: Vec<u8>,
    digest: u64,
}

impl<W: Write> SnapshotWriter<W> {
    /// Begins with the sessions, by id and timeout in milliseconds, and the access control lists,
    /// whose place in the slice is the number that znodes name.
    ///
    /// # Errors
    /// If the output refuses.
    pub fn new(out: W, sessions: &[(i64, i32)], acls: &[Vec<Acl<'_>>]) -> io::Result<Self> {
        let mut buf = Vec::with_capacity(BUFFER_BYTES);
        buf.extend_from_slice(MAGIC);
        buf.put_i32(VERSION);
        buf.put_i64(DATABASE);
        buf.put_vector_len(sessions.len());
        for (id, timeout_ms) in sessions {
            buf.put_i64(*id);
            buf.put_i32(*timeout_ms);
        }
        buf.put_vector_len(acls.len());
        for (number, list) in acls.iter().enumerate() {
            buf.put_i64(number as i64);
            encode_acls(list, &mut buf);
        }
        Ok(SnapshotWriter { out, sum: Adler32::new(), buf, digest: 0 })
    }

    /// Adds a znode, after its parent. The root, which comes first, has an empty path.
    ///
    /// # Errors
    /// If the output refuses.
    pub fn znode(
        &mut self,
        path: &str,
        data: Option<&[u8]>,
        acl: usize,
        stat: &StoredStat,
    ) -> io::Result<()> {
        self.digest = self.digest.wrapping_add(digest_of(path, data, stat));
        self.buf.put_text(path);
        self.buf.put_buffer(data);
        self.buf.put_i64(acl as i64);
        stat.encode(&mut self.buf);
        if self.buf.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends the file: all changes up to this zxid are in it, and none after. Returns the output.
    ///
    /// # Errors
    /// If the output refuses.
    pub fn finish(mut self, zxid: i64) -> io::Result<W> {
        self.buf.put_text(END);
        self.seal()?;
        let digest = Digest { version: DIGEST_VERSION, value: self.digest };
        self.buf.put_i64(zxid);
        self.buf.put_i32(digest.version);
        self.buf.put_i64(digest.value as i64);
        self.seal()?;
        self.buf.put_i64(zxid);
        self.seal()?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn seal(&mut self) -> io::Result<()> {
        self.flush()?;
        self.buf.put_i64(self.sum.checksum().into());
        self.buf.put_text(END);
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.write_all(&self.buf)?;
        self.sum.write_slice(&self.buf);
        self.buf.clear();
        Ok(())
    }
}
