//! Tests of quotas.

use super::*;
use crate::fuzz::Random;

fn hard(count: Option<i64>, bytes: Option<i64>) -> Limits {
    Limits { count, bytes }
}

#[test]
fn limits_are_read_as_client_tools_write_them() {
    let parse = |text: &str| Limits::parse(text.as_bytes());
    assert_eq!(parse("count=5,bytes=10"), hard(None, None));
    let both = parse("count=-1,bytes=-1=;byteHardLimit=20;countHardLimit=3");
    assert_eq!(both, hard(Some(3), Some(20)));
    let unset = parse("count=1,bytes=2=;byteHardLimit=-1;countHardLimit=0");
    assert_eq!(unset, hard(Some(0), None));
    for text in ["", "x", "countHardLimit", "countHardLimit=", "countHardLimit=many", ";,="] {
        assert_eq!(parse(text), hard(None, None), "{text}");
    }
    assert_eq!(Usage { count: 3, bytes: 40 }.to_string(), "count=3,bytes=40");
}

#[test]
fn the_deepest_quota_counts_and_limits() {
    let mut quotas = QuotaTree::new();
    assert_eq!(quotas.count("/a", 1, 1), None);
    quotas.insert("/a", hard(Some(3), None), Usage { count: 2, bytes: 0 });
    quotas.insert("/a/b", hard(None, Some(10)), Usage { count: 1, bytes: 6 });
    assert!(!quotas.exceeds_hard("/a/c", 1, 99) && quotas.exceeds_hard("/a/c", 2, 0));
    assert!(!quotas.exceeds_hard("/a/b/c", 9, 4) && quotas.exceeds_hard("/a/b/c", 1, 5));
    assert!(!quotas.exceeds_hard("/ab", 9, 99) && !quotas.exceeds_hard("/", 9, 99));
    let usage = Usage { count: 2, bytes: 10 };
    assert_eq!(quotas.count("/a/b/c", 1, 4), Some(("/a/b", usage)));
    assert_eq!(quotas.count("/a", 0, 7), Some(("/a", Usage { count: 2, bytes: 7 })));
    assert_eq!(quotas.count("/ab", 1, 1), None);
    quotas.remove("/a/b");
    assert_eq!(quotas.count("/a/b/c", 1, 0), Some(("/a", Usage { count: 3, bytes: 7 })));
}

#[test]
fn what_is_over_its_limit_may_not_change_unless_it_ends_within() {
    let mut quotas = QuotaTree::new();
    quotas.insert("/a", hard(Some(1), Some(10)), Usage { count: 5, bytes: 20 });
    assert!(quotas.exceeds_hard("/a/b", 0, -5) && !quotas.exceeds_hard("/a/b", 0, -10));
    assert!(!quotas.exceeds_hard("/a/b", 0, 0));
}

#[test]
fn a_copy_keeps_what_it_was() {
    let mut quotas = QuotaTree::new();
    quotas.insert("/a", hard(None, None), Usage::default());
    let before = quotas.clone();
    quotas.count("/a/b", 1, 1);
    quotas = before;
    assert_eq!(quotas.count("/a", 0, 0), Some(("/a", Usage::default())));
    quotas.remove("/a");
    assert!(quotas.is_empty());
}

#[test]
fn seeded_limits_never_panic() {
    let mut random = Random::new(0x90);
    let words = ["count", "countHardLimit", "byteHardLimit", "=", ",", ";", "-1", "7", "\u{fffd}"];
    for _ in 0..200_000 {
        let text: String = (0..random.below(10)).map(|_| words[random.below(9)]).collect();
        let limits = Limits::parse(text.as_bytes());
        assert!(limits.count.unwrap_or(0) >= 0 && limits.bytes.unwrap_or(0) >= 0, "{text}");
    }
}
