//! How far a codec is from exact attention, on real keys, values and queries.
//!
//! All measures are of one KV head: a context of n tokens, and queries that come after it. The relative error of a query is
//! |o - o'| / |o| with o its exact output over the context and o' the codec's.

use super::attention::{Workspace, dense};
use super::{Codec, CodecError, EncodedHead, Importance, Keeps, Prefill};

/// The tensors of one KV head. Rows have `head_dim` elements.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Elements of a head (d).
    pub head_dim: usize,
    /// Keys of the context, n x d.
    pub keys: &'a [f32],
    /// Values of the context, n x d.
    pub values: &'a [f32],
    /// Queries: query heads x positions x d.
    pub queries: &'a [f32],
    /// Query heads that read this KV head (g).
    pub query_heads: usize,
    /// Factor of the scores, usually 1 / sqrt(d).
    pub scale: f32,
    /// Attention that each token of the context drew from the queries of the prompt, n; none where it is not known.
    pub accumulated: Option<&'a [f32]>,
    /// The position after the last of these queries.
    pub queries_end: usize,
}

/// Which query positions are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positions {
    /// The first of these are not measured but observed: they are the prompt's last queries for codecs that look at them.
    pub observed: usize,
    /// Every so manieth of the others, at least 1.
    pub step: usize,
}

/// What exact attention gives.
#[derive(Clone, Debug)]
pub struct Exact<'a> {
    head: Head<'a>,
    /// As the queries.
    outputs: Vec<f32>,
    /// Query heads x positions x tokens.
    probabilities: Vec<f32>,
    /// Attention from the observed positions, by token.
    observed: Vec<f32>,
    observed_positions: usize,
}

/// Measures of a codec on one head. What a codec that drops or chooses tokens does not have is `None`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measures {
    /// Stored bits for each element of K and V.
    pub bits_per_element: f64,
    /// Mean over the queries of the relative error.
    pub error_mean: f64,
    /// Median of the same; the mean of the two in the middle of an even number.
    pub error_median: f64,
    /// Mean cosine between exact output and the codec's.
    pub cosine_mean: f64,
    /// Mean total variation distance between exact probabilities and the codec's.
    pub total_variation: Option<f64>,
    /// Squared error of the keys over their squared deviation from their mean.
    pub key_nmse: Option<f64>,
    /// The same of the values.
    pub value_nmse: Option<f64>,
    /// How many queries were measured.
    pub queries: usize,
}

impl<'a> Exact<'a> {
    /// Computes exact attention; `observed` positions are what codecs may look at.
    pub fn new(head: Head<'a>, observed: usize) -> Self {
        let d = head.head_dim;
        let (tokens, count) = (head.keys.len() / d, head.queries.len() / d);
        let mut outputs = vec![0.0; head.queries.len()];
        let mut probabilities = vec![0.0; count * tokens];
        dense(head.queries, head.keys, head.values, d, head.scale, &mut probabilities, &mut outputs);
        let positions = count / head.query_heads.max(1);
        let observed_positions = observed.min(positions);
        let mut sums = vec![0.0; tokens];
        for of_head in probabilities.chunks_exact((positions * tokens).max(1)) {
            for row in of_head.chunks_exact(tokens).take(observed_positions) {
                sums.iter_mut().zip(row).for_each(|(sum, probability)| *sum += probability);
            }
        }
        Self { head, outputs, probabilities, observed: sums, observed_positions }
    }

    /// Tokens of the context.
    pub fn tokens(&self) -> usize {
        self.head.keys.len() / self.head.head_dim
    }

    fn positions(&self) -> usize {
        self.head.queries.len() / self.head.head_dim / self.head.query_heads.max(1)
    }

