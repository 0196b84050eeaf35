//! Suite `dram-golden`: every command of other simulators' runs, with tick and address.

use pim_device::dram::{ChannelConfig, Completion, Observer, Refresh, Request, Target};
use pim_device::timing::standard::{STANDARDS, Standard};
use pim_device::{Command, Level};

use super::pattern::{Dimensions, Pattern};
use super::{Job, ORGANISATIONS};
use crate::validate::golden::{self, Asked, GoldenFile, Issued, Run};
use crate::validate::table::{Row, Table};
use crate::validate::{Options, Outcome, Suite, ValidateError};

mod shipped;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct DramGolden;

/// The folder of the repository that is compiled in.
const FOLDER: &str = "validation/dram/golden";

const REMEDY: &str = "name the file STANDARD_TIMING_PATTERN_REQUESTS_refresh.csv (or _norefresh), with _R2C2 after it \
                      where only 2 rows and 2 columns are used, or dramsim3_CONFIG_PATTERN_REQUESTS.csv";

/// As many requests as a golden run may have.
const MOST_REQUESTS: u64 = 10_000_000;

impl Suite for DramGolden {
    fn name(&self) -> &'static str {
        "dram-golden"
    }

    fn about(&self) -> &'static str {
        "every command of DRAM runs of Ramulator 2.1 exactly, ends of DRAMsim3 runs within 5 %"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let (name, files) = match &options.reference {
            Some(path) => (path.display().to_string(), golden::files(path, "csv")?),
            None => (FOLDER.to_owned(), shipped::files(FOLDER)),
        };
        validate(&name, &files)
    }
}

/// A file, understood.
struct Read<'a> {
    file: &'a GoldenFile,
    job: Job,
    commands: Vec<Issued>,
}

fn validate(name: &str, files: &[GoldenFile]) -> Result<Outcome, ValidateError> {
    let read: Vec<Read<'_>> = files.iter().map(read).collect::<Result<_, _>>()?;
    let mut runs = Vec::new();
    for read in &read {
        let mut log = Log { standard: read.job.config.standard, issued: Vec::new() };
        super::run(&read.job, &mut log).map_err(|error| read.file.wrong(error.to_string(), REMEDY))?;
        runs.push(Run::compare(read.file, Asked::Exact, &read.commands, &log.issued));
    }
    Ok(golden::outcome("dram-golden", name, &runs))
}

/// What the name and the lines of a file say.
fn read(file: &GoldenFile) -> Result<Read<'_>, ValidateError> {
    let job = job(file)?;
    let standard = job.config.standard;
    let heads = heads(standard);
    let mut required = vec!["clock", "command"];
    required.extend(&heads);
    let table = file.table(&required)?;
    let commands =
        table.rows().iter().map(|row| line(&table, row, &heads, &job)).collect::<Result<Vec<_>, ValidateError>>()?;
    Ok(Read { file, job, commands })
}

/// The run that a file's name stands for.
fn job(file: &GoldenFile) -> Result<Job, ValidateError> {
    let wrong = |problem: String| file.wrong(problem, REMEDY);
    let stem = file.name.strip_suffix(".csv").unwrap_or(&file.name);
    let (standard, rest) = (STANDARDS.iter())
        .find_map(|standard| Some((*standard, stem.strip_prefix(standard.name)?.strip_prefix('_')?)))
        .ok_or_else(|| {
            let known: Vec<&str> = STANDARDS.iter().map(|standard| standard.name).collect();
            wrong(format!("the name begins with none of the standards {}", known.join(", ")))
        })?;
    let (timing, rest) = (standard.timings.iter())
        .find_map(|timing| Some((timing.name, rest.strip_prefix(timing.name)?.strip_prefix('_')?)))
        .ok_or_else(|| {
            let known: Vec<&str> = standard.timings.iter().map(|timing| timing.name).collect();
            wrong(format!("after `{}_` comes none of the timing presets {}", standard.name, known.join(", ")))
        })?;
    let (pattern, rest) = (Pattern::ALL.into_iter())
        .find_map(|(name, pattern)| Some((pattern, rest.strip_prefix(name)?.strip_prefix('_')?)))
        .ok_or_else(|| wrong(format!("after the timing preset comes none of the patterns {}", Pattern::names())))?;
    let mut parts = rest.split('_');
    let requests = parts.next().and_then(|number| number.parse().ok());
    let requests = requests
        .filter(|number| (1..=MOST_REQUESTS).contains(number))
        .ok_or_else(|| wrong(format!("after the pattern comes no number of requests from 1 to {MOST_REQUESTS}")))?;
    let refresh = match parts.next() {
        Some("refresh") => Refresh::AllBank,
        Some("norefresh") => Refresh::None,
        _ => return Err(wrong("after the number of requests comes neither `refresh` nor `norefresh`".to_owned())),
    };
    let (_, organisation) = (ORGANISATIONS.into_iter())
        .find(|(name, _)| *name == standard.name)
        .ok_or_else(|| wrong(format!("{} has no reference organisation", standard.name)))?;
    let config =
        ChannelConfig::preset(standard.name, organisation, timing).map_err(|error| wrong(error.to_string()))?;
    let mut dimensions = Dimensions::of(&config.organisation);
    if let Some(limit) = parts.next() {
        (dimensions.rows, dimensions.columns) = (limit.strip_prefix('R'))
            .and_then(|limit| limit.split_once('C'))
            .and_then(|(rows, columns)| Some((rows.parse().ok()?, columns.parse().ok()?)))
            .filter(|(rows, columns)| {
                (1..=dimensions.rows).contains(rows) && (1..=dimensions.columns).contains(columns)
            })
            .ok_or_else(|| wrong(format!("`{limit}` at the end is no limit of rows and columns such as R2C2")))?;
    }
    if parts.next().is_some() {
        return Err(wrong("the name goes on after what it should say".to_owned()));
    }
    Ok(Job { config: config.with_refresh(refresh), dimensions, pattern, seed: 42, requests })
}

