//! Tests of the path rules.

use super::*;
use crate::fuzz::Random;

#[test]
fn legal_paths() {
    for path in [
        "/",
        "/a",
        "/a/b",
        "/.a",
        "/a.",
        "/...",
        "/a/..b",
        "/a b",
        "/~",
        "/\u{feff}",
        "/ä/ö",
        "/\u{a0}",
        "/\u{d7ff}",
        "/\u{f900}",
        "/\u{ffef}",
        "/a:b*c",
        "/zookeeper/quota",
    ] {
        assert_eq!(validate(path), Ok(()), "{path:?}");
    }
}

#[test]
fn illegal_paths_say_what_and_where() {
    let character = |character, at| Err(PathError::Character { character, at });
    assert_eq!(validate(""), Err(PathError::Empty));
    assert_eq!(validate("a/b"), Err(PathError::NotAbsolute));
    assert_eq!(validate("/a/"), Err(PathError::TrailingSlash));
    assert_eq!(validate("//"), Err(PathError::TrailingSlash));
    assert_eq!(validate("//a"), Err(PathError::EmptyName { at: 1 }));
    assert_eq!(validate("/a//b"), Err(PathError::EmptyName { at: 3 }));
    assert_eq!(validate("/."), Err(PathError::RelativeName { at: 1 }));
    assert_eq!(validate("/a/./b"), Err(PathError::RelativeName { at: 3 }));
    assert_eq!(validate("/a/.."), Err(PathError::RelativeName { at: 3 }));
    assert_eq!(validate("/a\0"), character('\0', 2));
    assert_eq!(validate("/a/\u{1f}"), character('\u{1f}', 3));
    assert_eq!(validate("/\u{7f}"), character('\u{7f}', 1));
    assert_eq!(validate("/ä\u{9f}"), character('\u{9f}', 3));
    assert_eq!(validate("/\u{e000}"), character('\u{e000}', 1));
    assert_eq!(validate("/\u{f8ff}"), character('\u{f8ff}', 1));
    assert_eq!(validate("/\u{fff0}"), character('\u{fff0}', 1));
    assert_eq!(validate("/\u{fffd}"), character('\u{fffd}', 1));
    assert_eq!(validate("/\u{1f600}"), character('\u{1f600}', 1));
    let message = validate("/x/\u{7f}").unwrap_err().to_string();
    assert_eq!(message, "character U+007F is not allowed, at byte 3");
}

#[test]
fn parents_up_to_the_root() {
    assert_eq!([parent("/"), parent("a"), parent("")], [None, None, None]);
    assert_eq!(parent("/a"), Some("/"));
    assert_eq!(parent("/a/b"), Some("/a"));
    assert_eq!(parent("/a/"), Some("/a"));
    assert_eq!(ancestors("/a/b/c").collect::<Vec<_>>(), ["/a/b", "/a", "/"]);
    assert_eq!(ancestors("/").count(), 0);
}

#[test]
fn suffixes_are_ten_characters_with_their_sign() {
    assert_eq!(sequence_suffix(0).to_string(), "0000000000");
    assert_eq!(sequence_suffix(42).to_string(), "0000000042");
    assert_eq!(sequence_suffix(i32::MAX).to_string(), "2147483647");
    assert_eq!(sequence_suffix(-1).to_string(), "-000000001");
    assert_eq!(sequence_suffix(i32::MIN).to_string(), "-2147483648");
}

/// The rule read off the protocol's description, one UTF-16 unit at a time.
fn naive(path: &str) -> bool {
    let units: Vec<u16> = path.encode_utf16().collect();
    let slash = u16::from(b'/');
    if units.first() != Some(&slash) || (units.len() > 1 && units.last() == Some(&slash)) {
        return false;
    }
    let forbidden =
        |unit: &u16| matches!(unit, 0..=0x1f | 0x7f..=0x9f | 0xd800..=0xf8ff | 0xfff0..=0xffff);
    let dots = [u16::from(b'.'); 2];
    units.len() == 1
        || units[1..].split(|unit| *unit == slash).all(|name| {
            !name.is_empty()
                && name != &dots[..1]
                && name != &dots[..]
                && !name.iter().any(forbidden)
        })
}

#[test]
fn seeded_paths_agree_with_the_naive_rule() {
    let names = "////....aab \0\u{1f}\u{7f}\u{9f}\u{a0}ä";
    let borders = "\u{d7ff}\u{e000}\u{f8ff}\u{f900}\u{ffef}\u{fff0}\u{10000}";
    let alphabet: Vec<char> = names.chars().chain(borders.chars()).collect();
    let seed = 0x7061_7468;
    let mut random = Random::new(seed);
    let mut legal = 0;
    for case in 0..250_000 {
        let mut path = String::from(if random.below(8) == 0 { "" } else { "/" });
        // Short alphabets make legal paths common enough to test both sides.
        let letters = if random.below(2) == 0 { 11 } else { alphabet.len() };
        for _ in 0..random.below(12) {
            path.push(alphabet[random.below(letters)]);
        }
        let valid = validate(&path).is_ok();
        assert_eq!(valid, naive(&path), "seed {seed} case {case}: {path:?}");
        let above: Vec<&str> = ancestors(&path).collect();
        assert!(above.len() <= path.len(), "seed {seed} case {case}: {path:?}");
        if valid && path != "/" {
            legal += 1;
            let parent = parent(&path).unwrap();
            let name = path[parent.len()..].trim_start_matches('/');
            let joined = format!("{}/{name}", parent.trim_end_matches('/'));
            assert_eq!(joined, path, "seed {seed} case {case}");
            assert!(!name.contains('/'), "seed {seed} case {case}: {path:?}");
            assert_eq!(above.last(), Some(&"/"), "seed {seed} case {case}");
        }
    }
    assert!(legal > 10_000, "only {legal} legal paths were tried");
}
