//! The first frame in each direction of a connection. Neither has a header.
//!
//! Tenure's own client and server tell each other more than the protocol has room for, without an
//! operation of their own and without a byte that a stock peer could stumble over. A client that
//! asks for a new session may send any password, so it sends [`TENURE_PASSWORD`]; a Tenure server
//! answers with protocol version [`TENURE_PROTOCOL`] instead of 0. Only then does the client show
//! that version when it resumes the session, and only to such a request can a refusal carry an
//! [`Account`], behind the record, where every decoder stops reading. Handshakes with stock peers
//! are what they always were, byte for byte.

use std::borrow::Cow;

use crate::ids::{SessionId, Zxid};
use crate::jute::{DecodeError, Put, Reader};

/// Length of a session password in bytes.
pub const PASSWORD_LEN: usize = 16;

/// The password with which a client that understands an [`Account`] asks for a new session. Other
/// servers ignore it, as that of any new session.
pub const TENURE_PASSWORD: [u8; PASSWORD_LEN] = *b"tenure-client-01";

/// The protocol version that a Tenure server answers such a client, and that the client shows when
/// it resumes the session.
pub const TENURE_PROTOCOL: i32 = 1;

/// A client's wish for a new session, or to resume one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// 0, or [`TENURE_PROTOCOL`] to resume a session whose server answered that. Servers accept
    /// any.
    pub protocol_version: i32,
    /// The newest change the client knows of. A server behind it must not serve this client.
    pub last_zxid_seen: Zxid,
    /// Session timeout wished for.
    pub timeout_ms: i32,
    /// The session to resume, or 0 for a new one.
    pub session: SessionId,
    /// The password of the session to resume; any bytes, or null, for a new one.
    pub password: Option<&'a [u8]>,
    /// Whether a read-only server would do; some clients leave the byte out.
    pub read_only: Option<bool>,
}

impl<'a> ConnectRequest<'a> {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.protocol_version);
        out.put_i64(self.last_zxid_seen.0);
        out.put_i32(self.timeout_ms);
        out.put_i64(self.session.0);
        out.put_buffer(self.password);
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }

    /// Decodes a frame's payload; bytes behind the record are ignored.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        Ok(Self {
            protocol_version: reader.i32()?,
            last_zxid_seen: Zxid(reader.i64()?),
            timeout_ms: reader.i32()?,
            session: SessionId(reader.i64()?),
            password: reader.buffer()?,
            read_only: trailing_bool(&mut reader)?,
        })
    }
}

/// The server's answer to a `ConnectRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectResponse {
    /// 0, or [`TENURE_PROTOCOL`] to a client that has shown to understand an [`Account`].
    pub protocol_version: i32,
    /// Negotiated session timeout; 0 if the session was refused.
    pub timeout_ms: i32,
    /// The session; 0 if it was refused.
    pub session: SessionId,
    /// What the client must show to resume the session.
    pub password: [u8; PASSWORD_LEN],
    /// Whether this server only reads; present if and only if the request had its byte.
    pub read_only: Option<bool>,
    /// How the session ended. Only in a refusal, and only behind `read_only`: that byte is written
    /// even if it is absent here.
    pub account: Option<Account>,
}

impl ConnectResponse {
    /// The answer for a session that is unknown, ended, or asked for with a wrong password.
    /// `read_only` is `Some(false)` if the request had the byte.
    pub fn refused(read_only: Option<bool>) -> Self {
        Self { read_only, ..Self::default() }
    }

    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.protocol_version);
        out.put_i32(self.timeout_ms);
        out.put_i64(self.session.0);
        out.put_buffer(Some(&self.password));
        if let Some(read_only) = self.read_only.or(self.account.as_ref().map(|_| false)) {
            out.put_bool(read_only);
        }
        if let Some(account) = &self.account {
            account.encode(out);
        }
    }

    /// Decodes a frame's payload; bytes behind the record are ignored, and so is an account that is
    /// none.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let protocol_version = reader.i32()?;
        let timeout_ms = reader.i32()?;
        let session = SessionId(reader.i64()?);
        let offset = reader.offset();
        let bytes = reader.buffer()?.unwrap_or_default();
        let password = bytes.try_into().map_err(|_| DecodeError::Length {
            what: "password",
            offset,
            length: i32::try_from(bytes.len()).unwrap_or(i32::MAX),
        })?;
        let read_only = trailing_bool(&mut reader)?;
        // A session that was granted has not ended.
        let refused = timeout_ms == 0 && session == SessionId(0);
        let account = if refused { Account::decode(&mut reader).ok() } else { None };
        Ok(Self { protocol_version, timeout_ms, session, password, read_only, account })
    }
}

/// How a session ended, as the server that refuses to resume it remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who ended it.
    pub by: EndedBy,
    /// The leader's wall clock when it did, in milliseconds since the Unix epoch.
    pub ended_at_ms: i64,
    /// How long nothing had been heard of its client, in milliseconds, if that is why.
    pub silent_ms: Option<i64>,
    /// The same in words, for people.
    pub explanation: Option<String>,
}

