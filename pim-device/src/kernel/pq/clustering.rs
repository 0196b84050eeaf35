//! Clustering of prompts.
//!
//! ```text
//! kv-write   K and V from the external interface, ordinary writes
//! init       first centroids: K tokens of the prompt; exact tokens to their row
//! dc         for each block of tokens: distances to all centroids to the buffer die, indices of the least back
//! weights    importance of each token, before the first cc
//! cc         weighted sums for each centroid; reciprocals of the sums of weights; new centroids
//! dc, cc     as often as there are iterations
//! ```
//! Assignment (CA) takes no time of its own: the BufferPE compares distances as they arrive, and the indices of a block go back
//! while the next block is read. A bank's tokens lie side by side, d/m elements of each, so that a granule of 32 B has several
//! tokens. *Assumption*: the GPU sends K and V in that order, so that writes fill whole granules.
//!
//! Centroids are sums over tokens that an index chooses, another one in each bank. An all-bank activation opens the same row
//! in every bank; so the sums (K d/m elements, and K sums of weights) take several rows, and every token visits each of
//! them: the granule of its centroid is read, added to and written back, or left as it is where the centroid lies in another
//! row. The next token may be of the same centroid and waits for that. AQPIM does not say how it scatters.

use super::attention::{self, Wave};
use super::build::Build;
use super::layout::Layout;
use super::{Phase, PqError, PqUnit, in_bank};
use crate::command::Command;
use crate::device::{DeviceSpec, PqReduction};
use crate::kernel::ordinary;
use crate::kernel::rows::repeat;
use crate::program::{Instruction, Program};

/// The most elements of a sub-vector: those of K's codebook that make a granule of distances lie in one row.
fn check(layout: &Layout) -> Result<(), PqError> {
    let most = layout.columns;
    if layout.elements > most {
        return Err(PqError::Figure { figure: "elements of a sub-vector", value: layout.elements, least: 1, most });
    }
    Ok(())
}

pub(super) fn phases(
    device: &DeviceSpec,
    layout: &Layout,
    units: &[PqUnit],
    iterations: u32,
) -> Result<Vec<Phase>, PqError> {
    check(layout)?;
    let units: Vec<PqUnit> = units.iter().map(|unit| PqUnit { query_heads: 1, ..*unit }).collect();
    let waves = attention::waves(layout, &units)?;
    let mut prompts = Vec::new();
    let mut row = waves.last().map_or(0, |wave| wave.map.end);
    for wave in &waves {
        let tokens = wave.map.books.iter().sum::<u64>() + wave.map.exact;
        let side = layout.raw_side_rows(tokens);
        let values = if layout.sides == 2 { row + side } else { row };
        prompts.push(Prompt { wave, tokens, keys: row, values, weights: values + side });
        row += layout.raw_rows(tokens);
    }
    layout.check_rows(row)?;
    if waves.is_empty() {
        return Ok(Vec::new());
    }
    let assembled = |each: &dyn Fn(&mut Build<'_>, &Prompt<'_>)| {
        let mut build = Build::new(layout);
        for prompt in &prompts {
            each(&mut build, prompt);
        }
        let (rows, moves) = build.end();
        Program::assembled(device, rows, moves)
    };
    let mut phases = vec![Phase { kind: "kv-write", program: kv_write(device, layout, &prompts) }];
    let coded = prompts.iter().any(|prompt| !prompt.wave.map.books.is_empty());
    phases.push(Phase { kind: "init", program: assembled(&init) });
    for iteration in 0..if coded { iterations } else { 0 } {
        let last = iteration + 1 == iterations;
        phases.push(Phase { kind: "dc", program: assembled(&|build, prompt| distances(build, prompt, last)) });
        if iteration == 0 {
            phases.push(Phase { kind: "weights", program: assembled(&weights) });
        }
        phases.push(Phase { kind: "cc", program: assembled(&|build, prompt| centroids(build, prompt, last)) });
    }
    Ok(phases)
}

/// A wave with the rows of its prompt.
struct Prompt<'w> {
    wave: &'w Wave,
    tokens: u64,
    keys: u64,
    values: u64,
    weights: u64,
}

