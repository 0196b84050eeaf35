//! What is simulated: stations, who comes to them, and the laws of the times. In the time unit of the table.

use std::fmt;

use sim_core::{Context, Time};

/// The law of a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Law {
    /// Always the same.
    Fixed { mean: f64 },
    /// Exponential.
    Exponential { mean: f64 },
    /// The sum of `stages` exponential times of the same mean.
    Erlang { mean: f64, stages: u32 },
    /// Some law with this mean and squared coefficient of variation `cs2` (variance over squared mean). Below one a
    /// constant plus an exponential, above one one of two exponentials with balanced means. The mean wait of M/G/1
    /// depends on no more than these two numbers (Pollaczek-Khinchine).
    General { mean: f64, cs2: f64 },
}

impl Law {
    /// The mean.
    pub(super) const fn mean(self) -> f64 {
        match self {
            Self::Fixed { mean }
            | Self::Exponential { mean }
            | Self::Erlang { mean, .. }
            | Self::General { mean, .. } => mean,
        }
    }

    /// The squared coefficient of variation.
    pub(super) fn cs2(self) -> f64 {
        match self {
            Self::Fixed { .. } => 0.0,
            Self::Exponential { .. } => 1.0,
            Self::Erlang { stages, .. } => 1.0 / f64::from(stages),
            Self::General { cs2, .. } => cs2,
        }
    }

    /// Whether it is always the same time.
    pub(super) fn is_fixed(self) -> bool {
        self.cs2() <= 0.0
    }

    /// The same law with another mean.
    #[cfg(test)]
    pub(super) fn stretched(self, factor: f64) -> Self {
        match self {
            Self::Fixed { mean } => Self::Fixed { mean: factor * mean },
            Self::Exponential { mean } => Self::Exponential { mean: factor * mean },
            Self::Erlang { mean, stages } => Self::Erlang { mean: factor * mean, stages },
            Self::General { mean, cs2 } => Self::General { mean: factor * mean, cs2 },
        }
    }

    /// Ready to draw, with `scale` picoseconds to the unit of time.
    pub(super) fn sampler(self, scale: f64) -> Sampler {
        let mean = self.mean() * scale;
        match self {
            Self::Erlang { stages, .. } => Sampler::Stages { stage: mean / f64::from(stages), stages },
            Self::General { cs2, .. } if cs2 > 1.0 => {
                // Balanced means: each branch brings half of the mean.
                let likely = f64::midpoint(1.0, ((cs2 - 1.0) / (cs2 + 1.0)).sqrt());
                let means = [mean / (2.0 * likely), mean / (2.0 * (1.0 - likely))];
                Sampler::Branches { likely: threshold(likely), means }
            }
            _ => {
                // The exponential part has the whole of the variance: its mean is the standard deviation.
                let exponential = mean * self.cs2().sqrt();
                Sampler::Shifted { shift: mean - exponential, exponential }
            }
        }
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed { mean } => write!(f, "D {mean}"),
            Self::Exponential { mean } => write!(f, "M {mean}"),
            Self::Erlang { mean, stages } => write!(f, "E{stages} {mean}"),
            Self::General { mean, cs2 } => write!(f, "G {mean} {cs2}"),
        }
    }
}

/// `probability` of 2^64, for comparison with 64 random bits.
pub(super) fn threshold(probability: f64) -> u64 {
    (probability * 2.0_f64.powi(64)) as u64
}

/// A law in picoseconds, drawn by inverse transform from the random stream of whoever draws.
///
/// The draws are the same wherever `f64::ln` is: the bits are counter-based and everything else is exact or rounded as
/// IEEE 754 says, but the last digit of a logarithm is the platform's. It would have to move a time across the middle
/// between two picoseconds, 1e-10 of a mean service, to be seen.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sampler {
    /// `shift` plus an exponential time.
    Shifted { shift: f64, exponential: f64 },
    /// A sum of exponential times.
    Stages { stage: f64, stages: u32 },
    /// One of two exponential times; the first with probability `likely` / 2^64.
    Branches { likely: u64, means: [f64; 2] },
}

impl Sampler {
    /// The next time.
    pub(super) fn draw<M>(&self, context: &mut Context<'_, M>) -> Time {
        let ps = match *self {
            Self::Shifted { shift, exponential } if exponential > 0.0 => shift + exponential * standard(context),
            Self::Shifted { shift, .. } => shift,
            Self::Stages { stage, stages } => stage * (0..stages).map(|_| standard(context)).sum::<f64>(),
            Self::Branches { likely, means } => {
                let mean = means[usize::from(context.random() >= likely)];
                mean * standard(context)
            }
        };
        Time::from_ps(ps.round() as u64)
    }
}

