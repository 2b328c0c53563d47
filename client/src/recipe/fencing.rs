//! Fencing: what lets a storage refuse the late writes of somebody who does not hold any more.

use std::fmt;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use tenure_wire::Zxid;
use thiserror::Error;

/// A number that grows from each holder to the next: the `czxid` of the holder's znode, which is
/// the position of its creation in the order of all changes of the ensemble.
///
/// In a fair line the holder is always the one whose znode was created first of those that are
/// left. Who holds next was behind it, so its znode was created later, and its token is greater.
/// That stays true when the line's parent is deleted and made again, whose counter then starts at
/// zero, and after a restart or an election of the ensemble, whose zxids never go back.
///
/// Send it along with every write to a storage outside of the service, and have the storage ask a
/// [`FencingGate`].
///
/// ```
/// use tenure_client::recipe::FencingToken;
///
/// let token: FencingToken = "0x100000002a".parse()?;
/// assert_eq!(token.to_string(), "0x100000002a");
/// assert!(token < "0x1000000030".parse()?);
/// # Ok::<(), tenure_client::recipe::FencingTokenError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FencingToken(Zxid);

impl FencingToken {
    /// The token of a znode.
    pub const fn new(czxid: Zxid) -> Self {
        Self(czxid)
    }

    /// The zxid that created the holder's znode.
    pub const fn zxid(self) -> Zxid {
        self.0
    }
}

impl fmt::Display for FencingToken {
    /// `0x` and hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0.0)
    }
}

/// A text is no fencing token.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("not a fencing token: {0:?}; it must be 0x and up to 16 hexadecimal digits")]
pub struct FencingTokenError(String);

impl FromStr for FencingToken {
    type Err = FencingTokenError;

    fn from_str(text: &str) -> Result<Self, FencingTokenError> {
        let digits = text.strip_prefix("0x").filter(|digits| !digits.starts_with('+'));
        let number = digits.and_then(|digits| i64::from_str_radix(digits, 16).ok());
        let number = number.filter(|number| *number >= 0);
        number.map(|number| Self(Zxid(number))).ok_or_else(|| FencingTokenError(text.to_owned()))
    }
}

/// The storage's side of fencing: remembers the highest token it was shown and refuses lower ones.
///
/// Keep one per protected thing, and keep its [`highest`](Self::highest) with the thing itself: a
/// storage that forgets it lets a late writer in. Check and write must be one step, under one lock
/// or in one transaction of the storage.
///
/// ```
/// use tenure_client::recipe::FencingGate;
///
/// let gate = FencingGate::new();
/// let (old, new) = ("0x10".parse()?, "0x1f".parse()?);
/// assert!(gate.verify(old).is_ok());
/// assert!(gate.verify(new).is_ok());
/// assert!(gate.verify(old).is_err(), "another one has held since");
/// # Ok::<(), tenure_client::recipe::FencingTokenError>(())
/// ```
#[derive(Debug, Default)]
pub struct FencingGate {
    highest: Mutex<Option<FencingToken>>,
}

/// A token was refused: its holder does not hold any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("fencing token {token} is out of date: {highest} was seen")]
pub struct Fenced {
    /// The token shown.
    pub token: FencingToken,
    /// The highest one seen.
    pub highest: FencingToken,
}

impl FencingGate {
    /// A gate that has seen no token yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A gate that goes on from what was remembered.
    pub fn starting_at(highest: FencingToken) -> Self {
        Self { highest: Mutex::new(Some(highest)) }
    }

    /// Lets a token pass that is not lower than any before it.
    ///
    /// # Errors
    /// If a higher one was seen.
    pub fn verify(&self, token: FencingToken) -> Result<(), Fenced> {
        let mut seen = self.highest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(highest) = seen.filter(|highest| *highest > token) {
            return Err(Fenced { token, highest });
        }
        *seen = Some(token);
        Ok(())
    }

    /// The highest token seen.
    pub fn highest(&self) -> Option<FencingToken> {
        *self.highest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_ordered_and_survive_being_written_down() {
        let tokens: Vec<FencingToken> =
            [0, 9, 10, 0x1_0000_0000, i64::MAX].map(|zxid| FencingToken::new(Zxid(zxid))).to_vec();
        assert!(tokens.is_sorted());
        for token in tokens {
            assert_eq!(token.to_string().parse(), Ok(token));
        }
        for wrong in ["", "0x", "10", "0x-1", "0x+1", "0xg", "0x10000000000000000", " 0x1"] {
            assert!(wrong.parse::<FencingToken>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_gate_refuses_what_is_lower_and_lets_the_same_pass_again() {
        let token = |zxid| FencingToken::new(Zxid(zxid));
        let gate = FencingGate::starting_at(token(5));
        assert_eq!(gate.verify(token(5)), Ok(()));
        assert_eq!(gate.verify(token(7)), Ok(()));
        let refused = Fenced { token: token(6), highest: token(7) };
        assert_eq!(gate.verify(token(6)), Err(refused));
        assert_eq!(gate.highest(), Some(token(7)), "a refused token changes nothing");
    }
}
