//! What can be wrong with a configuration, said with file, line, key, value and what was expected.

use std::fmt;
use std::io;

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
