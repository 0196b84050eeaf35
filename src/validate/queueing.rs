//! Suite `queueing`: what queueing theory says exactly, against actors on our kernel.
//!
//! Every model of the table is a network of sources, stations, routers and delays that exchange timed messages like the
//! devices do; processor sharing is the kernel's own [`sim_core::FairShare`]. So this checks the order of events, the
//! random streams and the sharing, all with numbers that nobody had to simulate.
//!
//! Each network runs once, for the time of 1e6 mean intervals after a warm-up of a tenth, and all rows about it are
//! estimated from that run, with standard errors from 30 batches. The suite passes where 95 % of the rows are within
//! 3 sigma and all within 5. The seed is 1, fixed before the first run, mixed with the text of the network; nothing of
//! the result depends on the other rows, their order or the number of threads.

mod actors;
mod metric;
mod model;
mod network;
mod simulate;
mod statistics;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use metric::{Judgement, Metric};
use model::Wrong;
use network::Network;
use simulate::Keep;

use super::error::ValidateError;
use super::outcome::{Case, Outcome};
use super::parallel::in_parallel;
use super::table::Table;
use super::{Options, Suite};

/// The table that is shipped, and its path in the repository.
const SHIPPED: &str = include_str!("../../validation/queueing/queueing.csv");
const SHIPPED_PATH: &str = "validation/queueing/queueing.csv";

const COLUMNS: [&str; 4] = ["model", "params", "metric", "value"];

/// How much is simulated, and what must hold of it.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// Measured arrivals of each network.
    arrivals: u64,
    /// Most of the rows must be within this many standard errors ...
    most_within: f64,
    /// ... and all within this many.
    all_within: f64,
}

impl Effort {
    const FULL: Self = Self { arrivals: 1_000_000, most_within: 3.0, all_within: 5.0 };
    /// Batches are then too short for the heavily loaded rows: they depend on each other and look more certain than
    /// they are, so the bounds are twice as wide.
    const QUICK: Self = Self { arrivals: 100_000, most_within: 6.0, all_within: 10.0 };
}

/// The part of the rows that must be within the narrower bound.
const MOST: f64 = 0.95;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Queueing;

impl Suite for Queueing {
    fn name(&self) -> &'static str {
        "queueing"
    }

    fn about(&self) -> &'static str {
        "exact values of queueing theory against actors on the kernel, by batch means"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let effort = if options.quick { Effort::QUICK } else { Effort::FULL };
        let table = match &options.reference {
            Some(path) => Table::read(path, &COLUMNS)?,
            None => Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), &COLUMNS)?,
        };
        validate(&table, effort, options.threads, &|_| {})
    }
}

/// One row of the table, understood.
#[derive(Debug)]
struct Asked {
    metric: Metric,
    reference: f64,
    /// Which of the networks.
    network: usize,
}

/// A network, picoseconds to its unit of time, and all that its rows ask for.
#[derive(Debug)]
struct Job {
    network: Network,
    scale: f64,
    keep: Keep,
    /// The first row about it.
    row: usize,
}

/// Reads every row before any of them is simulated.
fn read(table: &Table, effort: Effort) -> Result<(Vec<Asked>, Vec<Job>), ValidateError> {
    let mut jobs: Vec<Job> = Vec::new();
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    for (index, row) in table.rows().iter().enumerate() {
        let located = |wrong: Wrong| table.wrong(row, wrong.column, wrong.offset, wrong.problem, wrong.remedy);
        let network = model::parse(table.text(row, "model"), table.text(row, "params")).map_err(located)?;
        let metric = metric::parse(table.text(row, "metric"), &network).map_err(located)?;
        let reference = table.number(row, "value")?;
        let scale = simulate::scale(&network, effort.arrivals).ok_or_else(|| {
            let problem = "the shortest and the longest time are too far apart".to_owned();
            located(Wrong::field("params", problem, "write rates that differ by less than a factor of a million"))
        })?;
        let job = *known.entry(network.to_string()).or_insert(jobs.len());
        if job == jobs.len() {
            jobs.push(Job { network, scale, keep: Keep::default(), row: index });
        }
        jobs[job].keep = jobs[job].keep.and(metric.keep());
        rows.push(Asked { metric, reference, network: job });
    }
    Ok((rows, jobs))
}

