//! Suite `dram-totals`: ticks, commands and latency of long runs.

use pim_device::Command;
use pim_device::dram::traffic::{Dimensions, Pattern, Totals};
use pim_device::dram::{ChannelConfig, DramError, Refresh};

use super::dramsim3::Devices;
use super::{Job, Memory};
use crate::validate::parallel::in_parallel;
use crate::validate::table::{Row, Table};
use crate::validate::{Case, Options, Outcome, Suite, ValidateError};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct DramTotals;

const SHIPPED: [(&str, &str); 2] = [
    ("validation/dram/ramulator2_totals.csv", include_str!("../../../validation/dram/ramulator2_totals.csv")),
    ("validation/dram/dramsim3_totals.csv", include_str!("../../../validation/dram/dramsim3_totals.csv")),
];

/// DRAMsim3 rows must be this near.
const DRAMSIM_BOUND: f64 = 0.05;
/// As many requests as a row may have.
const MOST_REQUESTS: u64 = 100_000_000;
/// How many rows beyond the bound are named.
const NAMED: usize = 10;

/// What rows of every simulator say.
const COMMON: [&str; 5] = ["simulator", "pattern", "seed", "n_requests", "total_ticks"];
/// What names the channel of a Ramulator row, and what is compared beside the ticks.
const RAMULATOR: [&str; 11] =
    ["standard", "org_preset", "timing_preset", "refresh", LATENCY, "ACT", "RD", "WR", "PREpb", "PREab", "REFab"];
const COUNTS: [(&str, Command); 6] = [
    ("ACT", Command::Act),
    ("RD", Command::Rd),
    ("WR", Command::Wr),
    ("PREpb", Command::Pre),
    ("PREab", Command::PreA),
    ("REFab", Command::RefAb),
];
const LATENCY: &str = "avg_read_latency_ticks";
/// The same for DRAMsim3.
const DRAMSIM: [&str; 7] =
    ["config", LATENCY, "num_act_cmds", "num_read_cmds", "num_write_cmds", "num_pre_cmds", "num_ref_cmds"];

impl Suite for DramTotals {
    fn name(&self) -> &'static str {
        "dram-totals"
    }

    fn about(&self) -> &'static str {
        "ticks, commands and latency of long DRAM runs of Ramulator 2.1 exactly, of DRAMsim3 within 5 %"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let tables = match &options.reference {
            Some(path) => vec![Table::read(path, &COMMON)?],
            None => SHIPPED
                .iter()
                .map(|(path, text)| Table::parse(path, text.as_bytes(), &COMMON))
                .collect::<Result<_, _>>()?,
        };
        validate(&tables, options.threads)
    }
}

/// Columns of the file of cases; a table has some of them.
const COLUMNS: [&str; 17] = [
    "simulator",
    "standard",
    "org_preset",
    "timing_preset",
    "refresh",
    "config",
    "pattern",
    "seed",
    "n_requests",
    "total_ticks",
    LATENCY,
    "ACT",
    "RD",
    "WR",
    "PREpb",
    "PREab",
    "REFab",
];

/// A row, understood.
struct Asked<'a> {
    table: &'a Table,
    row: &'a Row,
    job: Job,
    ticks: f64,
    /// What is equal in an exact row beside the ticks: latency and counts.
    figures: Vec<f64>,
}

