//! Whether a history keeps the promises: one rule for each way of breaking one.

mod registers;
mod sessions;

use std::fmt;

use super::history::History;

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    /// When it showed, in microseconds since the run began.
    pub(crate) at_us: u64,
    /// The lines of the history that show it.
    pub(crate) lines: Vec<String>,
}

/// What may never happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// An acknowledged write is missing at the end.
    LostWrite,
    /// Two writes became the same version of a znode, or one write two versions.
    TwoOfOne,
    /// A write shows that was refused, or that nobody asked for.
    WriteFromNowhere,
    /// Operations cannot be put in one order that agrees with when they happened.
    NotLinearizable,
    /// A conditional write was done or refused against its condition.
    WrongCondition,
    /// A session saw a state older than one it had seen or made.
    WentBack,
    /// The members ended up with different states.
    MembersDiffer,
    /// A session ended that was entitled to live.
    SessionLost,
    /// A session's ephemeral went before its timeout was over.
    ExpiredEarly,
    /// A session's ephemeral went before its client took the session for lost.
    ToldLate,
}

impl Rule {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LostWrite => "acknowledged write lost",
            Self::TwoOfOne => "two writes of one version",
            Self::WriteFromNowhere => "write from nowhere",
            Self::NotLinearizable => "not linearizable",
            Self::WrongCondition => "condition judged wrongly",
            Self::WentBack => "a session went back in time",
            Self::MembersDiffer => "members differ",
            Self::SessionLost => "session lost",
            Self::ExpiredEarly => "session expired early",
            Self::ToldLate => "client told too late",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.rule.name())?;
        self.lines.iter().try_for_each(|line| write!(f, "\n    {line}"))
    }
}

/// All violations of a history, in the order of time.
pub(crate) fn violations(history: &History) -> Vec<Violation> {
    let mut found = registers::violations(&history.operations);
    found.extend(sessions::violations(&history.fates));
    found.sort_by_key(|violation| violation.at_us);
    found
}