    /// The first `tokens` tokens as a prompt.
    pub fn prompt(&self, tokens: usize) -> Prefill<'_> {
        let Head { head_dim, keys, values, accumulated, queries_end, .. } = self.head;
        Prefill {
            keys: &keys[..tokens * head_dim],
            values: &values[..tokens * head_dim],
            head_dim,
            importance: Importance {
                accumulated: accumulated.map(|weights| &weights[..tokens]),
                queries_end,
                observed: (self.observed_positions > 0).then(|| &self.observed[..tokens]),
                observed_queries: self.observed_positions,
            },
        }
    }

    /// Stores the context and measures it: all of it as a prompt but the last `generated` tokens, which are appended one by
    /// one.
    ///
    /// # Errors
    /// As [`Codec::check`] and [`Codec::encode`].
    pub fn evaluate(
        &self,
        codec: &dyn Codec,
        generated: usize,
        positions: Positions,
        workspace: &mut Workspace,
    ) -> Result<Measures, CodecError> {
        codec.check(self.tokens(), self.head.head_dim)?;
        let mut encoded = codec.encode(&self.prompt(self.tokens() - generated.min(self.tokens())))?;
        self.append(encoded.as_mut(), generated);
        Ok(self.measure(encoded.as_ref(), positions, workspace))
    }

    /// Appends the last `generated` tokens of the context.
    pub fn append(&self, encoded: &mut dyn EncodedHead, generated: usize) {
        let d = self.head.head_dim;
        let from = self.tokens().saturating_sub(generated) * d;
        for (key, value) in self.head.keys[from..].chunks_exact(d).zip(self.head.values[from..].chunks_exact(d)) {
            encoded.append(key, value);
        }
    }

    /// Measures what is stored of the whole context.
    pub fn measure(&self, encoded: &dyn EncodedHead, positions: Positions, workspace: &mut Workspace) -> Measures {
        let chosen: Vec<usize> = (positions.observed..self.positions()).step_by(positions.step.max(1)).collect();
        let mut sums = Sums::default();
        if encoded.keeps() == Keeps::Choice {
            for &position in &chosen {
                self.compare(encoded, &[position], workspace, &mut sums);
            }
        } else {
            self.compare(encoded, &chosen, workspace, &mut sums);
        }
        let (key_nmse, value_nmse) = match encoded.keeps() {
            Keeps::All => self.squares(encoded, workspace),
            Keeps::Some(_) | Keeps::Choice => (None, None),
        };
        let count = sums.errors.len();
        let mean = |sum: f64| sum / count.max(1) as f64;
        sums.errors.sort_by(f64::total_cmp);
        let middle = |index: usize| sums.errors.get(index).copied().unwrap_or_default();
        Measures {
            bits_per_element: encoded.stored_bits() as f64 / (2 * self.head.keys.len()).max(1) as f64,
            error_mean: mean(sums.errors.iter().sum()),
            error_median: 0.5 * (middle(count / 2) + middle(count.saturating_sub(1) / 2)),
            cosine_mean: mean(sums.cosine),
            total_variation: sums.variation.map(mean),
            key_nmse,
            value_nmse,
            queries: count,
        }
    }

    /// Attends at these positions with all query heads and adds up how the outputs differ.
    fn compare(&self, encoded: &dyn EncodedHead, positions: &[usize], workspace: &mut Workspace, sums: &mut Sums) {
        let (d, tokens, all) = (self.head.head_dim, self.tokens(), self.positions());
        let rows: Vec<usize> =
            (0..self.head.query_heads).flat_map(|h| positions.iter().map(move |p| h * all + p)).collect();
        let queries: Vec<f32> = rows.iter().flat_map(|row| &self.head.queries[row * d..][..d]).copied().collect();
        let mut out = vec![0.0; queries.len()];
        encoded.attend(&queries, self.head.scale, workspace, &mut out);
        for (&row, ours) in rows.iter().zip(out.chunks_exact(d)) {
            let exact = &self.outputs[row * d..][..d];
            let pairs = || exact.iter().zip(ours).map(|(a, b)| (f64::from(*a), f64::from(*b)));
            let (norm, other) = pairs().fold((0.0, 0.0), |(a, b), (x, y)| (a + x * x, b + y * y));
            let difference: f64 = pairs().map(|(x, y)| (x - y) * (x - y)).sum();
            let product: f64 = pairs().map(|(x, y)| x * y).sum();
            let least = f64::MIN_POSITIVE;
            sums.errors.push((difference / norm.max(least)).sqrt());
            sums.cosine += product / (norm * other).sqrt().max(least);
        }
        match (workspace.probabilities(), encoded.keeps()) {
            (Some(ours), Keeps::All) => {
                let difference = |(&row, ours): (&usize, &[f32])| -> f64 {
                    let exact = &self.probabilities[row * tokens..][..tokens];
                    0.5 * exact.iter().zip(ours).map(|(a, b)| f64::from((a - b).abs())).sum::<f64>()
                };
                let all: f64 = rows.iter().zip(ours.chunks_exact(tokens.max(1))).map(difference).sum();
                sums.variation = Some(sums.variation.unwrap_or_default() + all);
            }
            _ => sums.variation = None,
        }
    }

    fn squares(&self, encoded: &dyn EncodedHead, workspace: &mut Workspace) -> (Option<f64>, Option<f64>) {
        let size = self.head.keys.len();
        let mut keys = std::mem::take(&mut workspace.keys);
        let mut values = std::mem::take(&mut workspace.values);
        keys.resize(size.max(keys.len()), 0.0);
        values.resize(size.max(values.len()), 0.0);
        encoded.decode(&mut keys[..size], &mut values[..size]);
        let found = (
            Some(nmse(self.head.keys, &keys[..size], self.head.head_dim)),
            Some(nmse(self.head.values, &values[..size], self.head.head_dim)),
        );
        (workspace.keys, workspace.values) = (keys, values);
        found
    }
}

#[derive(Debug, Default)]
struct Sums {
    errors: Vec<f64>,
    cosine: f64,
    variation: Option<f64>,
}

/// Squared error over the squared deviation from each channel's mean.
fn nmse(exact: &[f32], ours: &[f32], head_dim: usize) -> f64 {
    let count = (exact.len() / head_dim).max(1) as f64;
    let mut means = vec![0.0_f64; head_dim];
    for row in exact.chunks_exact(head_dim) {
        means.iter_mut().zip(row).for_each(|(mean, element)| *mean += f64::from(*element) / count);
    }
    let (mut error, mut spread) = (0.0, 0.0);
    for (exact, ours) in exact.chunks_exact(head_dim).zip(ours.chunks_exact(head_dim)) {
        for ((exact, ours), mean) in exact.iter().zip(ours).zip(&means) {
            error += (f64::from(*exact) - f64::from(*ours)).powi(2);
            spread += (f64::from(*exact) - mean).powi(2);
        }
    }
    error / f64::max(spread, f64::MIN_POSITIVE)
}
