//! How much may be tried again: in an outage, retries must not make the load.

/// Retries that may be made on trust. Each success gives one back, each call a tenth: in an outage retries stay under a fifth of the load.
const MOST: f64 = 20.0;
const PER_CALL: f64 = 0.1;

pub(super) struct Trust(f64);

impl Default for Trust {
    fn default() -> Trust {
        Trust(MOST)
    }
}

impl Trust {
    pub(super) fn call_begins(&mut self) {
        self.0 = (self.0 + PER_CALL).min(MOST);
    }

    pub(super) fn succeeded(&mut self) {
        self.0 = (self.0 + 1.0).min(MOST);
    }

    /// Whether one more retry is within it; if so, it is taken.
    pub(super) fn take(&mut self) -> bool {
        let may = self.0 >= 1.0;
        if may {
            self.0 -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_an_outage_retries_stay_under_a_fifth_of_the_load() {
        let mut trust = Trust::default();
        let retries = (0..1000).filter(|_| {
            trust.call_begins();
            trust.take()
        });
        assert!(retries.count() <= 200);
    }
}
