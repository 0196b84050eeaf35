//! Suite `claims`: what papers publish about systems of this kind, beside what the shipped scenarios give.
//!
//! Which number of which run answers to which claim is data (`validation/claims/readings.toml`). A claim can have several
//! readings, because papers often leave open what was measured: attention alone or the whole step, one layer or all. Each
//! reading gives the published value, ours, their ratio, whether the claim comes out, the assumptions that ours rests on, and
//! why, as the run tells it: what is on the critical path of each system (or takes its energy), and what ours becomes when
//! one figure after the other is set to something else. The one that moves it most decides.
//!
//! No bound is put on the ratio, since nothing here is fitted to a claim. Judged is that every reading can be run, and
//! that it comes out or not as the data say: a change of the models that turns a verdict must be seen and explained.

mod explain;
mod measure;
mod published;

use std::collections::BTreeMap;
use std::path::Path;

use reports::{Assumption, RunReport};
use serde::Deserialize;

use self::measure::Measure;
use self::published::{Published, numbers};
use super::error::ValidateError;
use super::outcome::{Case, Outcome};
use super::parallel::in_parallel;
use super::table::{Row, Table};
use super::{Options, Suite};
use crate::run::{keep_nothing, simulate};
use crate::scenario::Scenario;

const SHIPPED: &str = include_str!("../../validation/claims/claims.csv");
const SHIPPED_PATH: &str = "validation/claims/claims.csv";
const READINGS: &str = include_str!("../../validation/claims/readings.toml");

const COLUMNS: [&str; 4] = ["paper", "claim", "workload", "value"];
const EXTRA: [&str; 10] = [
    "reading",
    "published",
    "ratio",
    "verdict",
    "scenario",
    "decided_by",
    "assumptions",
    "published_unit",
    "spent_on",
    "varied",
];

/// A claim comes out where ours is this near to the published number, or to its range, unless the data say another
/// nearness. Papers give two digits.
const NEAR: f64 = 0.1;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Claims;

impl Suite for Claims {
    fn name(&self) -> &'static str {
        "claims"
    }

    fn about(&self) -> &'static str {
        "what papers publish, beside what the shipped scenarios give"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let table = match &options.reference {
            Some(path) => Table::read(path, &COLUMNS)?,
            None => Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), &COLUMNS)?,
        };
        compare(&table, &readings(), options.threads)
    }
}

/// All claims that are reproduced.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Readings {
    claim: Vec<Claim>,
}

/// A row of the table that shipped scenarios reproduce.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// Column `paper`.
    paper: String,
    /// Column `claim`.
    #[serde(rename = "claim")]
    name: String,
    /// Which number of column `value`, from 0.
    #[serde(default)]
    number: usize,
    /// The unit of that number.
    unit: String,
    /// How near, relative to the published number, where it is not [`NEAR`].
    within: Option<f64>,
    /// What is published where the claim is an order of its numbers and not one of them.
    published: Option<f64>,
    /// What decides whether it comes out, where no run can tell.
    decided_by: Option<String>,
    /// How it can be read.
    reading: Vec<Reading>,
}

/// One way to reproduce a claim.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reading {
    /// What is read, in words.
    what: String,
    /// A shipped scenario.
    scenario: String,
    /// What is set in it.
    #[serde(default)]
    set: Vec<String>,
    /// What is taken from the run.
    measure: Measure,
    /// Keys of the run's assumptions on which it rests most.
    #[serde(default)]
    rests_on: Vec<String>,
    /// What is set to something else, one after the other, to see what decides.
    #[serde(default)]
    decides: Vec<String>,
    /// Whether it came out when this was written.
    comes_out: bool,
}

/// The data that are shipped.
fn readings() -> Readings {
    // A test reads them: what is compiled in is sound.
    toml::from_str(READINGS).unwrap_or_default()
}

/// A claim of the table, understood, with one of its readings.
struct Asked<'a> {
    row: &'a Row,
    claim: &'a Claim,
    reading: &'a Reading,
    published: Published,
    /// All numbers of the claim.
    all: Vec<Published>,
}

/// The rows that are reproduced, with every reading.
fn asked<'a>(table: &'a Table, readings: &'a Readings) -> Result<Vec<Asked<'a>>, ValidateError> {
    let mut asked = Vec::new();
    for row in table.rows() {
        let of = |claim: &&Claim| claim.paper == table.text(row, "paper") && claim.name == table.text(row, "claim");
        for claim in readings.claim.iter().filter(of) {
            let value = table.text(row, "value");
            let all = numbers(value);
            let published = all.get(claim.number).copied().ok_or_else(|| {
                let problem = format!("`value` is \"{value}\", and number {} of it is asked for", claim.number + 1);
                table.wrong(row, "value", 0, problem, "write the published numbers, such as \"0.12x (8.33x speedup)\"")
            })?;
            let published = claim.published.map_or(published, |number| Published { least: number, most: number });
            asked.extend(claim.reading.iter().map(|reading| Asked {
                row,
                claim,
                reading,
                published,
                all: all.clone(),
            }));
        }
    }
    Ok(asked)
}

/// A scenario and what is set in it.
type Asking<'a> = (&'a str, Vec<String>);

impl Reading {
    /// Its own run, and one for each of `decides`.
    fn runs(&self) -> Vec<Asking<'_>> {
        let set = |varied: Option<&'_ String>| -> Vec<String> { self.set.iter().chain(varied).cloned().collect() };
        let varied = self.decides.iter().map(Some);
        std::iter::once(None).chain(varied).map(|varied| (self.scenario.as_str(), set(varied))).collect()
    }
}

