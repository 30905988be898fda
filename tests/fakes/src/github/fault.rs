//! Faults between the fake GitHub and its client.

use super::counters::Endpoint;
use super::target_key::TargetKey;

/// How an answer can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This status with GitHub's JSON error body.
    Status(u16),
    /// This status with an HTML page, as from a proxy in between.
    StatusHtml(u16),
    /// 200 with an HTML page, as from a captive portal.
    HtmlPage,
    /// 200 announced as JSON, with 3 MB that are not JSON.
    Rubbish,
    /// 200 with valid JSON of the wrong shape.
    WrongShape,
    /// 200 with truncated JSON and a matching length.
    BrokenJson,
    /// 200 whose connection closes in the middle of the body.
    CutOff,
    /// No answer, ever.
    Hang,
    /// The normal answer after this many milliseconds.
    Slow(u64),
    /// The connection is reset without an answer.
    Reset,
    /// A refusal by the secondary limit, although it is not reached.
    SecondaryLimit {
        /// 403 or 429.
        status: u16,
        /// Value of `retry-after`; `None` leaves the header out.
        retry_after_secs: Option<u64>,
    },
    /// This runner is missing from all pages of one listing, but still counted.
    Slip(u64),
    /// This runner is shown offline, in one listing and by id until the next listing.
    FalseOffline(u64),
    /// The previous listing is shown again.
    Stale,
}

impl Fault {
    /// Whether the fault affects a whole listing instead of one answer.
    pub(crate) fn is_of_listing(&self) -> bool {
        matches!(self, Self::Slip(_) | Self::FalseOffline(_) | Self::Stale)
    }

    /// Whether the fault spoils a body, so that the answer must not be a 304.
    pub(crate) fn spoils_body(&self) -> bool {
        matches!(self, Self::BrokenJson | Self::CutOff | Self::Rubbish | Self::WrongShape)
    }
}

/// Which requests a fault affects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strikes {
    target: Option<TargetKey>,
    endpoint: Option<Endpoint>,
    times: Option<u32>,
}

impl Strikes {
    /// Every request, until the faults are cleared.
    pub fn always() -> Self {
        Self::default()
    }

    /// The next `times` requests; for listing faults, the next `times` listings.
    pub fn next(times: u32) -> Self {
        Self { times: Some(times), ..Self::default() }
    }

    /// Only requests for this target.
    #[must_use]
    pub fn target(mut self, target: &str) -> Self {
        self.target = Some(TargetKey::new(target));
        self
    }

    /// Only requests of this kind.
    #[must_use]
    pub fn endpoint(mut self, endpoint: Endpoint) -> Self {
        self.endpoint = Some(endpoint);
        self
    }

    fn strikes(&self, endpoint: Endpoint, target: Option<&TargetKey>) -> bool {
        self.endpoint.is_none_or(|only| only == endpoint)
            && self.target.as_ref().is_none_or(|only| Some(only) == target)
    }
}

/// The faults that are set, oldest first.
#[derive(Clone, Default)]
pub(crate) struct Faults(Vec<(Strikes, Fault)>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault, strikes: Strikes) {
        if strikes.times != Some(0) {
            self.0.push((strikes, fault));
        }
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes the fault of one answer: a counted one before a permanent one. A counted one is used up.
    pub(crate) fn take_for_answer(&mut self, endpoint: Endpoint, target: Option<&TargetKey>) -> Option<Fault> {
        let due = |(strikes, fault): &(Strikes, Fault)| !fault.is_of_listing() && strikes.strikes(endpoint, target);
        let counted = |entry: &(Strikes, Fault)| entry.0.times.is_some() && due(entry);
        let index = self.0.iter().position(counted);
        let index = index.or_else(|| self.0.iter().position(due))?;
        Some(self.use_up(index))
    }

    /// Takes every fault of one listing; each counted one is used up.
    pub(crate) fn take_for_listing(&mut self, target: &TargetKey) -> Vec<Fault> {
        let mut taken = Vec::new();
        for index in (0..self.0.len()).rev() {
            let (strikes, fault) = &self.0[index];
            if fault.is_of_listing() && strikes.strikes(Endpoint::ListRunners, Some(target)) {
                taken.push(self.use_up(index));
            }
        }
        taken
    }

    fn use_up(&mut self, index: usize) -> Fault {
        let (strikes, fault) = &mut self.0[index];
        let fault = fault.clone();
        match &mut strikes.times {
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => drop(self.0.remove(index)),
            None => {}
        }
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(faults: &mut Faults, target: &str) -> Option<Fault> {
        faults.take_for_answer(Endpoint::ListRunners, Some(&TargetKey::new(target)))
    }

    #[test]
    fn counted_faults_run_out_before_permanent_ones() {
        let mut faults = Faults::default();
        faults.add(Fault::Status(500), Strikes::always());
        faults.add(Fault::Status(502), Strikes::next(2).target("acme/web"));
        faults.add(Fault::Status(503), Strikes::next(0));
        assert_eq!(take(&mut faults, "acme/api"), Some(Fault::Status(500)));
        for status in [502, 502, 500, 500] {
            assert_eq!(take(&mut faults, "acme/web"), Some(Fault::Status(status)));
        }
        faults.clear();
        assert_eq!(take(&mut faults, "acme/web"), None);
    }

    #[test]
    fn a_listing_takes_all_its_faults_at_once() {
        let mut faults = Faults::default();
        faults.add(Fault::Slip(1), Strikes::next(1));
        faults.add(Fault::Slip(2), Strikes::next(2));
        let target = TargetKey::new("orgs/acme");
        assert_eq!(take(&mut faults, "orgs/acme"), None);
        assert_eq!(faults.take_for_listing(&target).len(), 2);
        assert_eq!(faults.take_for_listing(&target), [Fault::Slip(2)]);
        assert!(faults.take_for_listing(&target).is_empty());
    }
}
