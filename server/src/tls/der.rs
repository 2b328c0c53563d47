//! Just enough DER to take certificates and key containers apart.

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OBJECT_ID: u8 = 0x06;
pub(super) const UTC_TIME: u8 = 0x17;
pub(super) const GENERALIZED_TIME: u8 = 0x18;
pub(super) const SEQUENCE: u8 = 0x30;

/// One element: its tag and content, and both with the length between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) tag: u8,
    pub(super) content: &'a [u8],
    pub(super) whole: &'a [u8],
}

/// Reads the elements of a sequence, front to back. `None` is for anything out of order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next element, whatever its tag.
    pub(super) fn element(&mut self) -> Option<Element<'a>> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, mut rest) = rest.split_first()?;
        let len = match first {
            0..=0x7f => usize::from(first),
            0x81..=0x84 => {
                let (digits, behind) = rest.split_at_checked(usize::from(first & 0x7f))?;
                rest = behind;
                digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit))
            }
            _ => return None,
        };
        let (content, behind) = rest.split_at_checked(len)?;
        let whole = &self.0[..self.0.len() - behind.len()];
        self.0 = behind;
        Some(Element { tag, content, whole })
    }

    /// The content of the next element, which must have that tag.
    pub(super) fn content(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element().filter(|element| element.tag == tag).map(|element| element.content)
    }

    /// The elements inside the next element, which must have that tag.
    pub(super) fn inside(&mut self, tag: u8) -> Option<Reader<'a>> {
        self.content(tag).map(Reader)
    }

    /// The bytes of the next element, a bit string of whole bytes.
    pub(super) fn bits(&mut self) -> Option<&'a [u8]> {
        self.content(BIT_STRING)?.strip_prefix(&[0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_have_short_and_long_lengths() {
        let long = [&[OCTET_STRING, 0x81, 0x80][..], &[7; 128]].concat();
        let both = [&[INTEGER, 1, 5][..], &long].concat();
        let mut reader = Reader::new(&both);
        assert_eq!(reader.content(INTEGER), Some(&[5][..]));
        let element = reader.element().unwrap();
        assert_eq!((element.content, element.whole), (&[7; 128][..], &long[..]));
        assert!(reader.is_empty());
        assert_eq!(reader.element(), None);
    }

    #[test]
    fn lengths_beyond_the_end_and_endless_ones_are_refused() {
        for bytes in [
            &[INTEGER][..],
            &[INTEGER, 2, 0],
            &[INTEGER, 0x80, 0, 0],
            &[INTEGER, 0x84, 0xff, 0xff, 0xff, 0xff, 0],
            &[INTEGER, 0x85, 0, 0, 0, 0, 1, 0],
        ] {
            assert_eq!(Reader::new(bytes).element(), None, "{bytes:02x?}");
        }
        assert_eq!(Reader::new(&[INTEGER, 1, 5]).content(OCTET_STRING), None);
        assert_eq!(Reader::new(&[BIT_STRING, 2, 3, 8]).bits(), None);
    }
}
