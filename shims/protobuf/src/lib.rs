//! The sliver of the `protobuf` 2 interface that the consensus library calls, see shims/README.md.

use std::fmt;

/// A value with an encoding as bytes.
pub trait Message: Default {
    /// Length in bytes of what [`Message::write_to_vec`] appends; saturates at `u32::MAX`.
    fn compute_size(&self) -> u32;

    /// Appends the encoding to `out`.
    fn write_to_vec(&self, out: &mut Vec<u8>) -> ProtobufResult<()>;

    /// Reads a whole encoding over the present value: single fields are replaced by those that the
    /// bytes hold, lists grow. On an error the value is left half merged and must be dropped.
    fn merge_from_bytes(&mut self, bytes: &[u8]) -> ProtobufResult<()>;

    /// The encoding as a new vector.
    fn write_to_bytes(&self) -> ProtobufResult<Vec<u8>> {
        let mut out = Vec::with_capacity(self.compute_size() as usize);
        self.write_to_vec(&mut out)?;
        Ok(out)
    }

    /// Reads a whole encoding as a new value.
    fn parse_from_bytes(bytes: &[u8]) -> ProtobufResult<Self> {
        let mut value = Self::default();
        value.merge_from_bytes(bytes)?;
        Ok(value)
    }
}

/// Why bytes are not the encoding of a value. The published crate has more variants, hence the
/// mark: a `match` written against this one also compiles there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProtobufError {
    /// The bytes break a rule of the encoding.
    WireError(WireError),
}

/// The rule of the encoding that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes end inside a field.
    UnexpectedEof,
    /// A number has more than ten bytes or more than 64 bits.
    IncorrectVarint,
    /// A field has number zero or an encoding that does not exist.
    IncorrectTag(u64),
    /// A known field comes in the encoding of another type.
    UnexpectedWireType(u8),
    /// An enumeration has no such value.
    InvalidEnumValue(u64),
    /// A list has more elements than any sender makes.
    ListTooLong,
}

/// What every fallible call of [`Message`] gives.
pub type ProtobufResult<T> = Result<T, ProtobufError>;

impl From<WireError> for ProtobufError {
    fn from(error: WireError) -> Self {
        Self::WireError(error)
    }
}

impl fmt::Display for ProtobufError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::WireError(error) = self;
        match error {
            WireError::UnexpectedEof => write!(f, "the bytes end inside a field"),
            WireError::IncorrectVarint => write!(f, "a number is longer than 64 bits"),
            WireError::IncorrectTag(tag) => write!(f, "no field can have the tag {tag}"),
            WireError::UnexpectedWireType(kind) => {
                write!(f, "a field of another type than encoding {kind}")
            }
            WireError::InvalidEnumValue(value) => write!(f, "unknown enumeration value {value}"),
            WireError::ListTooLong => write!(f, "a list has too many elements"),
        }
    }
}

impl std::error::Error for ProtobufError {}
