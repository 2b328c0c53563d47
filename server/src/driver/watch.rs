//! Watches the loop itself: pauses, steps of the wall clock, storms of expiries.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tenure_wire::SessionId;

use super::Driver;
use crate::admin::{ServerEventKind, StormCause};
use crate::limits;

/// What is watched.
#[derive(Debug, Default)]
pub(super) struct LoopWatch {
    /// When the loop last woke.
    woke: Option<Instant>,
    /// Both clocks when they were last compared.
    clocks: Option<(Instant, i64)>,
    /// The end and the length of the last pause.
    paused: Option<(Instant, Duration)>,
    /// When the leader last changed.
    elected: Option<Instant>,
    storm: Option<Storm>,
    /// Since when the disk is full.
    full_since: Option<Instant>,
}

/// Expiries soon after one another.
#[derive(Debug)]
struct Storm {
    first: Instant,
    last: Instant,
    count: u64,
    /// Some of the sessions.
    sessions: Vec<SessionId>,
}

impl LoopWatch {
    /// The loop went to sleep at `slept`, for no longer than `timeout`, and woke at `woke`. Returns
    /// for how long it stood still, if that is worth telling.
    pub(super) fn woke(
        &mut self,
        slept: Instant,
        timeout: Option<Duration>,
        woke: Instant,
    ) -> Option<Duration> {
        let worked = self.woke.map_or(Duration::ZERO, |before| slept - before);
        let overslept = timeout.map_or(Duration::ZERO, |t| (woke - slept).saturating_sub(t));
        self.woke = Some(woke);
        let longest = worked.max(overslept);
        (longest >= limits::PAUSE_EVENT).then(|| self.pause(woke, longest))
    }

    /// The loop stood still until now. What it did meanwhile is not looked at again.
    pub(super) fn pause(&mut self, now: Instant, lasted: Duration) -> Duration {
        self.woke = Some(now);
        self.paused = Some((now, lasted));
        lasted
    }

    /// Compares the clocks, now and then. Returns by how many milliseconds the wall clock went
    /// further than time did, if it was stepped rather than adjusted.
    pub(super) fn compare_clocks(
        &mut self,
        now: Instant,
        wall_ms: impl FnOnce() -> i64,
    ) -> Option<i64> {
        let Some((then, then_ms)) = self.clocks else {
            self.clocks = Some((now, wall_ms()));
            return None;
        };
        let passed = now.saturating_duration_since(then);
        if passed < limits::CLOCK_CHECK {
            return None;
        }
        let wall_ms = wall_ms();
        self.clocks = Some((now, wall_ms));
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        let by_ms = (wall_ms - then_ms).saturating_sub(passed_ms);
        // Whoever keeps clocks right makes them a little faster or slower, for as long as it takes.
        let adjusted_ms = passed_ms.unsigned_abs() / 1000;
        let step_ms = limits::CLOCK_STEP.as_millis() as u64 + adjusted_ms;
        (by_ms.unsigned_abs() >= step_ms).then_some(by_ms)
    }

    /// A session expired.
    fn expired(&mut self, session: SessionId, now: Instant) {
        let storm = self.storm.get_or_insert_with(|| Storm {
            first: now,
            last: now,
            count: 0,
            sessions: Vec::new(),
        });
        storm.last = now;
        storm.count += 1;
        if storm.sessions.len() < limits::STORM_SESSIONS_LOOKED_AT {
            storm.sessions.push(session);
        }
    }

    /// When it is time to look whether a storm is over.
    pub(super) fn storm_ends_at(&self) -> Option<Instant> {
        let storm = self.storm.as_ref()?;
        Some((storm.last + limits::STORM_QUIET).min(storm.first + limits::STORM_LONGEST))
    }

    /// The storm that is over, if it was one.
    fn take_storm(&mut self, now: Instant) -> Option<Storm> {
        self.storm_ends_at().filter(|ends| *ends <= now)?;
        self.storm.take().filter(|storm| storm.count >= limits::STORM_EXPIRIES)
    }

    /// What is known of the time before a storm.
    fn cause_before(&self, storm: &Storm) -> Option<StormCause> {
        let is_near = |at: Instant| {
            at <= storm.last && storm.first.saturating_duration_since(at) < limits::STORM_CAUSE
        };
        if let Some((_, lasted)) = self.paused.filter(|(ended, _)| is_near(*ended)) {
            return Some(StormCause::Pause { for_ms: lasted.as_millis() as u64 });
        }
        self.elected.filter(|at| is_near(*at)).map(|_| StormCause::Election)
    }
}

/// What the addresses of those who expired say, nine of ten being as good as all.
fn cause_of(addresses: &[IpAddr]) -> StormCause {
    let mut counts: HashMap<IpAddr, usize> = HashMap::new();
    for address in addresses {
        *counts.entry(*address).or_default() += 1;
    }
    match counts.into_iter().max_by_key(|(_, count)| *count) {
        Some((address, count)) if count * 10 >= addresses.len() * 9 => {
            StormCause::OneAddress(address)
        }
        _ => StormCause::ManyAddresses,
    }
}

impl Driver {
    /// Looks at what the loop's own turn says. Called once a turn.
    pub(super) fn watch_turn(&mut self, slept: Instant, timeout: Option<Duration>) {
        let now = self.clock.instant();
        if let Some(lasted) = self.watch.woke(slept, timeout, now) {
            self.tell_pause(lasted);
        }
        let clock = self.clock;
        if let Some(by_ms) = self.watch.compare_clocks(now, || clock.now().wall_ms) {
            self.metrics.clock_steps += 1;
            self.tell(ServerEventKind::ClockStep { by_ms });
        }
        if let Some(storm) = self.watch.take_storm(now) {
            self.tell_storm(&storm);
        }
    }

