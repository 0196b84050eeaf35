//! The codebooks and indices of the keys, or of the values, of one head.

use half::f16;
use sim_core::random::draw;

use super::order::channel_order;
use super::{Initial, Pq, Sums};
use crate::kv::kmeans::{Clustering, cluster, nearest};

/// How the sums of attention are rounded.
pub(super) trait Rounding {
    /// The number as it is kept.
    fn round(number: f64) -> f64;
}

/// FP64.
pub(super) struct Wide;

/// FP16, which stops at its largest number.
pub(super) struct Half;

impl Rounding for Wide {
    fn round(number: f64) -> f64 {
        number
    }
}

impl Rounding for Half {
    fn round(number: f64) -> f64 {
        f16::from_f64(number).to_f64().clamp(f16::MIN.to_f64(), f16::MAX.to_f64())
    }
}

/// A codebook, and the indices of the tokens that use it.
#[derive(Clone, Debug)]
struct Book {
    /// Sub-vector after sub-vector, K rows of d/m elements.
    centroids: Vec<f32>,
    /// For each sub-vector, the index of each token.
    codes: Vec<Vec<u16>>,
}

impl Book {
    fn tokens(&self) -> usize {
        self.codes.first().map_or(0, Vec::len)
    }
}

/// The keys or the values of one head as indices of centroids, in one or more windows of tokens.
#[derive(Clone, Debug)]
pub struct Side {
    /// Which channel stands at each place.
    order: Vec<usize>,
    sub_vectors: usize,
    books: Vec<Book>,
}

/// Writes the sub-vector of each row.
fn gather(rows: &[f32], head_dim: usize, channels: &[usize], out: &mut Vec<f32>) {
    out.clear();
    for row in rows.chunks_exact(head_dim) {
        out.extend(channels.iter().map(|&channel| row[channel]));
    }
}

/// Where k-means starts: rows of `points`.
fn initial(pq: &Pq, points: &[f32], length: usize, stream: u32) -> Vec<f32> {
    let count = points.len() / length;
    let centroids = (pq.centroids as usize).min(count);
    let row = |token: usize| &points[token * length..][..length];
    match pq.initial {
        Initial::Stride => (0..centroids).flat_map(|j| row(j * count / centroids)).copied().collect(),
        Initial::Sample => {
            // The tokens of the smallest draws are a uniform sample without repetition.
            let draw = |token: &usize| (draw(u64::from(pq.seed), stream, *token as u64), *token);
            let mut tokens: Vec<usize> = (0..count).collect();
            tokens.sort_unstable_by_key(draw);
            tokens[..centroids].iter().flat_map(|&token| row(token)).copied().collect()
        }
    }
}

fn clustering<'a>(pq: &Pq, length: usize, weights: Option<&'a [f32]>) -> Clustering<'a> {
    Clustering {
        dimension: length,
        iterations: pq.iterations,
        weights,
        half_sums: pq.sums == Sums::Half,
        half_centroids: !pq.unrounded,
    }
}

impl Side {
    /// Clusters and codes `rows`. `calibration` is what the order of the channels is made from.
    pub(in crate::kv) fn encode(
        pq: &Pq,
        rows: &[f32],
        calibration: &[f32],
        head_dim: usize,
        weights: Option<&[f32]>,
        is_keys: bool,
    ) -> Self {
        let sub_vectors = pq.sub_vectors as usize;
        let length = head_dim / sub_vectors;
        let order = channel_order(calibration, head_dim, length, pq.sorting, is_keys, u64::from(pq.seed));
        let window = if pq.window == 0 { usize::MAX } else { pq.window as usize };
        let mut side = Self { order, sub_vectors, books: Vec::new() };
        let mut points = Vec::new();
        for (index, rows) in rows.chunks(window.saturating_mul(head_dim)).enumerate() {
            let tokens = rows.len() / head_dim;
            let weights = weights.map(|weights| &weights[index * window.min(weights.len())..][..tokens]);
            let mut book = Book { centroids: Vec::new(), codes: Vec::with_capacity(sub_vectors) };
            for (sub, channels) in side.order.chunks_exact(length).enumerate() {
                gather(rows, head_dim, channels, &mut points);
                // A stream for each sub-vector of keys and of values.
                let stream = 2 * sub as u32 + u32::from(is_keys);
                let start = initial(pq, &points, length, stream);
                let (centroids, codes) = cluster(&points, start, clustering(pq, length, weights));
                book.centroids.extend(centroids);
                book.codes.push(codes);
            }
            side.books.push(book);
        }
        side
    }

