//! Suite `dram-golden`: every command of other simulators' runs, with tick and address.

use std::cmp::Ordering;

use pim_device::dram::traffic::{Dimensions, Pattern};
use pim_device::dram::{ChannelConfig, Observer, Refresh, Request, Target};
use pim_device::timing::standard::{STANDARDS, Standard};
use pim_device::{Command, Level};

use super::dramsim3::Devices;
use super::{Job, Memory, ORGANISATIONS};
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

/// Ends of DRAMsim3 runs must be this near.
const DRAMSIM_BOUND: f64 = 0.05;

/// A file, understood.
struct Read<'a> {
    file: &'a GoldenFile,
    job: Job,
    format: Format,
    commands: Vec<Issued>,
}

pub(super) fn validate(name: &str, files: &[GoldenFile]) -> Result<Outcome, ValidateError> {
    let devices = Devices::shipped()?;
    let read: Vec<Read<'_>> = files.iter().map(|file| read(file, &devices)).collect::<Result<_, _>>()?;
    let mut runs = Vec::new();
    for read in &read {
        let banks = i64::from(read.job.memory.organisation().banks);
        let mut log = Log { format: read.format, banks, issued: Vec::new() };
        super::run(&read.job, &mut log).map_err(|error| read.file.wrong(error.to_string(), REMEDY))?;
        let asked = match read.format {
            Format::Ramulator(_) => Asked::Exact,
            Format::Dramsim => Asked::End(DRAMSIM_BOUND),
        };
        runs.push(Run::compare(read.file, asked, &read.commands, &log.issued));
    }
    Ok(golden::outcome("dram-golden", name, &runs))
}

/// How a simulator writes commands.
#[derive(Clone, Copy, Debug)]
enum Format {
    Ramulator(&'static Standard),
    Dramsim,
}

/// Columns of DRAMsim3's files after clock and command.
const DRAMSIM_HEADS: [&str; 6] = ["channel", "rank", "bankgroup", "bank", "row_hex", "col_hex"];

impl Format {
    /// The name of the clock's column.
    const fn clock(self) -> &'static str {
        match self {
            Self::Ramulator(_) => "clock",
            Self::Dramsim => "clk",
        }
    }

    /// The other columns after the command.
    fn heads(self) -> Vec<&'static str> {
        match self {
            Self::Ramulator(standard) => {
                let mut heads: Vec<&str> = standard.levels.iter().map(|level| level_name(standard, *level)).collect();
                heads.extend(["Row", "Column", "type", "source"]);
                heads
            }
            Self::Dramsim => DRAMSIM_HEADS.to_vec(),
        }
    }

    /// The simulator's words for its commands.
    fn commands(self) -> Vec<&'static str> {
        match self {
            Self::Ramulator(standard) => standard.commands.iter().map(|command| self.name(*command)).collect(),
            Self::Dramsim => vec!["activate", "precharge", "read", "write", "refresh"],
        }
    }

    fn name(self, command: Command) -> &'static str {
        match (self, command) {
            (Self::Ramulator(_), Command::Pre) => "PREpb",
            (Self::Ramulator(_), Command::PreA) => "PREab",
            (Self::Ramulator(_), other) => other.mnemonic(),
            (Self::Dramsim, Command::Act) => "activate",
            (Self::Dramsim, Command::Pre) => "precharge",
            (Self::Dramsim, Command::Rd) => "read",
            (Self::Dramsim, Command::Wr) => "write",
            (Self::Dramsim, _) => "refresh",
        }
    }
}

/// What the name and the lines of a file say.
fn read<'a>(file: &'a GoldenFile, devices: &Devices) -> Result<Read<'a>, ValidateError> {
    let (job, format) = if file.name.starts_with("dramsim3_") { dramsim_job(file, devices)? } else { job(file)? };
    let heads = format.heads();
    let mut required = vec![format.clock(), "command"];
    required.extend(&heads);
    let table = file.table(&required)?;
    let line = |row| line(&table, row, format, &heads, &job);
    let commands = table.rows().iter().map(line).collect::<Result<Vec<_>, ValidateError>>()?;
    Ok(Read { file, job, format, commands })
}

/// The DRAMsim3 run that a file's name stands for.
fn dramsim_job(file: &GoldenFile, devices: &Devices) -> Result<(Job, Format), ValidateError> {
    let wrong = |problem: String| file.wrong(problem, REMEDY);
    let stem = file.name.strip_suffix(".csv").unwrap_or(&file.name);
    let rest = stem.strip_prefix("dramsim3_").unwrap_or(stem);
    let names = devices.names();
    let (device, rest) = (names.iter())
        .find_map(|name| Some((*name, rest.strip_prefix(name)?.strip_prefix('_')?)))
        .ok_or_else(|| wrong("after `dramsim3_` comes no device of dramsim3_configs.csv".to_owned()))?;
    let (pattern, rest) = pattern(rest)
        .ok_or_else(|| wrong(format!("after the device comes none of the patterns {}", Pattern::names())))?;
    let requests = requests(rest)
        .ok_or_else(|| wrong(format!("after the pattern comes no number of requests from 1 to {MOST_REQUESTS}")))?;
    let channel = devices.device(device).map_err(wrong)?;
    let dimensions = Dimensions::of(&channel.organisation);
    Ok((Job { memory: Memory::Dramsim(channel), dimensions, pattern, seed: 42, requests }, Format::Dramsim))
}

