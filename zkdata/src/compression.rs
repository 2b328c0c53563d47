//! How whole snapshot files may be compressed (`snapshot.compression.method`, since 3.6).

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use thiserror::Error;

/// The method, which the end of a file's name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// Gzip: `.gz`.
    Gzip,
    /// Blocks of snappy behind a header, as Java's stream class writes them: `.snappy`.
    Snappy,
}

/// Why a file does not decompress.
#[derive(Debug, Error)]
pub enum UnpackError {
    /// The gzip stream is damaged or ends too early.
    #[error("it does not decompress as gzip: {0}")]
    Gzip(std::io::Error),
    /// The snappy stream is damaged or ends too early.
    #[error("it does not decompress as snappy: {what} at offset {offset}")]
    Snappy {
        /// What is wrong.
        what: String,
        /// Where, in bytes from the start of the file.
        offset: usize,
    },
}

impl Compression {
    /// The method that the end of a file's name stands for.
    pub fn of_name(name: &str) -> Self {
        match name.rsplit_once('.') {
            Some((_, "gz")) => Compression::Gzip,
            Some((_, "snappy")) => Compression::Snappy,
            _ => Compression::None,
        }
    }

    /// What a file's name ends with.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Snappy => ".snappy",
        }
    }
}

/// The bytes before compression.
///
/// # Errors
/// If the file is damaged or ends too early. That what it holds is right, its own checksums tell.
pub fn unpack(bytes: &[u8], compression: Compression) -> Result<Cow<'_, [u8]>, UnpackError> {
    match compression {
        Compression::None => Ok(Cow::Borrowed(bytes)),
        Compression::Gzip => {
            let mut unpacked = Vec::new();
            let read = MultiGzDecoder::new(bytes).read_to_end(&mut unpacked);
            read.map_err(UnpackError::Gzip)?;
            Ok(Cow::Owned(unpacked))
        }
        Compression::Snappy => unpack_snappy(bytes).map(Cow::Owned),
    }
}

/// What a stream starts with, and again where another one was appended.
const MAGIC: &[u8] = b"\x82SNAPPY\0";
/// The magic, a version, and the oldest version that can read it.
const HEADER_BYTES: usize = 16;

/// Snappy makes nothing smaller than by this factor, so a block that claims more is damaged.
const MOST_PER_BYTE: usize = 64;

fn unpack_snappy(bytes: &[u8]) -> Result<Vec<u8>, UnpackError> {
    let mut unpacked = Vec::new();
    let mut decoder = snap::raw::Decoder::new();
    let mut at = 0;
    let wrong = |offset, what: &str| UnpackError::Snappy { what: what.to_owned(), offset };
    if !bytes.starts_with(MAGIC) {
        return Err(wrong(0, "no header"));
    }
    while at < bytes.len() {
        let rest = &bytes[at..];
        if rest.starts_with(MAGIC) {
            if rest.len() < HEADER_BYTES {
                return Err(wrong(at, "a header that is cut short"));
            }
            at += HEADER_BYTES;
            continue;
        }
        let cut_short = || wrong(at, "a block that is cut short");
        let (head, rest) = rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        let length = u32::from_be_bytes(*head) as usize;
        let block = rest.get(..length).ok_or_else(cut_short)?;
        let damaged =
            |error: snap::Error| UnpackError::Snappy { what: error.to_string(), offset: at };
        let claimed = snap::raw::decompress_len(block).map_err(damaged)?;
        if claimed > length.saturating_mul(MOST_PER_BYTE) {
            return Err(wrong(at, "a block that claims an impossible length"));
        }
        unpacked.extend(decoder.decompress_vec(block).map_err(damaged)?);
        at += head.len() + length;
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snappy(blocks: &[&[u8]]) -> Vec<u8> {
        let mut stream = [MAGIC, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for block in blocks {
            let packed = snap::raw::Encoder::new().compress_vec(block).unwrap();
            stream.extend((packed.len() as u32).to_be_bytes());
            stream.extend(packed);
        }
        stream
    }

    #[test]
    fn names_tell_the_method() {
        for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
            let name = format!("snapshot.1f{}", compression.suffix());
            assert_eq!(Compression::of_name(&name), compression);
        }
    }

    #[test]
    fn blocks_and_appended_streams_come_out_whole() {
        let stream = [snappy(&[b"one", &[7; 9000]]), snappy(&[b"two"])].concat();
        let expected = [b"one", &[7; 9000][..], b"two"].concat();
        assert_eq!(unpack(&stream, Compression::Snappy).unwrap(), expected);
    }

    #[test]
    fn torn_and_altered_streams_are_refused_or_differ_but_never_panic() {
        let stream = snappy(&[b"some text that says some text", &[7; 300]]);
        let ends: Vec<usize> = (0..stream.len()).collect();
        let whole = ends.iter().filter(|end| unpack_snappy(&stream[..**end]).is_ok()).count();
        // After the header, and after the first block.
        assert_eq!(whole, 2);
        for at in 0..stream.len() {
            for bit in 0..8 {
                let mut altered = stream.clone();
                altered[at] ^= 1 << bit;
                _ = unpack_snappy(&altered);
            }
        }
    }
}
