//! Primitives of the encoding: big-endian integers, length-prefixed buffers, texts and vectors.

use std::borrow::Cow;

use thiserror::Error;

/// Why bytes are not the value they were taken for, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end before the field does.
    #[error("{what} at byte {offset} is cut short")]
    Truncated {
        /// The kind of field.
        what: &'static str,
        /// Where the field starts, in bytes from the start of the decoded part.
        offset: usize,
    },
    /// A length or count that is negative (other than -1, null) or more than the bytes that follow.
    #[error("{what} at byte {offset} claims the impossible length {length}")]
    Length {
        /// The kind of field.
        what: &'static str,
        /// Where the field starts, in bytes from the start of the decoded part.
        offset: usize,
        /// The length or count claimed.
        length: i32,
    },
    /// A number that means nothing, or nothing allowed, in this place.
    #[error("{what} at byte {offset} has the invalid value {value}")]
    Value {
        /// The kind of field.
        what: &'static str,
        /// Where the field starts, in bytes from the start of the decoded part.
        offset: usize,
        /// The number found.
        value: i32,
    },
}

/// Reads fields one after the other from a slice, and never past its end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Number of bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Number of bytes read so far.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The bytes not read yet; they stay unread.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Reads a 4-byte integer.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        self.array("int").map(i32::from_be_bytes)
    }

    /// Reads an 8-byte integer.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        self.array("long").map(i64::from_be_bytes)
    }

    /// Reads one byte; anything but 0 is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.array("bool").map(|[byte]| byte != 0)
    }

    /// Reads a length-prefixed buffer; length -1 is null, which is not the same as empty.
    pub fn buffer(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        self.sized("buffer")
    }

    /// Reads a text; null becomes empty, and invalid UTF-8 becomes replacement characters.
    pub fn text(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        Ok(self.opt_text()?.unwrap_or_default())
    }

    /// Reads a text that may be null.
    pub fn opt_text(&mut self) -> Result<Option<Cow<'a, str>>, DecodeError> {
        Ok(self.sized("text")?.map(lossy))
    }

    /// Reads the count of a vector of items of at least 4 bytes each; null counts 0 items.
    pub fn vector_len(&mut self) -> Result<usize, DecodeError> {
        self.vector_len_of(4)
    }

    /// Reads the count of a vector, refusing one whose items, each of at least `item_bytes`
    /// bytes, cannot all follow. So a caller may reserve room for that many items.
    pub fn vector_len_of(&mut self, item_bytes: usize) -> Result<usize, DecodeError> {
        let offset = self.offset;
        match self.i32()? {
            -1 => Ok(0),
            length => match usize::try_from(length) {
                Ok(count) if count <= self.rest.len() / item_bytes.max(1) => Ok(count),
                _ => Err(DecodeError::Length { what: "vector", offset, length }),
            },
        }
    }

    /// Reads a vector of texts.
    pub fn texts(&mut self) -> Result<Vec<Cow<'a, str>>, DecodeError> {
        let count = self.vector_len()?;
        (0..count).map(|_| self.text()).collect()
    }

    fn sized(&mut self, what: &'static str) -> Result<Option<&'a [u8]>, DecodeError> {
        let offset = self.offset;
        let length = self.i32()?;
        if length == -1 {
            return Ok(None);
        }
        let split = usize::try_from(length).ok().and_then(|len| self.rest.split_at_checked(len));
        let Some((bytes, rest)) = split else {
            return Err(DecodeError::Length { what, offset, length });
        };
        self.rest = rest;
        self.offset += bytes.len();
        Ok(Some(bytes))
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], DecodeError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(DecodeError::Truncated { what, offset: self.offset });
        };
        self.rest = rest;
        self.offset += N;
        Ok(*bytes)
    }
}

