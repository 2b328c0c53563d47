//! The encoding of fields and records: the part of protobuf's that these messages use.
//!
//! A field is a varint tag (number and kind) and a varint or a length and bytes. Fields with their
//! default value are left out, unknown ones are skipped, so that either side may be newer. Input
//! comes from disks and peers: nothing here recurses deeper than the types nest, and nothing is
//! allocated that the input does not pay for.

use bytes::Bytes;
use protobuf::{ProtobufError, ProtobufResult, WireError};

/// Longest list that is read, per field. An entry takes at least four bytes, so this is more than
/// any append message of a megabyte can hold, while it bounds what a hostile frame can cost.
pub(crate) const MAX_LIST: usize = 1 << 20;

/// What a tag says about the bytes that follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    Fixed32 = 5,
}

impl Kind {
    fn unexpected(self) -> ProtobufError {
        WireError::UnexpectedWireType(self as u8).into()
    }
}

/// A struct of numbered fields.
pub(crate) trait Record: Default {
    /// Length in bytes of what [`Record::write_fields`] appends.
    fn fields_size(&self) -> usize;
    fn write_fields(&self, out: &mut Vec<u8>);
    /// Reads one field; false if the record has none of that number.
    fn read_field(&mut self, number: u64, kind: Kind, from: &mut Reader) -> ProtobufResult<bool>;

    /// Reads fields until the input ends.
    fn read_fields(&mut self, from: &mut Reader) -> ProtobufResult<()> {
        while let Some((number, kind)) = from.tag()? {
            if !self.read_field(number, kind, from)? {
                from.skip(kind)?;
            }
        }
        Ok(())
    }
}

/// A value that can stand in a field.
pub(crate) trait Field {
    /// Length in bytes of what [`Field::write`] appends, its tag included.
    fn size(&self, number: u64) -> usize;
    fn write(&self, number: u64, out: &mut Vec<u8>);
    fn read(&mut self, kind: Kind, from: &mut Reader) -> ProtobufResult<()>;
}

/// The unread rest of an input.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn tag(&mut self) -> ProtobufResult<Option<(u64, Kind)>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let kind = match tag & 7 {
            0 => Kind::Varint,
            1 => Kind::Fixed64,
            2 => Kind::Bytes,
            5 => Kind::Fixed32,
            // Groups nest without bound; nothing writes them.
            _ => return Err(WireError::IncorrectTag(tag).into()),
        };
        match tag >> 3 {
            0 => Err(WireError::IncorrectTag(tag).into()),
            number => Ok(Some((number, kind))),
        }
    }

    fn varint(&mut self) -> ProtobufResult<u64> {
        let mut value = 0u64;
        for (position, &byte) in self.rest.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if position == 9 && byte > 1 {
                return Err(WireError::IncorrectVarint.into());
            }
            value |= bits << (7 * position);
            if byte < 0x80 {
                self.rest = &self.rest[position + 1..];
                return Ok(value);
            }
        }
        Err(WireError::UnexpectedEof.into())
    }

    fn take(&mut self, length: u64) -> ProtobufResult<&'a [u8]> {
        let split = usize::try_from(length).ok().and_then(|at| self.rest.split_at_checked(at));
        let (taken, rest) = split.ok_or(WireError::UnexpectedEof)?;
        self.rest = rest;
        Ok(taken)
    }

    fn block(&mut self) -> ProtobufResult<&'a [u8]> {
        let length = self.varint()?;
        self.take(length)
    }

    fn skip(&mut self, kind: Kind) -> ProtobufResult<()> {
        match kind {
            Kind::Varint => self.varint().map(drop),
            Kind::Fixed64 => self.take(8).map(drop),
            Kind::Bytes => self.block().map(drop),
            Kind::Fixed32 => self.take(4).map(drop),
        }
    }
}

