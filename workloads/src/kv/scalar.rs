//! Uniform quantisation: a group of elements, its least value and a step, both in FP16.

use half::f16;

use super::{CodecCost, HeadShape, Work, fp16};
use crate::product;

/// Bits of a group's least value and step.
pub(crate) const GROUP_BITS: u64 = 32;
/// Operations to quantise an element: minimum, maximum, subtract, divide, round.
const QUANTISE_FLOPS: u64 = 5;
/// Operations to dequantise an element: multiply, add.
const DEQUANTISE_FLOPS: u64 = 2;

/// The grid of a group: `min + code * step`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Grid {
    pub(crate) min: f16,
    pub(crate) step: f16,
}

impl Grid {
    /// The grid of `levels` + 1 points from `least` to `most`. A step of zero becomes one.
    pub(crate) fn over(least: f32, most: f32, levels: f32) -> Self {
        let min = f16::from_f32(least);
        let step = f16::from_f32((most - min.to_f32()) / levels);
        Self { min, step: if step.to_f32() == 0.0 { f16::ONE } else { step } }
    }

    /// The grid over all of these elements.
    pub(crate) fn of(elements: impl Iterator<Item = f32>, levels: f32) -> Self {
        let (least, most) = elements.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        Self::over(least, most, levels)
    }

    /// The nearest point, ties to the even one.
    pub(crate) fn code(self, element: f32, levels: f32) -> u8 {
        ((element - self.min.to_f32()) / self.step.to_f32()).round_ties_even().clamp(0.0, levels) as u8
    }

    pub(crate) fn point(self, code: u8) -> f32 {
        f32::from(code) * self.step.to_f32() + self.min.to_f32()
    }
}

/// The highest code of so many bits.
pub(crate) fn levels(bits: u32) -> f32 {
    ((1_u32 << bits) - 1) as f32
}

/// Rows that are quantised in groups of neighbouring elements.
#[derive(Clone, Debug)]
pub(crate) struct GroupedRows {
    levels: f32,
    group: usize,
    codes: Vec<u8>,
    grids: Vec<Grid>,
    bits: u32,
}

impl GroupedRows {
    /// `group` divides the length of a row.
    pub(crate) fn new(bits: u32, group: usize) -> Self {
        Self { levels: levels(bits), group, codes: Vec::new(), grids: Vec::new(), bits }
    }

    /// Stores one or more rows.
    pub(crate) fn push(&mut self, rows: &[f32]) {
        self.push_clipped(rows, &[]);
    }

    /// Stores one or more rows; the range of the group i of a row is drawn together to the part `clip[i]` about its
    /// middle, where there is such a part.
    pub(crate) fn push_clipped(&mut self, rows: &[f32], clip: &[f32]) {
        for (index, group) in rows.chunks_exact(self.group).enumerate() {
            let grid = match clip.len() {
                0 => Grid::of(group.iter().copied(), self.levels),
                groups => clipped(group, clip[index % groups], self.levels),
            };
            self.grids.push(grid);
            self.codes.extend(group.iter().map(|&element| grid.code(element, self.levels)));
        }
    }

    /// The elements, row after row.
    pub(crate) fn decode(&self, rows: &mut [f32]) {
        let groups = self.codes.chunks_exact(self.group).zip(&self.grids);
        for (rows, (codes, grid)) in rows.chunks_exact_mut(self.group).zip(groups) {
            for (element, code) in rows.iter_mut().zip(codes) {
                *element = grid.point(*code);
            }
        }
    }

    pub(crate) fn elements(&self) -> usize {
        self.codes.len()
    }

    pub(crate) fn stored_bits(&self) -> u64 {
        self.codes.len() as u64 * u64::from(self.bits) + self.grids.len() as u64 * GROUP_BITS
    }
}

/// The grid of a group whose range is drawn together about its middle.
pub(crate) fn clipped(group: &[f32], part: f32, levels: f32) -> Grid {
    let (least, most) = group.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
    let (middle, half) = (0.5 * (least + most), 0.5 * (most - least) * part);
    Grid::over(middle - half, middle + half, levels)
}

/// Bits of `elements` elements in groups.
pub(crate) fn grouped_bits(elements: u64, bits: u32, group: u32) -> u64 {
    let grids = u128::from(elements) * u128::from(GROUP_BITS);
    let grids = u64::try_from(grids.div_ceil(u128::from(group.max(1)))).unwrap_or(u64::MAX);
    product(&[elements, u64::from(bits)]).saturating_add(grids)
}

/// Keys and values of `tokens` tokens.
fn elements(head: HeadShape, tokens: u64) -> u64 {
    product(&[2, u64::from(head.head_dim), tokens])
}

/// Quantises `tokens` tokens: one pass over 4 n d bytes.
pub(crate) fn quantise(head: HeadShape, tokens: u64, stored_bytes: u64) -> Work {
    Work::near(CodecCost {
        flops: product(&[QUANTISE_FLOPS, elements(head, tokens)]),
        read_bytes: fp16::bytes(head, tokens),
        write_bytes: stored_bytes,
        ..CodecCost::default()
    })
}

/// Attends to `tokens` tokens that are stored in so many bytes: 4 g n d FLOP and the dequantisation, 4 n d.
pub(crate) fn attend(head: HeadShape, tokens: u64, stored_bytes: u64) -> Work {
    let dequantise = product(&[DEQUANTISE_FLOPS, elements(head, tokens)]);
    Work::near(CodecCost {
        flops: fp16::attention_flops(head, tokens).saturating_add(dequantise),
        read_bytes: stored_bytes,
        ..CodecCost::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_ties_even_and_the_ends_on_the_grid() {
        let grid = Grid::over(0.0, 3.0, 3.0);
        assert_eq!([0.5, 1.5, 2.5, -9.0, 9.0].map(|element| grid.code(element, 3.0)), [0, 2, 2, 0, 3]);
        assert_eq!([0, 1, 2, 3].map(|code| grid.point(code).to_bits()), [0.0_f32, 1.0, 2.0, 3.0].map(f32::to_bits));
        let flat = Grid::of([5.0, 5.0].into_iter(), 15.0);
        assert_eq!((flat.code(5.0, 15.0), flat.point(0).to_bits()), (0, 5.0_f32.to_bits()));
    }

    #[test]
    fn is_the_error_at_most_half_a_step() {
        let elements: Vec<f32> = (0..256).map(|i| (i as f32 * 1.7).sin() * 3.0).collect();
        for bits in 2..=8 {
            let mut rows = GroupedRows::new(bits, 32);
            rows.push(&elements);
            let mut decoded = vec![0.0; elements.len()];
            rows.decode(&mut decoded);
            // FP16 of the least value and of the step add a little.
            let bound = 0.5 * 6.0 / levels(bits) + 0.008;
            assert!(elements.iter().zip(&decoded).all(|(a, b)| (a - b).abs() <= bound), "{bits} bits");
            assert_eq!(rows.stored_bits(), grouped_bits(256, bits, 32));
        }
    }
}