fn read<'a>(table: &'a Table, row: &'a Row, devices: &Devices) -> Result<Asked<'a>, ValidateError> {
    let text = |column: &str| table.text(row, column);
    let wrong = |column: &str, problem: String, remedy: String| table.wrong(row, column, 0, problem, remedy);
    let number = |column: &'static str, most: u64| {
        text(column).parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
            let problem = format!("`{column}` is \"{}\", which is no whole number from 1 to {most}", text(column));
            wrong(column, problem, "take the row as it was measured".to_owned())
        })
    };
    let pattern: Pattern = text("pattern").parse().map_err(|()| {
        let problem = format!("there is no pattern `{}`", text("pattern"));
        wrong("pattern", problem, format!("there are: {}", Pattern::names()))
    })?;
    let (memory, figures) = match text("simulator") {
        simulator if simulator.starts_with("ramulator2") => {
            let config = ramulator(table, row)?;
            let columns = [LATENCY].into_iter().chain(COUNTS.map(|(column, _)| column));
            (Memory::Ramulator(config), columns.map(|column| table.number(row, column)).collect::<Result<_, _>>()?)
        }
        "dramsim3" => {
            let config = devices
                .device(text("config"))
                .map_err(|problem| wrong("config", problem, "take a device of dramsim3_configs.csv".to_owned()))?;
            let mut figures: Vec<f64> =
                DRAMSIM[1..].iter().map(|column| table.number(row, column)).collect::<Result<_, _>>()?;
            // The table gives more digits here, and there are no all-bank precharges.
            figures[0] = hundredths(figures[0]);
            figures.insert(5, 0.0);
            (Memory::Dramsim(config), figures)
        }
        other => {
            let remedy = "write ramulator2.1 or dramsim3".to_owned();
            return Err(wrong("simulator", format!("there is no simulator `{other}`"), remedy));
        }
    };
    let (requests, seed) = (number("n_requests", MOST_REQUESTS)?, number("seed", u64::MAX)?);
    number("total_ticks", u64::MAX)?;
    let dimensions = Dimensions::of(memory.organisation());
    let job = Job { memory, dimensions, pattern, seed, requests };
    Ok(Asked { table, row, job, ticks: table.number(row, "total_ticks")?, figures })
}

/// The channel of a Ramulator row.
fn ramulator(table: &Table, row: &Row) -> Result<ChannelConfig, ValidateError> {
    let text = |column: &str| table.text(row, column);
    let refresh = match text("refresh") {
        "AllBank" => Refresh::AllBank,
        "none" => Refresh::None,
        other => {
            let problem = format!("there is no refresh `{other}`");
            return Err(table.wrong(row, "refresh", 0, problem, "write AllBank or none"));
        }
    };
    let config = ChannelConfig::preset(text("standard"), text("org_preset"), text("timing_preset"));
    let config = config.map_err(|error| {
        let column = match &error {
            DramError::Unknown { kind: "organisation", .. } => "org_preset",
            DramError::Unknown { kind: "timing preset", .. } => "timing_preset",
            _ => "standard",
        };
        table.wrong(row, column, 0, error.to_string(), "take a preset that is named there")
    })?;
    Ok(config.with_refresh(refresh))
}

pub(super) fn validate(tables: &[Table], threads: usize) -> Result<Outcome, ValidateError> {
    // Their files are many, and only rows of DRAMsim3 need them.
    let dramsim = |table: &Table| table.rows().iter().any(|row| table.text(row, "simulator") == "dramsim3");
    let devices = if tables.iter().any(dramsim) { Devices::shipped()? } else { Devices::default() };
    let mut asked = Vec::new();
    for table in tables {
        let needed: &[&str] =
            if table.columns().iter().any(|column| column == "standard") { &RAMULATOR } else { &DRAMSIM };
        table.require(needed)?;
        for row in table.rows() {
            asked.push(read(table, row, &devices)?);
        }
    }
    let run = |index: usize| {
        let Asked { table, row, job, .. } = &asked[index];
        let mut totals = Totals::default();
        let remedy = "take the row as it was measured";
        super::run(job, &mut totals).map_err(|error| table.wrong(row, "pattern", 0, error.to_string(), remedy))?;
        Ok(totals)
    };
    let totals: Vec<Totals> = in_parallel(asked.len(), threads, &run).into_iter().collect::<Result<_, _>>()?;
    Ok(outcome(tables, &asked, &totals))
}