/// Simulates every network and compares every row. `alter` is the identity but in tests, which break a network to see
/// that it is found.
fn validate(
    table: &Table,
    effort: Effort,
    threads: usize,
    alter: &(dyn Fn(&mut Network) + Sync),
) -> Result<Outcome, ValidateError> {
    let (rows, jobs) = read(table, effort)?;
    let judge = |job: usize| -> Result<Vec<(usize, Judgement)>, ValidateError> {
        let Job { network, scale, keep, row } = &jobs[job];
        let mut altered = network.clone();
        alter(&mut altered);
        let measured = simulate::run(&altered, network, effort.arrivals, *scale, *keep).map_err(|source| {
            ValidateError::Simulation { place: table.place(&table.rows()[*row], "model", 0), source }
        })?;
        let about = rows.iter().enumerate().filter(|(_, asked)| asked.network == job);
        let arrivals = effort.arrivals as f64;
        Ok(about
            .map(|(index, asked)| (index, asked.metric.judge(network, &measured, asked.reference, arrivals)))
            .collect())
    };
    let mut judged = Vec::new();
    for result in in_parallel(jobs.len(), threads, &judge) {
        judged.extend(result?);
    }
    judged.sort_by_key(|(row, _)| *row);
    Ok(outcome(table, effort, &rows, judged.into_iter().map(|(_, judgement)| judgement).collect()))
}

/// The cases, and whether the bound holds of them.
fn outcome(table: &Table, effort: Effort, rows: &[Asked], judgements: Vec<Judgement>) -> Outcome {
    let within = judgements.iter().filter(|judgement| judgement.sigma <= effort.most_within).count();
    let share = within as f64 / judgements.len() as f64;
    let worst = judgements.iter().map(|judgement| judgement.sigma).fold(0.0, f64::max);
    let passed = share >= MOST && worst <= effort.all_within;
    let unseen = judgements.iter().filter(|judgement| judgement.unseen.is_some()).count();

    let mut notes = vec![format!(
        "{within} of {} rows within {} sigma ({:.1} %, bound {:.0} %), the worst at {worst:.2} sigma (bound {})",
        judgements.len(),
        effort.most_within,
        100.0 * share,
        100.0 * MOST,
        effort.all_within,
    )];
    if unseen > 0 {
        notes.push(format!(
            "{unseen} rows are about events that {} arrivals are not expected to show once: their relative error says \
             nothing",
            effort.arrivals
        ));
    }
    let mut beyond: Vec<(usize, f64)> = judgements.iter().map(|judgement| judgement.sigma).enumerate().collect();
    beyond.retain(|(_, sigma)| *sigma > effort.most_within);
    beyond.sort_by(|a, b| b.1.total_cmp(&a.1));
    for (index, sigma) in beyond.into_iter().take(10) {
        let row = &table.rows()[index];
        let text = |column| table.text(row, column);
        notes.push(format!(
            "{}:{}: {} {} {}: {} here, {} in the table, {sigma:.2} sigma",
            table.name(),
            row.line(),
            text("model"),
            text("params"),
            text("metric"),
            judgements[index].ours,
            text("value"),
        ));
    }

    let cases = table.rows().iter().zip(rows).zip(judgements).map(|((row, asked), judgement)| Case {
        line: row.line(),
        row: row.fields(),
        reference: asked.reference,
        ours: judgement.ours,
        exact: judgement.exact,
        extra: vec![
            judgement.standard_error.to_string(),
            judgement.sigma.to_string(),
            judgement.unseen.map_or_else(String::new, |events| format!("{events:.1e} such events expected in the run")),
        ],
    });
    let named = |name: &str, value: f64| (name.to_owned(), value);
    Outcome {
        suite: "queueing".to_owned(),
        reference: table.name().to_owned(),
        columns: table.columns().to_vec(),
        extra_columns: ["standard_error", "sigma", "note"].map(str::to_owned).to_vec(),
        cases: cases.collect(),
        parts: None,
        bound: vec![
            named("most_within_sigma", effort.most_within),
            named("share_within", MOST),
            named("all_within_sigma", effort.all_within),
        ],
        found: vec![
            named("share_within", share),
            named("max_sigma", worst),
            named("rows_too_rare_to_see", unseen as f64),
            named("arrivals", effort.arrivals as f64),
        ],
        notes,
        passed,
    }
}