fn varint_size(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn tag_size(number: u64) -> usize {
    varint_size(number << 3)
}

fn write_tag(number: u64, kind: Kind, out: &mut Vec<u8>) {
    write_varint(number << 3 | kind as u64, out);
}

fn block_size(number: u64, length: usize) -> usize {
    tag_size(number) + varint_size(length as u64) + length
}

fn write_block_head(number: u64, length: usize, out: &mut Vec<u8>) {
    write_tag(number, Kind::Bytes, out);
    write_varint(length as u64, out);
}

impl Field for u64 {
    fn size(&self, number: u64) -> usize {
        if *self == 0 { 0 } else { tag_size(number) + varint_size(*self) }
    }

    fn write(&self, number: u64, out: &mut Vec<u8>) {
        if *self != 0 {
            write_tag(number, Kind::Varint, out);
            write_varint(*self, out);
        }
    }

    fn read(&mut self, kind: Kind, from: &mut Reader) -> ProtobufResult<()> {
        if kind != Kind::Varint {
            return Err(kind.unexpected());
        }
        *self = from.varint()?;
        Ok(())
    }
}

impl Field for i64 {
    fn size(&self, number: u64) -> usize {
        self.cast_unsigned().size(number)
    }

    fn write(&self, number: u64, out: &mut Vec<u8>) {
        self.cast_unsigned().write(number, out);
    }

    fn read(&mut self, kind: Kind, from: &mut Reader) -> ProtobufResult<()> {
        let mut value = 0u64;
        value.read(kind, from)?;
        *self = value.cast_signed();
        Ok(())
    }
}

impl Field for bool {
    fn size(&self, number: u64) -> usize {
        u64::from(*self).size(number)
    }

    fn write(&self, number: u64, out: &mut Vec<u8>) {
        u64::from(*self).write(number, out);
    }

    fn read(&mut self, kind: Kind, from: &mut Reader) -> ProtobufResult<()> {
        let mut value = 0u64;
        value.read(kind, from)?;
        *self = value != 0;
        Ok(())
    }
}

impl Field for Bytes {
    fn size(&self, number: u64) -> usize {
        if self.is_empty() { 0 } else { block_size(number, self.len()) }
    }

    fn write(&self, number: u64, out: &mut Vec<u8>) {
        if !self.is_empty() {
            write_block_head(number, self.len(), out);
            out.extend_from_slice(self);
        }
    }

    fn read(&mut self, kind: Kind, from: &mut Reader) -> ProtobufResult<()> {
        if kind != Kind::Bytes {
            return Err(kind.unexpected());
        }
        *self = Bytes::copy_from_slice(from.block()?);
        Ok(())
    }
}

/// Numbers are written one by one, as the published crate does; blocks of them are read as well.
impl Field for Vec<u64> {
    fn size(&self, number: u64) -> usize {
        self.iter().map(|value| tag_size(number) + varint_size(*value)).sum()
    }

    fn write(&self, number: u64, out: &mut Vec<u8>) {
        for value in self {
            write_tag(number, Kind::Varint, out);
            write_varint(*value, out);
        }
    }

    fn read(&mut self, kind: Kind, from: &mut Reader) -> ProtobufResult<()> {
        match kind {
            Kind::Varint => push(self, from.varint()?),
            Kind::Bytes => {
                let mut block = Reader::new(from.block()?);
                while !block.rest.is_empty() {
                    push(self, block.varint()?)?;
                }
                Ok(())
            }
            Kind::Fixed64 | Kind::Fixed32 => Err(kind.unexpected()),
        }
    }
}

fn push<T>(list: &mut Vec<T>, value: T) -> ProtobufResult<()> {
    if list.len() >= MAX_LIST {
        return Err(WireError::ListTooLong.into());
    }
    list.push(value);
    Ok(())
}

impl<R: Record> Field for Vec<R> {
    fn size(&self, number: u64) -> usize {
        self.iter().map(|record| block_size(number, record.fields_size())).sum()
    }

    fn write(&self, number: u64, out: &mut Vec<u8>) {
        for record in self {
            write_record(record, number, out);
        }
    }

    fn read(&mut self, kind: Kind, from: &mut Reader) -> ProtobufResult<()> {
        let mut record = R::default();
        read_record(&mut record, kind, from)?;
        push(self, record)
    }
}

impl<R: Record> Field for Option<Box<R>> {
    fn size(&self, number: u64) -> usize {
        self.as_ref().map_or(0, |record| block_size(number, record.fields_size()))
    }

    fn write(&self, number: u64, out: &mut Vec<u8>) {
        if let Some(record) = self {
            write_record(&**record, number, out);
        }
    }

    fn read(&mut self, kind: Kind, from: &mut Reader) -> ProtobufResult<()> {
        read_record(&mut **self.get_or_insert_default(), kind, from)
    }
}

fn write_record<R: Record>(record: &R, number: u64, out: &mut Vec<u8>) {
    write_block_head(number, record.fields_size(), out);
    record.write_fields(out);
}

fn read_record<R: Record>(record: &mut R, kind: Kind, from: &mut Reader) -> ProtobufResult<()> {
    if kind != Kind::Bytes {
        return Err(kind.unexpected());
    }
    record.read_fields(&mut Reader::new(from.block()?))
}
