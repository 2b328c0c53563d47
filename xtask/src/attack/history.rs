//! What was asked of the ensemble, what it answered, and when: all by one clock.

use std::fmt;

/// All that a run has seen.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// In the order in which each became known; those of one session in the order of the session.
    pub(crate) operations: Vec<Operation>,
    pub(crate) fates: Vec<Fate>,
}

/// Something a client asked of a register: a znode that is set, read, and never deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    /// Number of the session within the run.
    pub(crate) session: u32,
    /// Number of the znode within the run.
    pub(crate) register: u32,
    /// When it was handed in, in microseconds since the run began.
    pub(crate) invoked_us: u64,
    /// When its outcome was known.
    pub(crate) completed_us: u64,
    pub(crate) deed: Deed,
}

/// What an operation was, and what came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The znode was to be created or set, to a value that nothing else writes in this run; if
    /// `expected` is given, only at that version.
    Write { value: u64, expected: Option<i32>, outcome: Outcome },
    /// The znode was read, or found missing. Reads that failed are not kept.
    Read { source: Source, seen: Option<Seen> },
}

/// What a client knows of its write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was acknowledged.
    Done { version: i32, mzxid: i64 },
    /// The znode had another version: it did not happen.
    BadVersion,
    /// It certainly did not happen, for another reason.
    NotDone,
    /// It may have happened, and may still happen.
    Unknown,
}

/// How a read was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Any server's own state, which may lag.
    Local,
    /// After a sync: nothing acknowledged before may be missing.
    Synced,
    /// At the end, when all is healed, after a sync at this member.
    Final(u8),
}

/// A znode as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) version: i32,
    pub(crate) value: u64,
    pub(crate) mzxid: i64,
}

/// What became of a session and of the ephemeral that it owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// Number of the session within the run.
    pub(crate) session: u32,
    /// Its id.
    pub(crate) id: i64,
    /// The negotiated timeout, in microseconds.
    pub(crate) timeout_us: u64,
    pub(crate) role: Role,
    /// When its client took it for lost, and why.
    pub(crate) lost: Option<(u64, String)>,
    /// When somebody else first saw its ephemeral gone, or owned by another.
    pub(crate) gone_us: Option<u64>,
}

/// What a session was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// To live to the end, at whichever server.
    Stays,
    /// To live to the end, at one server only.
    StaysAtOne,
    /// To fall silent: at this instant at the earliest the ensemble heard of it last.
    FallsSilent { heard_us: u64 },
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (from, to) = (Clock(self.invoked_us), Clock(self.completed_us));
        write!(f, "{from}-{to} session {} register {} ", self.session, self.register)?;
        match self.deed {
            Deed::Write { value, expected, outcome } => {
                write!(f, "write {value}")?;
                if let Some(version) = expected {
                    write!(f, " if version {version}")?;
                }
                match outcome {
                    Outcome::Done { version, mzxid } => {
                        write!(f, ": version {version}, zxid {mzxid:#x}")
                    }
                    Outcome::BadVersion => f.write_str(": refused, another version"),
                    Outcome::NotDone => f.write_str(": not done"),
                    Outcome::Unknown => f.write_str(": unknown"),
                }
            }
            Deed::Read { source, seen } => {
                match source {
                    Source::Local => f.write_str("read: ")?,
                    Source::Synced => f.write_str("sync and read: ")?,
                    Source::Final(member) => write!(f, "last read at server {member}: ")?,
                }
                match seen {
                    Some(Seen { version, value, mzxid }) => {
                        write!(f, "{value}, version {version}, zxid {mzxid:#x}")
                    }
                    None => f.write_str("missing"),
                }
            }
        }
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "session {} {:#x}, {} ms", self.session, self.id, self.timeout_us / 1_000)?;
        if let Role::FallsSilent { heard_us } = self.role {
            write!(f, ", silent from {}", Clock(heard_us))?;
        }
        if let Some((at_us, reason)) = &self.lost {
            write!(f, ", lost at {}: {reason}", Clock(*at_us))?;
        }
        match self.gone_us {
            Some(at_us) => write!(f, ", its ephemeral gone at {}", Clock(at_us)),
            None => Ok(()),
        }
    }
}

/// An instant in microseconds, shown in seconds.
pub(crate) struct Clock(pub(crate) u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}
