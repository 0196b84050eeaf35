//! A step's new token, and the one that it pushes out of the window.
//!
//! K and V of the new token come as a query does; each PE writes its sub-vectors in the row of exact tokens, where the token
//! that leaves the window was. That one is quantised: its distances to all centroids go to the buffer die, for K and for V,
//! and the indices of the nearest come back and are written among the others, a granule read and written.

use super::attention::Wave;
use super::build::Build;
use crate::command::Command;
use crate::device::PqReduction;

/// Appends the newest token of every unit of a wave.
pub(super) fn append(build: &mut Build<'_>, wave: &Wave) {
    let layout = build.layout;
    let vector = layout.shape.head_dim.div_ceil(layout.granule);
    build.operands(Command::WrGb, 2 * vector * wave.units);
    let columns = layout.exact_columns(wave.map.exact);
    let granules = u64::from(layout.elements.div_ceil(layout.granule)).min(columns);
    let from = build.column_of(wave.map.exact_row);
    for side in 0..layout.sides {
        // The sub-vector shares its granule with those of other tokens.
        let place = from + u64::from(side) * columns;
        build.columns(Command::RdReg, place, granules, 0);
        build.columns(Command::WrReg, place, granules, 0);
    }
    build.close();
    let (Some(&(key, value)), Some(&(key_indices, value_indices)), Some(&tokens)) =
        (wave.map.codebooks.last(), wave.map.indices.last(), wave.map.books.last())
    else {
        return;
    };
    key_distances(build, wave.units, key);
    if layout.sides == 2 {
        value_distances(build, wave.units, value);
    }
    build.wait_for_buffer();
    // The place of the newest index.
    if layout.figures.reduction == PqReduction::InBank {
        // All sub-vectors' indices go to the bank of the token.
        let granules = layout.shape.subvectors.div_ceil(layout.indices);
        let count = 2 * granules * layout.side_by_side(wave.units);
        build.operands(Command::MvGb, count);
        let (key_rows, value_rows) = layout.index_rows(tokens);
        for row in [key_indices + key_rows, value_indices + value_rows] {
            let last = build.column_of(row - 1);
            build.columns(Command::RdReg, last, u64::from(granules.min(layout.columns)), 0);
            build.columns(Command::WrReg, last, u64::from(granules.min(layout.columns)), 0);
        }
    } else {
        build.operands_of_banks(wave.units, 1);
        let last = layout.index_columns(tokens) - 1;
        for row in [key_indices, value_indices].into_iter().take(layout.sides as usize) {
            let place = build.column_of(row) + last;
            build.columns(Command::RdReg, place, 1, 0);
            build.columns(Command::WrReg, place, 1, 0);
        }
    }
    build.close();
}

/// Distances of one vector to all centroids of a codebook that lies centroid after centroid, to the buffer die, which keeps
/// the least.
pub(super) fn key_distances(build: &mut Build<'_>, units: u32, codebook: u64) {
    let layout = build.layout;
    let take = layout.take_sides(units);
    let from = build.column_of(codebook);
    let (all, each) = (u64::from(layout.book_columns()), u64::from(layout.elements));
    let mut done = 0;
    while done < all {
        let here = each.min(all - done);
        build.room();
        build.columns(Command::MacAb, from + done, here, 1);
        build.made(take, 1);
        build.buffer(u64::from(take.moves));
        done += here;
    }
    build.close();
}

/// The same for a codebook that lies channel after channel: sums over the channels in the registers.
pub(super) fn value_distances(build: &mut Build<'_>, units: u32, codebook: u64) {
    let layout = build.layout;
    let take = layout.take_sides(units);
    let all = layout.table_columns();
    let mut done = 0;
    while done < all {
        let here = layout.figures.register_file.min(all - done);
        for channel in 0..layout.elements {
            let from = build.column_of(codebook + u64::from(channel)) + u64::from(done);
            if channel + 1 < layout.elements {
                build.columns(Command::MacAb, from, u64::from(here), 1);
                continue;
            }
            for column in 0..here {
                build.room();
                build.columns(Command::MacAb, from + u64::from(column), 1, 1);
                build.made(take, 1);
                build.buffer(u64::from(take.moves));
            }
        }
        done += here;
    }
    build.close();
}
