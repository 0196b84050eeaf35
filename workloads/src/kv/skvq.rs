//! SKVQ in a simplified form: channels reordered by range, clipped groups for each token, window and sinks exact.
//!
//! Source of the method: Duanmu, Yuan, Li, Duan, Zhang, Lin, "SKVQ: sliding-window key and value cache quantization for
//! large language models", COLM 2024, arXiv 2405.06219. Simplified, hence "like": channels are sorted by their range
//! where the paper clusters them, the clipping of each group is the best of seven for the prompt itself where the paper
//! calibrates on other text, groups have FP16 scales where the paper has FP8, and bits are whole numbers.

use super::attention::{Workspace, decoded};
use super::fp16::{Rows, bytes};
use super::int::check_group;
use super::scalar::{GroupedRows, attend, clipped, grouped_bits, levels, quantise};
use super::wkvquant::widen_row;
use super::{Codec, CodecCost, CodecError, EncodedHead, HeadShape, Parameters, Prefill, Work};
use crate::product;

/// The parts of the range that are tried for a group (assumption: the paper searches too, and does not list its grid).
const CLIPS: [f32; 7] = [1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6];

/// Sliding-window quantisation. The order of the channels is folded into the weights and costs nothing at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SkvqLike {
    /// Bits of an element of a key, 2 to 8.
    pub key_bits: u32,
    /// Bits of an element of a value, 2 to 8.
    pub value_bits: u32,
    /// Channels of similar range that share a least value and a step.
    pub group: u32,
    /// First tokens in FP16.
    pub sinks: u32,
    /// Newest tokens in FP16.
    pub window: u32,
}

impl SkvqLike {
    /// The paper's window and sinks, 2 bits for both (the paper: 2 and 1.5).
    pub const DEFAULT: Self = Self { key_bits: 2, value_bits: 2, group: 32, sinks: 5, window: 128 };

    pub(crate) fn parse(parameters: &mut Parameters<'_>) -> Result<Box<dyn Codec>, CodecError> {
        let Self { key_bits, value_bits, group, sinks, window } = Self::DEFAULT;
        Ok(Box::new(Self {
            key_bits: parameters.number("key_bits", key_bits, 2..=8)?,
            value_bits: parameters.number("value_bits", value_bits, 2..=8)?,
            group: parameters.number("group", group, 1..=65_536)?,
            sinks: parameters.number("sinks", sinks, 0..=1 << 24)?,
            window: parameters.number("window", window, 0..=1 << 24)?,
        }))
    }

    /// One clip in FP16 for each group of K and of V.
    fn clip_bits(&self, head_dim: u64) -> u64 {
        product(&[2, 16, head_dim / u64::from(self.group)])
    }
}

impl Codec for SkvqLike {
    fn name(&self) -> &'static str {
        "skvq-like"
    }

    fn summary(&self) -> &'static str {
        "channels reordered by range, clipped groups, window and sinks exact (simplified SKVQ)"
    }

    fn parameters(&self) -> String {
        let Self { key_bits, value_bits, group, sinks, window } = self;
        format!("key_bits={key_bits},value_bits={value_bits},group={group},sinks={sinks},window={window}")
    }

    fn bits_per_token(&self, head: HeadShape) -> u64 {
        let d = u64::from(head.head_dim);
        grouped_bits(d, self.key_bits, self.group).saturating_add(grouped_bits(d, self.value_bits, self.group))
    }

    /// The clips, and what exact tokens take more than codes.
    fn fixed_bytes(&self, head: HeadShape, tokens: u64) -> u64 {
        if tokens == 0 {
            return 0;
        }
        let more = product(&[8, bytes(head, 1)]).saturating_sub(self.bits_per_token(head));
        let exact = product(&[more, tokens.min(u64::from(self.sinks) + u64::from(self.window))]);
        self.clip_bits(u64::from(head.head_dim)).saturating_add(exact).div_ceil(8)
    }

    fn prefill(&self, head: HeadShape, tokens: u64) -> Work {
        quantise(head, tokens, self.stored_bytes(head, tokens))
    }

    fn attend(&self, head: HeadShape, tokens: u64) -> Work {
        attend(head, tokens, self.stored_bytes(head, tokens))
    }

    /// One token goes into the window and one leaves it.
    fn append(&self, head: HeadShape, _tokens: u64) -> Work {
        let into = CodecCost { write_bytes: bytes(head, 1), ..CodecCost::default() };
        Work::near(into).plus(quantise(head, 1, self.bits_per_token(head).div_ceil(8)))
    }

    fn check(&self, tokens: usize, head_dim: usize) -> Result<(), CodecError> {
        check_group(self, self.group as usize, head_dim)?;
        let exact = self.sinks as usize + self.window as usize;
        if exact > tokens {
            let problem = format!("{exact} exact tokens (sinks and window) of {tokens}");
            return Err(CodecError::shape(self, problem, "take fewer sinks or a smaller window"));
        }
        Ok(())
    }

    fn encode(&self, prefill: &Prefill<'_>) -> Result<Box<dyn EncodedHead>, CodecError> {
        let (head_dim, tokens) = (prefill.head_dim, prefill.tokens());
        self.check(tokens, head_dim)?;
        let sinks = self.sinks as usize * head_dim;
        let end = (tokens - self.window as usize) * head_dim;
        let side = |rows: &[f32], bits: u32| {
            let mut side = Reordered::of(&rows[sinks..end], head_dim, bits, self.group as usize);
            side.push(&rows[sinks..end]);
            side
        };
        let mut first = Rows::new(head_dim);
        first.extend(&prefill.keys[..sinks], &prefill.values[..sinks]);
        let mut newest = Rows::new(head_dim);
        newest.extend(&prefill.keys[end..], &prefill.values[end..]);
        let (keys, values) = (side(prefill.keys, self.key_bits), side(prefill.values, self.value_bits));
        Ok(Box::new(SkvqHead { codec: *self, head_dim, first, keys, values, newest }))
    }
}

