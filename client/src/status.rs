//! What a session is: its state, how far it may be believed in, and why it was lost.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use tenure_wire::EndedBy;

use crate::moment::Moment;

/// The state of a session's connection, by the names that ZooKeeper's clients use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum State {
    /// Nothing was tried yet.
    NotConnected,
    /// A server is being looked for, at the start or after a link was lost.
    Connecting,
    /// A server serves the session.
    Connected,
    /// A server that cannot write serves the session, because the application said it would do.
    ConnectedReadOnly,
    /// The credentials were refused. Final.
    AuthFailed,
    /// The session is over for this client: closed, expired, or no longer to be believed in. Final.
    Closed,
}

impl State {
    /// The state's traditional name, such as `CONNECTED`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotConnected => "NOT_CONNECTED",
            Self::Connecting => "CONNECTING",
            Self::Connected => "CONNECTED",
            Self::ConnectedReadOnly => "CONNECTED_READ_ONLY",
            Self::AuthFailed => "AUTH_FAILED",
            Self::Closed => "CLOSED",
        }
    }

    /// Whether requests are served in this state.
    pub const fn is_connected(self) -> bool {
        matches!(self, Self::Connected | Self::ConnectedReadOnly)
    }

    /// Whether no other state can follow.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::AuthFailed | Self::Closed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether the session lives, as far as this client can know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// No server has confirmed the session yet.
    Establishing,
    /// A server vouched for the session, and the link to it works.
    Live,
    /// The session certainly lives until `until`, but nothing vouches for it at present. Either
    /// the same session gets back to `Live`, or it is `Lost`.
    AtRisk {
        /// The last instant of which it is known that the session lives.
        until: Moment,
        /// What is wrong.
        cause: Risk,
    },
    /// The session must not be believed in any more. Final.
    Lost(LostReason),
}

impl Liveness {
    /// Whether the session is gone for this client.
    pub const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost(_))
    }
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Establishing => f.write_str("establishing"),
            Self::Live => f.write_str("live"),
            Self::AtRisk { cause, .. } => write!(f, "at risk: {cause}"),
            Self::Lost(reason) => write!(f, "lost: {reason}"),
        }
    }
}

/// Why a session is at risk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Risk {
    /// The server has not answered a heartbeat for a sixth of the timeout.
    Silent,
    /// There is no link to any server.
    Disconnected(LinkFault),
}

impl fmt::Display for Risk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("the server is silent"),
            Self::Disconnected(fault) => write!(f, "no link to a server: {fault}"),
        }
    }
}

/// Why a link to a server ended, or did not come about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkFault {
    /// The name could not be resolved.
    #[error("the name {host:?} cannot be resolved: {error}")]
    Resolve {
        /// The name.
        host: String,
        /// What the system says.
        error: String,
    },
    /// No TCP connection came about.
    #[error("{server} cannot be reached: {error}")]
    Connect {
        /// The server tried.
        server: String,
        /// What the system says.
        error: String,
    },
    /// The server did not answer the handshake in time, or the connection took too long.
    #[error("no answer within {} ms", after.as_millis())]
    TimedOut {
        /// How long it was waited.
        after: Duration,
    },
    /// The server hung up.
    #[error("the server closed the connection")]
    HungUp,
    /// The system reported an error on the connection.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Nothing vouched for the session for two thirds of its timeout.
    #[error("the server was silent for {} ms", silent.as_millis())]
    Silent {
        /// How long ago the last confirmed packet was sent.
        silent: Duration,
    },
    /// What the server sent is not the protocol.
    #[error("the server's answer makes no sense: {0}")]
    Protocol(String),
    /// The list of servers changed, and this client moves to another.
    #[error("moving to another server")]
    Rebalanced,
    /// The server could only be read from, and another one was found that can write.
    #[error("moving to a server that can write")]
    WriterFound,
}

