//! The first frame in each direction of a connection. Neither has a header.

use std::borrow::Cow;

use crate::ids::{SessionId, Zxid};
use crate::jute::{DecodeError, Put, Reader};

/// Length of a session password in bytes.
pub const PASSWORD_LEN: usize = 16;

/// A client's wish for a new session, or to resume one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// 0; servers accept any.
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Always 0.
    pub protocol_version: i32,
    /// Negotiated session timeout; 0 if the session was refused.
    pub timeout_ms: i32,
    /// The session; 0 if it was refused.
    pub session: SessionId,
    /// What the client must show to resume the session.
    pub password: [u8; PASSWORD_LEN],
    /// Whether this server only reads; present if and only if the request had its byte.
    pub read_only: Option<bool>,
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
        if let Some(read_only) = self.read_only {
            out.put_bool(read_only);
        }
    }

    /// Decodes a frame's payload; bytes behind the record are ignored.
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
        Ok(Self { protocol_version, timeout_ms, session, password, read_only })
    }
}

/// The password with which Tenure's own client asks for a *new* session. Any bytes are legal there
/// and mean nothing to other servers. A Tenure server answers with [`TENURE_PROTOCOL`], and so the
/// client knows that this session's servers can be asked for more.
pub const TENURE_PASSWORD: [u8; PASSWORD_LEN] = *b"tenure-client-01";

/// The protocol version of handshakes between Tenure's own client and a Tenure server. Stock
/// clients and servers use 0 and never see another: a client sends it only to resume a session
/// whose server has answered with it.
pub const TENURE_PROTOCOL: i32 = 1;

/// How a session ended, told behind the refusal to resume it to a client that asked in
/// [`TENURE_PROTOCOL`]. Every client ignores bytes behind the record it knows, so this takes no
/// operation code of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account<'a> {
    /// 1 closed by its client, 2 expired, 3 closed by an operator.
    pub cause: i32,
    /// When, by the leader's clock, in milliseconds since the Unix epoch.
    pub ended_at_ms: i64,
    /// How long nothing had been heard of the client, in milliseconds; -1 if that is not why.
    pub silent_ms: i64,
    /// The same for people.
    pub text: Cow<'a, str>,
}

impl<'a> Account<'a> {
    /// Appends the encoding, which must stand behind a refusal with its last bool.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.put_i32(self.cause);
        out.put_i64(self.ended_at_ms);
        out.put_i64(self.silent_ms);
        out.put_text(&self.text);
    }

    /// Finds the account behind the `ConnectResponse` in a frame's payload, if there is one.
    pub fn behind_response(payload: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(payload.get(REFUSAL_LEN..)?);
        Some(Self {
            cause: reader.i32().ok()?,
            ended_at_ms: reader.i64().ok()?,
            silent_ms: reader.i64().ok()?,
            text: reader.text().ok()?,
        })
    }
}

/// Length of a `ConnectResponse` with its last bool.
const REFUSAL_LEN: usize = 37;

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
    fn an_account_stands_behind_a_refusal_and_disturbs_nobody() {
        let account =
            Account {
                cause: 2, ended_at_ms: 1_700_000_000_000, silent_ms: 4003, text: "é".into()
            };
        let refusal = ConnectResponse::refused(Some(false));
        let mut out = Vec::new();
        refusal.encode(&mut out);
        assert_eq!(Account::behind_response(&out), None);
        account.encode(&mut out);
        assert_eq!(ConnectResponse::decode(&out), Ok(refusal));
        assert_eq!(Account::behind_response(&out), Some(account));
        for cut in 0..out.len() {
            assert_eq!(Account::behind_response(&out[..cut]), None, "{cut}");
        }
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
