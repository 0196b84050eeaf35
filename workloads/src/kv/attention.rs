//! Exact attention over rows of keys and values, and what all codecs share of it.
//!
//! Sums are in a fixed order: a dot product in eight lanes that are added up pairwise, a softmax in 64 bits from the
//! first token to the last.

/// Lanes of a dot product: two vectors of the smallest common instruction set.
const LANES: usize = 8;

/// Buffers of attention. They grow to the largest use and are then used again, so that attending does not allocate.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Probabilities, queries x tokens.
    pub(crate) probabilities: Vec<f32>,
    /// Whether the probabilities are of every token.
    pub(crate) complete: bool,
    /// Dequantised keys and values.
    pub(crate) keys: Vec<f32>,
    pub(crate) values: Vec<f32>,
    /// Numbers in 64 bits: scores, tables, sums for each centroid.
    pub(crate) scores: Vec<f64>,
    pub(crate) table: Vec<f64>,
    pub(crate) sums: Vec<f64>,
    pub(crate) output: Vec<f64>,
    /// Tokens that were chosen.
    pub(crate) chosen: Vec<u32>,
    pub(crate) order: Vec<u32>,
}

impl Workspace {
    /// The probabilities of the last call of [`attend`](super::EncodedHead::attend), queries x tokens; `None` where some
    /// tokens had none.
    pub fn probabilities(&self) -> Option<&[f32]> {
        self.complete.then_some(&self.probabilities[..])
    }

    /// The tokens that the last call of [`attend`](super::EncodedHead::attend) chose, with [`super::Keeps::Choice`].
    pub fn chosen(&self) -> &[u32] {
        &self.chosen
    }
}

/// A slice of `length` at the beginning of a buffer, which grows where it is shorter.
pub(crate) fn room<T: Copy + Default>(buffer: &mut Vec<T>, length: usize) -> &mut [T] {
    if buffer.len() < length {
        buffer.resize(length, T::default());
    }
    &mut buffer[..length]
}

/// The sum of all lanes, halves onto halves.
fn pairwise(lanes: &[f32; LANES]) -> f32 {
    let fours: [f32; 4] = std::array::from_fn(|lane| lanes[lane] + lanes[lane + 4]);
    (fours[0] + fours[2]) + (fours[1] + fours[3])
}

/// The inner product of two vectors of the same length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    pairwise(&lanes) + rest
}

/// Four inner products with the same vector, which is then read once.
fn dot4(row: &[f32], queries: [&[f32]; 4]) -> [f32; 4] {
    let mut lanes = [[0.0_f32; LANES]; 4];
    let (rows, row_rest) = row.as_chunks::<LANES>();
    let queries = queries.map(|query| query.as_chunks::<LANES>());
    for (block, row) in rows.iter().enumerate() {
        for (lanes, (query, _)) in lanes.iter_mut().zip(queries) {
            let query = &query[block];
            for lane in 0..LANES {
                lanes[lane] += query[lane] * row[lane];
            }
        }
    }
    let mut sums = [0.0; 4];
    for ((sum, lanes), (_, query_rest)) in sums.iter_mut().zip(lanes).zip(queries) {
        let rest: f32 = query_rest.iter().zip(row_rest).map(|(a, b)| a * b).sum();
        *sum = pairwise(&lanes) + rest;
    }
    sums
}

/// `sum += factor * row`, element by element.
pub(crate) fn add_scaled(sum: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, element) in sum.iter_mut().zip(row) {
        *sum += factor * element;
    }
}

/// Turns scores into probabilities, in place. Empty scores stay empty.
pub fn softmax(scores: &mut [f32]) {
    let most = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0_f64;
    for score in scores.iter_mut() {
        *score = (*score - most).exp();
        total += f64::from(*score);
    }
    let factor = (1.0 / total) as f32;
    for score in scores {
        *score *= factor;
    }
}

