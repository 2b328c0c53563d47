//! SASL DIGEST-MD5 (RFC 2831), the mechanism that stock clients speak without Kerberos: the
//! server's half, as ZooKeeper's answers it (reference 5.5).

use std::fmt::Write;

use md5::{Digest, Md5};
use sha2::Sha256;

use crate::session::auth::same_in_constant_time;

/// The realm of every ZooKeeper server.
const REALM: &str = "zk-sasl-md5";

/// How far a connection's exchange has come.
#[derive(Clone, Debug, Default)]
pub(crate) enum SaslExchange {
    /// Nothing was said yet.
    #[default]
    Idle,
    /// The challenge with this nonce is out.
    Challenged { nonce: String },
}

/// What to answer to a token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SaslAnswer {
    /// Go on with this token.
    Challenge(String),
    /// The client is this user; its proof that we know the password too.
    Done { user: String, proof: String },
}

/// The client has not shown who it is. It is not told why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the SASL exchange failed")]
pub(crate) struct SaslFailed;

impl SaslExchange {
    /// Takes a client's token. `entropy` makes the nonce; it must differ between connections.
    pub(crate) fn answer(
        &mut self,
        users: &[(String, String)],
        entropy: &[u8],
        token: &[u8],
    ) -> Result<SaslAnswer, SaslFailed> {
        let SaslExchange::Challenged { nonce } = std::mem::take(self) else {
            // Whatever the first token says: nobody has asked anything yet.
            let nonce =
                hex(&Sha256::new().chain_update("sasl nonce").chain_update(entropy).finalize());
            let challenge =
                format!("realm=\"{REALM}\",nonce=\"{nonce}\",charset=utf-8,algorithm=md5-sess");
            *self = SaslExchange::Challenged { nonce };
            return Ok(SaslAnswer::Challenge(challenge));
        };
        let text = std::str::from_utf8(token).map_err(|_| SaslFailed)?;
        let directives = directives(text)?;
        let get = |name: &str| {
            let found = directives.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| value.as_str())
        };
        let user = get("username").ok_or(SaslFailed)?;
        let once = get("nc") == Some("00000001") && get("nonce") == Some(&*nonce);
        let plain = get("qop").is_none_or(|qop| qop == "auth");
        if !once || !plain || get("realm").is_some_and(|realm| realm != REALM) {
            return Err(SaslFailed);
        }
        // Nobody is to learn from the time it takes which users there are.
        let known = users.iter().find(|(name, _)| name == user);
        let password = known.map_or("", |(_, password)| password);
        let proof = Proof {
            user,
            password,
            nonce: &nonce,
            cnonce: get("cnonce").ok_or(SaslFailed)?,
            authzid: get("authzid"),
            uri: get("digest-uri").ok_or(SaslFailed)?,
        };
        let shown = get("response").ok_or(SaslFailed)?;
        if !same_in_constant_time(shown, proof.response("AUTHENTICATE")) || known.is_none() {
            return Err(SaslFailed);
        }
        // Acting for somebody else would need a rule that nobody has configured.
        if get("authzid").is_some_and(|authzid| authzid != user) {
            return Err(SaslFailed);
        }
        Ok(SaslAnswer::Done {
            user: user.to_owned(),
            proof: format!("rspauth={}", proof.response("")),
        })
    }
}

/// Whom a client says to be, before that is proved.
pub(crate) fn claimed_user(token: &[u8]) -> Option<String> {
    let directives = directives(std::str::from_utf8(token).ok()?).ok()?;
    directives.into_iter().find(|(key, _)| *key == "username").map(|(_, value)| value)
}

/// What both ends hash.
struct Proof<'a> {
    user: &'a str,
    password: &'a str,
    nonce: &'a str,
    cnonce: &'a str,
    authzid: Option<&'a str>,
    uri: &'a str,
}

impl Proof<'_> {
    /// The response-value of RFC 2831, 2.1.2.1; the server's own has an empty method.
    fn response(&self, method: &str) -> String {
        let secret = Md5::new()
            .chain_update(narrow(self.user))
            .chain_update(":")
            .chain_update(REALM)
            .chain_update(":")
            .chain_update(narrow(self.password))
            .finalize();
        let mut first = Md5::new().chain_update(secret);
        for part in [Some(self.nonce), Some(self.cnonce), self.authzid].into_iter().flatten() {
            first = first.chain_update(":").chain_update(part);
        }
        let first = hex(&first.finalize());
        let second = hex(&Md5::digest(format!("{method}:{}", self.uri)));
        let Proof { nonce, cnonce, .. } = self;
        hex(&Md5::digest(format!("{first}:{nonce}:00000001:{cnonce}:auth:{second}")))
    }
}

