//! Suite `attacc-attention`: cycles and commands of AttAcc's attention kernel, by mode, shape and power limit.

use pim_device::controller::fifo_pim::{FifoPim, Run, Setup};
use pim_device::timing::hbm3;
use pim_device::{Command, PowerLimit};

use super::super::error::ValidateError;
use super::super::outcome::{Case, Outcome};
use super::super::table::{Row, Table};
use super::super::{Options, Suite};
use super::ORGANISATION;
use super::workload::{Mode, Shape, Trace};

const SHIPPED: &str = include_str!("../../../validation/attacc/attention_cycles.csv");
const SHIPPED_PATH: &str = "validation/attacc/attention_cycles.csv";

/// What a row asks for.
const SHAPE: [&str; 7] = ["mode", "power_constraint", "seqlen", "dhead", "nhead", "dbyte", "cycles"];

/// Requests of all channels.
const REQUESTS: [(&str, Option<Command>); 5] = [
    // The MAC of the row's mode.
    ("req_mac", None),
    ("req_wrgb", Some(Command::WrGb)),
    ("req_mvsb", Some(Command::MvSb)),
    ("req_mvgb", Some(Command::MvGb)),
    ("req_sfm", Some(Command::Sfm)),
];

/// Commands of channel 0.
const COMMANDS: [(&str, Command); 14] = [
    ("ch0_PREA", Command::PreA),
    ("ch0_PRESB", Command::PreSb),
    ("ch0_PREPB", Command::PrePb),
    ("ch0_REFab", Command::RefAb),
    ("ch0_ACTAB", Command::ActAb),
    ("ch0_ACTSB", Command::ActSb),
    ("ch0_ACTPB", Command::ActPb),
    ("ch0_MACAB", Command::MacAb),
    ("ch0_MACSB", Command::MacSb),
    ("ch0_MACPB", Command::MacPb),
    ("ch0_WRGB", Command::WrGb),
    ("ch0_MVSB", Command::MvSb),
    ("ch0_MVGB", Command::MvGb),
    ("ch0_SFM", Command::Sfm),
];

/// The longest sequence, the largest head and the most heads that are simulated.
const MOST: [(&str, u64); 3] = [("seqlen", 1 << 21), ("dhead", 1 << 12), ("nhead", 1 << 14)];

/// The most MACs of a channel that are simulated: a minute or so.
const MOST_MACS: u64 = 1 << 26;

/// The suite.
#[derive(Clone, Copy, Debug)]
pub struct Attention;

impl Suite for Attention {
    fn name(&self) -> &'static str {
        "attacc-attention"
    }

    fn about(&self) -> &'static str {
        "rule set `attacc` against cycles and command counts of the AttAcc simulator's attention kernels"
    }

    fn run(&self, options: &Options) -> Result<Outcome, ValidateError> {
        let required: Vec<&str> =
            SHAPE.iter().copied().chain(REQUESTS.map(|(name, _)| name)).chain(COMMANDS.map(|(name, _)| name)).collect();
        let table = match &options.reference {
            Some(path) => Table::read(path, &required)?,
            None => Table::parse(SHIPPED_PATH, SHIPPED.as_bytes(), &required)?,
        };
        validate(self.name(), &table)
    }
}

/// One row, understood.
#[derive(Debug)]
struct Kernel<'a> {
    row: &'a Row,
    mode: Mode,
    power: PowerLimit,
    trace: Trace,
    /// Cycles, then the counts in the order of [`REQUESTS`] and [`COMMANDS`].
    expected: Vec<u64>,
}

fn whole(table: &Table, row: &Row, column: &str) -> Result<u64, ValidateError> {
    let text = table.text(row, column);
    text.parse().map_err(|_| {
        let problem = format!("`{column}` is \"{text}\", which is not a whole number");
        table.wrong(row, column, 0, problem, "write a whole number")
    })
}