fn run(asking: &Asking<'_>) -> Result<RunReport, String> {
    let (scenario, set) = asking;
    let loaded = Scenario::load(Path::new(scenario), set).map_err(|error| error.to_string())?;
    simulate(&loaded, &mut keep_nothing).map_err(|error| error.to_string())
}

fn compare(table: &Table, readings: &Readings, threads: usize) -> Result<Outcome, ValidateError> {
    let asked = asked(table, readings)?;
    let mut runs: Vec<Asking<'_>> = asked.iter().flat_map(|a| a.reading.runs()).collect();
    runs.sort_unstable();
    runs.dedup();
    let reports = in_parallel(runs.len(), threads, &|index| run(&runs[index]));
    let reports: BTreeMap<Asking<'_>, Result<RunReport, String>> = runs.iter().cloned().zip(reports).collect();
    let (mut cases, mut notes, mut turned) = (Vec::new(), Vec::new(), 0_usize);
    for Asked { row, claim, reading, published, all } in &asked {
        let defect = |problem: String| {
            let remedy = "this is a defect of pimscope's data on claims: please report it";
            table.wrong(row, "claim", 0, format!("\"{}\": {problem}", reading.what), remedy)
        };
        let mut taken = reading.runs().into_iter().map(|asking| {
            let report = reports[&asking].as_ref().map_err(Clone::clone)?;
            Ok((report, reading.measure.take(report, all)?))
        });
        let (report, ours) = taken.next().unwrap_or_else(|| Err("it has no run".to_owned())).map_err(defect)?;
        let varied: Result<Vec<(&str, f64)>, String> =
            reading.decides.iter().zip(taken).map(|(set, taken)| Ok((set.as_str(), taken?.1))).collect();
        let varied = varied.map_err(defect)?;
        let spent = explain::spent_on(&reading.measure, report);
        let by_run = explain::largest(ours, &varied).map(|(set, value)| format!("{set}: {}", digits(value)));
        let decided_by = by_run.into_iter().chain(claim.decided_by.clone()).collect::<Vec<_>>().join("; ");
        let assumptions = rests_on(&report.assumptions, &reading.rests_on).map_err(defect)?;
        let reference = published.nearest(ours);
        let near = (ours - reference).abs() <= claim.within.unwrap_or(NEAR) * reference.abs();
        let verdict = if near { "comes out" } else { "does not come out" };
        if near != reading.comes_out {
            turned += 1;
            notes.push(format!("{}:{}: the verdict has turned: {}", table.name(), row.line(), reading.what));
        }
        let shown = range(*published);
        let mut why = vec![decided_by.clone(), spent.clone()];
        why.retain(|text| !text.is_empty());
        notes.push(format!(
            "{}: {}: published {shown} {unit}, here {} {unit}: {verdict} ({})",
            claim.paper,
            reading.what,
            digits(ours),
            why.join("; "),
            unit = claim.unit,
        ));
        cases.push(Case {
            line: row.line(),
            row: row.fields(),
            reference,
            ours,
            exact: near,
            extra: vec![
                reading.what.clone(),
                shown,
                digits(ours / reference),
                verdict.to_owned(),
                std::iter::once(reading.scenario.as_str())
                    .chain(reading.set.iter().map(String::as_str))
                    .collect::<Vec<_>>()
                    .join(" "),
                decided_by,
                assumptions,
                claim.unit.clone(),
                spent,
                varied.iter().map(|(set, value)| format!("{set}: {}", digits(*value))).collect::<Vec<_>>().join("; "),
            ],
        });
    }
    let rows: usize = table.rows().len();
    let mut covered: Vec<u64> = cases.iter().map(|case| case.line).collect();
    covered.dedup();
    let out = cases.iter().filter(|case| case.exact).count();
    notes.insert(
        0,
        format!(
            "{} of {rows} published rows have a shipped scenario; of {} readings {out} come out",
            covered.len(),
            cases.len(),
        ),
    );
    Ok(Outcome {
        parts: None,
        suite: "claims".to_owned(),
        reference: table.name().to_owned(),
        columns: table.columns().to_vec(),
        extra_columns: EXTRA.map(str::to_owned).to_vec(),
        bound: vec![("verdicts_turned".to_owned(), 0.0)],
        found: vec![("verdicts_turned".to_owned(), turned as f64), ("comes_out".to_owned(), out as f64)],
        passed: turned == 0,
        cases,
        notes,
    })
}

/// The assumptions of these keys with their values; a key that the run does not rest on is an error.
fn rests_on(assumptions: &[Assumption], keys: &[String]) -> Result<String, String> {
    let mut shown = Vec::new();
    for key in keys {
        let mut found = assumptions.iter().filter(|assumption| assumption.key == *key).peekable();
        if found.peek().is_none() {
            return Err(format!("the run rests on no assumption `{key}`"));
        }
        shown.extend(found.map(|assumption| format!("{key} = {}", assumption.value)));
    }
    Ok(shown.join("; "))
}

fn range(Published { least, most }: Published) -> String {
    if least.total_cmp(&most).is_eq() { digits(least) } else { format!("{} to {}", digits(least), digits(most)) }
}

/// Four digits, without zeros at the end.
fn digits(number: f64) -> String {
    if number == 0.0 || !number.is_finite() {
        return number.to_string();
    }
    let places = (3 - number.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests;
