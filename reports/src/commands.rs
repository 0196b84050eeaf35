//! commands.csv: every command of the PIM channels, where it was asked for.
//!
//! Rows are ordered by actor, job and cycle within each (point, system); `actor_index` and `number` name the job in
//! spans.csv that a command belongs to. What channels do together is one row.

use std::io::{self, Write};

use csv::Writer;
use sim_core::{SpanId, Time};

use crate::text::actor_name;

/// The columns, in order. `cycle` is of the channel's clock, `time_ps` its edge; `column` counts granules of the row.
pub const COLUMNS: [&str; 16] = [
    "point",
    "system",
    "actor",
    "actor_index",
    "number",
    "cycle",
    "time_ps",
    "command",
    "channels",
    "pseudo_channel",
    "rank",
    "bank_group",
    "bank",
    "row",
    "column",
    "mode",
];

/// Where a command goes, as far as it is about one of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Pseudo-channel of the channel.
    pub pseudo_channel: Option<u8>,
    /// Rank of the channel or pseudo-channel.
    pub rank: Option<u8>,
    /// Bank group of the rank.
    pub bank_group: Option<u8>,
    /// Bank of the bank group.
    pub bank: Option<u8>,
    /// Row of the bank.
    pub row: Option<u32>,
    /// Granule of the row.
    pub column: Option<u16>,
}

/// A command that a channel issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandRow {
    /// The job that it belongs to.
    pub span: SpanId,
    /// The cycle of the channel's clock.
    pub cycle: u64,
    /// When that is.
    pub at: Time,
    /// Its mnemonic.
    pub command: &'static str,
    /// The channels that issue it: a place in [`Commands::channels`].
    pub channels: u32,
    /// Where it goes.
    pub place: Place,
    /// The mode of its rank, of devices whose ranks have modes; or nothing.
    pub mode: &'static str,
}

/// The commands of a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// Ordered by actor, job and cycle.
    pub rows: Vec<CommandRow>,
    /// Sets of channels, as they are written: see [`ranges`].
    pub channels: Vec<String>,
    /// How many more there were than are kept.
    pub left_out: u64,
}

/// Ascending numbers as ranges: `0-7 12`.
///
/// ```
/// assert_eq!(reports::commands::ranges(&[0, 1, 2, 3, 12]), "0-3 12");
/// assert_eq!(reports::commands::ranges(&[]), "");
/// ```
pub fn ranges(numbers: &[u32]) -> String {
    let mut all: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match all.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => all.push((number, number)),
        }
    }
    let text = |&(first, last): &(u32, u32)| if first == last { first.to_string() } else { format!("{first}-{last}") };
    all.iter().map(text).collect::<Vec<_>>().join(" ")
}

/// Writes commands.csv system by system.
#[derive(Debug)]
pub struct CommandWriter<W: Write> {
    rows: Writer<W>,
}

impl<W: Write> CommandWriter<W> {
    /// Writes the header.
    pub fn new(out: W) -> io::Result<Self> {
        let mut rows = Writer::from_writer(out);
        rows.write_record(COLUMNS)?;
        Ok(Self { rows })
    }

    /// Writes the commands of one system; `point` as in spans.csv.
    pub fn system(&mut self, point: &str, system: &str, actors: &[String], commands: &Commands) -> io::Result<()> {
        for row in &commands.rows {
            let index = row.span.actor.index();
            self.rows.write_field(point)?;
            self.rows.write_field(system)?;
            self.rows.write_field(actor_name(actors, index))?;
            for number in [index as u64, row.span.number.into(), row.cycle, row.at.ps()] {
                self.rows.write_field(number.to_string())?;
            }
            self.rows.write_field(row.command)?;
            let channels = commands.channels.get(row.channels as usize).map_or("", String::as_str);
            self.rows.write_field(channels)?;
            let Place { pseudo_channel, rank, bank_group, bank, row: line, column } = row.place;
            let levels = [pseudo_channel, rank, bank_group, bank].map(|level| level.map(u32::from));
            for level in levels.into_iter().chain([line, column.map(u32::from)]) {
                self.rows.write_field(level.map_or_else(String::new, |level| level.to_string()))?;
            }
            self.rows.write_field(row.mode)?;
            self.rows.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    /// Writes what is still in the buffer.
    pub fn finish(mut self) -> io::Result<()> {
        self.rows.flush()
    }
}