/// The pattern at the beginning of a name, and what comes after it.
fn pattern(text: &str) -> Option<(Pattern, &str)> {
    (Pattern::ALL.into_iter()).find_map(|(name, pattern)| Some((pattern, text.strip_prefix(name)?.strip_prefix('_')?)))
}

fn requests(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number| (1..=MOST_REQUESTS).contains(number))
}

/// The run that a file's name stands for.
fn job(file: &GoldenFile) -> Result<(Job, Format), ValidateError> {
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
    let memory = Memory::Ramulator(config.with_refresh(refresh));
    Ok((Job { memory, dimensions, pattern, seed: 42, requests }, Format::Ramulator(standard)))
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

/// One line of a file.
fn line(table: &Table, row: &Row, format: Format, heads: &[&str], job: &Job) -> Result<Issued, ValidateError> {
    const REMEDY: &str = "take the line as the simulator wrote it";
    let clock = format.clock();
    let text = table.text(row, clock);
    let cycle = text.parse().map_err(|_| {
        table.wrong(row, clock, 0, format!("`{clock}` is \"{text}\", which is no whole number"), REMEDY)
    })?;
    let command = table.text(row, "command");
    if !format.commands().contains(&command) {
        let problem = format!("there is no command `{command}` here");
        let remedy = format!("there are: {}", format.commands().join(", "));
        return Err(table.wrong(row, "command", 0, problem, remedy));
    }
    let mut address = Vec::with_capacity(heads.len());
    for &head in heads {
        let text = table.text(row, head);
        let count = i64::from(count(job, head));
        let value = integer(text).filter(|value| (-1..count).contains(value)).ok_or_else(|| {
            let problem = format!("`{head}` is \"{text}\", which is no whole number from -1 to {}", count - 1);
            table.wrong(row, head, 0, problem, REMEDY)
        })?;
        address.push(value);
    }
    Ok(Issued { cycle, command: command.to_owned(), address })
}

/// A whole number, decimal or hexadecimal with 0x, with or without a minus.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let value = match digits.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(sign * i64::from(value))
}

/// How many values a column may have from 0 on.
fn count(job: &Job, head: &str) -> u32 {
    let organisation = job.memory.organisation();
    let prefetch = match &job.memory {
        Memory::Ramulator(config) => config.standard.prefetch,
        Memory::Dramsim(_) => 1,
    };
    match head {
        "PseudoChannel" => organisation.pseudo_channels,
        "Rank" | "Sid" | "rank" => organisation.ranks,
        "BankGroup" | "bankgroup" => organisation.bank_groups,
        "Bank" | "bank" => organisation.banks,
        "Row" | "row_hex" => organisation.rows,
        "Column" | "col_hex" => organisation.columns * prefetch,
        "type" => 2,
        // Channel and source.
        _ => 1,
    }
}

/// Writes commands as the reference does.
struct Log {
    format: Format,
    /// Banks of a bank group.
    banks: i64,
    issued: Vec<Issued>,
}

impl Observer for Log {
    fn issued(&mut self, tick: u64, command: Command, target: Target<'_>) {
        let address = match self.format {
            Format::Ramulator(standard) => ramulator_address(standard, target),
            Format::Dramsim => dramsim_address(target, self.banks),
        };
        self.issued.push(Issued { cycle: tick, command: self.format.name(command).to_owned(), address });
    }
}

fn ramulator_address(standard: &Standard, target: Target<'_>) -> Vec<i64> {
    let levels = standard.levels.iter();
    let mut address: Vec<i64> = Vec::with_capacity(standard.levels.len() + 4);
    match target {
        Target::Request(Request { access, address: at, column, .. }) => {
            address.extend(levels.map(|level| match level {
                Level::Channel => 0,
                Level::PseudoChannel => i64::from(at.pseudo_channel),
                Level::Rank => i64::from(at.rank),
                Level::BankGroup => i64::from(at.bank_group),
                Level::Bank => i64::from(at.bank),
            }));
            address.extend([at.row.into(), i64::from(*column) * i64::from(standard.prefetch), *access as i64, 0]);
        }
        Target::Refresh(place) => {
            // One rank or pseudo-channel; only its own number stands there.
            address.extend(levels.map(|level| match level.cmp(&place.level()) {
                Ordering::Less => 0,
                Ordering::Equal => place.node().into(),
                Ordering::Greater => -1,
            }));
            address.extend([-1; 4]);
        }
    }
    address
}

fn dramsim_address(target: Target<'_>, banks: i64) -> Vec<i64> {
    match target {
        Target::Request(Request { address, column, .. }) => {
            vec![0, 0, address.bank_group.into(), address.bank.into(), address.row.into(), (*column).into()]
        }
        // What precharges for a refresh names its bank.
        Target::Refresh(place) if place.level() == Level::Bank => {
            let node = i64::from(place.node());
            vec![-1, 0, node / banks, node % banks, -1, -1]
        }
        Target::Refresh(_) => vec![-1, 0, -1, -1, -1, -1],
    }
}