impl Prompt<'_> {
    /// First raw row, first codebook row as clustering has it, and first index row of each side and codebook, with its tokens.
    /// K and V at once where they lie apart.
    fn sides(&self, layout: &Layout) -> Vec<Side> {
        let books = self.wave.map.books.len();
        let mut sides = Vec::new();
        let (mut before, mut offset) = (0_u64, 0);
        for book in 0..books {
            let tokens = self.wave.map.books[book];
            let (keys, values) = (self.wave.map.codebooks[book], self.wave.map.indices[book]);
            let side = |raw: u64, codebook: u64, indices: u64, turned| Side {
                raw: raw + offset,
                codebook,
                indices,
                weights: self.weights + before.div_ceil(u64::from(layout.granule * layout.columns)),
                tokens,
                turned,
            };
            let turned = layout.scratch() + u64::from(layout.book_rows() + 1);
            sides.push(side(self.keys, keys.0, values.0, None));
            if layout.sides == 2 {
                sides.push(side(self.values, turned, values.1, Some(keys.1)));
            } else {
                // V's banks do what K's do; their codebook is turned at the end.
                if let Some(only) = sides.last_mut() {
                    only.turned = Some(keys.1);
                }
            }
            before += tokens;
            offset += layout.raw_part_rows(tokens);
        }
        sides
    }
}

/// K or V of one codebook.
#[derive(Clone, Copy)]
struct Side {
    raw: u64,
    /// Its codebook, centroid after centroid.
    codebook: u64,
    indices: u64,
    weights: u64,
    tokens: u64,
    /// Where it goes channel after channel when it is done: that of V.
    turned: Option<u64>,
}

