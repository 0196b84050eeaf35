//! Reads the column `metric`, and works it out from the counts of a run.

use super::model::Wrong;
use super::network::{Network, Population};
use super::simulate::{Keep, Measured};
use super::statistics::{BATCHES, Estimate, Tally, quantile, ratio};

const METRICS: &str = "metrics are Wq_mean_wait, W_mean_sojourn, W_total_mean_sojourn, response_R, L_mean_number, \
                       L_total_mean_number, Lq_mean_queue, P_wait, P_block, P(N>=5) and the like, sojourn_p99, wait_p99, \
                       throughput_X, utilization; and W, Wq, L, Lq, X, U of one station, such as L_station0";

/// The highest number in a station that a row may ask about.
const MOST_LEVELS: u32 = 10_000;
/// Figures closer than this part of a value are the same: it is ten times the rounding to picoseconds.
const ROUNDING: f64 = 1e-9;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    /// The mean wait before service.
    Wait,
    /// The mean time in the network or station.
    Sojourn,
    /// The mean number in the network or station.
    Number,
    /// The mean number that waits.
    Waiting,
    /// The probability of having to wait.
    WaitChance,
    /// The probability of being turned away.
    Block,
    /// The probability that the number in the station is at least the first and, where there is one, below the second.
    Levels(u32, Option<u32>),
    /// The time in the network that this part of the customers does not exceed.
    SojournQuantile(f64),
    /// The wait that this part of the customers does not exceed.
    WaitQuantile(f64),
    /// Departures per unit of time.
    Throughput,
    /// Busy servers over servers.
    Utilisation,
}

/// What is asked, and of which station; of the network where there is none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Metric {
    what: What,
    station: Option<usize>,
}

fn what(name: &str) -> Option<What> {
    Some(match name {
        "W" | "W_mean_sojourn" | "W_total_mean_sojourn" | "R" | "response_R" => What::Sojourn,
        "Wq" | "Wq_mean_wait" => What::Wait,
        "L" | "L_mean_number" | "L_total_mean_number" => What::Number,
        "Lq" | "Lq_mean_queue" | "Lq_mean_number" | "Lq_mean_waiting" => What::Waiting,
        "P_wait" | "P_wait_ErlangC" => What::WaitChance,
        "P_block" | "P_loss" | "P_block_ErlangB" => What::Block,
        "X" | "throughput" | "throughput_X" => What::Throughput,
        "U" | "rho" | "utilization" | "utilisation" | "utilization_U" => What::Utilisation,
        "P0" => What::Levels(0, Some(1)),
        _ => {
            if let Some(digits) = name.strip_prefix("sojourn_p").or_else(|| name.strip_prefix("W_p")) {
                What::SojournQuantile(share(digits)?)
            } else if let Some(digits) = name.strip_prefix("wait_p").or_else(|| name.strip_prefix("Wq_p")) {
                What::WaitQuantile(share(digits)?)
            } else {
                levels(name)?
            }
        }
    })
}

/// `99` and `99.9` are per cent, `999` is 99.9 %.
fn share(digits: &str) -> Option<f64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let share = if plain { format!("0.{digits}").parse().ok()? } else { digits.parse::<f64>().ok()? / 100.0 };
    (share > 0.0 && share < 1.0).then_some(share)
}

/// `P(N>=5)`.
fn levels(name: &str) -> Option<What> {
    let text = name.strip_prefix("P(N")?.strip_suffix(')')?;
    let at = text.find(|character: char| character.is_ascii_digit())?;
    let level: u32 = text[at..].parse().ok().filter(|level| *level < MOST_LEVELS)?;
    match text[..at].trim() {
        ">=" => Some(What::Levels(level, None)),
        ">" => Some(What::Levels(level + 1, None)),
        "=" | "==" => Some(What::Levels(level, Some(level + 1))),
        "<=" => Some(What::Levels(0, Some(level + 1))),
        "<" => Some(What::Levels(0, Some(level))),
        _ => None,
    }
}

