//! A session's id and password as a value that can be stored and resumed from.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tenure_wire::{PASSWORD_LEN, SessionId};
use thiserror::Error;

/// All that it takes to resume a session, also in another process: write it down with
/// [`Display`](fmt::Display), read it back with [`FromStr`]. Whoever holds it owns the session, so
/// it is a secret, and `Debug` does not show it.
///
/// ```
/// # use tenure_client::SessionToken;
/// let text = "tenure-1.0x10000a0b0c0d0e0.000102030405060708090a0b0c0d0e0f.4000.1";
/// let token: SessionToken = text.parse()?;
/// assert_eq!(token.id().0, 0x10000a0b0c0d0e0);
/// assert_eq!(token.to_string(), text);
/// # Ok::<(), tenure_client::TokenError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken {
    pub(crate) id: SessionId,
    pub(crate) password: [u8; PASSWORD_LEN],
    pub(crate) timeout: Duration,
    /// Whether a Tenure server established it, and so can be asked for more.
    pub(crate) by_tenure: bool,
}

impl SessionToken {
    /// A token of a session that another client library established.
    pub fn new(id: SessionId, password: [u8; PASSWORD_LEN], timeout: Duration) -> Self {
        Self { id, password, timeout, by_tenure: false }
    }

    /// The session.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The timeout that was negotiated.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionToken").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Display for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{VERSION}.{}.", self.id)?;
        self.password.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        write!(f, ".{}.{}", self.timeout.as_millis(), u8::from(self.by_tenure))
    }
}

const VERSION: &str = "tenure-1";

/// Why a text is no token: which of its parts is wrong. The parts themselves are not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not a session token: {0}")]
pub struct TokenError(&'static str);

impl FromStr for SessionToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let parts: Vec<&str> = text.trim().split('.').collect();
        let [version, id, password, timeout, by_tenure] = parts[..] else {
            return Err(TokenError("it must have five parts with dots between them"));
        };
        if version != VERSION {
            return Err(TokenError("it must start with tenure-1"));
        }
        let id = id.strip_prefix("0x").and_then(|id| u64::from_str_radix(id, 16).ok());
        let id = id.filter(|id| *id != 0).ok_or(TokenError("the session id is no number"))?;
        let mut bytes = [0; PASSWORD_LEN];
        if password.len() != 2 * PASSWORD_LEN || !password.is_ascii() {
            return Err(TokenError("the password must be 32 hexadecimal digits"));
        }
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&password[2 * index..2 * index + 2], 16)
                .map_err(|_| TokenError("the password must be 32 hexadecimal digits"))?;
        }
        let timeout: u32 =
            timeout.parse().map_err(|_| TokenError("the timeout is no number of milliseconds"))?;
        let by_tenure = match by_tenure {
            "0" => false,
            "1" => true,
            _ => return Err(TokenError("the last part must be 0 or 1")),
        };
        let timeout = Duration::from_millis(timeout.into());
        Ok(Self { id: SessionId(id as i64), password: bytes, timeout, by_tenure })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_being_written_down_and_hide_their_password() {
        let token = SessionToken {
            id: SessionId(-2),
            password: [0xab; PASSWORD_LEN],
            timeout: Duration::from_millis(1500),
            by_tenure: true,
        };
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        assert!(!format!("{token:?}").contains("171") && !format!("{token:?}").contains("ab"));
    }

    #[test]
    fn wrong_tokens_name_the_wrong_part() {
        let good = SessionToken::new(SessionId(1), [1; 16], Duration::from_secs(1)).to_string();
        let damaged = [
            good.replace("tenure-1", "tenure-2"),
            good.replace("0x1", "1"),
            good.replace("0x1", "0x0"),
            good.replace("0101", "01"),
            good.replace("0101", "01g1"),
            good.replace("1000", "x"),
            format!("{good}1"),
            format!("{good}.1"),
            String::new(),
            good.replace("01010101010101010101010101010101", "é101010101010101010101010101010"),
        ];
        for text in damaged {
            assert!(text.parse::<SessionToken>().is_err(), "{text}");
        }
    }
}
