//! TurboQuant (its form for the mean squared error) in a simplified form: rotate, then round to a codebook for Gaussians.
//!
//! Source of the method: Zandieh, Daliri, Hadian, Mirrokni, "TurboQuant: online vector quantization with near-optimal
//! distortion rate", arXiv 2504.19874. Simplified, hence "like": the rotation is random signs and a Hadamard matrix.

use half::f16;
use sim_core::random::draw;

use super::attention::{Workspace, decoded};
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Parameters, Prefill, Work, fp16};
use crate::product;

/// The positive half of the Lloyd-Max codebooks of the standard normal distribution for 1 to 4 bits (Max, "Quantizing for
/// minimum distortion", IRE Transactions on Information Theory 1960, table I).
const CODEBOOKS: [&[f32]; 4] = [
    &[0.797_884_6],
    &[0.452_780_04, 1.510_417_6],
    &[0.2451, 0.7560, 1.3439, 2.1520],
    &[0.1284, 0.3881, 0.6568, 0.9424, 1.2562, 1.6180, 2.0690, 2.7326],
];

/// Each key and value is rotated, divided by its norm (kept in FP16) and rounded element by element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurboquantLike {
    /// Bits of an element, 1 to 4.
    pub bits: u32,
    /// Seed of the signs.
    pub seed: u32,
}

impl TurboquantLike {
    /// 4 bits.
    pub const DEFAULT: Self = Self { bits: 4, seed: 1 };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let Self { bits, seed } = Self::DEFAULT;
        Ok(Box::new(Self {
            bits: parameters.number("bits", bits, 1..=4)?,
            seed: parameters.number("seed", seed, 0..=u32::MAX)?,
        }))
    }

    /// The signs of the rotation, one for each channel.
    fn signs(self, head_dim: usize) -> Vec<f32> {
        (0..head_dim as u64).map(|i| if draw(u64::from(self.seed), 0, i) & 1 == 0 { 1.0 } else { -1.0 }).collect()
    }

    /// [`Codec::encode`] with the signs (1 or -1 for each channel) of somebody else's rotation.
    ///
    /// # Errors
    /// [`CodecError::Shape`] where `head_dim` is no power of two or the number of signs is another.
    pub fn encode_with(&self, prefill: &Prefill<'_>, signs: &[f32]) -> Result<Box<dyn EncodedHead>, CodecError> {
        let head_dim = prefill.head_dim;
        if !head_dim.is_power_of_two() || signs.len() != head_dim {
            let problem = format!("a head of {head_dim} elements, and {} signs", signs.len());
            return Err(CodecError::shape(self, problem, "a Hadamard matrix has a power of two of rows"));
        }
        let half = CODEBOOKS[self.bits as usize - 1];
        let codebook: Vec<f32> = half.iter().rev().map(|level| -level).chain(half.iter().copied()).collect();
        let side = || Rotated { codes: Vec::new(), norms: Vec::new() };
        let mut head =
            TurboquantHead { bits: self.bits, signs: signs.to_vec(), codebook, keys: side(), values: side() };
        for (key, value) in prefill.keys.chunks_exact(head_dim).zip(prefill.values.chunks_exact(head_dim)) {
            head.append(key, value);
        }
        Ok(Box::new(head))
    }
}

