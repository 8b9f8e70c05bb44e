//! What came of rounds of chaos, and whether that is good.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use crate::chaos::Made;
use crate::weather::Mix;

/// I9. Far above what any call needs, as the machine may be busy.
const BOUND: Duration = Duration::from_secs(60);

#[derive(Default, Debug)]
pub struct Tally {
    pub rounds: usize,
    /// How often what ended how.
    pub ends: BTreeMap<String, BTreeMap<String, usize>>,
    pub uploads: usize,
    pub settled: usize,
    /// Uploads whose outcome isn't known.
    pub unknown: usize,
    /// Failures because a request was refused, or a reply falsified.
    refused: usize,
    /// Failures because every attempt failed.
    exhausted: usize,
    /// Copies that no result names.
    pub unreported: usize,
    /// Successes of which nothing is stored, or of whose deletion something is.
    pub lost: usize,
    /// Requests with another organisation's token, and uploads on another's record.
    pub crossed: usize,
    pub faults: usize,
    /// Faults among them that must make their call fail.
    pub refusals: usize,
    /// Faults that should have fired.
    pub unfired: usize,
    pub requests: usize,
    pub tokens: usize,
    pub issued: usize,
    pub secrets: usize,
    /// Files left behind.
    pub left: usize,
    /// Connections to a host that nobody named.
    pub foreign: usize,
    slowest: Duration,
    /// Whatever else is wrong.
    pub wrong: Vec<String>,
}

impl Tally {
    pub fn count(&mut self, made: &Made) {
        let end = made.ended.error.as_ref().map_or("ok".to_owned(), |error| format!("{} {}", error.status().name(), error.reason()));
        *self.ends.entry(format!("{:?}", made.act)).or_default().entry(end).or_default() += 1;
        self.uploads += usize::from(made.act.uploads());
        self.slowest = self.slowest.max(made.took);
        self.wrong.extend(made.ended.wrong.clone());
        let Some(error) = &made.ended.error else { return };
        use zcrm::Status::*;
        match (error.status(), error.reason()) {
            _ if made.act.uploads() && error.detail().outcome_open => self.unknown += 1,
            // Of what isn't settled a call is in doubt when a refusal follows a lost reply.
            (Forbidden | Checksum | OutcomeUnknown, _) => self.refused += 1,
            (Protocol, _) if (300..400).contains(&error.detail().http_status) => self.refused += 1,
            (NotFound, _) => {} // of what another call deletes meanwhile; else it is in `wrong`
            (Network | Timeout | Server | Protocol | RateLimited, _) => self.exhausted += 1,
            _ => self.wrong.push(format!("a failure of {:?} that no fault explains: {error}", made.act)),
        }
    }

    fn calls(&self) -> usize {
        self.ends.values().flat_map(BTreeMap::values).sum()
    }

    pub fn violations(&self, mix: Mix) -> Vec<String> {
        let calls = self.calls();
        let may_exhaust = if mix == Mix::All { calls / 1000 + 1 } else { 0 };
        let found = [
            (self.unreported > 0, "I1: unreported duplicates"),
            (self.lost > 0, "I2: losses"),
            (self.left > 0, "I4: files were left behind"),
            (self.secrets > 0, "I5: secrets were said"),
            (self.requests > calls + 9 * self.faults, "I7: more requests than the budget"),
            (self.unfired > 0 || self.faults == 0, "I8: faults didn't fire"),
            (self.slowest > BOUND, "I9: a call took too long"),
            (self.foreign > 0, "I10: a host was called that nobody named"),
            (self.crossed > 0, "tokens or uploads have crossed"),
            (self.unknown * 1000 > self.uploads.max(1000), "too many outcomes aren't known"),
            (self.refused > self.refusals, "more calls were refused than there were refusals"),
            (self.exhausted > may_exhaust, "too many calls failed in every attempt"),
            (self.settled == 0, "no upload was settled"),
        ];
        found.iter().filter(|(bad, _)| *bad).map(|(_, what)| (*what).to_owned()).chain(self.wrong.iter().cloned()).collect()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        for (act, ends) in other.ends {
            ends.into_iter().for_each(|(end, n)| *self.ends.entry(act.clone()).or_default().entry(end).or_default() += n);
        }
        let pairs = [
            (&mut self.rounds, other.rounds),
            (&mut self.uploads, other.uploads),
            (&mut self.settled, other.settled),
            (&mut self.unknown, other.unknown),
            (&mut self.refused, other.refused),
            (&mut self.exhausted, other.exhausted),
            (&mut self.unreported, other.unreported),
            (&mut self.lost, other.lost),
            (&mut self.crossed, other.crossed),
            (&mut self.faults, other.faults),
            (&mut self.refusals, other.refusals),
            (&mut self.unfired, other.unfired),
            (&mut self.requests, other.requests),
            (&mut self.tokens, other.tokens),
            (&mut self.issued, other.issued),
            (&mut self.secrets, other.secrets),
            (&mut self.left, other.left),
            (&mut self.foreign, other.foreign),
        ];
        pairs.into_iter().for_each(|(sum, n)| *sum += n);
        self.slowest = self.slowest.max(other.slowest);
        self.wrong.extend(other.wrong);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (act, ends) in &self.ends {
            let ends: Vec<_> = ends.iter().map(|(end, n)| format!("{n} {end}")).collect();
            writeln!(f, "  {act:<16} {}", ends.join(", "))?;
        }
        let share = 100.0 * self.unknown as f64 / self.uploads.max(1) as f64;
        writeln!(f, "  {} calls in {} rounds, {} requests, {} faults fired", self.calls(), self.rounds, self.requests, self.faults)?;
        writeln!(f, "  {} token requests, {} tokens issued, {} crossed", self.tokens, self.issued, self.crossed)?;
        writeln!(f, "  of {} uploads {} settled, {} outcomes unknown ({share:.3} %)", self.uploads, self.settled, self.unknown)?;
        writeln!(
            f,
            "  {} unreported duplicates, {} losses, {} refused by {} faults, {} failed in every attempt",
            self.unreported, self.lost, self.refused, self.refusals, self.exhausted
        )?;
        write!(
            f,
            "  {} secrets said, {} files left, {} foreign calls, slowest call {:.1} s",
            self.secrets,
            self.left,
            self.foreign,
            self.slowest.as_secs_f64()
        )
    }
}
