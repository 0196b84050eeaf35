//! The tables: CPU time as ratios to the plain loop, measured alternately, and instructions per event.

use std::process::Command;

use crate::engine::Engine;
use crate::model::Spec;

/// Events per run of the fast engines.
const EVENTS: u64 = 2_000_000;
/// How often each engine's run is repeated, in turn.
const ROUNDS: usize = 5;

/// Whether an engine is measured on a model.
fn is_measured(engine: Engine, spec: Spec) -> bool {
    // 65,536 of nexosim's tasks and mailboxes take 180 MB and minutes to set up.
    engine != Engine::Nexosim || !matches!(spec, Spec::Phold { actors: 65_536, .. })
}

/// Runs every model on every engine in turn, and prints ns per event of the plain loop and rates relative to it
/// (more is faster; the median over the rounds of each round's ratio). False where a checksum differs.
pub fn rates(wanted: &[Spec]) -> bool {
    let mut agree = true;
    println!(
        "{:<18} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "model", "plain ns", "ours ns", "ours", "desque", "simcore", "nexosim"
    );
    for spec in wanted {
        let mut ratios = vec![Vec::new(); Engine::ALL.len()];
        let (mut plain_ns, mut ours_ns) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let mut plain = None;
            for (i, engine) in Engine::ALL.into_iter().enumerate() {
                // The slow one's first two rounds say enough.
                if !is_measured(engine, *spec) || engine == Engine::Nexosim && round > 1 {
                    continue;
                }
                let outcome = engine.run(*spec, EVENTS);
                let per_event = outcome.nanoseconds as f64 / outcome.events as f64;
                let (checksum, plain_per_event) = *plain.get_or_insert((outcome.checksum, per_event));
                if outcome.checksum != checksum {
                    println!("{} on {}: another checksum", spec.name(), engine.name());
                    agree = false;
                }
                ratios[i].push(plain_per_event / per_event);
                match engine {
                    Engine::Plain => plain_ns.push(per_event),
                    Engine::Ours => ours_ns.push(per_event),
                    _ => {}
                }
            }
        }
        print!("{:<18} {:>9.1} {:>9.1}", spec.name(), median(&mut plain_ns), median(&mut ours_ns));
        for ratio in ratios.iter_mut().skip(1) {
            if ratio.is_empty() { print!(" {:>9}", "-") } else { print!(" {:>9.2}", median(ratio)) }
        }
        println!();
    }
    agree
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Instructions per event of one engine and model: this program under valgrind twice, with different numbers of
/// events, so that building the model does not count. `None` where valgrind or the program fails.
pub fn instructions(program: &str, engine: Engine, spec: Spec) -> Option<f64> {
    let pending = match spec {
        Spec::Phold { actors, population } => actors * population,
        Spec::Hold { pending } => pending,
        Spec::Ring { .. } | Spec::Tandem => 1_000,
    };
    // Both runs are past the warm-up of a structure of this size.
    let few = (u64::from(pending) * 2).max(100_000);
    let (events_few, count_few) = counted(program, engine, spec, few)?;
    let (events_many, count_many) = counted(program, engine, spec, few * 2)?;
    Some((count_many - count_few) as f64 / (events_many - events_few) as f64)
}

/// (events handled, instructions of the whole program)
fn counted(program: &str, engine: Engine, spec: Spec, events: u64) -> Option<(u64, u64)> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", program, "run", engine.name(), &spec.name()])
        .arg(events.to_string())
        .output()
        .ok()?;
    let number_after = |text: &[u8], label: &str| {
        let text = String::from_utf8_lossy(text);
        let rest = text.split(label).nth(1)?;
        rest.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some((number_after(&output.stdout, "events ")?, number_after(&output.stderr, "Collected :")?))
}

/// Prints instructions per event of every engine on every model.
pub fn all_instructions(program: &str, wanted: &[Spec]) {
    print!("{:<18}", "model");
    for engine in Engine::ALL {
        print!(" {:>9}", engine.name());
    }
    println!(" {:>11}", "ours/plain");
    for spec in wanted {
        print!("{:<18}", spec.name());
        let mut found = Vec::new();
        for engine in Engine::ALL {
            let count = if is_measured(engine, *spec) { instructions(program, engine, *spec) } else { None };
            count.map_or_else(|| print!(" {:>9}", "-"), |count| print!(" {count:>9.1}"));
            found.push(count);
        }
        match found[..] {
            [Some(plain), Some(ours), ..] => println!(" {:>11.2}", ours / plain),
            _ => println!(),
        }
    }
}