/// The name of a column, and the level that stands in it.
fn heads(standard: &Standard) -> Vec<&'static str> {
    let mut heads: Vec<&str> = standard.levels.iter().map(|level| level_name(standard, *level)).collect();
    heads.extend(["Row", "Column", "type", "source"]);
    heads
}

fn level_name(standard: &Standard, level: Level) -> &'static str {
    match level {
        Level::Channel => "Channel",
        Level::PseudoChannel => "PseudoChannel",
        // Below pseudo-channels ranks are stack IDs.
        Level::Rank if standard.levels.contains(&Level::PseudoChannel) => "Sid",
        Level::Rank => "Rank",
        Level::BankGroup => "BankGroup",
        Level::Bank => "Bank",
    }
}

/// The reference's word for a command.
fn name(command: Command) -> &'static str {
    match command {
        Command::Pre => "PREpb",
        Command::PreA => "PREab",
        other => other.mnemonic(),
    }
}

/// One line of a file.
fn line(table: &Table, row: &Row, heads: &[&str], job: &Job) -> Result<Issued, ValidateError> {
    let standard = job.config.standard;
    let integer = |column: &str, least: i64, most: i64| {
        let text = table.text(row, column);
        text.parse::<i64>().ok().filter(|value| (least..=most).contains(value)).ok_or_else(|| {
            let problem = format!("`{column}` is \"{text}\", which is no whole number from {least} to {most}");
            table.wrong(row, column, 0, problem, "take the line as the simulator wrote it")
        })
    };
    let cycle = integer("clock", 1, i64::MAX)?.unsigned_abs();
    let text = table.text(row, "command");
    let known = standard.commands.iter().map(|command| name(*command));
    if !known.clone().any(|known| known == text) {
        let known: Vec<&str> = known.collect();
        let problem = format!("{} has no command `{text}`", standard.name);
        return Err(table.wrong(row, "command", 0, problem, format!("there are: {}", known.join(", "))));
    }
    let organisation = &job.config.organisation;
    let mut address = Vec::with_capacity(heads.len());
    for head in heads {
        let most = match *head {
            "PseudoChannel" => organisation.pseudo_channels,
            "Rank" | "Sid" => organisation.ranks,
            "BankGroup" => organisation.bank_groups,
            "Bank" => organisation.banks,
            "Row" => organisation.rows,
            "Column" => organisation.columns * standard.prefetch,
            "type" => 2,
            _ => 1,
        };
        address.push(integer(head, -1, i64::from(most) - 1)?);
    }
    Ok(Issued { cycle, command: text.to_owned(), address })
}

/// Writes commands as the reference does.
struct Log {
    standard: &'static Standard,
    issued: Vec<Issued>,
}

impl Observer for Log {
    fn issued(&mut self, tick: u64, command: Command, target: Target<'_>) {
        let levels = self.standard.levels;
        let mut address: Vec<i64> = Vec::with_capacity(levels.len() + 4);
        match target {
            Target::Request(Request { access, address: at, column, .. }) => {
                address.extend(levels.iter().map(|level| match level {
                    Level::Channel => 0,
                    Level::PseudoChannel => i64::from(at.pseudo_channel),
                    Level::Rank => i64::from(at.rank),
                    Level::BankGroup => i64::from(at.bank_group),
                    Level::Bank => i64::from(at.bank),
                }));
                address.push(at.row.into());
                address.push(i64::from(*column) * i64::from(self.standard.prefetch));
                address.extend([*access as i64, 0]);
            }
            Target::Refresh(place) => {
                // One rank or pseudo-channel; only its own number stands there.
                let at = |level: &Level| if *level == place.level() { place.node().into() } else { 0 };
                let below = |level: &Level| if *level > place.level() { -1 } else { at(level) };
                address.extend(levels.iter().map(below));
                address.extend([-1; 4]);
            }
        }
        self.issued.push(Issued { cycle: tick, command: name(command).to_owned(), address });
    }

    fn completed(&mut self, _: &Completion) {}
}