/// A mean with the digits that the tables give.
fn hundredths(mean: f64) -> f64 {
    format!("{mean:.2}").parse().unwrap_or(mean)
}

/// What of a run is compared beside the ticks.
fn figures(totals: &Totals) -> Vec<f64> {
    let mean = hundredths(totals.latency as f64 / totals.reads.max(1) as f64);
    let count = |(_, command): (&str, Command)| {
        let halves = if command == Command::Act { totals.commands[Command::Act1] } else { 0 };
        (totals.commands[command] + halves) as f64
    };
    [mean].into_iter().chain(COUNTS.map(count)).collect()
}

/// Ticks of a run: DRAMsim3's first tick is 0, so that one more has run than the number of the last says.
fn ticks(asked: &Asked<'_>, totals: &Totals) -> u64 {
    match asked.job.memory {
        Memory::Ramulator(_) => totals.last,
        Memory::Dramsim(_) => totals.last + 1,
    }
}

fn outcome(tables: &[Table], asked: &[Asked<'_>], totals: &[Totals]) -> Outcome {
    let mut cases = Vec::new();
    // Rows and exact rows of Ramulator and of DRAMsim3.
    let (mut rows, mut exact, mut worst) = ([0_usize; 2], [0_usize; 2], 0.0_f64);
    let mut broken = Vec::new();
    for (asked, totals) in asked.iter().zip(totals) {
        let figures = figures(totals);
        let equal = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-9;
        let ours = ticks(asked, totals) as f64;
        let case = Case {
            line: asked.row.line(),
            row: COLUMNS.map(|column| asked.table.text(asked.row, column).to_owned()).to_vec(),
            reference: asked.ticks,
            ours,
            exact: equal((&asked.ticks, &ours)) && asked.figures.iter().zip(&figures).all(equal),
            extra: figures.iter().map(ToString::to_string).collect(),
        };
        let (simulator, holds) = match asked.job.memory {
            Memory::Ramulator(_) => (0, case.exact),
            Memory::Dramsim(_) => {
                worst = worst.max(case.relative_error());
                (1, case.relative_error() <= DRAMSIM_BOUND)
            }
        };
        rows[simulator] += 1;
        exact[simulator] += usize::from(case.exact);
        if !holds {
            let name: Vec<&str> = case.row[..9].iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
            let place = format!("{}:{}", asked.table.name(), case.line);
            let figures = case.extra.join(" ");
            broken.push(format!("{place}: {}: here {} ticks, {figures}", name.join(" "), case.ours));
        }
        cases.push(case);
    }
    let named = |name: &str, value: f64| (name.to_owned(), value);
    let (mut bound, mut found, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let equal = "equal in ticks, latency and commands";
    if rows[0] > 0 {
        bound.push(named("exact_rows", rows[0] as f64));
        found.push(named("exact_rows", exact[0] as f64));
        notes.push(format!("{} of {} rows of Ramulator 2.1 {equal}", exact[0], rows[0]));
    }
    if rows[1] > 0 {
        bound.push(named("ticks_error", DRAMSIM_BOUND));
        found.push(named("ticks_error", worst));
        notes.push(format!(
            "{} of {} rows of DRAMsim3 {equal}; ticks off by at most {:.3} % (bound {} %)",
            exact[1],
            rows[1],
            100.0 * worst,
            100.0 * DRAMSIM_BOUND
        ));
    }
    let passed = broken.is_empty();
    notes.extend(broken.into_iter().take(NAMED));
    Outcome {
        suite: "dram-totals".to_owned(),
        reference: tables.iter().map(Table::name).collect::<Vec<_>>().join(", "),
        columns: COLUMNS.map(str::to_owned).to_vec(),
        extra_columns: ([LATENCY].into_iter().chain(COUNTS.map(|(column, _)| column)))
            .map(|column| format!("our_{column}"))
            .collect(),
        cases,
        parts: None,
        bound,
        found,
        notes,
        passed,
    }
}
