//! Suite `attacc-golden`: every command of golden runs.

use std::path::Path;

use pim_device::PowerLimit;
use pim_device::controller::fifo_pim::{Fan, FifoPim, Issue, Run, Setup, StreamError, Target};
use pim_device::timing::hbm3;

use super::super::error::ValidateError;
use super::super::golden::{self, Asked, GoldenFile, Issued};
use super::super::outcome::Outcome;
use super::super::table::{Row, Table};
use super::super::{Options, Suite};
use super::{ORGANISATION, shipped, trace};

const INDEX: &str = "INDEX.csv";
const INDEX_COLUMNS: [&str; 3] = ["name", "variant", "memory_system_cycles"];
const COMMAND_COLUMNS: [&str; 9] = ["cycle", "channel", "command", "pch", "rank", "bg", "bank", "row", "col"];

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Golden;

impl Suite for Golden {
    fn name(&self) -> &'static str {
        "attacc-golden"
    }

    fn about(&self) -> &'static str {
        "rule set `attacc` against every command that the AttAcc simulator issued in traced runs"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let folder = Folder::read(options.reference.as_deref())?;
        let tasks = tasks(&folder)?;
        let runs: Result<Vec<_>, _> = tasks.iter().map(compare).collect();
        Ok(golden::outcome(self.name(), &folder.name, &runs?))
    }
}

/// The golden folder: the shipped one, or one that is given.
#[derive(Clone, Debug)]
struct Folder {
    name: String,
    files: Vec<GoldenFile>,
}

impl Folder {
    fn read(path: Option<&Path>) -> Result<Self, ValidateError> {
        let Some(path) = path else {
            let file = |(name, text): &(&str, &str)| GoldenFile::shipped(shipped::FOLDER, name, text);
            return Ok(Self { name: shipped::FOLDER.to_owned(), files: shipped::FILES.iter().map(file).collect() });
        };
        let mut files = golden::files(path, "csv")?;
        files.extend(golden::files(path, "trace")?);
        Ok(Self { name: path.display().to_string(), files })
    }

    fn file(&self, name: &str) -> Option<&GoldenFile> {
        self.files.iter().find(|file| file.name == name)
    }
}

/// One golden run: a trace under a variant of the timing.
#[derive(Debug)]
struct Task<'a> {
    trace: &'a GoldenFile,
    commands: &'a GoldenFile,
    power: PowerLimit,
    refresh: bool,
    fans: Vec<Fan>,
    reference: Vec<Issued>,
    end: u64,
}

/// Reads the whole folder before anything is simulated.
fn tasks(folder: &Folder) -> Result<Vec<Task<'_>>, ValidateError> {
    let index = folder.file(INDEX).ok_or_else(|| {
        let file = GoldenFile { name: INDEX.to_owned(), path: format!("{}/{INDEX}", folder.name), bytes: Vec::new() };
        file.wrong("there is no such file", "--reference takes a folder with INDEX.csv, traces and lists of commands")
    })?;
    let table = index.table(&INDEX_COLUMNS)?;
    table.rows().iter().map(|row| task(folder, &table, row)).collect()
}

fn task<'a>(folder: &'a Folder, table: &Table, row: &Row) -> Result<Task<'a>, ValidateError> {
    let (name, variant) = (table.text(row, "name"), table.text(row, "variant"));
    let (limit, refresh) = variant.strip_suffix("_noref").map_or((variant, true), |limit| (limit, false));
    let power = match limit {
        "pc" => PowerLimit::On,
        "npc" => PowerLimit::Off,
        _ => {
            let problem = format!("there is no variant `{variant}`");
            return Err(table.wrong(row, "variant", 0, problem, "there are: pc, npc, pc_noref, npc_noref"));
        }
    };
    let file = |file: String| {
        folder.file(&file).ok_or_else(|| {
            let problem = format!("there is no file {file} in {}", folder.name);
            table.wrong(row, "name", 0, problem, "add the file or take the row away")
        })
    };
    let trace = file(format!("{name}.trace"))?;
    let commands = file(format!("{name}.{variant}.cmds.csv"))?;
    Ok(Task {
        fans: trace::parse(trace)?,
        reference: reference(commands)?,
        end: whole(table, row, "memory_system_cycles")? as u64,
        trace,
        commands,
        power,
        refresh,
    })
}

