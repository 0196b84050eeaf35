//! The event kernel beside a plain loop over the standard library's binary heap, on the same work.
//!
//! - `cargo bench -p sim-core` prints ns per event and rates relative to the plain loop, measured in turn; name models
//!   after `--` for some of them.
//! - `cargo bench -p sim-core -- gate` counts instructions per event under valgrind, and fails above the bounds.
//! - `cargo bench -p sim-core -- run ENGINE MODEL EVENTS` runs one.
//!
//! The models and both engines are those of the crate in `benches/`, which adds the rivals.

#![allow(unreachable_pub, reason = "shared with a crate that makes them public")]
#![allow(clippy::inline_always, reason = "a call between a model and an engine would be counted as the engine's")]

#[path = "../../benches/src/model.rs"]
mod model;
#[path = "../../benches/src/engine/ours.rs"]
mod ours;
#[path = "../../benches/src/engine/ours_ring.rs"]
mod ours_ring;
#[path = "../../benches/src/engine/plain.rs"]
mod plain;

use std::process::{Command, ExitCode};

use model::{Actor, Hold, Phold, Ring, Spec, System, Tandem};

/// Events per run of the table.
const EVENTS: u64 = 2_000_000;
/// How often each engine's run is repeated, in turn.
const ROUNDS: usize = 5;

/// What a run did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Messages handled.
    pub events: u64,
    /// Over the final states of all actors.
    pub checksum: u64,
    /// CPU time of the event loop alone, in ns.
    pub nanoseconds: u64,
}

/// This thread's CPU time in ns; wall time where the system does not tell. Other programs on the machine disturb it less
/// than wall time.
pub fn cpu_time() -> u64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    text.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or_else(|| {
        let since = std::time::UNIX_EPOCH.elapsed();
        since.map_or(0, |since| since.as_nanos() as u64)
    })
}

/// What runs a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    Plain,
    Ours,
}

impl Engine {
    const ALL: [Self; 2] = [Self::Plain, Self::Ours];

    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Ours => "ours",
        }
    }

    fn run(self, spec: Spec, events: u64) -> Outcome {
        let end = spec.ticks_for(events);
        match spec {
            Spec::Phold { actors, population } => self.run_system(Phold::system(actors, population, end)),
            Spec::Ring { tokens } if self == Self::Ours => ours_ring::run(Ring::system(tokens, end)),
            Spec::Ring { tokens } => self.run_system(Ring::system(tokens, end)),
            Spec::Tandem => self.run_system(Tandem::system(end)),
            Spec::Hold { pending } => self.run_system(Hold::system(pending, end)),
        }
    }

    fn run_system<A: Actor>(self, system: System<A>) -> Outcome {
        match self {
            Self::Plain => plain::run(system),
            Self::Ours => ours::run(system),
        }
    }
}

/// Runs every model on both engines in turn and prints ns per event and the median of the rounds' ratios (more is
/// faster). False where a checksum differs.
fn rates(wanted: &[Spec]) -> bool {
    println!("{:<18} {:>9} {:>9} {:>11}", "model", "plain ns", "ours ns", "ours/plain");
    let mut agree = true;
    for spec in wanted {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            let [plain, ours] = Engine::ALL.map(|engine| engine.run(*spec, EVENTS));
            agree &= (plain.events, plain.checksum) == (ours.events, ours.checksum);
            let per_event = |outcome: Outcome| outcome.nanoseconds as f64 / outcome.events.max(1) as f64;
            rounds.push((per_event(plain), per_event(ours)));
        }
        let of = |value: fn(&(f64, f64)) -> f64| median(rounds.iter().map(value).collect());
        let (plain, ours, ratio) = (of(|round| round.0), of(|round| round.1), of(|round| round.0 / round.1));
        println!("{:<18} {plain:>9.1} {ours:>9.1} {ratio:>11.2}", spec.name());
    }
    if !agree {
        println!("the checksums differ: the engines did not do the same");
    }
    agree
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The bounds of the gate: a model, the most instructions per event, and the most relative to the plain loop.
const GATES: [(Spec, f64, f64); 3] = [
    // Measured: 400, 1.06 of the plain loop.
    (Spec::Phold { actors: 1_024, population: 1 }, 410.0, 1.1),
    // Measured: 100, 1.25 or 1.75 of the plain loop, whose heap holds one entry: the compiler makes 80 or 57 instructions of
    // it, as the path of the sources has it.
    (Spec::Ring { tokens: 1 }, 100.5, 1.8),
    // Measured: 418, 0.80 of the plain loop; the many pending are in radix buckets.
    (Spec::Hold { pending: 100_000 }, 430.0, 0.85),
];

/// Counts instructions per event, and says whether they are within the bounds.
fn gate() -> bool {
    println!("{:<18} {:>9} {:>9} {:>11}", "model", "plain", "ours", "ours/plain");
    let within = GATES.map(|(spec, most, most_relative)| {
        let [Some(plain), Some(ours)] = Engine::ALL.map(|engine| instructions(engine, spec)) else {
            println!("{}: valgrind cannot be run", spec.name());
            return false;
        };
        let ratio = ours / plain;
        println!("{:<18} {plain:>9.1} {ours:>9.1} {ratio:>11.3}", spec.name());
        let within = ours <= most && ratio <= most_relative;
        if !within {
            println!("  at most {most} and {most_relative} of the plain loop are allowed");
        }
        within
    });
    within.iter().all(|&within| within)
}

/// Instructions per event: this program under valgrind twice, with different numbers of events, so that building the
/// model does not count.
fn instructions(engine: Engine, spec: Spec) -> Option<f64> {
    let few = match spec {
        Spec::Hold { pending } => u64::from(pending) * 2,
        _ => 100_000,
    };
    let ((events_few, count_few), (events_many, count_many)) =
        (counted(engine, spec, few)?, counted(engine, spec, few * 2)?);
    Some((count_many - count_few) as f64 / (events_many - events_few) as f64)
}

/// (events handled, instructions of the whole program)
fn counted(engine: Engine, spec: Spec, events: u64) -> Option<(u64, u64)> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().ok()?)
        .args(["run", engine.name(), &spec.name(), &events.to_string()])
        .output()
        .ok()?;
    let number_after = |text: &[u8], label: &str| {
        let text = String::from_utf8_lossy(text);
        text.split(label).nth(1)?.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((number_after(&output.stdout, "events ")?, number_after(&output.stderr, "Collected :")?))
}

fn main() -> ExitCode {
    // Cargo passes `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let spec = |name: &str| Spec::ALL.into_iter().find(|spec| spec.name() == name);
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Some(rates(&Spec::ALL)),
        ["gate"] => Some(gate()),
        ["run", engine, model, events] => {
            let engine = Engine::ALL.into_iter().find(|known| known.name() == engine);
            match (engine, spec(model), events.parse()) {
                (Some(engine), Some(spec), Ok(events)) => {
                    let outcome = engine.run(spec, events);
                    println!("events {} checksum {:016x} ns {}", outcome.events, outcome.checksum, outcome.nanoseconds);
                    Some(true)
                }
                _ => None,
            }
        }
        ref models => models.iter().map(|name| spec(name)).collect::<Option<Vec<_>>>().map(|specs| rates(&specs)),
    };
    match done {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => {
            let names = Spec::ALL.map(Spec::name);
            eprintln!("usage: [MODEL]... | gate | run plain|ours MODEL EVENTS; models: {}", names.join(", "));
            ExitCode::from(2)
        }
    }
}