/// The metric that a row asks of `network`.
///
/// # Errors
/// [`Wrong`], in the column `metric` or `params`.
pub(super) fn parse(text: &str, network: &Network) -> Result<Metric, Wrong> {
    let unknown = || Wrong::field("metric", format!("there is no metric `{text}`"), METRICS);
    let refuse = |problem: &str, remedy: &str| Wrong::field("metric", format!("`{text}`: {problem}"), remedy);
    let (name, station) = match text.split_once("_station") {
        Some((name, index)) => (name, Some(index.parse::<usize>().map_err(|_| unknown())?)),
        None => (text, None),
    };
    let what = what(name).ok_or_else(unknown)?;
    let stations = network.stations.len();
    if station.is_some_and(|index| index >= stations) {
        let remedy = format!("stations are numbered from 0 to {}", stations - 1);
        return Err(refuse("there is no such station", &remedy));
    }
    let of_network = matches!(what, What::Sojourn | What::SojournQuantile(_) | What::Number | What::Throughput);
    if !of_network && station.is_none() && stations > 1 {
        return Err(refuse("of which station?", &format!("write {name}_station0")));
    }
    if matches!(what, What::SojournQuantile(_)) && station.is_some() {
        return Err(refuse("quantiles are those of the whole network", "leave the station away"));
    }
    let asked = &network.stations[station.unwrap_or(0)];
    let waits = matches!(what, What::Wait | What::Waiting | What::WaitChance | What::WaitQuantile(_));
    if asked.sharing && waits {
        return Err(refuse("nobody waits where all share", "ask for W_mean_sojourn or L_mean_number"));
    }
    if what == What::Block && asked.capacity.is_none() {
        return Err(refuse("nobody is turned away", "name a model with a capacity, such as M/M/1/K"));
    }
    // What a server can do is known even where the queue grows for ever.
    let steady = network.keeps_up()
        || network.is_fixed() && matches!(what, What::Throughput | What::Utilisation) && stations == 1;
    if !steady {
        let problem = "customers come faster than they are served, so there is no steady state".to_owned();
        return Err(Wrong::field("params", problem, "lower lambda or raise mu"));
    }
    Ok(Metric { what, station })
}

/// An estimate against its reference.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Judgement {
    /// Our value, in the unit of the table.
    pub(super) ours: f64,
    /// Its standard error.
    pub(super) standard_error: f64,
    /// |ours - reference| in standard errors.
    pub(super) sigma: f64,
    /// Whether the two are the same up to rounding.
    pub(super) exact: bool,
    /// How many of the events that make the value the whole run expects, where they are fewer than one.
    pub(super) unseen: Option<f64>,
}

impl Metric {
    /// What a run has to keep for it.
    pub(super) fn keep(self) -> Keep {
        match self.what {
            What::Levels(from, to) => Keep { levels: to.unwrap_or(from) as usize, ..Keep::default() },
            What::SojournQuantile(_) => Keep { sojourns: true, ..Keep::default() },
            What::WaitQuantile(_) => Keep { waits: true, ..Keep::default() },
            _ => Keep::default(),
        }
    }

