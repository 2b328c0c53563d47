//! What can be wrong with a configuration, said with file, line, key, value and what was expected.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// A configuration the server cannot start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file, or one it names, cannot be read.
    #[error("{origin}: cannot be read: {source}")]
    Unreadable {
        /// Path of the file.
        origin: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// An escape in the file means nothing.
    #[error("{origin}:{line}: bad escape {escape:?}: expected \\u and four hex digits")]
    BadEscape {
        /// Path of the file.
        origin: String,
        /// Line number, from 1.
        line: u32,
        /// The escape as written.
        escape: String,
    },
    /// A value the key cannot have.
    #[error("{origin}:{line}: {key}={value}: expected {expected}")]
    BadValue {
        /// Path of the file.
        origin: String,
        /// Line number, from 1.
        line: u32,
        /// The key as written.
        key: String,
        /// The value as written.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// A key that must be there is not.
    #[error("{origin}: {key} is missing: expected {expected}")]
    Missing {
        /// Path of the file.
        origin: String,
        /// The key.
        key: String,
        /// What to write.
        expected: String,
    },
    /// The positional arguments of the standalone shorthand are wrong.
    #[error("argument {argument:?}: expected {expected}")]
    BadArgument {
        /// The argument as given.
        argument: String,
        /// What would be accepted.
        expected: String,
    },
    /// The data folder belongs to another member of the ensemble.
    #[error("{}: this is the data folder of member {found}, not of member {my_id}", path.display())]
    OtherMember {
        /// The `myid` file that says so.
        path: PathBuf,
        /// Whose it is.
        found: u64,
        /// Who wants it.
        my_id: u64,
    },
    /// A file beside the data cannot be written.
    #[error("{}: cannot be written: {source}", path.display())]
    Unwritable {
        /// Path of the file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// Why a list of members makes no ensemble for a server.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum MemberListError {
    /// An item of the list has not the form.
    #[error(
        "{item:?}: expected ID=HOST:PORT, as 1=10.0.0.1:2888, with :observer behind it for a \
         member without a vote; IDs are numbers from 1 to 255"
    )]
    Item {
        /// As written.
        item: String,
    },
    /// Two items have one number.
    #[error("member {id} is listed twice")]
    SameId {
        /// The number.
        id: u64,
    },
    /// Two members cannot listen in one place.
    #[error("members {first} and {second} have the same address")]
    SameAddress {
        /// Number of the one.
        first: u64,
        /// Number of the other.
        second: u64,
    },
    /// Nobody could lead.
    #[error("all members are observers; at least one must vote")]
    NoVoter,
    /// The server itself is not in the list.
    #[error("member {my_id} is not in the list, which has {listed}")]
    Absent {
        /// The server's number.
        my_id: u64,
        /// The numbers that are.
        listed: String,
    },
}

/// Something in a configuration that does not stop the server but that its owner should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Path of the file.
    pub origin: String,
    /// Line number, from 1; 0 if it concerns no single line.
    pub line: u32,
    /// The key as written.
    pub key: String,
    /// One sentence.
    pub message: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, line, key, message } = self;
        match line {
            0 => write!(f, "{origin}: {key}: {message}"),
            _ => write!(f, "{origin}:{line}: {key}: {message}"),
        }
    }
}