/// Names and passwords are hashed in ISO 8859-1 if they can be written in it.
fn narrow(text: &str) -> Vec<u8> {
    let latin: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    latin.unwrap_or_else(|| text.as_bytes().to_vec())
}

/// The `key=value` list of a token; values may be quoted, with backslashes inside.
fn directives(text: &str) -> Result<Vec<(&str, String)>, SaslFailed> {
    let mut found = Vec::new();
    let mut rest = text.trim_matches([' ', ',', '\0']);
    while !rest.is_empty() {
        let (key, after) = rest.split_once('=').ok_or(SaslFailed)?;
        let mut value = String::new();
        let end = if let Some(quoted) = after.strip_prefix('"') {
            let mut escaped = false;
            let close = quoted.char_indices().find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                if !ends && !escaped {
                    value.push(*c);
                }
                ends
            });
            close.ok_or(SaslFailed)?.0 + 2
        } else {
            let end = after.find(',').unwrap_or(after.len());
            value.push_str(after[..end].trim());
            end
        };
        found.push((key.trim(), value));
        rest = after[end..].trim_start_matches([' ', ',']);
    }
    Ok(found)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Vec<(String, String)> {
        vec![("chris".to_owned(), "secret".to_owned())]
    }

    fn answer_as(user: &str, password: &str, nonce: &str) -> String {
        let (cnonce, uri) = ("OA6MHXh6VqTrRk", "zookeeper/zk-sasl-md5");
        let proof = Proof { user, password, nonce, cnonce, authzid: None, uri };
        format!(
            "username=\"{user}\",realm=\"{REALM}\",nonce=\"{nonce}\",cnonce=\"{cnonce}\",\
             nc=00000001,digest-uri=\"{uri}\",maxbuf=65536,response={},qop=auth",
            proof.response("AUTHENTICATE")
        )
    }

    fn challenged() -> (SaslExchange, String) {
        let mut exchange = SaslExchange::default();
        let answer = exchange.answer(&users(), b"entropy", b"").unwrap();
        let SaslAnswer::Challenge(challenge) = answer else { panic!("{answer:?}") };
        let nonce = directives(&challenge).unwrap()[1].1.clone();
        (exchange, nonce)
    }

    #[test]
    fn the_right_password_proves_itself_both_ways() {
        let (mut exchange, nonce) = challenged();
        let answer =
            exchange.answer(&users(), b"", answer_as("chris", "secret", &nonce).as_bytes());
        let Ok(SaslAnswer::Done { user, proof }) = answer else { panic!("{answer:?}") };
        assert_eq!(user, "chris");
        assert!(proof.starts_with("rspauth=") && proof.len() == 40);
    }

    #[test]
    fn wrong_passwords_unknown_users_and_replays_fail() {
        for (user, password) in [("chris", "wrong"), ("nobody", "secret")] {
            let (mut exchange, nonce) = challenged();
            let token = answer_as(user, password, &nonce);
            assert_eq!(exchange.answer(&users(), b"", token.as_bytes()), Err(SaslFailed));
        }
        let (mut exchange, _) = challenged();
        let replayed = answer_as("chris", "secret", "another nonce");
        assert_eq!(exchange.answer(&users(), b"", replayed.as_bytes()), Err(SaslFailed));
        let mut fresh = SaslExchange::default();
        let first = fresh.answer(&users(), b"", b"username=\"chris\"");
        assert!(matches!(first, Ok(SaslAnswer::Challenge(_))));
    }

    #[test]
    fn malformed_tokens_fail_and_do_not_panic() {
        for token in [&b"="[..], b"username", b"a=\"", b"a=\"\\\"", b"\xff\xfe", b",,,", b"a=b,c"] {
            let (mut exchange, _) = challenged();
            assert_eq!(exchange.answer(&users(), b"", token), Err(SaslFailed));
        }
        let quoted = directives("a=\"x\\\"y\", b = z ,c=\"\"").unwrap();
        assert_eq!(quoted, [("a", "x\"y".to_owned()), ("b", "z".into()), ("c", String::new())]);
    }

    #[test]
    fn names_are_hashed_in_latin_1_where_possible() {
        assert_eq!(narrow("é"), [0xe9]);
        assert_eq!(narrow("€"), "€".as_bytes());
    }
}
