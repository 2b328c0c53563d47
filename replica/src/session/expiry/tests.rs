//! Tests of the expiry clock: never early, hardly late, and pauses only lengthen.

use std::collections::BTreeMap;

use super::*;
use crate::fuzz::Random;

fn expired(expiry: &mut Expiry) -> Vec<(i64, u64)> {
    let mut out = Vec::new();
    let mono_us = expiry.mono_us.unwrap();
    expiry.pop_expired(mono_us, &mut out);
    out.into_iter().map(|(session, silent_ms)| (session.0, silent_ms)).collect()
}

/// A clock at monotonic time `mono_ms`, with one session.
fn one(mono_ms: u64, timeout_ms: u32) -> Expiry {
    let mut expiry = Expiry::new();
    expiry.advance(mono_ms * 1000);
    expiry.add(SessionId(1), timeout_ms);
    expiry
}

/// Goes to a time in steps as short as a server's.
fn run(expiry: &mut Expiry, from_ms: u64, to_ms: u64) -> Option<(u64, i64, u64)> {
    for mono_ms in from_ms..=to_ms {
        expiry.advance(mono_ms * 1000);
        if let [(session, silent_ms)] = expired(expiry)[..] {
            return Some((mono_ms, session, silent_ms));
        }
    }
    None
}

#[test]
fn a_silent_session_expires_on_its_millisecond() {
    let mut expiry = one(5_000, 4_000);
    assert_eq!(expiry.left_ms(SessionId(1)), Some(4_000));
    assert!((7_000_000..=9_000_000).contains(&expiry.next_deadline_us().unwrap()));
    assert_eq!(run(&mut expiry, 5_000, 8_900), None);
    assert_eq!(expiry.next_deadline_us(), Some(9_000_000));
    assert_eq!(run(&mut expiry, 8_901, 20_000), Some((9_000, 1, 4_000)));
    assert_eq!(expiry.next_deadline_us(), None);
    assert_eq!(expiry.left_ms(SessionId(1)), None);
    assert!(!expiry.touch(SessionId(1), 9_000_000));
    assert!(!expiry.resume(SessionId(1), 5, 9_000_000));
}

#[test]
fn a_touch_starts_the_timeout_again() {
    let mut expiry = one(0, 1_000);
    assert_eq!(run(&mut expiry, 0, 900), None);
    // A touch between two advances counts from its own time.
    assert!(expiry.touch(SessionId(1), 950_000));
    assert_eq!(run(&mut expiry, 951, 3_000), Some((1_950, 1, 1_000)));
}

#[test]
fn a_resume_never_brings_the_deadline_forward() {
    // To a shorter timeout: the client may die before it hears of it, and believes in the old one.
    let mut expiry = one(0, 10_000);
    assert_eq!(run(&mut expiry, 0, 500), None);
    assert!(expiry.resume(SessionId(1), 1_000, 600_000));
    assert_eq!(expiry.left_ms(SessionId(1)), Some(9_400));
    assert_eq!(run(&mut expiry, 601, 20_000), Some((10_000, 1, 9_400)));
    // To a longer one, which counts from the resume.
    let mut expiry = one(0, 1_000);
    assert!(expiry.resume(SessionId(1), 5_000, 100_000));
    assert_eq!(run(&mut expiry, 101, 9_000), Some((5_100, 1, 5_000)));
}

#[test]
fn the_packet_behind_a_resume_begins_the_new_timeout() {
    let mut expiry = one(0, 10_000);
    assert_eq!(run(&mut expiry, 0, 500), None);
    assert!(expiry.resume(SessionId(1), 1_000, 600_000));
    assert!(expiry.touch(SessionId(1), 700_000));
    assert_eq!(expiry.next_deadline_us(), Some(1_700_000));
    assert_eq!(run(&mut expiry, 701, 20_000), Some((1_700, 1, 1_000)));
}

#[test]
fn a_promise_can_be_renewed_and_resumes_add_up() {
    let mut expiry = one(0, 10_000);
    assert!(expiry.resume(SessionId(1), 1_000, 100_000));
    let promised_us = expiry.promised_us(SessionId(1));
    assert_eq!(promised_us, 10_000_000);
    // What was pipelined behind the handshake shows nothing.
    assert!(expiry.touch(SessionId(1), 100_000));
    expiry.promise(SessionId(1), promised_us);
    assert_eq!(expiry.left_ms(SessionId(1)), Some(9_900));
    // A second resume, still without a packet: the first promise stands.
    assert!(expiry.resume(SessionId(1), 50, 200_000));
    assert_eq!(run(&mut expiry, 201, 20_000), Some((10_000, 1, 9_800)));
    assert_eq!(expiry.promised_us(SessionId(1)), 0);
}

#[test]
fn a_pause_does_not_count() {
    let mut expiry = one(0, 1_000);
    assert_eq!(run(&mut expiry, 0, 500), None);
    let expected = Some((60_500 + 500 - MAX_STEP_US / 1000, 1, 1_000));
    assert_eq!(run(&mut expiry, 60_500, 70_000), expected);
}

#[test]
fn a_removed_session_never_expires_and_leaves_nothing() {
    let mut expiry = one(0, 1_000);
    expiry.remove(SessionId(1));
    assert_eq!(run(&mut expiry, 0, 5_000), None);
    for session in 0..1_000_000 {
        expiry.add(SessionId(session), 40_000);
        expiry.remove(SessionId(session));
    }
    assert!(expiry.queue.len() <= SPARE_ENTRIES && expiry.sessions.is_empty());
}

