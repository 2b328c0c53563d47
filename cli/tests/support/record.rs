//! Fields of records, written and read one by one.

/// A record under construction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Body(pub Vec<u8>);

impl Body {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn bool(self, value: bool) -> Self {
        self.raw(&[u8::from(value)])
    }

    pub fn int(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn long(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }

    pub fn buffer(self, value: Option<&[u8]>) -> Self {
        match value {
            None => self.int(-1),
            Some(bytes) => self.int(bytes.len() as i32).raw(bytes),
        }
    }

    pub fn string(self, value: &str) -> Self {
        self.buffer(Some(value.as_bytes()))
    }

    pub fn strings(self, values: &[&str]) -> Self {
        values.iter().fold(self.int(values.len() as i32), |body, value| body.string(value))
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
}

/// A record being read; panics where the bytes are not what the test expects.
#[derive(Clone, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn bool(&mut self) -> bool {
        match self.take(1)[0] {
            0 => false,
            1 => true,
            other => panic!("{other} is not a bool"),
        }
    }

    pub fn int(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub fn long(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    pub fn buffer(&mut self) -> Option<Vec<u8>> {
        match self.int() {
            -1 => None,
            length => Some(self.take(usize::try_from(length).unwrap()).to_vec()),
        }
    }

    pub fn string(&mut self) -> String {
        String::from_utf8(self.buffer().expect("not null")).unwrap()
    }

    pub fn strings(&mut self) -> Vec<String> {
        (0..self.int()).map(|_| self.string()).collect()
    }

    /// Nothing may follow.
    pub fn end(self) {
        assert!(self.0.is_empty(), "{} bytes too many: {:?}", self.0.len(), self.0);
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at_checked(count).expect("the record is long enough");
        self.0 = rest;
        head
    }
}