    /// The value in the unit of the table.
    fn estimate(self, network: &Network, measured: &Measured) -> Estimate {
        let length = measured.window.batch().ps() as f64;
        let time = [length; BATCHES];
        let index = self.station.unwrap_or(0);
        let (counts, servers) = (&measured.stations[index], network.stations[index].servers);
        let counted = |count: &[u64; BATCHES]| count.map(|count| count as f64);
        let mean = |tally: &Tally| ratio(&tally.sum.map(|sum| sum as f64), &counted(&tally.count));
        let scaled = |estimate: Estimate, factor: f64| Estimate {
            value: estimate.value * factor,
            error: estimate.error * factor,
        };
        let kept = |tally: &Tally, share: f64| quantile(tally.kept.as_deref().unwrap_or_default(), share);
        let whole = self.station.is_none();
        match self.what {
            What::Wait => scaled(mean(&counts.waits), 1.0 / measured.scale),
            What::Sojourn if whole => scaled(mean(&measured.sojourns), 1.0 / measured.scale),
            What::Sojourn => scaled(mean(&counts.sojourns), 1.0 / measured.scale),
            What::Number if whole => {
                let mut areas = [0.0; BATCHES];
                for station in &measured.stations {
                    areas.iter_mut().zip(station.number.areas()).for_each(|(sum, area)| *sum += area);
                }
                ratio(&areas, &time)
            }
            What::Number => ratio(&counts.number.areas(), &time),
            What::Waiting => ratio(&counts.waiting.areas(), &time),
            What::WaitChance => ratio(&counted(&counts.waits.positive), &counted(&counts.waits.count)),
            What::Block => ratio(&counted(&counts.blocked.count), &counted(&counts.arrivals.count)),
            What::Levels(from, Some(to)) => ratio(&counts.number.times(from as usize..to as usize), &time),
            What::Levels(from, None) => {
                ratio(&counts.number.times(0..from as usize).map(|below| length - below), &time)
            }
            What::SojournQuantile(share) => scaled(kept(&measured.sojourns, share), 1.0 / measured.scale),
            What::WaitQuantile(share) => scaled(kept(&counts.waits, share), 1.0 / measured.scale),
            What::Throughput => {
                let tally = if whole { &measured.sojourns } else { &counts.sojourns };
                scaled(ratio(&counted(&tally.count), &time), measured.scale)
            }
            What::Utilisation => {
                let busy: [f64; BATCHES] = if network.stations[index].sharing {
                    counts.number.times(0..1).map(|idle| length - idle)
                } else {
                    let (number, waiting) = (counts.number.areas(), counts.waiting.areas());
                    std::array::from_fn(|batch| number[batch] - waiting[batch])
                };
                scaled(ratio(&busy, &time), 1.0 / f64::from(servers))
            }
        }
    }

    /// The least that the standard error can be if the reference is right, and the events expected in the run, for
    /// values that are made by rare events.
    ///
    /// Where a value is made by events of which a run sees a few or none, the batches cannot tell its error: without
    /// any event they are all equal. But the reference itself says how many events there should be, and independent
    /// events spread as a binomial. Events in a queue come in clusters, so this is a lower bound, and wherever events
    /// are many the batches show more.
    fn rarity(self, network: &Network, reference: f64, arrivals: f64) -> Option<(f64, f64)> {
        let station = network.stations[self.station.unwrap_or(0)];
        match self.what {
            What::WaitChance | What::Block | What::Levels(..) if (0.0..=1.0).contains(&reference) => {
                Some(((reference * (1.0 - reference) / arrivals).sqrt(), reference * arrivals))
            }
            What::Wait | What::Waiting if station.capacity.is_none() && reference >= 0.0 => {
                let Population::Open { interval, .. } = network.population else { return None };
                let rate = network.station_rate();
                let per_unit = if self.what == What::Wait { 1.0 } else { rate };
                let mean = reference / per_unit;
                // Who waits at all waits for an exponential time of this mean (exact for M/M/c).
                let spread = f64::midpoint(interval.cs2(), station.service.cs2());
                let wait = spread / (station.most() - rate);
                let variance = (2.0 * mean * wait - mean * mean).max(0.0);
                (wait > 0.0 && wait.is_finite())
                    .then(|| (per_unit * (variance / arrivals).sqrt(), mean / wait * arrivals))
            }
            _ => None,
        }
    }