/// The text in these bytes. Nearly all are valid, which the plain check tells much faster.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Appends fields to an outgoing buffer.
pub trait Put {
    /// Appends a 4-byte integer.
    fn put_i32(&mut self, value: i32);
    /// Appends an 8-byte integer.
    fn put_i64(&mut self, value: i64);
    /// Appends a bool as one byte, 0 or 1.
    fn put_bool(&mut self, value: bool);
    /// Appends a length-prefixed buffer, or null.
    fn put_buffer(&mut self, value: Option<&[u8]>);
    /// Appends a length-prefixed text.
    fn put_text(&mut self, value: &str);
    /// Appends the count of a vector; its items follow.
    fn put_vector_len(&mut self, count: usize);
    /// Appends a text, or null.
    fn put_opt_text(&mut self, value: Option<&str>) {
        self.put_buffer(value.map(str::as_bytes));
    }
    /// Appends a vector of texts.
    fn put_texts<T: AsRef<str>>(&mut self, values: &[T]) {
        self.put_vector_len(values.len());
        for value in values {
            self.put_text(value.as_ref());
        }
    }
}

impl Put for Vec<u8> {
    fn put_i32(&mut self, value: i32) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_be_bytes());
    }

    fn put_bool(&mut self, value: bool) {
        self.push(u8::from(value));
    }

    fn put_buffer(&mut self, value: Option<&[u8]>) {
        match value {
            None => self.put_i32(-1),
            Some(bytes) => {
                self.put_vector_len(bytes.len());
                self.extend_from_slice(bytes);
            }
        }
    }

    fn put_text(&mut self, value: &str) {
        self.put_buffer(Some(value.as_bytes()));
    }

    fn put_vector_len(&mut self, count: usize) {
        let count = i32::try_from(count).expect("no value in memory comes near 2 GiB");
        self.put_i32(count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_stay_apart() {
        let mut out = Vec::new();
        out.put_buffer(None);
        out.put_buffer(Some(b""));
        out.put_opt_text(None);
        out.put_text("");
        let mut reader = Reader::new(&out);
        assert_eq!(reader.buffer(), Ok(None));
        assert_eq!(reader.buffer(), Ok(Some(&b""[..])));
        assert_eq!(reader.opt_text(), Ok(None));
        assert_eq!(reader.opt_text(), Ok(Some("".into())));
        assert_eq!((reader.remaining(), reader.offset()), (0, 16));
    }

    #[test]
    fn a_null_text_reads_as_empty_and_bad_utf8_is_replaced() {
        assert_eq!(Reader::new(&[255, 255, 255, 255]).text(), Ok("".into()));
        assert_eq!(Reader::new(&[0, 0, 0, 3, b'a', 0xff, b'b']).text(), Ok("a\u{fffd}b".into()));
    }

    #[test]
    fn valid_text_is_borrowed() {
        let bytes = [0, 0, 0, 2, b'/', b'a'];
        assert!(matches!(Reader::new(&bytes).text(), Ok(Cow::Borrowed("/a"))));
    }

    #[test]
    fn impossible_lengths_are_refused_with_their_place() {
        let bytes = [0, 0, 0, 1, 255, 255, 255, 254];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.i32(), Ok(1));
        let error = DecodeError::Length { what: "buffer", offset: 4, length: -2 };
        assert_eq!(reader.clone().buffer(), Err(error));
        assert_eq!(error.to_string(), "buffer at byte 4 claims the impossible length -2");
        assert!(Reader::new(&[0, 0, 0, 2, b'a']).buffer().is_err());
        assert!(Reader::new(&[127, 255, 255, 255, 0]).text().is_err());
    }

    #[test]
    fn a_count_that_cannot_follow_is_refused() {
        let mut bytes = vec![0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
        assert!(Reader::new(&bytes).vector_len().is_err());
        bytes.push(0);
        assert_eq!(Reader::new(&bytes).vector_len(), Ok(2));
        assert!(Reader::new(&bytes).vector_len_of(12).is_err());
        assert_eq!(Reader::new(&[255; 4]).vector_len(), Ok(0));
        assert!(Reader::new(&[255, 255, 255, 254]).vector_len().is_err());
    }

    #[test]
    fn cut_numbers_are_refused() {
        assert_eq!(
            Reader::new(&[0, 0, 0]).i32(),
            Err(DecodeError::Truncated { what: "int", offset: 0 })
        );
        assert!(Reader::new(&[0; 7]).i64().is_err());
        assert!(Reader::new(&[]).bool().is_err());
        assert_eq!(Reader::new(&[7]).bool(), Ok(true));
    }
}