    /// Elements of a head.
    fn head_dim(&self) -> usize {
        self.order.len()
    }

    /// Elements of a sub-vector.
    fn length(&self) -> usize {
        self.order.len() / self.sub_vectors
    }

    /// Coded tokens.
    pub fn tokens(&self) -> usize {
        self.books.iter().map(Book::tokens).sum()
    }

    /// Windows.
    pub fn windows(&self) -> usize {
        self.books.len()
    }

    /// The centroids of a window: for each sub-vector, rows of d/m elements.
    pub fn codebook(&self, window: usize) -> &[f32] {
        &self.books[window].centroids
    }

    /// The indices of a window's tokens in one sub-vector.
    pub fn codes(&self, window: usize, sub_vector: usize) -> &[u16] {
        &self.books[window].codes[sub_vector]
    }

    /// Codes one more token. A full window is followed by one with a copy of its centroids.
    pub(in crate::kv) fn push(&mut self, pq: &Pq, row: &[f32]) {
        let (length, full) = (self.length(), pq.window as usize);
        if full > 0 && self.books.last().is_some_and(|book| book.tokens() >= full) {
            let centroids = self.books.last().map(|book| book.centroids.clone()).unwrap_or_default();
            self.books.push(Book { centroids, codes: vec![Vec::new(); self.sub_vectors] });
        }
        if self.books.is_empty() {
            // Nothing has been clustered: the token is its own centroid.
            let centroids = self.order.iter().map(|&channel| row[channel]).collect();
            self.books.push(Book { centroids, codes: vec![Vec::new(); self.sub_vectors] });
        }
        let Some(book) = self.books.last_mut() else { return };
        let size = book.centroids.len() / self.sub_vectors;
        let mut point = [0.0; 256];
        for (sub, channels) in self.order.chunks_exact(length).enumerate() {
            let centroids = &book.centroids[sub * size..][..size];
            let code = if length <= point.len() {
                point.iter_mut().zip(channels).for_each(|(to, &channel)| *to = row[channel]);
                nearest(&point[..length], centroids)
            } else {
                let point: Vec<f32> = channels.iter().map(|&channel| row[channel]).collect();
                nearest(&point, centroids)
            };
            book.codes[sub].push(code);
        }
    }

    /// Clusters the last window again: what its indices stand for, and `rows` of new tokens. Where the window has no room
    /// for them, they begin a new one. `weights` are of the last window's tokens and the new ones.
    pub(super) fn recluster(&mut self, pq: &Pq, rows: &[f32], weights: Option<&[f32]>) {
        let (head_dim, length) = (self.head_dim(), self.length());
        let new = rows.len() / head_dim;
        let full = if pq.window == 0 { usize::MAX } else { pq.window as usize };
        let last = self.books.pop().filter(|book| book.tokens() > 0);
        let (old, kept) = match last {
            Some(book) if book.tokens() + new <= full => (Some(book), None),
            last => (None, last),
        };
        let before = old.as_ref().map_or(0, Book::tokens);
        let weights = weights.map(|weights| &weights[weights.len() - before - new..]);
        self.books.extend(kept);
        let mut book = Book { centroids: Vec::new(), codes: Vec::new() };
        let (mut points, mut fresh) = (Vec::new(), Vec::new());
        for (sub, channels) in self.order.chunks_exact(length).enumerate() {
            gather(rows, head_dim, channels, &mut fresh);
            points.clear();
            let mut start = None;
            if let Some(old) = &old {
                let size = old.centroids.len() / self.sub_vectors;
                let centroids = &old.centroids[sub * size..][..size];
                points.extend(old.codes[sub].iter().flat_map(|&c| &centroids[usize::from(c) * length..][..length]));
                // The old centroids go on; a codebook that is not full yet starts anew.
                let full_book = size / length >= (pq.centroids as usize).min(before + new);
                start = full_book.then(|| centroids.to_vec());
            }
            points.extend(&fresh);
            let start = start.unwrap_or_else(|| initial(pq, &points, length, 2 * sub as u32));
            let (centroids, codes) = cluster(&points, start, clustering(pq, length, weights));
            book.centroids.extend(centroids);
            book.codes.push(codes);
        }
        self.books.push(book);
    }