/// Rows whose channels are in the order of their ranges.
#[derive(Debug)]
struct Reordered {
    order: Vec<usize>,
    clips: Vec<f32>,
    rows: GroupedRows,
}

impl Reordered {
    /// The order and the clips for these rows.
    fn of(rows: &[f32], head_dim: usize, bits: u32, group: usize) -> Self {
        let range = |channel: usize| {
            let elements = rows.iter().skip(channel).step_by(head_dim);
            let (least, most) = elements.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), &x| (a.min(x), b.max(x)));
            if least > most { 0.0 } else { most - least }
        };
        let ranges: Vec<f32> = (0..head_dim).map(range).collect();
        let mut order: Vec<usize> = (0..head_dim).collect();
        order.sort_by(|&a, &b| ranges[b].total_cmp(&ranges[a]));
        let top = levels(bits);
        let mut gathered = vec![0.0; group];
        let clip = |channels: &[usize]| {
            let mut error = |clip: f32| -> f64 {
                let mut sum = 0.0;
                for row in rows.chunks_exact(head_dim) {
                    gathered.iter_mut().zip(channels).for_each(|(to, &channel)| *to = row[channel]);
                    let grid = clipped(&gathered, clip, top);
                    for &element in &gathered {
                        sum += f64::from(grid.point(grid.code(element, top)) - element).powi(2);
                    }
                }
                sum
            };
            let errors = CLIPS.map(|clip| (error(clip), clip));
            errors.into_iter().reduce(|a, b| if b.0 < a.0 { b } else { a }).map_or(1.0, |(_, clip)| clip)
        };
        let clips = order.chunks_exact(group).map(clip).collect();
        Self { order, clips, rows: GroupedRows::new(bits, group) }
    }

    fn push(&mut self, rows: &[f32]) {
        let mut ordered = vec![0.0; self.order.len()];
        for row in rows.chunks_exact(self.order.len()) {
            ordered.iter_mut().zip(&self.order).for_each(|(to, &channel)| *to = row[channel]);
            self.rows.push_clipped(&ordered, &self.clips);
        }
    }

    fn decode(&self, rows: &mut [f32]) {
        self.rows.decode(rows);
        let mut ordered = vec![0.0; self.order.len()];
        for row in rows.chunks_exact_mut(self.order.len()) {
            ordered.copy_from_slice(row);
            ordered.iter().zip(&self.order).for_each(|(&from, &channel)| row[channel] = from);
        }
    }
}

#[derive(Debug)]
struct SkvqHead {
    codec: SkvqLike,
    head_dim: usize,
    first: Rows,
    keys: Reordered,
    values: Reordered,
    newest: Rows,
}

impl EncodedHead for SkvqHead {
    fn tokens(&self) -> usize {
        self.first.tokens() + self.keys.rows.elements() / self.head_dim + self.newest.tokens()
    }

    fn stored_bits(&self) -> u64 {
        let coded = self.keys.rows.stored_bits() + self.values.rows.stored_bits();
        coded + self.codec.clip_bits(self.head_dim as u64) + self.first.stored_bits() + self.newest.stored_bits()
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        let (sinks, coded) = (self.first.keys.len(), self.keys.rows.elements());
        self.first.decode(&mut keys[..sinks], &mut values[..sinks]);
        self.keys.decode(&mut keys[sinks..][..coded]);
        self.values.decode(&mut values[sinks..][..coded]);
        self.newest.decode(&mut keys[sinks + coded..], &mut values[sinks + coded..]);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        decoded((queries, scale), (self.tokens(), self.head_dim), workspace, out, |k, v| self.decode(k, v));
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        self.newest.extend(key, value);
        if self.newest.tokens() > self.codec.window as usize {
            let mut row = (vec![0.0; self.head_dim], vec![0.0; self.head_dim]);
            widen_row(&self.newest, &mut row.0, &mut row.1);
            self.newest.remove(0);
            self.keys.push(&row.0);
            self.values.push(&row.1);
        }
    }
}
