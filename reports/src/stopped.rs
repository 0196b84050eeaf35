//! Where and why a run was cut short. What it left is whole up to a point of simulated time, and says so.

use sim_core::Time;

use crate::analyse::SystemReport;

/// Why a run was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It reached the simulated time that it was to run until.
    Until,
    /// It delivered as many messages as it was allowed to.
    MaxEvents,
    /// It took as much wall time as it was allowed to.
    MaxWall,
    /// Somebody interrupted it.
    Interrupt,
}

impl Why {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Until, Self::MaxEvents, Self::MaxWall, Self::Interrupt];

    /// The word in summary.json.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Until => "until",
            Self::MaxEvents => "max-events",
            Self::MaxWall => "max-wall",
            Self::Interrupt => "interrupt",
        }
    }

    /// The reason with this word.
    pub fn from_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.key() == key)
    }

    /// The reason in a sentence.
    const fn words(self) -> &'static str {
        match self {
            Self::Until => "by --until",
            Self::MaxEvents => "by --max-events",
            Self::MaxWall => "by --max-wall",
            Self::Interrupt => "by an interrupt",
        }
    }
}

/// The place at which a run was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// Why.
    pub why: Why,
    /// The system that was running.
    pub system: String,
    /// The point of the sweep, as in spans.csv; `None` without a sweep.
    pub point: Option<String>,
    /// Its simulated time: what is due before it has happened, and nothing else.
    pub at: Time,
    /// The systems that were not begun; with a sweep each with its point.
    pub not_run: Vec<String>,
}

/// Systems listed by name in a sentence.
const NAMED: usize = 6;

impl Stopped {
    /// One sentence for people.
    pub fn sentence(&self) -> String {
        let point = self.point.as_ref().map_or_else(String::new, |point| format!(" at {point}"));
        let (system, at, why) = (&self.system, self.at, self.why.words());
        let mut text = format!("partial: {system}{point} was stopped at {at} of simulated time {why}");
        if !self.not_run.is_empty() {
            text.extend(["; not run: ", &self.not_run[..self.not_run.len().min(NAMED)].join(", ")]);
        }
        if self.not_run.len() > NAMED {
            text.extend([" and ", &(self.not_run.len() - NAMED).to_string(), " more"]);
        }
        text
    }
}

/// The line of a figure or a trace that does not know the whole run: which of its systems was stopped.
pub(crate) fn note<'a>(systems: impl IntoIterator<Item = &'a SystemReport>) -> Option<String> {
    let (name, at) = systems.into_iter().find_map(|system| Some((&system.name, system.stopped?)))?;
    Some(format!("partial: {name} was stopped at {at} of simulated time"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(point: Option<&str>, not_run: usize, expected: &str) {
        let stopped = Stopped {
            why: Why::Until,
            system: "gpu".to_owned(),
            point: point.map(str::to_owned),
            at: Time::from_us(3),
            not_run: (0..not_run).map(|i| format!("s{i}")).collect(),
        };
        assert_eq!(stopped.sentence(), expected);
    }

    #[test]
    fn how_far_it_came_is_said() {
        check(None, 0, "partial: gpu was stopped at 3.000 us of simulated time by --until");
        check(
            Some("workload.batch=2"),
            2,
            "partial: gpu at workload.batch=2 was stopped at 3.000 us of simulated time by --until; not run: s0, s1",
        );
        check(
            None,
            9,
            "partial: gpu was stopped at 3.000 us of simulated time by --until; not run: s0, s1, s2, s3, s4, s5 and 3 more",
        );
    }

    #[test]
    fn every_reason_is_found_by_its_word() {
        for why in Why::ALL {
            assert_eq!(Why::from_key(why.key()), Some(why));
        }
        assert_eq!(Why::from_key("bored"), None);
    }
}
