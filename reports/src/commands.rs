//! commands.csv: every command of the PIM channels, where it was asked for.
//!
//! Rows are ordered by actor, job and cycle within each (point, system); `actor_index` and `number` name the job in
//! spans.csv that a command belongs to. Of channels that do the same one is written.

use std::io::{self, Write};

use csv::Writer;
use sim_core::{SpanId, Time};

use crate::text::actor_name;

/// The columns, in order. `cycle` is of the channel's clock, `time_ps` its edge.
pub const COLUMNS: [&str; 13] = [
    "point",
    "system",
    "actor",
    "actor_index",
    "number",
    "cycle",
    "time_ps",
    "command",
    "pseudo_channel",
    "rank",
    "bank_group",
    "bank",
    "row",
];

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
    /// Pseudo-channel, rank, bank group, bank and row, as far as the command is about one.
    pub place: [Option<u32>; 5],
}

/// The commands of a system.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// Ordered by actor, job and cycle.
    pub rows: Vec<CommandRow>,
    /// How many more there were than are kept.
    pub left_out: u64,
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
    pub fn system(&mut self, point: &str, system: &str, actors: &[String], commands: &[CommandRow]) -> io::Result<()> {
        for row in commands {
            let index = row.span.actor.index();
            self.rows.write_field(point)?;
            self.rows.write_field(system)?;
            self.rows.write_field(actor_name(actors, index))?;
            for number in [index as u64, row.span.number.into(), row.cycle, row.at.ps()] {
                self.rows.write_field(number.to_string())?;
            }
            self.rows.write_field(row.command)?;
            for level in row.place {
                self.rows.write_field(level.map_or_else(String::new, |level| level.to_string()))?;
            }
            self.rows.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    /// Writes what is still in the buffer.
    pub fn finish(mut self) -> io::Result<()> {
        self.rows.flush()
    }
}
