//! Decode attention.
//!
//! ```text
//! rows   append | table h0, look-ups, exact scores h0 | score h1 | values h0, exact values, output | score h2 | values h1 | ..
//! moves                sums to the buffer die .. SFM0 | .. SFM1  | probabilities h0 .. output h0   | ..
//! ```
//! For every query head and codebook: the codebook of K is multiplied with the query, and the inner products are written to
//! the row of the *table*. Indices of K are read into the registers, block after block, and look the table up; what each
//! look-up brings is added over the sub-vectors on its way to the buffer die. Values go over the indices of V likewise: for
//! each block and each channel of the sub-vector, what is looked up in the codebook's row of that channel is multiplied with
//! the probabilities and added up in the PE.
//!
//! The softmax of a head runs while the next head's scores are looked up, as in [`crate::attention`].
//!
//! Assumptions: the PEs' buffers hold the probabilities of two blocks of indices (1.75 KiB of 448 tokens each); a wave's units
//! do everything in step, so that a shorter unit costs as much as the longest.

use super::build::{BUFFER, Build};
use super::layout::{Layout, Map};
use super::{PqError, PqUnit, append, in_bank};
use crate::command::Command;
use crate::device::{DeviceSpec, PqReduction, PqValues};
use crate::program::{Instruction, Program};

/// Units of a wave and its rows.
pub(super) struct Wave {
    pub(super) units: u32,
    /// Tokens of all units.
    tokens: u64,
    query_heads: u32,
    pub(super) map: Map,
}

/// Puts units in waves, the longest first.
pub(super) fn waves(layout: &Layout, units: &[PqUnit]) -> Result<Vec<Wave>, PqError> {
    let mut units: Vec<PqUnit> = units.iter().copied().filter(|unit| unit.tokens > 0 && unit.query_heads > 0).collect();
    units.sort_by_key(|unit| std::cmp::Reverse(*unit));
    // Those below the sinks are found at the end.
    if let Some(shortest) = units.last() {
        layout.coded(shortest.tokens)?;
    }
    let mut base = 0;
    let mut waves = Vec::new();
    for units in units.chunks(layout.units.max(1) as usize) {
        let longest = units.iter().map(|unit| unit.tokens).max().unwrap_or(0);
        let map = layout.map(longest, base)?;
        base = map.end;
        waves.push(Wave {
            units: units.len() as u32,
            tokens: units.iter().map(|unit| unit.tokens).sum(),
            query_heads: units.iter().map(|unit| unit.query_heads).max().unwrap_or(0),
            map,
        });
    }
    layout.check_rows(base)?;
    Ok(waves)
}

pub(super) fn program(device: &DeviceSpec, layout: &Layout, units: &[PqUnit]) -> Result<Program, PqError> {
    let waves = waves(layout, units)?;
    if waves.is_empty() {
        return Ok(Program::default());
    }
    let mut build = Build::new(layout);
    for wave in &waves {
        append::append(&mut build, wave);
    }
    // Heads of all waves in a row: the scores of one, then the values of the one before.
    let mut before: Option<(&Wave, u32)> = None;
    for wave in &waves {
        let (queries, passes) = layout.passes(wave.query_heads)?;
        for _ in 0..passes {
            score(&mut build, wave, queries);
            if let Some((wave, queries)) = before {
                values(&mut build, wave, queries);
            }
            before = Some((wave, queries));
        }
    }
    if let Some((wave, queries)) = before {
        values(&mut build, wave, queries);
    }
    let (rows, moves) = build.end();
    Ok(Program::assembled(device, rows, moves))
}

