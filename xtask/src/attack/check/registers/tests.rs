//! Planted violations are found, and what is allowed is not.

use super::*;

fn write(times: [u64; 2], value: u64, version: i32) -> Operation {
    let outcome = Outcome::Done { version, mzxid: 100 + i64::from(version) };
    deed(times, Deed::Write { value, expected: None, outcome })
}

fn attempt(times: [u64; 2], value: u64, expected: Option<i32>, outcome: Outcome) -> Operation {
    deed(times, Deed::Write { value, expected, outcome })
}

fn read(times: [u64; 2], source: Source, value: u64, version: i32) -> Operation {
    let seen = Some(Seen { version, value, mzxid: 100 + i64::from(version) });
    deed(times, Deed::Read { source, seen })
}

fn missing(times: [u64; 2], source: Source) -> Operation {
    deed(times, Deed::Read { source, seen: None })
}

fn deed([invoked_us, completed_us]: [u64; 2], deed: Deed) -> Operation {
    // Sessions do one thing at a time; who is who matters only where a test says so.
    let session = 1_000 + invoked_us as u32;
    Operation { session, register: 1, invoked_us, completed_us, deed }
}

fn by_session(session: u32, register: u32, operation: Operation) -> Operation {
    Operation { session, register, ..operation }
}

#[track_caller]
fn expect(operations: &[Operation], rules: &[Rule]) {
    let found = violations(operations);
    let mut broken: Vec<Rule> = found.iter().map(|violation| violation.rule).collect();
    broken.sort_unstable();
    broken.dedup();
    assert_eq!(broken, rules, "{found:#?}");
}

#[test]
fn what_may_happen_is_no_violation() {
    expect(
        &[
            write([0, 10], 1, 0),
            write([20, 40], 2, 1),
            // Beside the write either version may be seen, also one after the other.
            read([21, 30], Source::Synced, 2, 1),
            read([22, 35], Source::Synced, 1, 0),
            // A server may lag.
            read([60, 70], Source::Local, 1, 0),
            attempt([50, 55], 3, Some(0), Outcome::BadVersion),
            attempt([56, 58], 4, None, Outcome::Unknown),
            // It happened long after its client had given up.
            read([80, 90], Source::Synced, 2, 1),
            read([91, 95], Source::Synced, 4, 2),
            attempt([96, 98], 5, None, Outcome::Unknown),
            read([100, 110], Source::Final(1), 4, 2),
            read([111, 120], Source::Final(2), 4, 2),
        ],
        &[],
    );
}

#[test]
fn a_lost_write_is_found() {
    let before = [write([0, 10], 1, 0), write([20, 30], 2, 1)];
    let back = read([40, 50], Source::Final(1), 1, 0);
    expect(&[before[0], before[1], back], &[Rule::LostWrite]);
    expect(&[before[0], missing([40, 50], Source::Final(3))], &[Rule::LostWrite]);
    // Another write took its place.
    expect(&[before[0], before[1], write([40, 50], 3, 1)], &[Rule::TwoOfOne]);
    let unknown = attempt([32, 35], 3, None, Outcome::Unknown);
    let replaced = read([40, 50], Source::Final(1), 3, 1);
    expect(&[before[0], before[1], unknown, replaced], &[Rule::TwoOfOne]);
}

#[test]
fn a_stale_read_is_found_where_it_is_none_that_may_lag() {
    let writes = [write([0, 10], 1, 0), write([20, 30], 2, 1)];
    let stale = read([31, 40], Source::Synced, 1, 0);
    expect(&[writes[0], writes[1], stale], &[Rule::NotLinearizable]);
    let beside = read([30, 40], Source::Synced, 1, 0);
    expect(&[writes[0], writes[1], beside], &[]);
    // Two reads, one wholly after the other, while the write was under way.
    let new = read([21, 23], Source::Synced, 2, 1);
    let old = read([24, 26], Source::Synced, 1, 0);
    expect(&[writes[0], writes[1], new, old], &[Rule::NotLinearizable]);
}

