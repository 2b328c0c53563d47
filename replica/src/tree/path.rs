//! Paths of znodes: which are legal, and how they split. Nothing here allocates.

use std::fmt;

/// What is wrong with a path, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathError {
    /// There is no path at all.
    #[error("the path is empty")]
    Empty,
    /// Paths are absolute.
    #[error("the path does not start with '/'")]
    NotAbsolute,
    /// Only the root ends with a slash.
    #[error("the path ends with '/'")]
    TrailingSlash,
    /// Two slashes stand side by side.
    #[error("empty name at byte {at}")]
    EmptyName {
        /// Byte offset of the second slash.
        at: usize,
    },
    /// A name is exactly `.` or `..`.
    #[error("relative name at byte {at}")]
    RelativeName {
        /// Byte offset of the name.
        at: usize,
    },
    /// A character that names may not contain.
    #[error("character U+{:04X} is not allowed, at byte {at}", u32::from(*character))]
    Character {
        /// The offending character.
        character: char,
        /// Byte offset of the character.
        at: usize,
    },
}

/// Checks the whole rule for the path of a znode.
pub(crate) fn validate(path: &str) -> Result<(), PathError> {
    match path.as_bytes().first() {
        None => return Err(PathError::Empty),
        Some(b'/') => {}
        Some(_) => return Err(PathError::NotAbsolute),
    }
    if path.len() == 1 {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    check_names(path)
}

/// The path of the parent; the root has none.
///
/// For a path that does not start with a slash the answer is whatever stands before the last
/// slash, and nothing if there is none.
pub(crate) fn parent(path: &str) -> Option<&str> {
    if path == "/" {
        return None;
    }
    match path.rfind('/')? {
        0 => Some("/"),
        slash => Some(&path[..slash]),
    }
}

/// The parent, its parent, and so on up to the root. The path itself is not among them.
pub(crate) fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(parent(path), |path| parent(path))
}

/// What a sequential znode's name ends with: at least ten characters, zero padded, sign included.
pub(crate) fn sequence_suffix(counter: i32) -> impl fmt::Display {
    SequenceSuffix(counter)
}

struct SequenceSuffix(i32);

impl fmt::Display for SequenceSuffix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:010}", self.0)
    }
}

fn check_names(path: &str) -> Result<(), PathError> {
    let mut at = 1;
    for name in path[1..].split('/') {
        match name {
            "" => return Err(PathError::EmptyName { at }),
            "." | ".." => return Err(PathError::RelativeName { at }),
            name => check_characters(name, at)?,
        }
        at += name.len() + 1;
    }
    Ok(())
}

fn check_characters(name: &str, name_at: usize) -> Result<(), PathError> {
    // Nearly every name is printable ASCII, where a byte is a character.
    if name.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Ok(());
    }
    for (at, character) in name.char_indices() {
        if !is_legal(character) {
            return Err(PathError::Character { character, at: name_at + at });
        }
    }
    Ok(())
}

/// The protocol defines the forbidden ranges on UTF-16 units: all surrogates are forbidden, and
/// with them every character outside the basic plane.
fn is_legal(character: char) -> bool {
    !matches!(
        character,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..
    )
}

#[cfg(test)]
mod tests;
