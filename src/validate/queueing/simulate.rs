//! Builds a network of actors, runs it and takes the counts.

use sim_core::random;
use sim_core::{ActorKey, FairShare, Port, Rate, Simulation, SimulationError, Time};

use super::actors::{Counts, Customer, Message, Node, Router, SERVER, Sharing, Sink, Source, Station, Think, Tick};
use super::network::{Law, Network, Population, threshold};
use super::statistics::{BATCHES, Tally, Window};

/// The seed of all random streams of the suite. It was fixed before the first run.
const SEED: u64 = 1;
/// The warm-up in batches: a tenth of the measured time.
const WARM_UP: u64 = 3;
/// The shortest mean time in picoseconds, where the run is short enough: rounding is then 1e-10 of it.
const FINE: f64 = 1e10;
/// The shortest mean time in picoseconds below which rounding would show.
const COARSE: f64 = 1e6;
/// The longest run in picoseconds, a quarter of what time can be.
const LONGEST: f64 = 4e18;

/// What to keep beside sums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keep {
    /// Tell the number in a station apart up to this.
    pub(super) levels: usize,
    /// Every wait, for quantiles.
    pub(super) waits: bool,
    /// Every time in the network, for quantiles.
    pub(super) sojourns: bool,
}

impl Keep {
    /// Both.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            levels: self.levels.max(other.levels),
            waits: self.waits || other.waits,
            sojourns: self.sojourns || other.sojourns,
        }
    }
}

/// The counts of one run.
#[derive(Debug)]
pub(super) struct Measured {
    /// The measured time.
    pub(super) window: Window,
    /// Picoseconds to the unit of time of the table.
    pub(super) scale: f64,
    /// By station.
    pub(super) stations: Vec<Counts>,
    /// Times in the network, by departure (by return to thinking).
    pub(super) sojourns: Tally,
}

/// Arrivals in a batch.
const fn per_batch(arrivals: u64) -> u64 {
    let count = arrivals / BATCHES as u64;
    if count == 0 { 1 } else { count }
}

/// Picoseconds to the unit of time, such that rounding is negligible; `None` where the run would be too long for it.
pub(super) fn scale(network: &Network, arrivals: u64) -> Option<f64> {
    let count = (per_batch(arrivals) * (BATCHES as u64 + WARM_UP)) as f64;
    let slowest = network.stations.iter().map(|station| station.most()).fold(f64::INFINITY, f64::min);
    // All that came is served before the run ends, also where it came too fast.
    let length = count / network.rate().min(slowest / network.rounds());
    let shortest = network.shortest();
    let scale = (FINE / shortest).min(LONGEST / length);
    (scale * shortest >= COARSE).then_some(scale)
}

/// The seed of a network: [`SEED`] mixed with what the network is, so that no two networks draw the same numbers and a
/// row's result does not depend on its neighbours in the table.
fn seed(network: &Network) -> u64 {
    let bytes = network.to_string().into_bytes();
    bytes.into_iter().zip(0..).fold(SEED, |seed, (byte, index)| random::draw(seed, u32::from(byte), index))
}

/// A reserved station of either kind.
#[derive(Clone, Copy)]
enum Place {
    Served(ActorKey<Station, Message>),
    Shared(ActorKey<Sharing, Message>),
}

impl Place {
    fn port(self) -> Port<Customer> {
        match self {
            Self::Served(key) => key.port(Time::ZERO),
            Self::Shared(key) => key.port(Time::ZERO),
        }
    }
}

/// Runs `network` for about `arrivals` measured arrivals: as long as they take on average. The random streams are those
/// of `named`, which is the same network unless a test has altered it.
pub(super) fn run(
    network: &Network,
    named: &Network,
    arrivals: u64,
    scale: f64,
    keep: Keep,
) -> Result<Measured, SimulationError> {
    let interval = match network.population {
        Population::Open { interval, .. } => interval,
        Population::Closed { .. } => Law::Fixed { mean: 1.0 / network.rate() },
    };
    // A whole number of mean intervals, so that arrivals without randomness fill every batch alike.
    let batch = Time::from_ps((interval.mean() * scale).round() as u64).times(per_batch(arrivals));
    let window = Window::new(batch.times(WARM_UP), batch);

    let mut simulation = Simulation::<Node>::new(seed(named));
    let places: Vec<Place> = network
        .stations
        .iter()
        .enumerate()
        .map(|(index, station)| {
            let name = format!("station{index}");
            if station.sharing {
                Place::Shared(simulation.reserve(name))
            } else {
                Place::Served(simulation.reserve(name))
            }
        })
        .collect();
    let first = places[0].port();
    let end = window.end();
    let sojourns = Tally::new(window, keep.sojourns);
    let last = match network.population {
        Population::Open { again, .. } => {
            let source = Source { interval: interval.sampler(scale), to: first, end };
            let source = simulation.add("source", source);
            simulation.start(source.port(Time::ZERO), Time::ZERO, Tick);
            let sink = simulation.add("sink", Sink { sojourns }).port(Time::ZERO);
            if again > 0.0 {
                let router = Router { again: threshold(again), back: first, out: sink };
                simulation.add("router", router).port(Time::ZERO)
            } else {
                sink
            }
        }
        Population::Closed { customers, think } => {
            let time = Law::Exponential { mean: think }.sampler(scale);
            let think = simulation.add("think", Think { time, to: first, end, responses: sojourns });
            let port = think.port::<Customer>(Time::ZERO);
            for _ in 0..customers {
                simulation.start(port, Time::ZERO, Customer { entered: Time::ZERO, arrived: Time::ZERO });
            }
            port
        }
    };
    for (index, (station, place)) in network.stations.iter().zip(&places).enumerate() {
        let to = places.get(index + 1).map_or(last, |next| next.port());
        let counts = Counts::new(window, keep.levels, keep.waits);
        let (service, capacity, servers) = (station.service.sampler(scale), station.capacity, station.servers);
        match *place {
            Place::Served(key) => {
                let queue = std::collections::VecDeque::new();
                simulation.place(key, Station { service, servers, capacity, to, queue, busy: 0, counts });
            }
            Place::Shared(key) => {
                let pool = FairShare::new(Rate(SERVER.0.saturating_mul(u64::from(servers))));
                simulation.place(key, Sharing { service, capacity, to, pool, due: 0, counts });
            }
        }
    }
    simulation.run()?;
    Ok(collect(&simulation, window, scale))
}

fn collect(simulation: &Simulation<Node>, window: Window, scale: f64) -> Measured {
    let mut stations = Vec::new();
    let mut sojourns = Tally::new(window, false);
    for node in simulation.nodes() {
        match node {
            Node::Station(station) => stations.push(station.counts.clone()),
            Node::Sharing(station) => stations.push(station.counts.clone()),
            Node::Sink(sink) => sojourns = sink.sojourns.clone(),
            Node::Think(think) => sojourns = think.responses.clone(),
            Node::Source(_) | Node::Router(_) => {}
        }
    }
    Measured { window, scale, stations, sojourns }
}
