//! Frames: a 4-byte big-endian length, then that many bytes of payload.

use std::ops::Range;

use thiserror::Error;

/// Longest payload accepted by default, in bytes; the protocol's traditional limit.
pub const DEFAULT_MAX_FRAME: usize = 1_048_575;

/// Length of the prefix in bytes.
pub const PREFIX_LEN: usize = 4;

/// Why a length prefix cannot be the start of a frame. The stream cannot be read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The length is below zero.
    #[error("negative frame length {length}")]
    Negative {
        /// The length claimed.
        length: i32,
    },
    /// The length is zero, and no frame is empty.
    #[error("empty frame")]
    Empty,
    /// The length is above the limit.
    #[error("frame of {length} bytes, more than the {max_len} allowed")]
    TooLong {
        /// The length claimed.
        length: usize,
        /// The limit.
        max_len: usize,
    },
}

/// Reserves room for a length prefix. Append the payload, then hand the result to [`end`].
pub fn begin(out: &mut Vec<u8>) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_LEN]);
    start
}

/// Completes the frame that [`begin`] started at `start`.
pub fn end(out: &mut [u8], start: usize) {
    let payload = start + PREFIX_LEN;
    let length = i32::try_from(out.len() - payload).expect("no frame comes near 2 GiB");
    out[start..payload].copy_from_slice(&length.to_be_bytes());
}

/// Finds the first frame in a read buffer: where its payload stands, so that the range's end is
/// also the number of bytes the frame takes. `None` until the whole frame is there; the length is
/// judged as soon as its four bytes are.
pub fn split(buf: &[u8], max_len: usize) -> Result<Option<Range<usize>>, FrameError> {
    let Some(prefix) = buf.first_chunk::<PREFIX_LEN>() else {
        return Ok(None);
    };
    let length = i32::from_be_bytes(*prefix);
    if length == 0 {
        return Err(FrameError::Empty);
    }
    let length = usize::try_from(length).map_err(|_| FrameError::Negative { length })?;
    if length > max_len {
        return Err(FrameError::TooLong { length, max_len });
    }
    let range = PREFIX_LEN..PREFIX_LEN + length;
    Ok((buf.len() >= range.end).then_some(range))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in() {
        let mut out = vec![9];
        for payload in [&b"one"[..], b"three"] {
            let start = begin(&mut out);
            out.extend_from_slice(payload);
            end(&mut out, start);
        }
        let mut buf = &out[1..];
        let first = split(buf, 5).unwrap().unwrap();
        assert_eq!(&buf[first.clone()], b"one");
        buf = &buf[first.end..];
        assert_eq!(split(buf, 5), Ok(Some(4..9)));
        assert_eq!(&buf[4..9], b"three");
        assert_eq!(split(&buf[9..], 5), Ok(None));
    }

    #[test]
    fn a_frame_is_awaited_until_it_is_whole() {
        let frame = [0, 0, 0, 2, 7, 7, 0];
        for cut in 0..6 {
            assert_eq!(split(&frame[..cut], 10), Ok(None), "{cut}");
        }
        assert_eq!(split(&frame, 10), Ok(Some(4..6)));
    }

    #[test]
    fn bad_lengths_are_named_before_the_payload_arrives() {
        assert_eq!(split(&[0; 4], 10), Err(FrameError::Empty));
        assert_eq!(split(&[255; 4], 10), Err(FrameError::Negative { length: -1 }));
        assert_eq!(split(&[128, 0, 0, 0], 10), Err(FrameError::Negative { length: i32::MIN }));
        assert_eq!(
            split(&[0, 16, 0, 0], DEFAULT_MAX_FRAME),
            Err(FrameError::TooLong { length: 1 << 20, max_len: DEFAULT_MAX_FRAME })
        );
        assert_eq!(split(&[0, 15, 255, 255], DEFAULT_MAX_FRAME), Ok(None));
    }
}