fn size(table: &Table, row: &Row, (column, most): (&str, u64)) -> Result<u64, ValidateError> {
    let number = whole(table, row, column)?;
    if number == 0 || number > most {
        let problem = format!("`{column}` is {number}");
        return Err(table.wrong(row, column, 0, problem, format!("write 1 to {most}")));
    }
    Ok(number)
}

fn read<'a>(table: &'a Table, row: &'a Row) -> Result<Kernel<'a>, ValidateError> {
    let name = table.text(row, "mode");
    let Some((_, mode)) = Mode::NAMES.into_iter().find(|(known, _)| *known == name) else {
        let names = Mode::NAMES.map(|(name, _)| name).join(", ");
        return Err(table.wrong(row, "mode", 0, format!("there is no mode `{name}`"), format!("there are: {names}")));
    };
    let power = match whole(table, row, "power_constraint")? {
        0 => PowerLimit::Off,
        1 => PowerLimit::On,
        other => {
            let problem = format!("`power_constraint` is {other}");
            return Err(table.wrong(row, "power_constraint", 0, problem, "write 1 with the power limit, 0 without"));
        }
    };
    let [tokens, head_dimension, heads] = MOST.map(|column| size(table, row, column));
    let element = whole(table, row, "dbyte")?;
    if ![1, 2, 4].contains(&element) {
        let problem = format!("`dbyte` is {element}");
        return Err(table.wrong(row, "dbyte", 0, problem, "write the bytes of an element: 1, 2 or 4"));
    }
    let shape = Shape { mode, tokens: tokens?, head_dimension: head_dimension?, heads: heads?, element };
    let too_large = |problem: String| table.wrong(row, "seqlen", 0, problem, "write a shorter sequence or fewer heads");
    if shape.macs() > MOST_MACS {
        return Err(too_large(format!("the kernel has {} MACs on a channel", shape.macs())));
    }
    let trace = Trace::new(&shape).ok_or_else(|| too_large("the addresses of K and V leave the channel".to_owned()))?;
    let counts = REQUESTS.iter().map(|(name, _)| *name).chain(COMMANDS.iter().map(|(name, _)| *name));
    let expected: Result<Vec<u64>, _> =
        std::iter::once("cycles").chain(counts).map(|column| whole(table, row, column)).collect();
    Ok(Kernel { row, mode, power, trace, expected: expected? })
}

/// Cycles, then the counts in the order of [`REQUESTS`] and [`COMMANDS`].
fn figures(kernel: &Kernel<'_>, run: &Run) -> Vec<u64> {
    let requests = REQUESTS.iter().map(|(_, command)| kernel.trace.count(command.unwrap_or(kernel.mode.mac())));
    let commands = COMMANDS.iter().map(|(_, command)| run.channels.first().map_or(0, |first| first.commands[*command]));
    std::iter::once(run.end).chain(requests).chain(commands).collect()
}

