//! One head under product quantisation: exact first and newest tokens, and codes between them.

use super::side::{Half, Rounding, Side, Wide};
use super::{Pq, Sums, Values};
use crate::kv::attention::{Workspace, room};
use crate::kv::fp16::{Rows, rounded};
use crate::kv::wkvquant::widen_row;
use crate::kv::{CodecError, EncodedHead, Prefill};

/// The stored keys and values of one head. Tokens are sinks, coded ones, those that wait for the next clustering, and the
/// newest, in this order.
#[derive(Clone, Debug)]
pub struct PqHead {
    pq: Pq,
    head_dim: usize,
    sinks: Rows,
    keys: Side,
    values: Side,
    /// Tokens that wait to be clustered; none where the codebook is never clustered again.
    waiting: Rows,
    recent: Rows,
    /// Of the coded and waiting tokens, where they are kept.
    weights: Vec<f32>,
}

impl PqHead {
    /// Clusters and codes a prompt.
    ///
    /// # Errors
    /// As [`Codec::encode`](crate::kv::Codec::encode).
    pub fn encode(pq: Pq, prefill: &Prefill<'_>) -> Result<Self, CodecError> {
        let (head_dim, tokens) = (prefill.head_dim, prefill.tokens());
        pq.check_cut(head_dim)?;
        pq.check_exact(tokens)?;
        let weights = pq.token_weights(prefill)?;
        let (first, end) = (pq.sinks as usize, tokens - pq.recent as usize);
        let (start, stop) = (first * head_dim, end * head_dim);
        let weights = weights.as_deref().map(|weights| &weights[first..end]);
        let side = |rows: &[f32], is_keys| Side::encode(&pq, &rows[start..stop], rows, head_dim, weights, is_keys);
        let rows = |from: usize, to: usize| {
            let mut rows = Rows::new(head_dim);
            rows.extend(&prefill.keys[from..to], &prefill.values[from..to]);
            rows
        };
        Ok(Self {
            pq,
            head_dim,
            sinks: rows(0, start),
            keys: side(prefill.keys, true),
            values: side(prefill.values, false),
            waiting: Rows::new(head_dim),
            recent: rows(stop, prefill.keys.len()),
            weights: weights.filter(|_| pq.keeps_weights()).map(<[f32]>::to_vec).unwrap_or_default(),
        })
    }

    /// The coded keys.
    pub fn keys(&self) -> &Side {
        &self.keys
    }

    /// The coded values.
    pub fn values(&self) -> &Side {
        &self.values
    }

    /// Sinks, waiting and newest tokens.
    fn exact(&self) -> [&Rows; 3] {
        [&self.sinks, &self.waiting, &self.recent]
    }

    fn attend_one<R: Rounding>(&self, query: &[f32], scale: f64, workspace: &mut Workspace, out: &mut [f32]) {
        let head_dim = self.head_dim;
        let (sinks, coded) = (self.sinks.tokens(), self.keys.tokens());
        let scores = room(&mut workspace.scores, EncodedHead::tokens(self));
        let coded_scores = &mut scores[sinks..sinks + coded];
        self.keys.scores::<R>(query, scale, &mut workspace.table, coded_scores);
        let places = [0, sinks + coded, sinks + coded + self.waiting.tokens()];
        for (rows, place) in self.exact().into_iter().zip(places) {
            for (key, score) in rows.keys.chunks_exact(head_dim).zip(&mut scores[place..]) {
                let products = key.iter().zip(query).map(|(key, &query)| f64::from(key.to_f32()) * f64::from(query));
                *score = R::round(products.fold(0.0, |sum, product| R::round(sum + product)) * scale);
            }
        }
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut total = 0.0;
        for score in &mut *scores {
            *score = (*score - most).exp();
            total += *score;
        }
        for score in &mut *scores {
            *score = R::round(*score / total);
        }
        workspace.probabilities.extend(scores.iter().map(|&probability| probability as f32));

        let output = room(&mut workspace.output, head_dim);
        output.fill(0.0);
        let coded_probabilities = &scores[sinks..sinks + coded];
        match self.pq.values {
            Values::Accumulate => self.values.accumulate::<R>(coded_probabilities, &mut workspace.sums, output),
            Values::Reconstruct => self.values.reconstruct::<R>(coded_probabilities, output),
        }
        for (rows, place) in self.exact().into_iter().zip(places) {
            for (value, &probability) in rows.values.chunks_exact(head_dim).zip(&scores[place..]) {
                for (sum, element) in output.iter_mut().zip(value) {
                    *sum = R::round(*sum + R::round(probability * f64::from(element.to_f32())));
                }
            }
        }
        out.iter_mut().zip(output).for_each(|(out, sum)| *out = *sum as f32);
    }