/// An exponential variate of mean one: minus the logarithm of a number in (0, 1].
fn standard<M>(context: &mut Context<'_, M>) -> f64 {
    let uniform = ((context.random() >> 11) + 1) as f64 * 2.0_f64.powi(-53);
    -uniform.ln()
}

/// A station.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StationModel {
    /// Service times.
    pub(super) service: Law,
    /// Servers.
    pub(super) servers: u32,
    /// The most customers in it, those in service included; more are turned away.
    pub(super) capacity: Option<u32>,
    /// All in service at once, each with an equal part of the servers and at most one; else first come, first served.
    pub(super) sharing: bool,
}

impl StationModel {
    /// One server, first come, first served.
    pub(super) const fn single(service: Law) -> Self {
        Self { service, servers: 1, capacity: None, sharing: false }
    }

    /// Customers served per unit of time when all servers are busy.
    pub(super) fn most(self) -> f64 {
        f64::from(self.servers) / self.service.mean()
    }
}

impl fmt::Display for StationModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} x{}", self.service, self.servers)?;
        if let Some(capacity) = self.capacity {
            write!(f, " K{capacity}")?;
        }
        f.write_str(if self.sharing { " PS)" } else { ")" })
    }
}

/// Where customers come from and go to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Population {
    /// From outside, through all stations in turn, and out again or with probability `again` back to the first.
    Open { interval: Law, again: f64 },
    /// Always the same ones: they think for an exponential time of this mean, go through all stations in turn, and
    /// think again.
    Closed { customers: u32, think: f64 },
}

/// A network of stations in a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    /// The stations in the order in which they are visited, at least one.
    pub(super) stations: Vec<StationModel>,
    /// Who visits them.
    pub(super) population: Population,
}

impl Network {
    /// How often a customer goes through the stations, on average.
    pub(super) fn rounds(&self) -> f64 {
        match self.population {
            Population::Open { again, .. } => 1.0 / (1.0 - again),
            Population::Closed { .. } => 1.0,
        }
    }

    /// Customers that come per unit of time; for a closed network the most that can (asymptotic bound: the slowest
    /// station, or all customers without waiting).
    pub(super) fn rate(&self) -> f64 {
        match self.population {
            Population::Open { interval, .. } => 1.0 / interval.mean(),
            Population::Closed { customers, think } => {
                let alone = think + self.stations.iter().map(|station| station.service.mean()).sum::<f64>();
                let slowest = self.stations.iter().map(|station| station.most()).fold(f64::INFINITY, f64::min);
                slowest.min(f64::from(customers) / alone)
            }
        }
    }

    /// Customers that come to each station per unit of time, were nobody turned away.
    pub(super) fn station_rate(&self) -> f64 {
        self.rate() * self.rounds()
    }

    /// The shortest of all mean times.
    pub(super) fn shortest(&self) -> f64 {
        let services = self.stations.iter().map(|station| station.service.mean());
        services.fold(1.0 / self.station_rate(), f64::min)
    }

    /// Whether nothing in it is random.
    pub(super) fn is_fixed(&self) -> bool {
        let arrivals = match self.population {
            Population::Open { interval, again } => interval.is_fixed() && again <= 0.0,
            Population::Closed { think, .. } => think <= 0.0,
        };
        arrivals && self.stations.iter().all(|station| station.service.is_fixed())
    }

    /// Whether work comes no faster than it can be done.
    pub(super) fn keeps_up(&self) -> bool {
        match self.population {
            Population::Closed { .. } => true,
            Population::Open { .. } => self.stations.iter().all(|station| {
                let (load, most) = (self.station_rate(), station.most());
                station.capacity.is_some() || load < most || (self.is_fixed() && load <= most)
            }),
        }
    }
}

impl fmt::Display for Network {
    /// The same text for the same network: it names the random streams.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.population {
            Population::Open { interval, again } => write!(f, "open {interval} again {again}")?,
            Population::Closed { customers, think } => write!(f, "closed {customers} think {think}")?,
        }
        self.stations.iter().try_for_each(|station| write!(f, " {station}"))
    }
}