/// A whole number, -1 where a command has no such part of an address.
fn whole(table: &Table, row: &Row, column: &str) -> Result<i64, ValidateError> {
    let text = table.text(row, column);
    text.parse().ok().filter(|number: &i64| *number >= -1).ok_or_else(|| {
        let problem = format!("`{column}` is \"{text}\", which is not a whole number");
        table.wrong(row, column, 0, problem, "write a whole number, -1 where there is none")
    })
}

/// The commands of a list, channel after channel.
fn reference(file: &GoldenFile) -> Result<Vec<Issued>, ValidateError> {
    let table = file.table(&COMMAND_COLUMNS)?;
    let mut commands = Vec::with_capacity(table.rows().len());
    for row in table.rows() {
        let number = |column: &str| whole(&table, row, column);
        let address: Result<Vec<i64>, _> =
            ["channel", "pch", "rank", "bg", "bank", "row", "col"].iter().map(|column| number(column)).collect();
        commands.push(Issued {
            cycle: number("cycle")?.max(0) as u64,
            command: table.text(row, "command").to_owned(),
            address: address?,
        });
    }
    commands.sort_by_key(|issued| issued.address[0]);
    Ok(commands)
}

/// Ours in the form of the reference.
fn ours(run: &Run) -> Vec<Issued> {
    let mut commands = Vec::new();
    for (channel, done) in (0..).zip(&run.channels) {
        commands.extend(done.log.iter().map(|issue| issued(channel, issue)));
    }
    commands
}

fn issued(channel: i64, issue: &Issue) -> Issued {
    let address = match issue.target {
        Target::PseudoChannel(node) => vec![channel, node.into(), -1, -1, -1, -1, -1],
        Target::Column(at, column) => vec![
            channel,
            at.pseudo_channel.into(),
            at.rank.into(),
            at.bank_group.into(),
            at.bank.into(),
            at.row.into(),
            column.into(),
        ],
    };
    let command = issue.command.map_or("BARRIER", pim_device::Command::mnemonic);
    Issued { cycle: issue.cycle, command: command.to_owned(), address }
}

fn compare(task: &Task<'_>) -> Result<golden::Run, ValidateError> {
    let timing = hbm3::gbps_5_2(task.power);
    let setup = Setup { refresh: task.refresh, log: true, ..Setup::attacc(ORGANISATION, &timing) };
    let run = FifoPim::new(&setup)
        .and_then(|controller| controller.run(task.fans.iter().cloned()))
        .map_err(|error| refused(task.trace, &error))?;
    let mut result = golden::Run::compare(task.commands, Asked::Exact, &task.reference, &ours(&run));
    (result.reference_end, result.our_end) = (task.end as f64, run.end as f64);
    if result.first_difference.is_none() && run.end != task.end {
        result.first_difference = Some(format!("the run ends at cycle {}, here {}", task.end, run.end));
    }
    Ok(result)
}

/// Every place in a trace exists, so that what can go wrong is that nothing moves any more.
fn refused(trace: &GoldenFile, error: &StreamError) -> ValidateError {
    trace.wrong(error.to_string(), "the simulator would run this trace for ever: take it out of the folder")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_every_golden_run_exact() {
        let outcome = Golden.run(&Options::default()).unwrap();
        assert!(outcome.passed, "{:#?}", outcome.notes);
        assert_eq!(outcome.exact_cases(), 53);
    }

    #[test]
    fn is_the_compiled_folder_the_whole_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(shipped::FOLDER);
        let mut names: Vec<String> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        let mut shipped: Vec<&str> = shipped::FILES.iter().map(|(name, _)| *name).collect();
        shipped.sort_unstable();
        assert_eq!(names, shipped);
    }

    #[test]
    fn is_a_wrong_end_found() {
        let folder = Folder::read(None).unwrap();
        let mut task = tasks(&folder).unwrap().swap_remove(0);
        assert!(compare(&task).unwrap().is_exact());
        task.end += 1;
        let difference = compare(&task).unwrap().first_difference.unwrap();
        assert_eq!(difference, "the run ends at cycle 274, here 273");
    }
}
