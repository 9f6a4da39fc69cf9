//! When a job is due. Pure: times in, times out, all of them UTC, which knows no summer time.

use std::fmt;

use sqlx::types::time::OffsetDateTime;
use time::{Duration, Time, UtcOffset, Weekday};

/// The moments at which a job is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timetable {
    /// Each day at this hour.
    Daily { hour: u8 },
    /// Each week on this day, at this hour.
    Weekly { weekday: Weekday, hour: u8 },
}

impl Timetable {
    /// The latest slot that is not after `now`.
    pub fn last_due(self, now: OffsetDateTime) -> OffsetDateTime {
        let now = now.to_offset(UtcOffset::UTC);
        let today = now.replace_time(self.time());
        let days_back = match self {
            Self::Daily { .. } => 0,
            Self::Weekly { weekday, .. } => {
                let today = now.weekday().number_days_from_monday();
                (i64::from(today) - i64::from(weekday.number_days_from_monday())).rem_euclid(7)
            }
        };
        let slot = today - Duration::days(days_back);
        if slot <= now { slot } else { slot - self.period() }
    }

    /// The first slot after `now`.
    pub fn next_due(self, now: OffsetDateTime) -> OffsetDateTime {
        self.last_due(now) + self.period()
    }

    fn period(self) -> Duration {
        match self {
            Self::Daily { .. } => Duration::DAY,
            Self::Weekly { .. } => Duration::WEEK,
        }
    }

    fn time(self) -> Time {
        let (Self::Daily { hour } | Self::Weekly { hour, .. }) = self;
        Time::from_hms(hour, 0, 0).expect("the timetable names hours of a day")
    }
}

impl fmt::Display for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daily { hour } => write!(f, "daily at {hour:02}:00 UTC"),
            Self::Weekly { weekday, hour } => write!(f, "{weekday}s at {hour:02}:00 UTC"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const DAILY: Timetable = Timetable::Daily { hour: 2 };
    const WEEKLY: Timetable = Timetable::Weekly { weekday: Weekday::Sunday, hour: 4 };

    #[test]
    fn a_slot_is_due_from_its_first_moment_on() {
        let slot = datetime!(2026-11-23 02:00 UTC);
        assert_eq!(DAILY.last_due(slot), slot);
        assert_eq!(DAILY.last_due(slot - Duration::NANOSECOND), slot - Duration::DAY);
        assert_eq!(DAILY.last_due(slot + Duration::hours(23)), slot);
        assert_eq!(DAILY.next_due(slot), slot + Duration::DAY);
        assert_eq!(DAILY.next_due(slot - Duration::NANOSECOND), slot);
    }

    #[test]
    fn a_week_turns_at_its_own_hour() {
        // A Sunday.
        let slot = datetime!(2026-11-22 04:00 UTC);
        assert_eq!(slot.weekday(), Weekday::Sunday);
        assert_eq!(WEEKLY.last_due(slot), slot);
        assert_eq!(WEEKLY.last_due(datetime!(2026-11-22 03:59:59 UTC)), slot - Duration::WEEK);
        assert_eq!(WEEKLY.last_due(datetime!(2026-11-23 00:00 UTC)), slot, "on Monday");
        assert_eq!(WEEKLY.last_due(datetime!(2026-11-28 23:59:59 UTC)), slot, "on Saturday");
        assert_eq!(WEEKLY.next_due(slot), datetime!(2026-11-29 04:00 UTC));
    }

    #[test]
    fn months_years_and_leap_days_are_days_like_others() {
        let table = [
            (datetime!(2028-02-29 01:59 UTC), datetime!(2028-02-28 02:00 UTC)),
            (datetime!(2028-02-29 02:00 UTC), datetime!(2028-02-29 02:00 UTC)),
            (datetime!(2028-03-01 00:00 UTC), datetime!(2028-02-29 02:00 UTC)),
            (datetime!(2100-03-01 00:00 UTC), datetime!(2100-02-28 02:00 UTC)),
            (datetime!(2027-01-01 00:30 UTC), datetime!(2026-12-31 02:00 UTC)),
        ];
        for (now, due) in table {
            assert_eq!(DAILY.last_due(now), due, "at {now}");
        }
        // The last Sunday of the year before.
        let new_year = datetime!(2027-01-01 00:30 UTC);
        assert_eq!(WEEKLY.last_due(new_year), datetime!(2026-12-27 04:00 UTC));
    }

    #[test]
    fn another_offset_is_the_same_moment() {
        let slot = datetime!(2026-03-29 02:00 UTC);
        // The hour that central Europe skips on that day.
        assert_eq!(DAILY.last_due(datetime!(2026-03-29 04:00 +2)), slot);
        assert_eq!(DAILY.last_due(datetime!(2026-03-29 02:59 +1)), slot - Duration::DAY);
    }

    /// Whatever the moment, slots neither overlap nor leave a hole.
    #[test]
    fn every_moment_lies_between_two_slots() {
        let mut now = datetime!(2027-12-20 00:00 UTC);
        for _ in 0..2_000 {
            for timetable in [DAILY, WEEKLY] {
                let (last, next) = (timetable.last_due(now), timetable.next_due(now));
                assert!(last <= now && now < next, "{timetable} at {now}: {last}, {next}");
                assert_eq!(timetable.last_due(next), next);
                assert_eq!(timetable.next_due(last), next);
            }
            now += Duration::minutes(61);
        }
    }

    #[test]
    fn it_is_told_in_words() {
        assert_eq!(DAILY.to_string(), "daily at 02:00 UTC");
        assert_eq!(WEEKLY.to_string(), "Sundays at 04:00 UTC");
    }
}
