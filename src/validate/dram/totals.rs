//! Suite `dram-totals`: ticks, commands and latency of long runs.

use pim_device::dram::{ChannelConfig, Completion, Observer, Refresh, Target};
use pim_device::{Command, CommandCounts};

use super::Job;
use super::pattern::{Dimensions, Pattern};
use crate::validate::table::{Row, Table};
use crate::validate::{Case, Options, Outcome, Suite, ValidateError};

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct DramTotals;

const SHIPPED: &str = include_str!("../../../validation/dram/ramulator2_totals.csv");
const SHIPPED_PATH: &str = "validation/dram/ramulator2_totals.csv";

const COLUMNS: &[&str] = &[
    "simulator",
    "standard",
    "org_preset",
    "timing_preset",
    "refresh",
    "pattern",
    "seed",
    "n_requests",
    "total_ticks",
    "avg_read_latency_ticks",
    "ACT",
    "RD",
    "WR",
    "PREpb",
    "PREab",
    "REFab",
];

impl Suite for DramTotals {
    fn name(&self) -> &'static str {
        "dram-totals"
    }

    fn about(&self) -> &'static str {
        "ticks, commands and latency of long DRAM runs of Ramulator 2.1 exactly, of DRAMsim3 within 5 %"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let table = match &options.reference {
            Some(path) => Table::read(path, COLUMNS)?,
            None => Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), COLUMNS)?,
        };
        validate(&table)
    }
}

/// What is counted over a run.
#[derive(Clone, Debug, Default)]
struct Totals {
    commands: CommandCounts,
    reads: u64,
    latency: u64,
    last: u64,
}

impl Observer for Totals {
    fn issued(&mut self, _: u64, command: Command, _: Target<'_>) {
        self.commands[command] += 1;
    }

    fn completed(&mut self, completion: &Completion) {
        self.last = self.last.max(completion.done);
        if completion.request.access == pim_device::dram::Access::Read {
            self.reads += 1;
            self.latency += completion.done - completion.arrived;
        }
    }
}

fn job(table: &Table, row: &Row) -> Result<Job, ValidateError> {
    let text = |column: &str| table.text(row, column);
    let wrong = |column: &str, problem: String, remedy: String| table.wrong(row, column, 0, problem, remedy);
    let config = ChannelConfig::preset(text("standard"), text("org_preset"), text("timing_preset"))
        .map_err(|error| wrong("standard", error.to_string(), "take a preset that is named".to_owned()))?;
    let refresh = match text("refresh") {
        "AllBank" => Refresh::AllBank,
        "none" => Refresh::None,
        other => {
            return Err(wrong("refresh", format!("there is no refresh `{other}`"), "write AllBank or none".to_owned()));
        }
    };
    let pattern: Pattern = text("pattern").parse().map_err(|()| {
        wrong(
            "pattern",
            format!("there is no pattern `{}`", text("pattern")),
            format!("there are: {}", Pattern::names()),
        )
    })?;
    let integer = |column: &str| {
        text(column).parse::<u64>().map_err(|_| {
            wrong(
                column,
                format!("`{column}` is \"{}\", which is no whole number", text(column)),
                "write a number".to_owned(),
            )
        })
    };
    let dimensions = Dimensions::of(&config.organisation);
    Ok(Job {
        config: config.with_refresh(refresh),
        dimensions,
        pattern,
        seed: integer("seed")?,
        requests: integer("n_requests")?,
    })
}

fn validate(table: &Table) -> Result<Outcome, ValidateError> {
    let mut cases = Vec::new();
    let jobs = table.rows().iter().map(|row| job(table, row)).collect::<Result<Vec<_>, _>>()?;
    for (row, job) in table.rows().iter().zip(&jobs) {
        let mut totals = Totals::default();
        super::run(job, &mut totals).map_err(|error| table.wrong(row, "standard", 0, error.to_string(), ""))?;
        let latency = totals.latency as f64 / totals.reads.max(1) as f64;
        let count = |command: Command| totals.commands[command].to_string();
        let ours = [
            totals.last.to_string(),
            format!("{latency:.2}"),
            (totals.commands[Command::Act] + totals.commands[Command::Act1]).to_string(),
            count(Command::Rd),
            count(Command::Wr),
            count(Command::Pre),
            count(Command::PreA),
            count(Command::RefAb),
        ];
        let columns = ["total_ticks", "avg_read_latency_ticks", "ACT", "RD", "WR", "PREpb", "PREab", "REFab"];
        let mut exact = true;
        for (column, ours) in columns.iter().zip(&ours) {
            exact &= table.number(row, column)? == ours.parse::<f64>().unwrap();
        }
        cases.push(Case {
            line: row.line(),
            row: row.fields(),
            reference: table.number(row, "total_ticks")?,
            ours: totals.last as f64,
            exact,
            extra: ours.to_vec(),
        });
    }
    let passed = cases.iter().all(|case| case.exact);
    Ok(Outcome {
        suite: "dram-totals".to_owned(),
        reference: table.name().to_owned(),
        columns: table.columns().to_vec(),
        extra_columns: [
            "our_ticks",
            "our_latency",
            "our_ACT",
            "our_RD",
            "our_WR",
            "our_PREpb",
            "our_PREab",
            "our_REFab",
        ]
        .map(str::to_owned)
        .to_vec(),
        cases,
        passed,
        ..Outcome::default()
    })
}