/// K and V of all prompts over the external interface: the columns of every bank that has a sub-vector, and its tokens.
fn kv_write(device: &DeviceSpec, layout: &Layout, prompts: &[Prompt<'_>]) -> Program {
    let organisation = &device.organisation;
    let mut code = Vec::new();
    for prompt in prompts {
        let places = layout.take_sides(prompt.wave.units).places;
        let used = if layout.spans_or_several(prompt.wave.units) { organisation.pseudo_channels } else { 1 };
        let groups: Vec<u32> = (0..places)
            .flat_map(|place| (0..used).map(move |half| place * organisation.pseudo_channels + half))
            .collect();
        let sides: &[u64] = if layout.sides == 2 { &[prompt.keys, prompt.values] } else { &[prompt.keys] };
        let raw = layout.raw();
        let in_row = if raw.rows > 1 { layout.columns } else { raw.blocks * raw.columns };
        for &first in sides {
            let mut row = first;
            for part in layout.raw_parts(prompt.tokens) {
                let all = layout.exact_columns(part);
                let (whole, rest) = (all / u64::from(in_row), all % u64::from(in_row));
                let mut write =
                    |rows, columns| ordinary::rows(organisation, &groups, Command::Wr, rows, columns, &mut code);
                write((row as u32, whole), u64::from(in_row));
                write((row as u32 + whole as u32, 1), rest);
                row += all.div_ceil(u64::from(in_row));
            }
        }
    }
    Program::assembled(device, code, Vec::new())
}

/// First centroids: every (tokens / K)th token of a codebook. Then the exact tokens of the prompt.
fn init(build: &mut Build<'_>, prompt: &Prompt<'_>) {
    let layout = build.layout;
    let raw = layout.raw();
    for side in prompt.sides(layout) {
        let each = u64::from(layout.elements);
        let centroids = u64::from(layout.shape.centroids);
        // Registers of centroids that are written at once.
        let together = (u64::from(layout.figures.register_file * layout.granule) / each).max(1);
        let mut done = 0;
        while done < centroids {
            let here = together.min(centroids - done);
            for centroid in done..done + here {
                let token = u128::from(centroid) * u128::from(side.tokens) / u128::from(centroids);
                let block = token as u64 / u64::from(raw.tokens);
                let row = side.raw + block / u64::from(raw.blocks) * u64::from(raw.rows);
                build.columns(Command::RdReg, build.column_of(row), each.div_ceil(u64::from(layout.granule)), 0);
            }
            let (from, to) = (done * each, ((done + here) * each).div_ceil(u64::from(layout.granule)));
            let from = from / u64::from(layout.granule);
            build.columns(Command::WrReg, build.column_of(side.codebook) + from, to - from, 0);
            done += here;
        }
        build.close();
    }
    let exact = layout.exact_columns(prompt.wave.map.exact);
    let rows = layout.raw_side_rows(prompt.tokens) - layout.raw_part_rows(prompt.wave.map.exact);
    let sides: &[u64] = if layout.sides == 2 { &[prompt.keys, prompt.values] } else { &[prompt.keys] };
    for (side, &first) in sides.iter().enumerate() {
        let from = build.column_of(first + rows);
        let to = build.column_of(prompt.wave.map.exact_row) + side as u64 * exact;
        let mut done = 0;
        while done < exact {
            let here = u64::from(layout.figures.register_file).min(exact - done);
            build.columns(Command::RdReg, from + done, here, 0);
            build.columns(Command::WrReg, to + done, here, 0);
            done += here;
        }
        build.close();
    }
}

/// Goes over the blocks of a side, in the order of its tokens: `block(build, tokens, row of indices, granules before, row of
/// weights)` with all rows closed and the row register at the block's row; it has to leave the register there.
fn over_blocks(build: &mut Build<'_>, side: &Side, mut block: impl FnMut(&mut Build<'_>, &Block)) {
    let layout = build.layout;
    let raw = layout.raw();
    let (columns, tokens) = (u64::from(layout.columns), u64::from(raw.tokens));
    let granules = tokens / u64::from(layout.indices);
    // Iterations are alike while their indices lie in one row. Where a row is not filled by whole iterations, the last one
    // of a row counts as in it.
    let in_iteration = u64::from(raw.blocks);
    let iterations = (columns / (granules * in_iteration)).max(1);
    build.close();
    build.rows.push(Instruction::Row(side.raw as u32));
    let mut done = 0;
    while done < side.tokens {
        let granule = done / u64::from(layout.indices);
        let (indices, weights) =
            (side.indices + granule / columns, side.weights + done / (u64::from(layout.granule) * columns));
        let whole = ((side.tokens - done) / (tokens * in_iteration)).min(iterations);
        build.repeated(whole, |build| {
            for at in 0..in_iteration {
                block(build, &Block { tokens, column: at as u32 * raw.columns, indices, weights });
            }
            build.rows.push(Instruction::Step(raw.rows.cast_signed()));
        });
        done += whole * tokens * in_iteration;
        if whole < iterations {
            let mut at = 0;
            while done < side.tokens {
                let here = tokens.min(side.tokens - done);
                block(build, &Block { tokens: here, column: at * raw.columns, indices, weights });
                at += 1;
                done += here;
            }
        }
    }
    build.close();
}

/// A block of tokens.
struct Block {
    tokens: u64,
    /// Its first column in the row of the row register.
    column: u32,
    /// Rows of its indices and weights.
    indices: u64,
    weights: u64,
}

impl Block {
    /// Reads the elements of `tokens` of its tokens, behind `before` others, into registers.
    fn read(&self, build: &mut Build<'_>, before: u64, tokens: u64) {
        let layout = build.layout;
        let in_row = u64::from(layout.columns);
        let from = u64::from(self.column) + layout.exact_columns(before);
        let end = u64::from(self.column) + layout.exact_columns(before + tokens);
        let (mut at, mut row) = (from, 0_i32);
        build.close();
        while at < end {
            let here = (in_row - at % in_row).min(end - at);
            let step = (at / in_row) as i32 - row;
            if step != 0 {
                build.rows.push(Instruction::Step(step));
            }
            build.rows.push(Instruction::Open(0));
            build.column(Command::RdReg, here as u32, 0);
            build.rows.push(Instruction::Close(0));
            row += step + 1;
            at += here;
        }
        if row != 0 {
            build.rows.push(Instruction::Step(-row));
        }
    }
}