    /// What the indices stand for, token after token.
    pub(super) fn decode(&self, rows: &mut [f32]) {
        let (head_dim, length) = (self.head_dim(), self.length());
        let mut rows = rows;
        for book in &self.books {
            let (these, rest) = rows.split_at_mut(book.tokens() * head_dim);
            let size = book.centroids.len() / self.sub_vectors;
            for (sub, (codes, channels)) in book.codes.iter().zip(self.order.chunks_exact(length)).enumerate() {
                let centroids = &book.centroids[sub * size..][..size];
                for (row, &code) in these.chunks_exact_mut(head_dim).zip(codes) {
                    let centroid = &centroids[usize::from(code) * length..][..length];
                    channels.iter().zip(centroid).for_each(|(&channel, &element)| row[channel] = element);
                }
            }
            rows = rest;
        }
    }

    /// The inner products of a query with every centroid of a sub-vector of a window, times `scale`.
    fn table<R: Rounding>(&self, book: &Book, sub: usize, query: &[f32], scale: f64, table: &mut Vec<f64>) {
        let length = self.length();
        let size = book.centroids.len() / self.sub_vectors;
        let channels = &self.order[sub * length..][..length];
        let centroids = &book.centroids[sub * size..][..size];
        table.clear();
        match length {
            1 => table_of::<R, 1>(centroids, channels, query, scale, table),
            2 => table_of::<R, 2>(centroids, channels, query, scale, table),
            4 => table_of::<R, 4>(centroids, channels, query, scale, table),
            8 => table_of::<R, 8>(centroids, channels, query, scale, table),
            _ => table.extend(centroids.chunks_exact(length).map(|centroid| {
                let pairs = channels.iter().zip(centroid);
                let products = pairs.map(|(&channel, &c)| f64::from(query[channel]) * f64::from(c));
                R::round(products.fold(0.0, |sum, product| R::round(sum + product)) * scale)
            })),
        }
    }

    /// Adds the look-ups of all tokens to `scores`, sub-vector after sub-vector.
    pub(super) fn scores<R: Rounding>(&self, query: &[f32], scale: f64, table: &mut Vec<f64>, scores: &mut [f64]) {
        scores.fill(0.0);
        let mut scores = scores;
        for book in &self.books {
            let (these, rest) = scores.split_at_mut(book.tokens());
            for (sub, codes) in book.codes.iter().enumerate() {
                self.table::<R>(book, sub, query, scale, table);
                for (score, &code) in these.iter_mut().zip(codes) {
                    *score = R::round(*score + table[usize::from(code)]);
                }
            }
            scores = rest;
        }
    }

    /// [`Self::scores`] in FP64.
    pub(in crate::kv) fn look_up(&self, query: &[f32], scale: f64, table: &mut Vec<f64>, scores: &mut [f64]) {
        self.scores::<Wide>(query, scale, table, scores);
    }

    /// Adds the weighted sum of all tokens to `out`: probabilities are added up for each centroid first.
    pub(super) fn accumulate<R: Rounding>(&self, probabilities: &[f64], sums: &mut Vec<f64>, out: &mut [f64]) {
        let length = self.length();
        let mut probabilities = probabilities;
        for book in &self.books {
            let (these, rest) = probabilities.split_at(book.tokens());
            let size = book.centroids.len() / self.sub_vectors;
            for (sub, codes) in book.codes.iter().enumerate() {
                mass::<R>(codes, these, size / length, sums);
                let channels = &self.order[sub * length..][..length];
                let centroids = &book.centroids[sub * size..][..size];
                match length {
                    1 => weighted::<R, 1>(centroids, sums, channels, out),
                    2 => weighted::<R, 2>(centroids, sums, channels, out),
                    4 => weighted::<R, 4>(centroids, sums, channels, out),
                    8 => weighted::<R, 8>(centroids, sums, channels, out),
                    _ => {
                        for (centroid, &mass) in centroids.chunks_exact(length).zip(&*sums) {
                            for (&channel, &element) in channels.iter().zip(centroid) {
                                out[channel] = R::round(out[channel] + R::round(mass * f64::from(element)));
                            }
                        }
                    }
                }
            }
            probabilities = rest;
        }
    }

