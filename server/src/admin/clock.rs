//! Wall clock times as text.

use std::time::{SystemTime, UNIX_EPOCH};

/// A moment of the wall clock, taken apart in UTC.
pub(crate) struct Moment {
    year: i64,
    /// From 0.
    month: usize,
    day: i64,
    /// From 0, Thursday, the first day of the epoch.
    weekday: usize,
    second_of_day: i64,
    millis: i64,
}

/// Milliseconds since the Unix epoch.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Milliseconds since the Unix epoch as a date and a time in UTC.
pub fn iso(wall_ms: i64) -> String {
    Moment::of(wall_ms).iso()
}

impl Moment {
    /// Takes milliseconds since the Unix epoch apart.
    pub(crate) fn of(wall_ms: i64) -> Self {
        let days = wall_ms.div_euclid(86_400_000);
        let (year, month, day) = civil(days);
        Self {
            year,
            month,
            day,
            weekday: days.rem_euclid(7) as usize,
            second_of_day: wall_ms.div_euclid(1000).rem_euclid(86_400),
            millis: wall_ms.rem_euclid(1000),
        }
    }

    fn clock(&self) -> String {
        let s = self.second_of_day;
        format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }

    /// As `dump` writes it: `Mon Nov 23 15:28:32 UTC 2026`.
    pub(crate) fn long(&self) -> String {
        let (weekday, month) = (WEEKDAYS[self.weekday], MONTHS[self.month]);
        format!("{weekday} {month} {:02} {} UTC {}", self.day, self.clock(), self.year)
    }

    /// As JSON has it: `2026-11-23T15:28:32.125Z`.
    pub(crate) fn iso(&self) -> String {
        let month = self.month + 1;
        format!("{}-{month:02}-{:02}T{}.{:03}Z", self.year, self.day, self.clock(), self.millis)
    }
}

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Year, month from 0 and day of the Gregorian calendar. Counts in eras of 400 years from a first
/// of March, so that the leap day ends a year.
fn civil(days_since_epoch: i64) -> (i64, usize, i64) {
    const ERA_DAYS: i64 = 146_097;
    let days = days_since_epoch + 719_468;
    let era = days.div_euclid(ERA_DAYS);
    let day_of_era = days.rem_euclid(ERA_DAYS);
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12;
    let year = era * 400 + year_of_era + i64::from(month < 2);
    (year, month as usize, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_as_text() {
        for (wall_ms, long, iso) in [
            (0, "Thu Jan 01 00:00:00 UTC 1970", "1970-01-01T00:00:00.000Z"),
            (-1, "Wed Dec 31 23:59:59 UTC 1969", "1969-12-31T23:59:59.999Z"),
            (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000", "2000-02-29T00:00:00.000Z"),
            (1_795_447_712_125, "Mon Nov 23 15:28:32 UTC 2026", "2026-11-23T15:28:32.125Z"),
            (4_107_542_400_000, "Mon Mar 01 00:00:00 UTC 2100", "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(Moment::of(wall_ms).long(), long);
            assert_eq!(Moment::of(wall_ms).iso(), iso);
        }
    }

    #[test]
    fn days_follow_one_another() {
        let mut last = civil(-800_000);
        for day in -799_999..800_000 {
            let next = civil(day);
            let same_month = (last.0, last.1, last.2 + 1) == next;
            let next_month =
                next.2 == 1 && (last.0 * 12 + last.1 as i64 + 1) == next.0 * 12 + next.1 as i64;
            assert!(same_month || (next_month && last.2 >= 28), "{last:?} {next:?}");
            last = next;
        }
    }
}