/// The scores of a pass over a wave, up to their softmax.
fn score(build: &mut Build<'_>, wave: &Wave, queries: u32) {
    let layout = build.layout;
    let query = layout.shape.head_dim.div_ceil(layout.granule);
    build.operands(Command::WrGb, query * queries * wave.units);
    for (book, &tokens) in wave.map.books.iter().enumerate() {
        let (codebook, indices) = (wave.map.codebooks[book].0, wave.map.indices[book].0);
        table(build, codebook, queries);
        if layout.figures.reduction == PqReduction::InBank {
            in_bank::score(build, wave.units, indices, tokens, queries);
            continue;
        }
        let take = layout.take_sums(wave.units);
        build.over_indices(indices, tokens, layout.figures.register_file, |build, tokens| {
            let mut moves = 0;
            for query in 0..queries {
                build.goto(layout.scratch() + u64::from(query));
                moves += look_up(build, tokens, |build, granules| build.made(take, granules)) * take.moves;
                build.close();
            }
            build.buffer(u64::from(moves));
        });
    }
    exact_scores(build, wave, queries);
    let elements = wave.tokens * u64::from(queries);
    build.moves.extend([Instruction::Softmax { elements }, Instruction::Post(BUFFER)]);
}

/// Multiplies the codebook of K with the query, and writes the inner products to the rows of the table.
fn table(build: &mut Build<'_>, codebook: u64, queries: u32) {
    let layout = build.layout;
    let book = build.column_of(codebook);
    let table = layout.scratch();
    // A register holds as many inner products as a column of the table. Each takes d/m multiply-adds, so that the lanes make
    // a register full in d/m commands.
    let most = (layout.figures.register_file / queries).max(1);
    let each = u64::from(layout.elements);
    let (all, macs) = (layout.table_columns(), u64::from(layout.book_columns()));
    let mut done = 0;
    while done < all {
        let here = most.min(all - done);
        let (from, to) = ((u64::from(done) * each).min(macs), (u64::from(done + here) * each).min(macs));
        build.columns(Command::MacAb, book + from, to - from, queries);
        for query in 0..queries {
            let row = table + u64::from(query * layout.table_rows());
            build.goto(row);
            build.column(Command::WrReg, here, 0);
        }
        done += here;
    }
    build.close();
}

/// Looks up `tokens` values in the open row; `made` is told of every group of results. Gives the granules.
pub(super) fn look_up(build: &mut Build<'_>, tokens: u64, mut made: impl FnMut(&mut Build<'_>, u32)) -> u32 {
    let layout = build.layout;
    let (group, _) = layout.group();
    let lookups = u64::from(layout.figures.lookups_per_column);
    let mut left = tokens;
    let mut granules = 0;
    while left > 0 {
        let values = left.min(lookups * u64::from(group));
        build.room();
        build.column(Command::Ret, values.div_ceil(lookups) as u32, 0);
        let full = values.div_ceil(u64::from(layout.granule)) as u32;
        made(build, full);
        granules += full;
        left -= values;
    }
    granules
}

/// Scores of the exact tokens: partial inner products of each sub-vector, added as those that are looked up.
fn exact_scores(build: &mut Build<'_>, wave: &Wave, queries: u32) {
    let layout = build.layout;
    let take = layout.take_sums(wave.units);
    let from = build.column_of(wave.map.exact_row);
    let columns = layout.exact_columns(wave.map.exact);
    let each = u64::from(layout.elements);
    let (mut done, mut moves) = (0, 0);
    while done < columns {
        let here = each.min(columns - done);
        build.room();
        build.columns(Command::MacAb, from + done, here, queries);
        build.made(take, queries);
        moves += take.moves * queries;
        done += here;
    }
    build.close();
    build.buffer(u64::from(moves));
}

