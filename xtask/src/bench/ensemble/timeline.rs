//! What clients saw while servers were stopped: how long nothing could be written, and by whom.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;

/// The diary that `tenure bench failover` leaves. All times are microseconds of the Unix clock.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Timeline {
    /// By writer, in the order of their acknowledgement.
    writes: BTreeMap<u64, Vec<Write>>,
    lost_links: Vec<(u64, u64)>,
    attached: Vec<(u64, u64)>,
}

/// An acknowledged write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Write {
    sent_us: u64,
    acknowledged_us: u64,
}

/// A time without writes, for those who saw it shortest and longest.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Gap {
    /// Nobody's writes were acknowledged for so long.
    pub(super) of_all_ms: f64,
    /// The writer that had to wait longest waited so long.
    pub(super) of_slowest_ms: f64,
}

/// This moment.
pub(super) fn now_us() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros() as u64
}

impl Timeline {
    /// Reads what `tenure bench failover --samples` wrote.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut timeline = Self::default();
        for line in text.lines() {
            let mut fields = line.split(',');
            let what = fields.next().unwrap_or_default();
            let numbers: Option<Vec<u64>> =
                fields.take(3).map(|field| field.parse().ok()).collect();
            match (what, numbers.as_deref()) {
                ("write", Some(&[writer, sent_us, acknowledged_us])) => {
                    let write = Write { sent_us, acknowledged_us };
                    timeline.writes.entry(writer).or_default().push(write);
                }
                ("lost-link", Some(&[session, at_us])) => {
                    timeline.lost_links.push((session, at_us));
                }
                ("attached", Some(&[session, at_us])) => timeline.attached.push((session, at_us)),
                // The report counts them.
                ("lost-session" | "error", _) => {}
                _ => anyhow::bail!("{line:?} is no line of a diary"),
            }
        }
        Ok(timeline)
    }

    /// From this moment until a write was acknowledged that was sent after it. Nothing if some
    /// writer never wrote again.
    pub(super) fn writes_back(&self, from_us: u64) -> Option<Gap> {
        let back = |writes: &Vec<Write>| {
            let mut later = writes.iter().filter(|write| write.sent_us > from_us);
            later.next().map(|write| write.acknowledged_us - from_us)
        };
        let back: Vec<u64> = self.writes.values().map(back).collect::<Option<_>>()?;
        gap(back.iter().copied().min()?, back.iter().copied().max()?)
    }

    /// The longest time between two acknowledgements that overlaps a stretch of time.
    pub(super) fn longest_gap(&self, from_us: u64, until_us: u64) -> Option<Gap> {
        let acknowledged = |writes: &Vec<Write>| -> Vec<u64> {
            writes.iter().map(|write| write.acknowledged_us).collect()
        };
        let by_writer: Vec<Vec<u64>> = self.writes.values().map(acknowledged).collect();
        let mut all: Vec<u64> = by_writer.iter().flatten().copied().collect();
        all.sort_unstable();
        let slowest: Option<Vec<u64>> =
            by_writer.iter().map(|times| longest(times, from_us, until_us)).collect();
        gap(longest(&all, from_us, until_us)?, slowest?.into_iter().max()?)
    }

    /// Links that sessions lost in a stretch of time, beyond one for each session.
    pub(super) fn links_lost_again(&self, from_us: u64, until_us: u64) -> usize {
        let lost = self.lost_in(from_us, until_us);
        lost.values().map(|count| count - 1).sum()
    }

    /// Until all sessions that lost a link in a stretch of time had another, in ms; 0 if none did.
    pub(super) fn attached_again_ms(&self, from_us: u64, until_us: u64) -> f64 {
        let lost = self.lost_in(from_us, until_us);
        let again = self.attached.iter().filter(|(session, at_us)| {
            lost.contains_key(session) && (from_us..until_us).contains(at_us)
        });
        let last_us = again.map(|(_, at_us)| *at_us).max().unwrap_or(from_us);
        (last_us - from_us) as f64 / 1e3
    }

    fn lost_in(&self, from_us: u64, until_us: u64) -> BTreeMap<u64, usize> {
        let mut lost = BTreeMap::new();
        for (session, at_us) in &self.lost_links {
            if (from_us..until_us).contains(at_us) {
                *lost.entry(*session).or_default() += 1;
            }
        }
        lost
    }
}

fn longest(times: &[u64], from_us: u64, until_us: u64) -> Option<u64> {
    let overlapping = times.windows(2).filter(|pair| pair[1] > from_us && pair[0] < until_us);
    overlapping.map(|pair| pair[1] - pair[0]).max()
}

fn gap(all_us: u64, slowest_us: u64) -> Option<Gap> {
    Some(Gap { of_all_ms: all_us as f64 / 1e3, of_slowest_ms: slowest_us as f64 / 1e3 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writer 0 writes every 10 ms but from 100 ms to 400 ms, writer 1 every 10 ms but from 100 ms
    /// to 250 ms.
    fn timeline() -> Timeline {
        let mut text = String::new();
        for ms in (10..1000).step_by(10) {
            for (writer, back) in [(0, 400), (1, 250)] {
                if ms <= 100 || ms >= back {
                    text += &format!("write,{writer},{},{}\n", ms * 1000 - 900, ms * 1000);
                }
            }
        }
        text += "lost-link,7,120000\nlost-link,7,150000\nlost-link,8,130000\nattached,8,140000\n\
                 attached,7,160000\nlost-link,8,700000\nattached,8,710000\nerror,1,5,-4\n";
        Timeline::parse(&text).unwrap()
    }

    #[test]
    fn the_time_until_writes_are_back_counts_only_what_was_sent_after() {
        let wanted = Gap { of_all_ms: 150.5, of_slowest_ms: 300.5 };
        // The write acknowledged at 100 ms was sent before.
        assert_eq!(timeline().writes_back(99_500), Some(wanted));
        assert_eq!(timeline().writes_back(980_000).map(|gap| gap.of_all_ms), Some(10.0));
        assert_eq!(timeline().writes_back(995_000), None);
    }

    #[test]
    fn the_longest_gap_is_that_which_overlaps_the_stretch() {
        let wanted = Gap { of_all_ms: 150.0, of_slowest_ms: 300.0 };
        assert_eq!(timeline().longest_gap(200_000, 220_000), Some(wanted));
        assert_eq!(timeline().longest_gap(50_000, 500_000), Some(wanted));
        let usual = Gap { of_all_ms: 10.0, of_slowest_ms: 10.0 };
        assert_eq!(timeline().longest_gap(500_000, 900_000), Some(usual));
        assert_eq!(Timeline::default().longest_gap(0, 1), None);
    }

    #[test]
    fn a_link_lost_once_is_as_it_must_be() {
        assert_eq!(timeline().links_lost_again(100_000, 200_000), 1);
        assert_eq!(timeline().links_lost_again(600_000, 800_000), 0);
        assert_eq!(timeline().attached_again_ms(100_000, 200_000), 60.0);
        assert_eq!(timeline().attached_again_ms(800_000, 900_000), 0.0);
    }

    #[test]
    fn lines_of_something_else_are_refused() {
        for text in ["write,1,2", "write,1,2,x", "wrote,1,2,3", "1,2"] {
            assert!(Timeline::parse(text).is_err(), "{text}");
        }
    }
}