/// Distances of all tokens to all centroids, and the indices of the nearest back.
///
/// Tokens of a block stay in registers while the codebook's rows pass, so that rows change once for each block.
fn distances(build: &mut Build<'_>, prompt: &Prompt<'_>, last: bool) {
    let layout = build.layout;
    let units = prompt.wave.units;
    let take = layout.take_sides(units);
    let raw = layout.raw();
    let each = u64::from(layout.elements);
    let in_row = u64::from(layout.columns);
    for side in prompt.sides(layout) {
        over_blocks(build, &side, |build, block| {
            let mut done = 0;
            while done < block.tokens {
                let piece = u64::from(raw.piece).min(block.tokens - done);
                block.read(build, done, piece);
                let columns = u64::from(layout.book_columns());
                for row in 0..columns.div_ceil(in_row) {
                    let here = in_row.min(columns - row * in_row);
                    build.goto(side.codebook + row);
                    build.looped(piece, |build| {
                        let mut made = 0;
                        while made < here {
                            let macs = each.min(here - made);
                            build.room();
                            build.column(Command::MacAb, macs as u32, 1);
                            build.made(take, 1);
                            made += macs;
                        }
                        build.buffer(u64::from(take.moves) * here.div_ceil(each));
                    });
                }
                done += piece;
            }
            build.close();
            build.wait_for_buffer();
            let granules = block.tokens.div_ceil(u64::from(layout.indices)) as u32;
            // Once more to the bank that has all indices of a token.
            let copies = if last && layout.figures.reduction == PqReduction::InBank { 2 } else { 1 };
            for _ in 0..copies {
                build.operands_of_banks(units, granules);
                build.goto(block.indices);
                build.column(Command::WrReg, granules, 0);
                build.close();
            }
        });
    }
}

/// The weights of all tokens from the external interface, the same for all banks of a unit.
fn weights(build: &mut Build<'_>, prompt: &Prompt<'_>) {
    let layout = build.layout;
    let columns = prompt.tokens.div_ceil(u64::from(layout.granule));
    let in_row = u64::from(layout.columns);
    let row = |build: &mut Build<'_>, mut columns: u64| {
        build.rows.push(Instruction::Open(0));
        while columns > 0 {
            let here = u64::from(layout.figures.register_file).min(columns) as u32;
            build.operands(Command::WrGb, here * prompt.wave.units);
            build.column(Command::WrReg, here, 0);
            columns -= u64::from(here);
        }
        build.rows.push(Instruction::Close(0));
    };
    build.close();
    build.rows.push(Instruction::Row(prompt.weights as u32));
    build.repeated(columns / in_row, |build| row(build, in_row));
    if columns % in_row > 0 {
        row(build, columns % in_row);
    }
}

/// Tokens whose elements, indices and weights the registers hold together.
fn tokens_with_weights(layout: &Layout) -> u64 {
    let needs = |tokens: u64| {
        layout.exact_columns(tokens) + layout.index_columns(tokens) + tokens.div_ceil(u64::from(layout.granule))
    };
    let most = u64::from(layout.figures.register_file);
    (1..=u64::from(layout.raw().tokens)).take_while(|&tokens| needs(tokens) <= most).last().unwrap_or(1)
}