/// The output of a pass over a wave.
fn values(build: &mut Build<'_>, wave: &Wave, queries: u32) {
    let layout = build.layout;
    build.moves.push(Instruction::Wait(BUFFER));
    let sums = layout.scratch();
    for (book, &tokens) in wave.map.books.iter().enumerate() {
        let (codebook, indices) = (wave.map.codebooks[book].1, wave.map.indices[book].1);
        match (layout.figures.reduction, layout.figures.values) {
            (PqReduction::InBank, _) => in_bank::values(build, wave.units, (codebook, indices), tokens, queries),
            (_, PqValues::Reconstruct) => reconstruct(build, wave.units, (codebook, indices), tokens, queries),
            (_, PqValues::Accumulate) => {
                for _ in 0..queries {
                    accumulate(build, wave.units, (codebook, indices), tokens, sums);
                }
            }
        }
    }
    exact_values(build, wave, queries);
    // An element of each channel of the sub-vector, or of all where tokens are split over banks.
    let output = match layout.figures.reduction {
        PqReduction::InBank => layout.shape.head_dim,
        _ => layout.elements,
    };
    build.room();
    let take = layout.take_all(wave.units);
    let granules = output.div_ceil(layout.granule) * queries;
    build.made(take, granules);
    build.close();
    if layout.figures.reduction == PqReduction::InBank {
        build.buffer(u64::from(take.moves * granules));
    }
}

/// Values looked up and multiplied, block after block.
fn reconstruct(build: &mut Build<'_>, units: u32, (codebook, indices): (u64, u64), tokens: u64, queries: u32) {
    let layout = build.layout;
    let lookups = u64::from(layout.figures.lookups_per_column);
    build.over_indices(indices, tokens, layout.figures.register_file, |build, tokens| {
        build.factors(units, (tokens.div_ceil(u64::from(layout.granule)) as u32) * queries);
        for pass in 0..layout.value_passes() {
            build.goto(codebook + u64::from(pass));
            build.column(Command::Ret, tokens.div_ceil(lookups) as u32, queries);
        }
        build.used();
        build.close();
    });
}

/// Probabilities added up for each centroid in a row, then multiplied with the codebook, for one query.
///
/// Each token reads the granule of its sum and writes it back; the next may be of the same centroid, so it waits. The codebook
/// lies channel after channel, and so do the sums: a granule of sums is multiplied with a column of each channel's row.
fn accumulate(build: &mut Build<'_>, units: u32, (codebook, indices): (u64, u64), tokens: u64, sums: u64) {
    let layout = build.layout;
    let columns = layout.table_columns();
    build.goto(sums);
    build.column(Command::WrReg, columns, 0);
    build.close();
    build.over_indices(indices, tokens, layout.figures.register_file, |build, tokens| {
        build.factors(units, tokens.div_ceil(u64::from(layout.granule)) as u32);
        build.goto(sums);
        let token =
            [Command::RdReg, Command::WrReg].map(|command| Instruction::Column { command, count: 1, queries: 0 });
        crate::kernel::rows::repeat(&mut build.rows, tokens, &token);
        build.used();
        build.close();
    });
    let mut done = 0;
    while done < columns {
        let here = layout.figures.register_file.min(columns - done);
        let from = build.column_of(sums) + u64::from(done);
        build.columns(Command::RdReg, from, u64::from(here), 0);
        for channel in 0..layout.elements {
            let from = build.column_of(codebook + u64::from(channel)) + u64::from(done);
            build.columns(Command::MacAb, from, u64::from(here), 1);
        }
        done += here;
    }
    build.close();
}

/// The exact tokens' share of the output; the last row stays open.
fn exact_values(build: &mut Build<'_>, wave: &Wave, queries: u32) {
    let layout = build.layout;
    let columns = layout.exact_columns(wave.map.exact);
    // Behind K in the same rows; in banks of its own at the same columns where K and V lie apart.
    let behind = if layout.sides == 1 { 0 } else { columns };
    let from = build.column_of(wave.map.exact_row) + behind;
    let block = u64::from(layout.figures.register_file) * u64::from(layout.indices);
    let (mut done, mut left) = (0, wave.map.exact);
    while left > 0 {
        let tokens = left.min(block);
        build.factors(wave.units, tokens.div_ceil(u64::from(layout.granule)) as u32 * queries);
        let here = layout.exact_columns(tokens).min(columns - done);
        build.columns(Command::MacAb, from + done, here, queries);
        build.used();
        done += here;
        left -= tokens;
    }
}