    /// The same, value by value.
    pub(super) fn reconstruct<R: Rounding>(&self, probabilities: &[f64], out: &mut [f64]) {
        let length = self.length();
        let mut probabilities = probabilities;
        for book in &self.books {
            let (these, rest) = probabilities.split_at(book.tokens());
            let size = book.centroids.len() / self.sub_vectors;
            for (sub, (codes, channels)) in book.codes.iter().zip(self.order.chunks_exact(length)).enumerate() {
                let centroids = &book.centroids[sub * size..][..size];
                for (&probability, &code) in these.iter().zip(codes) {
                    let centroid = &centroids[usize::from(code) * length..][..length];
                    for (&channel, &element) in channels.iter().zip(centroid) {
                        out[channel] = R::round(out[channel] + R::round(probability * f64::from(element)));
                    }
                }
            }
            probabilities = rest;
        }
    }

    /// The table of a query in the first window: m x K inner products times `scale`.
    pub fn lookup_table(&self, query: &[f32], scale: f32) -> Vec<f64> {
        let Some(book) = self.books.first() else { return Vec::new() };
        let mut table = Vec::new();
        let mut all = Vec::new();
        for sub in 0..self.sub_vectors {
            self.table::<Wide>(book, sub, query, f64::from(scale), &mut table);
            all.extend_from_slice(&table);
        }
        all
    }

    /// The probability that falls to each centroid of the first window, m x K.
    pub fn masses(&self, probabilities: &[f64]) -> Vec<f64> {
        let Some(book) = self.books.first() else { return Vec::new() };
        let count = book.centroids.len() / self.head_dim();
        let mut sums = Vec::new();
        let mut all = Vec::new();
        for codes in &book.codes {
            mass::<Wide>(codes, &probabilities[..book.tokens()], count, &mut sums);
            all.extend_from_slice(&sums);
        }
        all
    }
}

/// [`Side::table`] for sub-vectors of a length that the compiler knows; the same operations in the same order.
fn table_of<R: Rounding, const D: usize>(
    centroids: &[f32],
    channels: &[usize],
    query: &[f32],
    scale: f64,
    table: &mut Vec<f64>,
) {
    let query: [f64; D] = std::array::from_fn(|element| f64::from(query[channels[element]]));
    table.extend(centroids.as_chunks::<D>().0.iter().map(|centroid| {
        let mut sum = 0.0;
        for element in 0..D {
            sum = R::round(sum + query[element] * f64::from(centroid[element]));
        }
        R::round(sum * scale)
    }));
}

/// Adds centroids times their masses to `out`, for sub-vectors of a length that the compiler knows.
fn weighted<R: Rounding, const D: usize>(centroids: &[f32], masses: &[f64], channels: &[usize], out: &mut [f64]) {
    let mut sum: [f64; D] = std::array::from_fn(|element| out[channels[element]]);
    for (centroid, &mass) in centroids.as_chunks::<D>().0.iter().zip(masses) {
        for element in 0..D {
            sum[element] = R::round(sum[element] + R::round(mass * f64::from(centroid[element])));
        }
    }
    for (&channel, sum) in channels.iter().zip(sum) {
        out[channel] = sum;
    }
}

/// Adds probabilities up for each centroid.
fn mass<R: Rounding>(codes: &[u16], probabilities: &[f64], centroids: usize, sums: &mut Vec<f64>) {
    sums.clear();
    sums.resize(centroids, 0.0);
    for (&code, &probability) in codes.iter().zip(probabilities) {
        let sum = &mut sums[usize::from(code)];
        *sum = R::round(*sum + probability);
    }
}