/// New centroids; after the last iteration in their place.
fn centroids(build: &mut Build<'_>, prompt: &Prompt<'_>, last: bool) {
    let layout = build.layout;
    let units = prompt.wave.units;
    let sums = layout.scratch();
    let rows = u64::from(layout.book_rows());
    let weight_sums = sums + rows;
    let book_columns = u64::from(layout.book_columns());
    for side in prompt.sides(layout) {
        // All sums are zero.
        build.columns(Command::WrReg, build.column_of(sums), book_columns, 0);
        build.columns(Command::WrReg, build.column_of(weight_sums), u64::from(layout.table_columns()), 0);
        build.close();
        let together = tokens_with_weights(layout);
        over_blocks(build, &side, |build, block| {
            let mut done = 0;
            while done < block.tokens {
                let piece = together.min(block.tokens - done);
                block.read(build, done, piece);
                build.goto(block.indices);
                build.column(Command::RdReg, layout.index_columns(piece) as u32, 0);
                build.goto(block.weights);
                build.column(Command::RdReg, piece.div_ceil(u64::from(layout.granule)) as u32, 0);
                for row in 0..=rows {
                    build.goto(sums + row);
                    let token = [(Command::RdReg, 1), (Command::WrReg, 0)]
                        .map(|(command, queries)| Instruction::Column { command, count: 1, queries });
                    repeat(&mut build.rows, piece, &token);
                }
                build.close();
                done += piece;
            }
        });
        average(build, units, (sums, weight_sums), side.codebook);
        if let Some(turned) = side.turned.filter(|_| last) {
            turn(build, side.codebook, turned);
            if layout.figures.reduction == PqReduction::InBank {
                // Every bank needs the codebooks of all sub-vectors.
                for channel in 0..layout.elements {
                    let own = turned + u64::from(channel);
                    in_bank::share(build, units, own, own + u64::from(layout.elements), layout.elements);
                }
            }
        }
    }
}

/// Sums divided by the sums of their weights: reciprocals from the BufferPE, products by the PEs.
fn average(build: &mut Build<'_>, units: u32, (sums, weight_sums): (u64, u64), codebook: u64) {
    let layout = build.layout;
    let take = layout.take_sides(units);
    let columns = layout.table_columns();
    build.goto(weight_sums);
    for _ in 0..columns {
        build.room();
        build.column(Command::RdReg, 1, 0);
        build.made(take, 1);
        build.buffer(u64::from(take.moves));
    }
    build.close();
    build.wait_for_buffer();
    let registers = u64::from(layout.figures.register_file);
    let (each, all) = (u64::from(layout.elements), u64::from(layout.book_columns()));
    let mut done = 0;
    while done < columns {
        let here = layout.figures.register_file.min(columns - done);
        build.factors_of_banks(units, here);
        let mut at = (u64::from(done) * each).min(all);
        let end = (u64::from(done + here) * each).min(all);
        while at < end {
            let now = registers.min(end - at);
            build.columns(Command::RdReg, build.column_of(sums) + at, now, 1);
            build.columns(Command::WrReg, build.column_of(codebook) + at, now, 0);
            at += now;
        }
        build.used();
        build.close();
        done += here;
    }
}

/// Turns a codebook from centroid after centroid to channel after channel: a look-up gathers the elements of one channel.
fn turn(build: &mut Build<'_>, from: u64, to: u64) {
    let layout = build.layout;
    let lookups = layout.figures.lookups_per_column;
    // Centroids of a row.
    let in_row = (layout.columns * layout.granule / layout.elements).max(1);
    for channel in 0..layout.elements {
        let target = build.column_of(to + u64::from(channel));
        let (mut done, mut held) = (0, 0);
        let mut written = 0;
        while done < layout.shape.centroids {
            // As many as the row and the registers still take.
            let room = layout.figures.register_file * layout.granule - held;
            let here = (in_row - done % in_row).min(layout.shape.centroids - done).min(room);
            build.goto(from + u64::from(done / in_row));
            build.column(Command::Ret, here.div_ceil(lookups), 0);
            done += here;
            held += here;
            if held == layout.figures.register_file * layout.granule || done == layout.shape.centroids {
                let granules = u64::from(held.div_ceil(layout.granule));
                build.columns(Command::WrReg, target + written, granules, 0);
                written += granules;
                held = 0;
            }
        }
    }
    build.close();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::pq::PqShape;

    #[test]
    fn a_block_fills_granules_of_indices() {
        let device = crate::device::hbm3_aqpim::device();
        let layout = Layout::new(&device, &PqShape::aqpim(128)).unwrap();
        let raw = layout.raw();
        // 16 registers hold 64 tokens of 4 elements; 56 fill two granules of 28 indices.
        assert_eq!((raw.tokens, raw.piece, raw.columns, raw.blocks, raw.rows), (56, 56, 14, 2, 1));
        // 11 columns of elements, 2 of indices, 3 of weights.
        assert_eq!(tokens_with_weights(&layout), 44);
    }
}