/// Reads every row before any of them is simulated.
fn validate(suite: &str, table: &Table) -> Result<Outcome, ValidateError> {
    let kernels: Result<Vec<Kernel<'_>>, _> = table.rows().iter().map(|row| read(table, row)).collect();
    let controllers = [PowerLimit::Off, PowerLimit::On].map(|power| {
        let timing = hbm3::gbps_5_2(power);
        FifoPim::new(&Setup::attacc(ORGANISATION, &timing))
    });
    let mut cases = Vec::new();
    let (mut issued, mut simulated) = (0, 0);
    for kernel in kernels? {
        let run = controllers[usize::from(kernel.power == PowerLimit::On)]
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|controller| controller.run_split(kernel.trace.splits(), kernel.trace.fans()))
            .map_err(|error| table.wrong(kernel.row, "mode", 0, error.to_string(), "please report this row"))?;
        issued += run.commands();
        simulated += run.simulated_commands;
        let ours = figures(&kernel, &run);
        let names =
            std::iter::once("cycles").chain(REQUESTS.map(|(name, _)| name)).chain(COMMANDS.map(|(name, _)| name));
        let differing: Vec<String> = names
            .zip(kernel.expected.iter().zip(&ours))
            .filter(|(_, (expected, ours))| expected != ours)
            .map(|(name, (expected, ours))| format!("{name} {expected}, here {ours}"))
            .collect();
        cases.push(Case {
            line: kernel.row.line(),
            row: kernel.row.fields(),
            reference: kernel.expected[0] as f64,
            ours: run.end as f64,
            exact: differing.is_empty(),
            extra: vec![
                run.simulated.to_string(),
                run.simulated_commands.to_string(),
                run.commands().to_string(),
                differing.join("; "),
            ],
        });
    }
    let exact = cases.iter().filter(|case| case.exact).count();
    let mut notes = vec![
        format!(
            "{exact} of {} rows equal in cycles and in all {} counts",
            cases.len(),
            REQUESTS.len() + COMMANDS.len()
        ),
        format!("{issued} commands, of which {simulated} were simulated: channels that are equal are simulated once"),
    ];
    let broken = cases.iter().filter(|case| !case.exact).take(10);
    notes.extend(broken.map(|case| format!("line {}: {}", case.line, case.extra.last().map_or("", String::as_str))));
    let count = |name: &str, value: usize| (name.to_owned(), value as f64);
    Ok(Outcome {
        suite: suite.to_owned(),
        reference: table.name().to_owned(),
        columns: table.columns().to_vec(),
        extra_columns: ["simulated_channels", "simulated_commands", "commands", "differences"]
            .map(str::to_owned)
            .to_vec(),
        bound: vec![count("exact_rows", cases.len())],
        found: vec![count("exact_rows", exact)],
        passed: exact == cases.len(),
        cases,
        notes,
        ..Outcome::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_table(text: &str) -> Result<Outcome, ValidateError> {
        validate("attacc-attention", &Table::parse("t.csv", text.as_bytes(), &SHAPE)?)
    }

    /// The shipped table with its header and the rows that `keep` says.
    fn shipped(keep: impl Fn(usize, &str) -> bool) -> String {
        let rows = SHIPPED.lines().enumerate().filter(|(line, row)| *line == 0 || keep(*line, row));
        rows.flat_map(|(_, row)| [row, "\n"]).collect()
    }

    #[test]
    fn is_every_row_exact() {
        let outcome = Attention.run(&Options::default()).unwrap();
        assert!(outcome.passed, "{:#?}", outcome.notes);
        assert_eq!((outcome.exact(), outcome.cases.len()), (205, 205));
    }

    #[test]
    fn is_a_row_with_another_count_found() {
        let text = shipped(|line, _| line == 1).replace(",8,1\n", ",8,2\n");
        let outcome = run_table(&text).unwrap();
        assert!(!outcome.passed);
        assert_eq!(outcome.cases[0].extra.last().unwrap(), "ch0_SFM 2, here 1");
    }

    #[track_caller]
    fn check_refused(from: &str, to: &str, message: &str) {
        let text = shipped(|line, _| line == 1);
        assert!(text.contains(from));
        let error = run_table(&text.replace(from, to)).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert!(error.is_input() && !error.remedy().is_empty());
    }

    #[test]
    fn are_bad_rows_refused_with_their_place() {
        check_refused("\nbank,1,", "\nrank,1,", "t.csv:2:1: there is no mode `rank`");
        check_refused("\nbank,1,", "\nbank,2,", "t.csv:2:6: `power_constraint` is 2");
        check_refused(",128,64,1,2,", ",0,64,1,2,", "t.csv:2:8: `seqlen` is 0");
        check_refused(",128,64,1,2,", ",128,64,99999,2,", "t.csv:2:15: `nhead` is 99999");
        check_refused(",128,64,1,2,", ",128,64,1,3,", "t.csv:2:17: `dbyte` is 3");
        check_refused(",165,", ",many,", "t.csv:2:19: `cycles` is \"many\", which is not a whole number");
        let large = "t.csv:2:8: the kernel has 1099511627776 MACs on a channel";
        check_refused("\nbank,1,128,64,1,2,", "\nbuffer,1,2097152,4096,16384,4,", &large.replace(":8", ":10"));
    }
}
