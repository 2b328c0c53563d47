//! A bucket of tokens for handshakes, as ZooKeeper's `connection_throttle_*` keys describe it.

use std::time::{Duration, Instant};

use crate::config::StormSettings;

/// What a handshake asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handshake {
    /// A new session of the ensemble.
    Global,
    /// A new session of this server alone.
    Local,
    /// A session that was there before.
    Renewed,
}

/// Decides who may have a session while many ask at once.
#[derive(Debug)]
pub(crate) struct Storm {
    rules: StormSettings,
    tokens: u32,
    filled_at: Instant,
    /// Chance of being turned away although there are tokens.
    drop_chance: f64,
    changed_at: Instant,
}

impl Storm {
    /// A full bucket.
    pub(crate) fn new(rules: StormSettings, now: Instant) -> Storm {
        let tokens = rules.tokens;
        Storm { rules, tokens, filled_at: now, drop_chance: 0.0, changed_at: now }
    }

    /// Has other rules count. The bucket holds what it held, if that is not too much.
    pub(crate) fn set_rules(&mut self, rules: StormSettings, now: Instant) {
        let tokens = if self.is_on() { self.tokens.min(rules.tokens) } else { rules.tokens };
        *self = Storm { drop_chance: self.drop_chance, tokens, ..Storm::new(rules, now) };
    }

    /// Whether anybody is ever turned away.
    pub(crate) fn is_on(&self) -> bool {
        self.rules.tokens > 0
    }

    /// Chance of being turned away although there are tokens.
    pub(crate) fn drop_chance(&self) -> f64 {
        self.drop_chance
    }

    /// Whether this one may go on, which takes its tokens. `chance` is random, from 0 to 1.
    pub(crate) fn admits(&mut self, wanted: Handshake, chance: f64, now: Instant) -> bool {
        if !self.is_on() {
            return true;
        }
        self.fill(now);
        self.change_chance(now);
        let needed = match wanted {
            _ if !self.rules.weighted => 1,
            Handshake::Global => self.rules.global_weight,
            Handshake::Local => self.rules.local_weight,
            Handshake::Renewed => self.rules.renew_weight,
        };
        let is_admitted = chance >= self.drop_chance && self.tokens >= needed;
        if is_admitted {
            self.tokens -= needed;
        }
        is_admitted
    }

    fn fill(&mut self, now: Instant) {
        let every = Duration::from_millis(self.rules.fill_time_ms.max(1).into());
        let times = (now - self.filled_at).as_nanos() / every.as_nanos();
        let times = u32::try_from(times).unwrap_or(u32::MAX);
        let more = times.saturating_mul(self.rules.fill_count);
        self.tokens = self.tokens.saturating_add(more).min(self.rules.tokens);
        // What is left of a period counts for the next one.
        self.filled_at = match every.checked_mul(times) {
            Some(passed) => self.filled_at + passed,
            None => now,
        };
    }

    fn change_chance(&mut self, now: Instant) {
        let Some(every_ms) = self.rules.freeze_time_ms else { return };
        if now - self.changed_at <= Duration::from_millis(every_ms.into()) {
            return;
        }
        self.changed_at = now;
        let plenty = f64::from(self.rules.tokens) * self.rules.decrease_ratio;
        if self.tokens == 0 {
            self.drop_chance = (self.drop_chance + self.rules.drop_increase).min(1.0);
        } else if f64::from(self.tokens) > plenty {
            self.drop_chance = (self.drop_chance - self.rules.drop_decrease).max(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storm(rules: StormSettings) -> (Storm, Instant) {
        let now = Instant::now();
        (Storm::new(rules, now), now)
    }

    fn admitted(storm: &mut Storm, wanted: Handshake, now: Instant) -> u32 {
        (0..1000).map(|_| u32::from(storm.admits(wanted, 1.0, now))).sum()
    }

    #[test]
    fn without_tokens_in_the_configuration_everybody_comes_in() {
        let (mut storm, now) = storm(StormSettings::default());
        assert_eq!(admitted(&mut storm, Handshake::Global, now), 1000);
    }

    #[test]
    fn a_bucket_is_emptied_and_filled_at_its_pace() {
        let rules =
            StormSettings { tokens: 10, fill_time_ms: 20, fill_count: 2, ..Default::default() };
        let (mut storm, now) = storm(rules);
        assert_eq!(admitted(&mut storm, Handshake::Global, now), 10);
        let later = now + Duration::from_millis(59);
        assert_eq!(admitted(&mut storm, Handshake::Global, later), 4);
        // The 19 ms are not lost.
        assert_eq!(admitted(&mut storm, Handshake::Global, later + Duration::from_millis(1)), 2);
        let much_later = now + Duration::from_secs(3600 * 24 * 365);
        assert_eq!(admitted(&mut storm, Handshake::Global, much_later), 10);
    }

    #[test]
    fn weights_let_those_come_back_who_were_there() {
        let rules = StormSettings { tokens: 11, weighted: true, ..Default::default() };
        let (mut storm, now) = storm(rules);
        assert_eq!(admitted(&mut storm, Handshake::Global, now), 3);
        assert_eq!(admitted(&mut storm, Handshake::Renewed, now), 1);
        assert_eq!(admitted(&mut storm, Handshake::Local, now), 0);
    }

    #[test]
    fn an_empty_bucket_makes_the_chance_grow_and_a_fuller_one_shrink() {
        let rules = StormSettings {
            tokens: 2,
            fill_time_ms: 1000,
            freeze_time_ms: Some(10),
            drop_increase: 0.5,
            drop_decrease: 0.25,
            ..Default::default()
        };
        let (mut storm, now) = storm(rules);
        let at = |ms| now + Duration::from_millis(ms);
        assert_eq!(admitted(&mut storm, Handshake::Global, now), 2);
        assert!(!storm.admits(Handshake::Global, 1.0, at(11)));
        assert_eq!(storm.drop_chance(), 0.5);
        // There is a token again, but also the chance.
        assert!(!storm.admits(Handshake::Global, 0.2, at(1001)));
        assert_eq!(storm.drop_chance(), 0.25);
        assert!(storm.admits(Handshake::Global, 0.25, at(1001)));
    }
}