    /// A token that is exact no longer.
    fn code(&mut self, key: &[f32], value: &[f32]) {
        let pq = self.pq;
        if pq.recluster == 0 {
            self.keys.push(&pq, key);
            self.values.push(&pq, value);
            return;
        }
        self.waiting.extend(key, value);
        if pq.keeps_weights() {
            // Nobody has measured how much attention the token will draw: as much as the mean of the others.
            let mean = self.weights.iter().map(|weight| f64::from(*weight)).sum::<f64>();
            self.weights.push((mean / self.weights.len().max(1) as f64) as f32);
        }
        if self.waiting.tokens() >= pq.recluster as usize {
            let mut rows = (vec![0.0; self.waiting.keys.len()], vec![0.0; self.waiting.keys.len()]);
            self.waiting.decode(&mut rows.0, &mut rows.1);
            let weights = pq.keeps_weights().then_some(&self.weights[..]);
            self.keys.recluster(&pq, &rows.0, weights);
            self.values.recluster(&pq, &rows.1, weights);
            self.waiting = Rows::new(self.head_dim);
        }
    }
}

impl EncodedHead for PqHead {
    fn tokens(&self) -> usize {
        self.exact().map(Rows::tokens).iter().sum::<usize>() + self.keys.tokens()
    }

    /// Codebooks count as full ones, in FP16.
    fn stored_bits(&self) -> u64 {
        let coded = self.keys.tokens() as u64;
        let indices = 2 * coded * u64::from(self.pq.sub_vectors) * u64::from(self.pq.index_bits());
        let books = self.keys.windows() + self.values.windows();
        let books = 16 * books as u64 * u64::from(self.pq.centroids) * self.head_dim as u64;
        let weights = 16 * self.weights.len() as u64;
        indices + books + weights + self.exact().map(EncodedHead::stored_bits).iter().sum::<u64>()
    }

    fn decode(&self, keys: &mut [f32], values: &mut [f32]) {
        let sinks = self.sinks.keys.len();
        let coded = self.keys.tokens() * self.head_dim;
        let waiting = sinks + coded + self.waiting.keys.len();
        self.sinks.decode(&mut keys[..sinks], &mut values[..sinks]);
        self.keys.decode(&mut keys[sinks..sinks + coded]);
        self.values.decode(&mut values[sinks..sinks + coded]);
        self.waiting.decode(&mut keys[sinks + coded..waiting], &mut values[sinks + coded..waiting]);
        self.recent.decode(&mut keys[waiting..], &mut values[waiting..]);
    }

    fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        workspace.probabilities.clear();
        let each = queries.chunks_exact(self.head_dim).zip(out.chunks_exact_mut(self.head_dim));
        for (query, out) in each {
            match self.pq.sums {
                Sums::Wide => self.attend_one::<Wide>(query, f64::from(scale), workspace, out),
                Sums::Half => self.attend_one::<Half>(query, f64::from(scale), workspace, out),
            }
        }
        workspace.complete = true;
    }

    fn append(&mut self, key: &[f32], value: &[f32]) {
        if self.pq.recent == 0 {
            let row = |row: &[f32]| row.iter().map(|element| rounded(*element)).collect::<Vec<_>>();
            self.code(&row(key), &row(value));
            return;
        }
        self.recent.extend(key, value);
        if self.recent.tokens() > self.pq.recent as usize {
            let mut row = (vec![0.0; self.head_dim], vec![0.0; self.head_dim]);
            widen_row(&self.recent, &mut row.0, &mut row.1);
            self.recent.remove(0);
            self.code(&row.0, &row.1);
        }
    }

    fn as_pq(&self) -> Option<&PqHead> {
        Some(self)
    }
}