/// Who ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Its client closed it.
    Client,
    /// The server: it expired.
    Expiry,
    /// An operator closed it.
    Operator,
    /// Somebody that this version has no name for, by their number, which is above 3.
    Other(i32),
}

impl Account {
    /// Appends the encoding.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(match self.by {
            EndedBy::Client => 1,
            EndedBy::Expiry => 2,
            EndedBy::Operator => 3,
            EndedBy::Other(code) => code,
        });
        out.put_i64(self.ended_at_ms);
        out.put_i64(self.silent_ms.unwrap_or(-1));
        out.put_opt_text(self.explanation.as_deref());
    }

    /// Decodes a record.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        let by = match reader.i32()? {
            1 => EndedBy::Client,
            2 => EndedBy::Expiry,
            3 => EndedBy::Operator,
            code @ 4.. => EndedBy::Other(code),
            value => return Err(DecodeError::Value { what: "end of a session", offset, value }),
        };
        Ok(Self {
            by,
            ended_at_ms: reader.i64()?,
            silent_ms: Some(reader.i64()?).filter(|silent_ms| *silent_ms >= 0),
            explanation: reader.opt_text()?.map(Cow::into_owned),
        })
    }
}

/// Reads the last bool of a handshake, which old clients and the answers to them leave out.
fn trailing_bool(reader: &mut Reader<'_>) -> Result<Option<bool>, DecodeError> {
    if reader.remaining() == 0 { Ok(None) } else { reader.bool().map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_read_only_byte_is_optional_both_ways() {
        for (read_only, length) in [(None, 44), (Some(false), 45), (Some(true), 45)] {
            let request =
                ConnectRequest { password: Some(&[7; 16]), read_only, ..ConnectRequest::default() };
            let mut out = Vec::new();
            request.encode(&mut out);
            assert_eq!(out.len(), length);
            assert_eq!(ConnectRequest::decode(&out), Ok(request));

            let response = ConnectResponse::refused(read_only);
            out.clear();
            response.encode(&mut out);
            assert_eq!(out.len(), length - 8);
            assert_eq!(ConnectResponse::decode(&out), Ok(response));
        }
    }

    #[test]
    fn an_account_stands_behind_a_refusal_and_nowhere_else() {
        let account = Account {
            by: EndedBy::Expiry,
            ended_at_ms: 1_700_000_000_000,
            silent_ms: Some(4_003),
            explanation: Some("silent".to_owned()),
        };
        let refused = ConnectResponse::refused(Some(false));
        let told = ConnectResponse { account: Some(account.clone()), ..refused.clone() };
        let (mut plain, mut bytes) = (Vec::new(), Vec::new());
        refused.encode(&mut plain);
        told.encode(&mut bytes);
        // What a stock client reads of it is what it always was.
        assert_eq!(bytes[..plain.len()], plain);
        assert_eq!(
            bytes[plain.len()..],
            *b"\0\0\0\x02\0\0\x01\x8b\xcf\xe5h\0\0\0\0\0\0\0\x0f\xa3\0\0\0\x06silent"
        );
        assert_eq!(ConnectResponse::decode(&bytes), Ok(told.clone()));
        // Cut anywhere, it is no account, and the refusal is still one.
        for end in plain.len()..bytes.len() {
            assert_eq!(ConnectResponse::decode(&bytes[..end]), Ok(refused.clone()));
        }
        let mut old = Vec::new();
        ConnectResponse { read_only: None, ..told.clone() }.encode(&mut old);
        assert_eq!(old, bytes, "an account is never taken for the byte before it");

        let granted = ConnectResponse { session: SessionId(7), timeout_ms: 4_000, ..told };
        bytes.clear();
        granted.encode(&mut bytes);
        assert_eq!(ConnectResponse::decode(&bytes).map(|response| response.account), Ok(None));
    }

    #[test]
    fn accounts_are_optional_in_their_parts() {
        for by in [EndedBy::Client, EndedBy::Expiry, EndedBy::Operator, EndedBy::Other(9)] {
            let account = Account { by, ended_at_ms: -5, silent_ms: None, explanation: None };
            let mut bytes = Vec::new();
            account.encode(&mut bytes);
            assert_eq!(Account::decode(&mut Reader::new(&bytes)), Ok(account));
        }
        let error = Account::decode(&mut Reader::new(&[0; 24]));
        let what = "end of a session";
        assert_eq!(error, Err(DecodeError::Value { what, offset: 0, value: 0 }));
    }

    #[test]
    fn a_password_of_another_length_is_refused_in_an_answer() {
        let mut out = Vec::new();
        ConnectResponse::refused(None).encode(&mut out);
        out[19] = 15;
        assert!(matches!(
            ConnectResponse::decode(&out),
            Err(DecodeError::Length { what: "password", offset: 16, length: 15 })
        ));
    }
}
