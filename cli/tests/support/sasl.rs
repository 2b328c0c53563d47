//! A client's half of SASL DIGEST-MD5 (RFC 2831), with every field open to lies.

use md5::{Digest, Md5};

use super::client::{Client, Reply};
use super::ops::Op;
use super::record::{Body, Fields};

/// What a client answers to a challenge.
#[derive(Clone, Debug)]
pub struct Answer {
    pub user: String,
    pub password: String,
    pub realm: String,
    pub nonce: String,
    pub count: &'static str,
    pub uri: &'static str,
    pub qop: &'static str,
    pub authzid: Option<String>,
}

impl Answer {
    /// The right one.
    pub fn to(challenge: &str, user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            realm: quoted(challenge, "realm"),
            nonce: quoted(challenge, "nonce"),
            count: "00000001",
            uri: "zookeeper/zk-sasl-md5",
            qop: "auth",
            authzid: None,
        }
    }

    /// The token to send.
    pub fn token(&self) -> String {
        let Self { user, realm, nonce, count, uri, qop, .. } = self;
        let authzid = self.authzid.as_ref().map(|id| format!(",authzid=\"{id}\""));
        format!(
            "username=\"{user}\",realm=\"{realm}\",nonce=\"{nonce}\",nc={count},\
             cnonce=\"{CNONCE}\",digest-uri=\"{uri}\",maxbuf=65536,response={},qop={qop}{}",
            self.response(),
            authzid.unwrap_or_default()
        )
    }

    fn response(&self) -> String {
        let Self { user, password, realm, nonce, count, uri, qop, authzid } = self;
        let mut first = Md5::new();
        first.update(Md5::digest(format!("{user}:{realm}:{password}")));
        first.update(format!(":{nonce}:{CNONCE}"));
        if let Some(authzid) = authzid {
            first.update(format!(":{authzid}"));
        }
        let first = hex(&first.finalize());
        let second = hex(&Md5::digest(format!("AUTHENTICATE:{uri}")));
        hex(&Md5::digest(format!("{first}:{nonce}:{count}:{CNONCE}:{qop}:{second}")))
    }
}

const CNONCE: &str = "an own nonce";

/// Sends a token and returns the answer.
pub fn send(client: &mut Client, token: &[u8]) -> Reply {
    client.call(&Op::new(102, Body::new().buffer(Some(token))))
}

/// The token of an answer that is no failure.
pub fn token_of(reply: &Reply) -> Option<String> {
    assert_eq!((reply.zxid, reply.err), (0, 0));
    let mut fields = Fields(&reply.body);
    let token = fields.buffer();
    fields.end();
    token.map(|token| String::from_utf8(token).unwrap())
}

/// An exchange that failed ends the connection with this error, and a null token.
pub fn expect_failure(client: &mut Client, reply: &Reply, error: i32) {
    assert_eq!((reply.err, reply.zxid, &reply.body[..]), (error, 0, &[0xff; 4][..]));
    client.socket.expect_end();
}

/// Begins an exchange and returns the challenge.
pub fn begin(client: &mut Client) -> String {
    let reply = send(client, b"");
    token_of(&reply).expect("a server with SASL sends a challenge")
}

/// A whole exchange, as a stock client has it.
pub fn authenticate(client: &mut Client, user: &str, password: &str) -> Reply {
    let challenge = begin(client);
    send(client, Answer::to(&challenge, user, password).token().as_bytes())
}

/// The value of `name="value"`.
fn quoted(text: &str, name: &str) -> String {
    let (_, after) = text.split_once(&format!("{name}=\"")).expect("the challenge has it");
    after.split_once('"').expect("a quote ends it").0.to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