#[test]
fn touched_sessions_do_not_wake_the_server() {
    let mut expiry = Expiry::new();
    expiry.advance(0);
    for session in 0..1_000 {
        expiry.add(SessionId(session), 3_000);
    }
    let mut wakes = 0;
    for tick in 0..600 {
        let mono_us = tick * 100_000;
        expiry.advance(mono_us);
        assert_eq!(expired(&mut expiry), []);
        // A third of the sessions says something, each third in turn.
        for session in (0..1_000).filter(|session| session % 3 == tick as i64 / 10 % 3) {
            assert!(expiry.touch(SessionId(session), mono_us));
        }
        wakes += usize::from(expiry.next_deadline_us().unwrap() < mono_us + 100_000);
    }
    assert!(wakes <= 3, "{wakes}");
}

#[test]
fn timeouts_started_together_are_not_looked_at_together() {
    let mut expiry = Expiry::new();
    expiry.advance(0);
    for session in 0..50_000 {
        expiry.add(SessionId(0x100_0001_8000_0000 + session), 30_000);
    }
    let per_tick = expiry.queue.iter().fold(BTreeMap::new(), |mut ticks, Reverse((at_us, _))| {
        *ticks.entry(at_us / 100_000).or_insert(0) += 1;
        ticks
    });
    assert!(per_tick.len() >= 150, "spread over {} ticks", per_tick.len());
    assert!(per_tick.values().all(|count| *count < 1_000), "{per_tick:?}");
}

/// What a session's life should be; all times in microseconds of real time.
#[derive(Clone, Copy)]
struct Modelled {
    touched_us: u64,
    timeout_us: u64,
    /// The deadline that a resume must keep, 0 for none.
    promised_us: u64,
    /// How much pause came since the touch.
    paused_us: u64,
}

impl Modelled {
    fn deadline_us(&self) -> u64 {
        (self.touched_us + self.timeout_us + self.paused_us).max(self.promised_us)
    }
}

#[test]
fn seeded_sessions_are_never_early_and_at_most_one_step_late() {
    for seed in 0..60 {
        let mut random = Random::new(seed);
        let mut expiry = Expiry::new();
        let mut model: BTreeMap<i64, Modelled> = BTreeMap::new();
        let mut mono_us = random.next() % 1_000_000;
        expiry.advance(mono_us);
        for step in 0..4_000 {
            let context = || format!("seed {seed} step {step} at {mono_us}");
            let session = random.below(20) as i64;
            let timeout_ms = 50 + random.below(2_000) as u32;
            let timeout_us = u64::from(timeout_ms) * 1000;
            let touched =
                Modelled { touched_us: mono_us, timeout_us, promised_us: 0, paused_us: 0 };
            match random.below(8) {
                0 => {
                    expiry.add(SessionId(session), timeout_ms);
                    model.insert(session, touched);
                }
                1 | 2 => {
                    mono_us += random.next() % 10_000;
                    let known = model.get_mut(&session);
                    assert_eq!(expiry.touch(SessionId(session), mono_us), known.is_some());
                    if let Some(known) = known {
                        let timeout_us = known.timeout_us;
                        *known = Modelled { touched_us: mono_us, timeout_us, ..touched };
                    }
                }
                3 => {
                    let known = model.get_mut(&session);
                    let resumed = expiry.resume(SessionId(session), timeout_ms, mono_us);
                    assert_eq!(resumed, known.is_some(), "{}", context());
                    if let Some(known) = known {
                        *known = Modelled { promised_us: known.deadline_us(), ..touched };
                    }
                }
                4 => {
                    expiry.remove(SessionId(session));
                    model.remove(&session);
                }
                _ => {
                    let pause = random.below(50) == 0;
                    let longest_us = if pause { 9_000_000 } else { 60_000 };
                    let step_us = 1 + random.next() % longest_us;
                    mono_us += step_us;
                    let paused_us = step_us.saturating_sub(MAX_STEP_US);
                    for known in model.values_mut() {
                        known.paused_us += paused_us;
                        if known.promised_us > 0 {
                            known.promised_us += paused_us;
                        }
                    }
                    let promised_us = expiry.next_deadline_us();
                    expiry.advance(mono_us);
                    let gone = expired(&mut expiry);
                    for (session, silent_ms) in &gone {
                        let known = model.remove(session).unwrap();
                        assert!(mono_us >= known.deadline_us(), "early: seed {seed} step {step}");
                        let silent_us = mono_us - known.touched_us - known.paused_us;
                        assert_eq!(*silent_ms, silent_us / 1000, "seed {seed}");
                        assert!(promised_us.is_some_and(|promised| promised <= mono_us));
                    }
                    for (session, known) in &model {
                        let left = known.deadline_us();
                        assert!(left > mono_us, "late: {session} seed {seed} step {step}");
                    }
                }
            }
            assert_eq!(expiry.sessions.len(), model.len());
        }
    }
}

#[test]
fn nobody_expires_at_a_time_up_to_which_not_everything_was_heard() {
    let mut expiry = one(0, 4_000);
    for mono_ms in (200..=3_800).step_by(200) {
        expiry.advance(mono_ms * 1000);
    }
    // Somebody else is heard at 4,001 ms, in the turn of a server that knows everything up to
    // 3,999 ms: the packet of the first may have come in between.
    expiry.add(SessionId(2), 4_000);
    expiry.touch(SessionId(2), 4_001_000);
    let mut out = Vec::new();
    expiry.pop_expired(3_999_000, &mut out);
    assert_eq!(out, []);
    assert_eq!(expiry.next_deadline_us(), Some(4_001_000));
    expiry.pop_expired(4_000_000, &mut out);
    assert_eq!(out, [(SessionId(1), 4_000)]);
}