/// Attention of some queries over `keys` and `values`, rows of `head_dim` elements: probabilities (queries x tokens) and
/// outputs (queries x head_dim).
pub fn dense(
    queries: &[f32],
    keys: &[f32],
    values: &[f32],
    head_dim: usize,
    scale: f32,
    probabilities: &mut [f32],
    out: &mut [f32],
) {
    let tokens = keys.len() / head_dim.max(1);
    out.fill(0.0);
    if tokens == 0 {
        return;
    }
    let fours = queries.chunks(4 * head_dim).zip(probabilities.chunks_mut(4 * tokens));
    for ((queries, probabilities), out) in fours.zip(out.chunks_mut(4 * head_dim)) {
        if queries.len() == 4 * head_dim {
            let one = |index: usize| &queries[index * head_dim..][..head_dim];
            let four = [one(0), one(1), one(2), one(3)];
            for (token, key) in keys.chunks_exact(head_dim).enumerate() {
                for (query, score) in dot4(key, four).into_iter().enumerate() {
                    probabilities[query * tokens + token] = score * scale;
                }
            }
        } else {
            for (query, scores) in queries.chunks_exact(head_dim).zip(probabilities.chunks_exact_mut(tokens)) {
                for (key, score) in keys.chunks_exact(head_dim).zip(scores) {
                    *score = dot(key, query) * scale;
                }
            }
        }
        probabilities.chunks_exact_mut(tokens).for_each(softmax);
        for (probabilities, out) in probabilities.chunks_exact(tokens).zip(out.chunks_exact_mut(head_dim)) {
            for (probability, value) in probabilities.iter().zip(values.chunks_exact(head_dim)) {
                add_scaled(out, *probability, value);
            }
        }
    }
}

/// [`dense`] for codecs that dequantise everything first: `decode` writes keys and values.
pub(crate) fn decoded(
    (queries, scale): (&[f32], f32),
    (tokens, head_dim): (usize, usize),
    workspace: &mut Workspace,
    out: &mut [f32],
    decode: impl FnOnce(&mut [f32], &mut [f32]),
) {
    let keys = room(&mut workspace.keys, tokens * head_dim);
    let values = room(&mut workspace.values, tokens * head_dim);
    decode(keys, values);
    let count = queries.len() / head_dim;
    workspace.probabilities.resize(count * tokens, 0.0);
    dense(queries, keys, values, head_dim, scale, &mut workspace.probabilities, out);
    workspace.complete = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_dot_product_the_same_alone_and_in_fours() {
        let row: Vec<f32> = (0..21).map(|i| (i as f32 * 0.7).sin()).collect();
        let queries: Vec<Vec<f32>> =
            (0..4).map(|q| (0..21).map(|i| ((i * (q + 2)) as f32 * 0.3).cos()).collect()).collect();
        let four = dot4(&row, [&queries[0], &queries[1], &queries[2], &queries[3]]);
        for (query, ours) in queries.iter().zip(four) {
            assert_eq!(ours.to_bits(), dot(query, &row).to_bits());
            let exact: f64 = query.iter().zip(&row).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(ours) - exact).abs() < 1e-5);
        }
    }

    #[test]
    fn is_attention_the_weighted_mean_of_the_values() {
        // Two tokens whose scores differ by ln 3: probabilities 1/4 and 3/4.
        let (mut probabilities, mut out) = ([0.0; 2], [0.0; 2]);
        let keys = [0.0, 0.0, 3.0_f32.ln(), 0.0];
        dense(&[1.0, 5.0], &keys, &[4.0, 0.0, 0.0, 8.0], 2, 1.0, &mut probabilities, &mut out);
        for (ours, exact) in probabilities.iter().chain(&out).zip([0.25, 0.75, 1.0, 6.0]) {
            assert!((ours - exact).abs() < 1e-6, "{ours} {exact}");
        }
        let mut none = [1.0; 2];
        dense(&[1.0, 5.0], &[], &[], 2, 1.0, &mut [], &mut none);
        assert_eq!(none.map(f32::to_bits), [0, 0], "no tokens, no output");
    }
}