    /// Compares a run of about `arrivals` arrivals with the reference.
    pub(super) fn judge(self, network: &Network, measured: &Measured, reference: f64, arrivals: f64) -> Judgement {
        let estimate = self.estimate(network, measured);
        let rarity = self.rarity(network, reference, arrivals * network.rounds());
        let least = rarity.map_or(0.0, |(error, _)| error);
        let unit = match self.what {
            What::Wait | What::Sojourn | What::SojournQuantile(_) | What::WaitQuantile(_) => network.shortest(),
            What::Throughput => 1.0 / network.shortest(),
            _ => 1.0,
        };
        let difference = (estimate.value - reference).abs();
        // Without this, what is not random would have no error at all.
        let rounding = ROUNDING * reference.abs().max(if network.is_fixed() { unit } else { 0.0 });
        let standard_error = estimate.error.max(least);
        let sigma = if difference <= rounding { 0.0 } else { difference / standard_error.max(rounding) };
        Judgement {
            ours: estimate.value,
            standard_error,
            sigma: if sigma.is_nan() { f64::INFINITY } else { sigma },
            exact: difference <= rounding,
            unseen: rarity.map(|(_, events)| events).filter(|events| *events < 1.0 && !network.is_fixed()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::model;
    use super::*;

    #[track_caller]
    fn check(model: &str, params: &str, metric: &str, expected: (What, Option<usize>)) {
        let network = model::parse(model, params).unwrap();
        let metric = parse(metric, &network).unwrap();
        assert_eq!((metric.what, metric.station), expected);
    }

    #[track_caller]
    fn check_refused(model: &str, params: &str, metric: &str, column: &str, problem: &str) {
        let network = model::parse(model, params).unwrap();
        let wrong = parse(metric, &network).unwrap_err();
        assert!(wrong.column == column && wrong.problem.contains(problem), "{wrong:?}");
    }

    const ONE: (&str, &str) = ("M/M/1", "lambda=0.5;mu=1");
    const TANDEM: (&str, &str) = ("Jackson tandem", "lambda=0.5;mu=1/2");

    #[test]
    fn is_every_metric_read() {
        check(ONE.0, ONE.1, "Wq_mean_wait", (What::Wait, None));
        check(ONE.0, ONE.1, "P(N>=5)", (What::Levels(5, None), None));
        check(ONE.0, ONE.1, "P(N > 5)", (What::Levels(6, None), None));
        check(ONE.0, ONE.1, "P(N=0)", (What::Levels(0, Some(1)), None));
        check(ONE.0, ONE.1, "P(N<=2)", (What::Levels(0, Some(3)), None));
        check(ONE.0, ONE.1, "sojourn_p99", (What::SojournQuantile(0.99), None));
        check(ONE.0, ONE.1, "sojourn_p999", (What::SojournQuantile(0.999), None));
        check(ONE.0, ONE.1, "wait_p50", (What::WaitQuantile(0.5), None));
        check(TANDEM.0, TANDEM.1, "L_station1", (What::Number, Some(1)));
        check(TANDEM.0, TANDEM.1, "W_total_mean_sojourn", (What::Sojourn, None));
    }

    #[test]
    fn is_what_cannot_be_asked_refused() {
        check_refused(ONE.0, ONE.1, "Wq_variance", "metric", "there is no metric `Wq_variance`");
        check_refused(ONE.0, ONE.1, "P(N>=99999)", "metric", "there is no metric");
        check_refused(ONE.0, ONE.1, "P(N)", "metric", "there is no metric");
        check_refused(ONE.0, ONE.1, "sojourn_p0", "metric", "there is no metric");
        check_refused(ONE.0, ONE.1, "P_block", "metric", "nobody is turned away");
        check_refused(TANDEM.0, TANDEM.1, "L_station2", "metric", "no such station");
        check_refused(TANDEM.0, TANDEM.1, "L_stationX", "metric", "there is no metric");
        check_refused(TANDEM.0, TANDEM.1, "Wq_mean_wait", "metric", "of which station?");
        check_refused("M/M/1-PS", ONE.1, "Wq_mean_wait", "metric", "nobody waits");
        check_refused("M/M/1", "lambda=1;mu=1", "W_mean_sojourn", "params", "no steady state");
        check_refused("D/D/1", "lambda=2;mu=1", "W_mean_sojourn", "params", "no steady state");
    }
}
