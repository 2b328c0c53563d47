//! Questions to a server's admin HTTP, and what can go wrong with them.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tenure_client::Tls;
use thiserror::Error;
use ureq::http::Response;
use ureq::{Agent, RequestBuilder};

use super::https;

/// Who asks, for servers on other machines: a scheme and what it takes, as `digest user:password`.
const CREDENTIALS: &str = "TENURE_ADMIN_AUTH";

/// What the environment says of who asks; empty for nothing.
pub(crate) fn credentials() -> String {
    header(&std::env::var(CREDENTIALS).unwrap_or_default())
}

/// Who asks, as the header has it: a blank behind the scheme, where `addauth` of old shells has a
/// blank and connect strings have a colon.
fn header(auth: &str) -> String {
    match auth.find([' ', ':']) {
        Some(end) => format!("{} {}", &auth[..end], &auth[end + 1..]),
        None => auth.to_owned(),
    }
}

/// Longer than any server holds back an answer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why there is no answer.
#[derive(Debug, Error)]
pub(crate) enum AdminError {
    #[error("{0}: expected http://HOST:PORT or https://HOST:PORT")]
    Url(String),
    #[error(
        "{url}: {source}; is the server's admin HTTP there? See --admin. One that speaks TLS \
         alone has an https:// address"
    )]
    Unreachable { url: String, source: ureq::Error },
    #[error("{0}")]
    NotFound(String),
    #[error("the server refuses: {0}")]
    Refused(String),
    #[error("this is no admin HTTP of Tenure: {0}")]
    Strange(String),
    #[error("writing: {0}")]
    Output(#[from] io::Error),
}

/// One server's admin HTTP.
pub(crate) struct Admin {
    agent: Agent,
    url: String,
    /// Shown with every question; empty for none.
    credentials: String,
}

impl Admin {
    pub(crate) fn new(url: &str, tls: Option<&Tls>) -> Result<Self, AdminError> {
        Self::with_timeout(url, tls, TIMEOUT)
    }

    /// The same; each question is given up after so long.
    pub(crate) fn with_timeout(
        url: &str,
        tls: Option<&Tls>,
        timeout: Duration,
    ) -> Result<Self, AdminError> {
        let url = match url.split_once("://") {
            Some(("http" | "https", host)) if !host.is_empty() => {
                url.trim_end_matches('/').to_owned()
            }
            None if !url.is_empty() => format!("http://{}", url.trim_end_matches('/')),
            _ => return Err(AdminError::Url(url.to_owned())),
        };
        let config = Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .proxy(None)
            .build();
        Ok(Self { agent: https::agent(config, tls), url, credentials: String::new() })
    }

    /// Shows the server who asks, if that is given or the environment says so. Only for servers
    /// that somebody named: others have no business with a password.
    pub(crate) fn with_credentials(self, given: Option<&str>) -> Self {
        Self { credentials: given.map_or_else(credentials, header), ..self }
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, AdminError> {
        let url = format!("{}{path}", self.url);
        answer(self.showing(self.agent.get(&url)).call(), url)
    }

    /// An answer that is not JSON.
    pub(crate) fn text(&self, path: &str) -> Result<String, AdminError> {
        let url = format!("{}{path}", self.url);
        let read = |response: Response<ureq::Body>| response.into_body().read_to_string();
        let text = self.showing(self.agent.get(&url)).call().and_then(read);
        text.map_err(|source| AdminError::Unreachable { url, source })
    }

    pub(crate) fn post(&self, path: &str) -> Result<Value, AdminError> {
        let url = format!("{}{path}", self.url);
        answer(self.showing(self.agent.post(&url)).send_empty(), url)
    }

    fn showing<B>(&self, question: RequestBuilder<B>) -> RequestBuilder<B> {
        showing(&self.credentials, question)
    }
}

/// Shows who asks, if anybody is to be shown.
pub(crate) fn showing<B>(credentials: &str, question: RequestBuilder<B>) -> RequestBuilder<B> {
    match credentials.is_empty() {
        true => question,
        false => question.header("Authorization", credentials),
    }
}

fn answer(
    response: Result<Response<ureq::Body>, ureq::Error>,
    url: String,
) -> Result<Value, AdminError> {
    let mut response = match response {
        Ok(response) => response,
        Err(source) => return Err(AdminError::Unreachable { url, source }),
    };
    let status = response.status();
    let text = response.body_mut().read_to_string();
    let text = text.map_err(|source| AdminError::Unreachable { url: url.clone(), source })?;
    let Ok(value) = serde_json::from_str::<Value>(&text) else {
        return Err(AdminError::Strange(format!("{url} answers with status {status}, not JSON")));
    };
    if status.is_success() {
        return Ok(value);
    }
    let reason = value["error"].as_str().map_or_else(|| status.to_string(), str::to_owned);
    Err(match status.as_u16() {
        404 => AdminError::NotFound(reason),
        _ => AdminError::Refused(reason),
    })
}
