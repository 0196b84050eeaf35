//! Which channels make up a sub-vector.
//!
//! The order is fixed before the model runs and folded into the weights that make and use keys and values, so it costs
//! nothing at run time. Keys after rotary embedding may only be permuted in pairs if the embedding is to be applied to
//! permuted channels; [`Sorting::Cosine`] ignores that, [`Sorting::CosinePairs`] keeps it.

use sim_core::random::draw;

/// How channels are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sorting {
    /// Neighbours, as they come.
    None,
    /// AQPIM's greedy groups: a channel drawn at random and those whose cosine with it is highest, of keys and of values.
    Cosine,
    /// The same with the magnitude of the cosine.
    CosineMagnitude,
    /// The same for keys in whole rotary pairs (i and i + d/2).
    CosinePairs,
    /// Keys by falling standard deviation.
    Deviation,
    /// Keys by rotary pairs: i, i + d/2, i + 1, i + 1 + d/2 ...
    RopePairs,
}

pub(super) const SORTING: [(&str, Sorting); 6] = [
    ("none", Sorting::None),
    ("cosine", Sorting::Cosine),
    ("cosine-magnitude", Sorting::CosineMagnitude),
    ("cosine-pairs", Sorting::CosinePairs),
    ("deviation", Sorting::Deviation),
    ("rope-pairs", Sorting::RopePairs),
];

/// The order of `head_dim` channels in which each `group` neighbours are a sub-vector: from rows of keys (or of values)
/// that are typical for the model.
pub fn channel_order(
    rows: &[f32],
    head_dim: usize,
    group: usize,
    sorting: Sorting,
    is_keys: bool,
    seed: u64,
) -> Vec<usize> {
    let plain = || (0..head_dim).collect();
    match sorting {
        Sorting::CosinePairs if is_keys => greedy(&cosines(rows, head_dim), head_dim, group, 2, seed),
        Sorting::Cosine | Sorting::CosinePairs => greedy(&cosines(rows, head_dim), head_dim, group, 1, seed),
        Sorting::CosineMagnitude => {
            let magnitudes: Vec<f64> = cosines(rows, head_dim).iter().map(|cosine| cosine.abs()).collect();
            greedy(&magnitudes, head_dim, group, 1, seed)
        }
        Sorting::Deviation if is_keys => {
            let deviations: Vec<f64> = (0..head_dim).map(|channel| deviation(rows, head_dim, channel)).collect();
            let mut order: Vec<usize> = plain();
            order.sort_by(|&a, &b| deviations[b].total_cmp(&deviations[a]));
            order
        }
        Sorting::RopePairs if is_keys => {
            (0..head_dim / 2).flat_map(|i| [i, i + head_dim / 2]).chain(head_dim / 2 * 2..head_dim).collect()
        }
        Sorting::None | Sorting::Deviation | Sorting::RopePairs => plain(),
    }
}

fn deviation(rows: &[f32], head_dim: usize, channel: usize) -> f64 {
    let column = || rows.iter().skip(channel).step_by(head_dim).map(|element| f64::from(*element));
    let count = (rows.len() / head_dim).max(1) as f64;
    let mean = column().sum::<f64>() / count;
    (column().map(|element| (element - mean) * (element - mean)).sum::<f64>() / count).sqrt()
}

/// The cosine of each pair of channels over all rows, head_dim x head_dim.
fn cosines(rows: &[f32], head_dim: usize) -> Vec<f64> {
    let mut products = vec![0.0_f64; head_dim * head_dim];
    for row in rows.chunks_exact(head_dim) {
        for (products, a) in products.chunks_exact_mut(head_dim).zip(row) {
            for (product, b) in products.iter_mut().zip(row) {
                *product += f64::from(*a) * f64::from(*b);
            }
        }
    }
    let norms: Vec<f64> = (0..head_dim).map(|i| products[i * head_dim + i].sqrt().max(f64::MIN_POSITIVE)).collect();
    for (products, a) in products.chunks_exact_mut(head_dim).zip(&norms) {
        products.iter_mut().zip(&norms).for_each(|(product, b)| *product /= a * b);
    }
    products
}

/// Greedy groups of units: a unit is one channel, or a rotary pair of two.
fn greedy(cosines: &[f64], head_dim: usize, group: usize, unit: usize, seed: u64) -> Vec<usize> {
    let units = head_dim / unit;
    let channels = |index: usize| (0..unit).map(move |part| index + part * units);
    let likeness =
        |a: usize, b: usize| -> f64 { channels(a).zip(channels(b)).map(|(a, b)| cosines[a * head_dim + b]).sum() };
    let mut left: Vec<usize> = (0..units).collect();
    let mut order = Vec::with_capacity(head_dim);
    let mut drawn = 0;
    while !left.is_empty() {
        // A multiply keeps the draw within the units that are left without a bias that matters.
        let place = (u128::from(draw(seed, u32::MAX, drawn)) * left.len() as u128) >> 64;
        drawn += 1;
        let reference = left.remove(place as usize);
        order.extend(channels(reference));
        for _ in 1..group / unit {
            let nearest = (0..left.len())
                .reduce(|a, b| if likeness(reference, left[b]) > likeness(reference, left[a]) { b } else { a });
            let Some(nearest) = nearest else { break };
            order.extend(channels(left.remove(nearest)));
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight channels: i and i + 4 are the same but for their sign and size.
    fn rows() -> Vec<f32> {
        let source = |row: usize, channel: usize| ((row * (channel + 3)) as f32 * 0.37).sin();
        let element = |row: usize, i: usize| if i < 4 { source(row, i) } else { 3.0 * source(row, i - 4) };
        (0..64).flat_map(|row| (0..8).map(move |i| element(row, i))).collect()
    }

    #[test]
    fn is_every_order_a_permutation() {
        for (word, sorting) in SORTING {
            for is_keys in [true, false] {
                let mut order = channel_order(&rows(), 8, 2, sorting, is_keys, 1);
                order.sort_unstable();
                assert_eq!(order, (0..8).collect::<Vec<_>>(), "{word}");
            }
        }
    }

    #[test]
    fn do_channels_that_move_together_come_together() {
        let order = channel_order(&rows(), 8, 2, Sorting::Cosine, true, 1);
        assert!(order.chunks(2).all(|pair| pair[0] % 4 == pair[1] % 4), "{order:?}");
        assert_ne!(order, channel_order(&rows(), 8, 2, Sorting::Cosine, true, 2), "the reference is drawn");
    }

    #[test]
    fn do_rotary_pairs_stay_together() {
        let order = channel_order(&rows(), 8, 4, Sorting::CosinePairs, true, 1);
        assert!(order.chunks(2).all(|pair| pair[1] == pair[0] + 4), "{order:?}");
        assert_eq!(channel_order(&rows(), 8, 2, Sorting::RopePairs, true, 1), [0, 4, 1, 5, 2, 6, 3, 7]);
    }
}
