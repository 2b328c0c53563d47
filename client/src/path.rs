//! Paths of znodes: which are valid, and what a chroot makes of them.

use std::borrow::Cow;

/// Checks a path as servers do (reference section 3.1), so that a mistake costs no round trip.
/// Fails with what is wrong.
pub(crate) fn check(path: &str) -> Result<(), &'static str> {
    if !path.starts_with('/') {
        return Err("a path must start with a slash");
    }
    if path == "/" {
        return Ok(());
    }
    if path.ends_with('/') {
        return Err("a path must not end with a slash");
    }
    for name in path[1..].split('/') {
        match name {
            "" => return Err("a path must not have an empty name in it"),
            "." | ".." => return Err("a path must not have . or .. in it"),
            _ => {}
        }
    }
    match path.chars().any(is_forbidden) {
        true => Err("a path must not have control characters or characters beyond U+FFEF in it"),
        false => Ok(()),
    }
}

/// As [`check`], for a path to which the server appends a number: it may end with a slash.
pub(crate) fn check_sequential(path: &str) -> Result<(), &'static str> {
    match path.strip_suffix('/') {
        Some("") => Ok(()),
        Some(parent) => check(parent),
        None => check(path),
    }
}

fn is_forbidden(c: char) -> bool {
    matches!(c, '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{d7ff}'.. if !is_allowed_high(c))
}

/// Characters behind the surrogates and the private area, up to the specials.
fn is_allowed_high(c: char) -> bool {
    matches!(c, '\u{d7ff}' | '\u{f900}'..='\u{ffef}')
}

/// The server's name for a path below a chroot, which is empty or a path other than `/`.
pub(crate) fn absolute<'a>(chroot: &str, path: &'a str) -> Cow<'a, str> {
    match (chroot, path) {
        ("", path) => Cow::Borrowed(path),
        (chroot, "/") => Cow::Owned(chroot.to_owned()),
        (chroot, path) => Cow::Owned(format!("{chroot}{path}")),
    }
}

/// The path below a chroot for the server's name.
pub(crate) fn relative<'a>(chroot: &str, path: &'a str) -> &'a str {
    match path.strip_prefix(chroot) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// The path of the parent; the root has none.
pub(crate) fn parent(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 if path == "/" => None,
        0 => Some("/"),
        slash => Some(&path[..slash]),
    }
}

/// The path of a child.
pub(crate) fn child(parent: &str, name: &str) -> String {
    match parent {
        "/" => format!("/{name}"),
        parent => format!("{parent}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_and_invalid_paths() {
        for path in ["/", "/a", "/a/b", "/a.b/..c", "/ü 漢", "/\u{feff}", "/\u{d7ff}", "/\u{f900}"]
        {
            assert_eq!(check(path), Ok(()), "{path:?}");
        }
        let wrong = [
            "",
            "a",
            "a/b",
            "/a/",
            "//",
            "//a",
            "/a//b",
            "/.",
            "/a/..",
            "/a/./b",
            "/a\0",
            "/\u{1f}",
            "/\u{7f}",
            "/\u{e000}",
            "/\u{fff0}",
            "/\u{fffd}",
            "/\u{10000}",
            "/😀",
        ];
        for path in wrong {
            assert!(check(path).is_err(), "{path:?}");
        }
        assert_eq!(check_sequential("/a/"), Ok(()));
        assert_eq!(check_sequential("/"), Ok(()));
        assert!(check_sequential("/a//").is_err());
    }

    #[test]
    fn a_chroot_is_put_before_and_taken_off() {
        for (path, full) in [("/", "/app"), ("/a", "/app/a")] {
            assert_eq!(absolute("/app", path), full);
            assert_eq!(relative("/app", full), path);
        }
        assert_eq!(absolute("", "/a"), "/a");
        assert_eq!(relative("", "/a"), "/a");
        assert_eq!(relative("/app", "/apple"), "/apple");
        assert_eq!((parent("/a/b"), parent("/a"), parent("/")), (Some("/a"), Some("/"), None));
    }
}