    /// The loop stood still on purpose until now.
    pub(super) fn watch_pause(&mut self, lasted: Duration) {
        let lasted = self.watch.pause(self.clock.instant(), lasted);
        self.tell_pause(lasted);
    }

    fn tell_pause(&mut self, lasted: Duration) {
        self.metrics.pauses_us.record(lasted.as_micros() as u64);
        self.tell(ServerEventKind::Pause { for_ms: lasted.as_millis() as u64 });
    }

    pub(super) fn watch_expiry(&mut self, session: SessionId) {
        self.watch.expired(session, self.clock.instant());
    }

    pub(super) fn watch_election(&mut self) {
        self.watch.elected = Some(self.clock.instant());
    }

    /// The disk has become full, or has room again.
    pub(super) fn watch_disk(&mut self, is_full: bool) {
        self.disk_is_full = is_full;
        if is_full {
            self.metrics.disk_full_times += 1;
            self.watch.full_since = Some(self.clock.instant());
            // The disk thread logs it for as long as it lasts.
            self.remember(ServerEventKind::DiskFull);
        } else if let Some(since) = self.watch.full_since.take() {
            let after_ms = self.clock.instant().saturating_duration_since(since).as_millis() as u64;
            self.remember(ServerEventKind::DiskHasRoom { after_ms });
        }
    }

    fn tell_storm(&mut self, storm: &Storm) {
        let cause = self.watch.cause_before(storm).unwrap_or_else(|| {
            let clients = self.session_events.clients();
            let addresses = storm.sessions.iter().filter_map(|id| clients.get(id).copied());
            cause_of(&addresses.collect::<Vec<_>>())
        });
        self.metrics.expiry_storms += 1;
        let over_ms = storm.last.saturating_duration_since(storm.first).as_millis() as u64;
        self.tell(ServerEventKind::ExpiryStorm { sessions: storm.count, over_ms, cause });
    }

    /// Remembers an event, with a line in the log.
    pub(crate) fn tell(&mut self, kind: ServerEventKind) {
        let (event, message, fields) = (kind.name(), kind.message(), kind.fields());
        let is_trouble = kind.is_trouble();
        match (self.remember(kind), is_trouble) {
            (true, true) => tracing::warn!(event, %fields, "{message}"),
            (true, false) => tracing::info!(event, %fields, "{message}"),
            (false, _) => {}
        }
    }

    /// Remembers an event that the log has already; returns whether it is news.
    pub(super) fn remember(&mut self, kind: ServerEventKind) -> bool {
        self.server_events.push(self.clock.now().wall_ms, kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_loop_that_works_or_sleeps_too_long_stood_still() {
        let start = Instant::now();
        let mut watch = LoopWatch::default();
        assert_eq!(watch.woke(start, Some(10 * MS), start + 11 * MS), None);
        // It may sleep as long as it likes when it has nothing to do.
        assert_eq!(watch.woke(start + 12 * MS, None, start + 60_000 * MS), None);
        let overslept = watch.woke(start + 60_001 * MS, Some(5 * MS), start + 63_001 * MS);
        assert_eq!(overslept, Some(2_995 * MS));
        // Turned away from its sockets for four seconds.
        let worked = watch.woke(start + 67_001 * MS, Some(5 * MS), start + 67_002 * MS);
        assert_eq!(worked, Some(4_000 * MS));
        assert_eq!(watch.woke(start + 67_003 * MS, Some(5 * MS), start + 67_004 * MS), None);
    }

    #[test]
    fn a_clock_that_is_set_is_told_from_one_that_is_adjusted() {
        let start = Instant::now();
        let mut watch = LoopWatch::default();
        let mut at =
            |after_ms: u32, wall_ms: i64| watch.compare_clocks(start + MS * after_ms, || wall_ms);
        assert_eq!(at(0, 1_000_000), None);
        assert_eq!(at(1_000, 1_001_000), None);
        assert_eq!(at(2_000, 1_062_000), Some(60_000));
        assert_eq!(at(3_000, 1_003_000), Some(-60_000));
        // Half a thousandth faster for twenty minutes.
        assert_eq!(at(1_203_000, 1_003_000 + 1_200_600), None);
        // Too early to look.
        assert_eq!(at(1_203_001, 0), None);
    }

    #[test]
    fn many_expiries_soon_after_one_another_are_a_storm() {
        let start = Instant::now();
        let mut watch = LoopWatch::default();
        for n in 0..limits::STORM_EXPIRIES {
            watch.expired(SessionId(n as i64), start + MS * n as u32);
        }
        let quiet = start + limits::STORM_QUIET;
        assert!(watch.take_storm(quiet).is_none());
        let storm = watch.take_storm(quiet + 60 * MS).unwrap();
        assert_eq!(storm.count, limits::STORM_EXPIRIES);
        assert_eq!(watch.cause_before(&storm), None);
        watch.elected = Some(start - 1_000 * MS);
        assert_eq!(watch.cause_before(&storm), Some(StormCause::Election));
        watch.pause(start, 3_000 * MS);
        assert_eq!(watch.cause_before(&storm), Some(StormCause::Pause { for_ms: 3_000 }));
        // A few are none.
        watch.expired(SessionId(1), start);
        assert!(watch.take_storm(start + 60_000 * MS).is_none());
        assert_eq!(watch.storm_ends_at(), None);
    }

    #[test]
    fn the_address_of_nearly_all_is_named() {
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let mut addresses = vec![one; 9];
        addresses.push(other);
        assert_eq!(cause_of(&addresses), StormCause::OneAddress(one));
        addresses.push(other);
        assert_eq!(cause_of(&addresses), StormCause::ManyAddresses);
        assert_eq!(cause_of(&[]), StormCause::ManyAddresses);
    }
}