#[test]
fn nobody_reads_what_is_not_written_yet() {
    let early = read([11, 15], Source::Local, 2, 1);
    expect(&[write([0, 10], 1, 0), write([20, 30], 2, 1), early], &[Rule::NotLinearizable]);
}

#[test]
fn writes_happen_in_the_order_of_their_versions() {
    expect(
        &[write([0, 10], 1, 0), write([20, 30], 2, 2), write([40, 50], 3, 1)],
        &[Rule::NotLinearizable],
    );
    let late = Outcome::Done { version: 1, mzxid: 99 };
    let late = attempt([20, 30], 2, None, late);
    expect(&[write([0, 10], 1, 0), late], &[Rule::NotLinearizable]);
}

#[test]
fn writes_from_nowhere_are_found() {
    let first = write([0, 10], 1, 0);
    expect(&[first, read([20, 30], Source::Local, 9, 1)], &[Rule::WriteFromNowhere]);
    for outcome in [Outcome::BadVersion, Outcome::NotDone] {
        let refused = attempt([12, 14], 2, None, outcome);
        let shown = read([20, 30], Source::Local, 2, 1);
        expect(&[first, refused, shown], &[Rule::WriteFromNowhere]);
    }
    // Version 1 is nobody's, unless a write of unknown outcome became it.
    let third = write([20, 30], 3, 2);
    expect(&[first, third], &[Rule::WriteFromNowhere]);
    expect(&[first, attempt([12, 14], 2, None, Outcome::Unknown), third], &[]);
}

#[test]
fn a_write_done_twice_is_found() {
    expect(
        &[
            write([0, 10], 1, 0),
            attempt([12, 14], 2, None, Outcome::Unknown),
            read([15, 16], Source::Local, 2, 1),
            read([17, 18], Source::Local, 2, 2),
        ],
        &[Rule::TwoOfOne],
    );
}

#[test]
fn conditions_hold() {
    let first = write([0, 10], 1, 0);
    let done = Outcome::Done { version: 2, mzxid: 102 };
    let other = attempt([11, 12], 4, None, Outcome::Unknown);
    expect(&[first, other, attempt([20, 30], 2, Some(0), done)], &[Rule::WrongCondition]);
    let refused = attempt([20, 30], 2, Some(0), Outcome::BadVersion);
    expect(&[first, refused], &[Rule::WrongCondition]);
    expect(&[first, refused, write([40, 50], 3, 1)], &[Rule::WrongCondition]);
    expect(&[first, refused, write([29, 50], 3, 1)], &[]);
    expect(&[first, refused, attempt([15, 16], 3, None, Outcome::Unknown)], &[]);
}

#[test]
fn a_session_does_not_go_back_in_time() {
    let writes = [write([0, 10], 1, 0), write([20, 30], 2, 1)];
    let new = by_session(7, 1, read([40, 41], Source::Local, 2, 1));
    let old = by_session(7, 1, read([42, 43], Source::Local, 1, 0));
    expect(&[writes[0], writes[1], new, old], &[Rule::WentBack]);
    let elsewhere = by_session(8, 1, old);
    expect(&[writes[0], writes[1], new, elsewhere], &[]);
    // Its own write counts.
    let own = by_session(7, 1, writes[1]);
    expect(&[writes[0], own, old], &[Rule::WentBack]);
    // And what it saw of other znodes.
    let seen = Seen { version: 0, value: 5, mzxid: 101 };
    let outcome = Outcome::Done { version: 0, mzxid: 101 };
    let write = by_session(9, 2, attempt([31, 32], 5, None, outcome));
    let read = Deed::Read { source: Source::Local, seen: Some(seen) };
    let read = by_session(7, 2, deed([40, 41], read));
    expect(&[writes[0], writes[1], write, read, old], &[Rule::WentBack]);
}

#[test]
fn members_that_differ_in_the_end_are_found() {
    expect(
        &[
            write([0, 10], 1, 0),
            attempt([12, 14], 2, None, Outcome::Unknown),
            read([20, 30], Source::Final(1), 1, 0),
            read([20, 40], Source::Final(2), 2, 1),
        ],
        &[Rule::MembersDiffer],
    );
}
