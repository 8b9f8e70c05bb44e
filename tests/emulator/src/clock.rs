//! Time as the emulator sees it: the machine's clock plus an offset that tests may move forward.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = u64;

/// One hour in milliseconds.
pub const HOUR: Millis = 3_600_000;
/// One year in milliseconds, about.
const YEAR: Millis = 365 * 24 * HOUR;
/// One minute in milliseconds.
pub const MINUTE: Millis = 60_000;

/// A clock that can be moved forward, so that windows of ten minutes or a day need no waiting.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    ahead: Duration,
}

impl Clock {
    /// The present moment.
    pub fn now(&self) -> Millis {
        let real = SystemTime::now().duration_since(UNIX_EPOCH);
        (real.unwrap_or_default() + self.ahead).as_millis() as Millis
    }

    /// How far it is ahead of the machine's.
    pub fn ahead_ms(&self) -> Millis {
        self.ahead.as_millis() as Millis
    }

    /// Moves the clock forward, by no more than a hundred years in all.
    pub fn advance(&mut self, ms: Millis) -> Result<(), String> {
        let ahead = self.ahead_ms().saturating_add(ms);
        if ahead > 100 * YEAR {
            return Err(format!("ms: {ms} more would be over a hundred years ahead"));
        }
        self.ahead = Duration::from_millis(ahead);
        Ok(())
    }
}

/// The form of `Date`.
pub fn http_date(at: Millis) -> String {
    // Beyond the year 9999 the form has no dates.
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(at.min(253_402_300_799_000)))
}

/// ISO 8601 with a numeric offset and no fraction, as CRM writes times: `2025-12-22T13:14:47+05:30`.
pub fn iso(at: Millis, offset_minutes: i32) -> String {
    let seconds = (at / 1000) as i64 + i64::from(offset_minutes) * 60;
    let (day, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (y, m, d) = civil(day);
    let sign = if offset_minutes < 0 { '-' } else { '+' };
    let offset = offset_minutes.abs();
    format!("{y:04}-{m:02}-{d:02}T{:02}:{:02}:{:02}{sign}{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60, offset / 60, offset % 60)
}

/// The date of a day counted from 1970-01-01 (proleptic Gregorian calendar).
fn civil(day: i64) -> (i64, i64, i64) {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

/// Days from 1970-01-01 to a date.
fn days(y: i64, m: i64, d: i64) -> i64 {
    let y = if m <= 2 { y - 1 } else { y };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if m > 2 { m - 3 } else { m + 9 }) + 2) / 5 + d - 1;
    era * 146_097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719_468
}

/// Reads an `If-Modified-Since` value: an HTTP date, or ISO 8601 with offset as CRM documents it.
pub fn parse_date(text: &str) -> Option<Millis> {
    if let Ok(time) = httpdate::parse_http_date(text) {
        return time.duration_since(UNIX_EPOCH).ok().map(|d| d.as_millis() as Millis);
    }
    parse_iso(text)
}

fn parse_iso(text: &str) -> Option<Millis> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let seconds = days(number(0..4)?, number(5..7)?, number(8..10)?) * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let zone = text.get(19..)?;
    let offset = match zone.chars().next()? {
        'Z' => 0,
        sign => {
            let size = zone.get(1..3)?.parse::<i64>().ok()? * 60 + zone.get(4..6)?.parse::<i64>().ok()?;
            if sign == '-' { -size } else { size }
        }
    };
    u64::try_from((seconds - offset * 60) * 1000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_carry_the_numeric_offset_and_no_fraction() {
        assert_eq!(iso(1_766_389_487_999, 330), "2025-12-22T13:14:47+05:30");
        assert_eq!(iso(1_766_389_487_000, -420), "2025-12-22T00:44:47-07:00");
    }

    #[test]
    fn if_modified_since_is_read_in_both_forms() {
        assert_eq!(parse_date("2025-12-22T13:14:47+05:30"), Some(1_766_389_487_000));
        assert_eq!(parse_date("Mon, 22 Dec 2025 07:44:47 GMT"), Some(1_766_389_487_000));
        assert_eq!(parse_date("yesterday"), None);
    }
}
