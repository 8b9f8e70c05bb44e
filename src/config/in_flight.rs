//! The setting `max_in_flight`.

use super::kinds::{Form, Kind, Read, shown};

/// What Zoho's largest edition bears. <https://www.zoho.com/crm/developer/docs/api/v8/api-limits.html>
const MOST: u32 = 25;
const LARGEST: u32 = 1000;

/// How many calls of an organisation may be in flight at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InFlight {
    /// As many as the organisation bears, up to this many.
    Auto(u32),
    /// This many, and fewer while the organisation refuses some.
    Fixed(u32),
}

impl InFlight {
    /// There are never more.
    pub(crate) fn most(self) -> u32 {
        let (InFlight::Auto(most) | InFlight::Fixed(most)) = self;
        most
    }
}

/// `auto`, `auto:N` or a number.
pub(super) struct InFlightKind;

impl Kind for InFlightKind {
    type Value = InFlight;

    fn read(&self, text: &str) -> Read<InFlight> {
        let number = |digits: &str| digits.parse::<u32>().ok().filter(|n| digits.bytes().all(|b| b.is_ascii_digit()) && (1..=LARGEST).contains(n));
        let value = match text.strip_prefix("auto") {
            Some("") => Some(InFlight::Auto(MOST)),
            Some(bound) => bound.strip_prefix(':').and_then(number).map(InFlight::Auto),
            None => number(text).map(InFlight::Fixed),
        };
        value.ok_or_else(|| format!("{} is neither auto, nor auto:N or a number with 1 to {LARGEST} calls", shown(text)))
    }

    fn form(&self) -> Form {
        Form { minimum: Some(1), maximum: Some(LARGEST.into()), unit: Some("calls"), ..Form::text(None) } // where it is a number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_auto_with_or_without_a_bound_or_a_number() {
        for (text, value) in [
            ("auto", InFlight::Auto(25)),
            ("auto:1", InFlight::Auto(1)),
            ("auto:1000", InFlight::Auto(1000)),
            ("1", InFlight::Fixed(1)),
            ("1000", InFlight::Fixed(1000)),
        ] {
            assert_eq!(InFlightKind.read(text), Ok(value), "{text}");
        }
        for wrong in ["", "0", "1001", "+4", " 4", "4 ", "Auto", "auto ", "auto:", "auto:0", "auto:1001", "auto:+1", "auto4", "auto:4:4", "4:auto"] {
            let problem = InFlightKind.read(wrong).unwrap_err();
            assert!(problem.contains(&format!("{wrong:?}")) && problem.contains("auto:N"), "{problem}");
        }
    }
}