/// Why a session is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LostReason {
    /// It was never there: no server established or resumed it in time.
    NotEstablished {
        /// How long it was tried.
        after: Duration,
        /// What was wrong with the last attempt that failed.
        cause: Option<LinkFault>,
    },
    /// A server says that the session is gone.
    Expired {
        /// The server's own account of the end, where it gives one.
        account: Option<Account>,
    },
    /// Nothing vouched for the session until its deadline, so it may have expired. Found out by
    /// this client itself, before a server could give away what the session held.
    DeadlinePassed {
        /// How long ago the last packet that a server confirmed was sent.
        silent: Duration,
        /// What was wrong with the link meanwhile.
        cause: Option<LinkFault>,
    },
    /// This process did not run for longer than the session could bear it.
    Paused {
        /// How much too late the client got to run, at least.
        paused: Duration,
    },
    /// The application closed it.
    Closed,
    /// The application hung up without closing it; it can be resumed with its token.
    Left,
    /// It was closed over another connection, or by an operator.
    ClosedElsewhere {
        /// The server's account of it.
        account: Account,
    },
    /// The credentials were refused.
    AuthFailed {
        /// The scheme of the credentials, if they were the application's own.
        scheme: Option<String>,
    },
}

impl fmt::Display for LostReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotEstablished { after, cause } => {
                write!(f, "no server established it within {} ms", after.as_millis())?;
                match cause {
                    Some(cause) => write!(f, " ({cause})"),
                    None => Ok(()),
                }
            }
            Self::Expired { account: None } => f.write_str("expired, says the server"),
            Self::Expired { account: Some(account) } => write!(f, "{account}"),
            Self::DeadlinePassed { silent, cause } => {
                write!(f, "no server vouched for it for {} ms", silent.as_millis())?;
                match cause {
                    Some(cause) => write!(f, " ({cause})"),
                    None => Ok(()),
                }
            }
            Self::Paused { paused } => {
                write!(f, "this process did not run for {} ms", paused.as_millis())
            }
            Self::Closed => f.write_str("closed"),
            Self::Left => f.write_str("left to be resumed"),
            Self::ClosedElsewhere { account } => write!(f, "closed elsewhere: {account}"),
            Self::AuthFailed { scheme: Some(scheme) } => {
                write!(f, "the server refused the {scheme} credentials")
            }
            Self::AuthFailed { scheme: None } => f.write_str("the server refused the credentials"),
        }
    }
}

impl std::error::Error for LostReason {}

/// What the server says of a session's end; only Tenure servers do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Who or what ended it.
    pub cause: EndCause,
    /// When, by the clock of the leader, in milliseconds since the Unix epoch.
    pub ended_at_ms: i64,
    /// How long nothing had been heard of the client, if that is why.
    pub silent: Option<Duration>,
    /// The same for people.
    pub text: String,
}

impl From<tenure_wire::Account> for Account {
    fn from(told: tenure_wire::Account) -> Self {
        let cause = match told.by {
            EndedBy::Client => EndCause::ClosedByClient,
            EndedBy::Expiry => EndCause::Expired,
            EndedBy::Operator => EndCause::ClosedByOperator,
            EndedBy::Other(number) => EndCause::Other(number),
        };
        let silent = told.silent_ms.and_then(|ms| u64::try_from(ms).ok());
        Self {
            cause,
            ended_at_ms: told.ended_at_ms,
            silent: silent.map(Duration::from_millis),
            text: told.explanation.unwrap_or_else(|| "it ended".to_owned()),
        }
    }
}

/// Who or what ended a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndCause {
    /// Its client closed it.
    ClosedByClient,
    /// Nothing was heard of its client for the timeout.
    Expired,
    /// An operator closed it.
    ClosedByOperator,
    /// A cause that this client does not know, by its number.
    Other(i32),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// One step in a session's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state from now on.
    pub state: State,
    /// Whether the session lives, from now on.
    pub liveness: Liveness,
    /// When it happened.
    pub at: Moment,
    /// The server that serves the session, if one does.
    pub server: Option<SocketAddr>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.state, self.liveness)?;
        match self.server {
            Some(server) => write!(f, " at {server}"),
            None => Ok(()),
        }
    }
}