/// The product with the Hadamard matrix in its natural order, without its factor.
fn hadamard(row: &mut [f32]) {
    let mut half = 1;
    while half < row.len() {
        for pair in row.chunks_exact_mut(2 * half) {
            let (a, b) = pair.split_at_mut(half);
            for (a, b) in a.iter_mut().zip(b) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
}

impl Codec for TurboquantLike {
    fn name(&self) -> &'static str {
        "turboquant-like"
    }

    fn summary(&self) -> &'static str {
        "random rotation, norm, codebook for Gaussians (simplified TurboQuant)"
    }

    fn parameters(&self) -> String {
        format!("bits={},seed={}", self.bits, self.seed)
    }

    fn bits_per_token(&self, head: HeadShape) -> u64 {
        product(&[2, u64::from(head.head_dim), u64::from(self.bits)]).saturating_add(32)
    }

    fn fixed_bytes(&self, _head: HeadShape, _tokens: u64) -> u64 {
        0
    }

    /// Rotation (d log2 d), norm, scaling and comparisons of each vector.
    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        let d = u64::from(head.head_dim);
        let each = product(&[d, u64::from(d.max(1).ilog2()) + 4]);
        Work::near(CodecCost {
            flops: product(&[2, tokens, each]),
            adds: product(&[2, tokens, d, u64::from(self.bits)]),
            read_bytes: fp16::bytes(head, tokens),
            write_bytes: self.stored_bytes(head, tokens),
            ..CodecCost::default()
        })
    }

    /// The query and the output are rotated once, 2 d log2 d each; one look-up for each element.
    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        let (d, g) = (u64::from(head.head_dim), u64::from(head.query_heads));
        let rotate = product(&[4, g, d, u64::from(d.max(1).ilog2())]);
        Work::near(CodecCost {
            flops: fp16::attention_flops(head, tokens).saturating_add(rotate),
            lookups: product(&[2, tokens, d]),
            read_bytes: self.stored_bytes(head, tokens),
            ..CodecCost::default()
        })
    }

    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        self.prefill(head, 1)
    }

    fn check(&self, _tokens: usize, head_dim: usize) -> Result<(), CodecError> {
        if head_dim.is_power_of_two() {
            return Ok(());
        }
        let problem = format!("a head of {head_dim} elements, which is no power of two");
        Err(CodecError::shape(self, problem, "a Hadamard matrix has a power of two of rows: take another codec"))
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        self.encode_with(prefill, &self.signs(prefill.head_dim))
    }
}

#[derive(Debug)]
struct Rotated {
    codes: Vec<u8>,
    norms: Vec<f16>,
}

impl Rotated {
    fn push(&mut self, row: &[f32], signs: &[f32], codebook: &[f32]) {
        let norm = f16::from_f32(row.iter().map(|x| x * x).sum::<f32>().sqrt());
        let mut turned: Vec<f32> = row.iter().zip(signs).map(|(x, sign)| x * sign).collect();
        hadamard(&mut turned);
        // The matrix's factor 1 / sqrt(d) and the scaling by sqrt(d) cancel.
        let factor = 1.0 / (norm.to_f32() + 1e-12);
        self.codes.extend(turned.iter().map(|x| {
            let element = x * factor;
            codebook.windows(2).take_while(|pair| f32::midpoint(pair[0], pair[1]) < element).count() as u8
        }));
        self.norms.push(norm);
    }

    fn decode(&self, rows: &mut [f32], signs: &[f32], codebook: &[f32]) {
        let d = signs.len();
        for ((row, codes), norm) in rows.chunks_exact_mut(d).zip(self.codes.chunks_exact(d)).zip(&self.norms) {
            // Twice 1 / sqrt(d): of the scaling and of the matrix.
            let factor = (norm.to_f32() + 1e-12) / d as f32;
            row.iter_mut().zip(codes).for_each(|(x, code)| *x = codebook[usize::from(*code)] * factor);
            hadamard(row);
            row.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
        }
    }
}

#[derive(Debug)]
struct TurboquantHead {
    bits: u32,
    signs: Vec<f32>,
    codebook: Vec<f32>,
    keys: Rotated,
    values: Rotated,
}

impl EncodedHead for TurboquantHead {
    fn tokens(&self) -> usize {
        self.keys.norms.len()
    }

    fn stored_bits(&self) -> u64 {
        let side = |side: &Rotated| side.codes.len() as u64 * u64::from(self.bits) + 16 * side.norms.len() as u64;
        side(&self.keys) + side(&self.values)
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        self.keys.decode(keys, &self.signs, &self.codebook);
        self.values.decode(values, &self.signs, &self.codebook);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        decoded((queries, scale), (self.tokens(), self.signs.len()), workspace, out, |k, v| self.decode(k, v));
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        self.keys.push(key, &self.signs, &self.codebook);
        self.values.push(value, &self.signs, &self.codebook);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_matrix_its_own_inverse_but_for_its_factor() {
        let row: Vec<f32> = (0..16).map(|i| (i * i % 7) as f32 - 3.0).collect();
        let mut twice = row.clone();
        hadamard(&mut twice);
        hadamard(&mut twice);
        assert!(twice.iter().zip(&row).all(|(a, b)| (a / 16.0 - b).abs() < 1e-5));
    }

    #[test]
    fn are_the_signs_of_a_seed_fixed_and_balanced() {
        let signs = TurboquantLike::DEFAULT.signs(4096);
        assert_eq!(signs, TurboquantLike::DEFAULT.signs(4096));
        assert!(signs.iter().sum::<f32>().abs() < 4.0 * 64.0, "within four standard deviations");
    }
}
