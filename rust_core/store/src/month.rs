//! Calendar months in UTC, the periods that budgets are given for.

use std::{fmt, str::FromStr, time::SystemTime};

use crate::clock;

const DAY_MS: u64 = 86_400_000;

/// A month of the calendar in UTC, such as `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: u32,
    month: u32,
}

/// Raised by [`Month::from_str`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no month: write it as \"2026-11\"")]
pub struct InvalidMonth(String);

impl Month {
    /// The month that `time` is in; what is before 1970 counts as January of it.
    pub fn of(time: SystemTime) -> Self {
        let (year, month) = civil(clock::millis(time) / DAY_MS);
        Self { year, month }
    }

    /// As a number that sorts as months do: 202611.
    pub(crate) fn number(self) -> u32 {
        self.year * 100 + self.month
    }

    pub(crate) fn from_number(number: u32) -> Self {
        Self { year: number / 100, month: number % 100 }
    }
}

/// Year and month of a day since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
///
/// Years begin in March, so that the day that comes and goes is the last one.
fn civil(day: u64) -> (u32, u32) {
    let day = day + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    ((era * 400 + year_of_era + u64::from(month <= 2)) as u32, month as u32)
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl FromStr for Month {
    type Err = InvalidMonth;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts = text.split_once('-').filter(|(year, month)| (year.len(), month.len()) == (4, 2));
        let numbers = parts.and_then(|(year, month)| Some((year.parse().ok()?, month.parse().ok()?)));
        let valid = numbers.filter(|(_, month)| (1..=12).contains(month));
        valid.map(|(year, month)| Self { year, month }).ok_or_else(|| InvalidMonth(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn at(seconds: u64) -> String {
        Month::of(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
    }

    #[test]
    fn seconds_are_in_the_month_that_the_calendar_says() {
        assert_eq!(at(0), "1970-01");
        assert_eq!(at(951_782_400), "2000-02"); // the 29th
        assert_eq!(at(1_795_046_399), "2026-11");
        assert_eq!(at(4_107_542_399), "2100-02"); // the 28th; 2100 is no leap year
        assert_eq!(at(4_107_542_400), "2100-03");
    }

    #[test]
    fn a_month_ends_with_its_last_second() {
        assert_eq!([at(1_796_083_199), at(1_796_083_200)], ["2026-11", "2026-12"]);
        assert_eq!([at(1_798_761_599), at(1_798_761_600)], ["2026-12", "2027-01"]);
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        assert_eq!("2026-11".parse::<Month>().map(|month| month.to_string()), Ok("2026-11".into()));
        for text in ["", "2026-13", "2026-00", "2026-1", "26-11", "2026/11"] {
            assert_eq!(text.parse::<Month>(), Err(InvalidMonth(text.into())));
        }
    }
}
