//! Weighted k-means (Lloyd) with a fixed order of operations.
//!
//! Distances are squared differences in FP32, added up in the order of the elements; the nearest centroid is the one of
//! the lowest index among equals. Sums over members are in FP64, in the order of the points. A centroid without members
//! (or whose members weigh nothing) stays where it is. So the result is the same bits everywhere.

use half::f16;

/// Distances that are compared side by side: two vectors of the smallest common instruction set.
const LANES: usize = 8;

/// How to cluster. All fields are configuration.
#[derive(Clone, Copy, Debug)]
pub struct Clustering<'a> {
    /// Elements of a point, at least 1.
    pub dimension: usize,
    /// Updates of the centroids. One more assignment follows the last.
    pub iterations: u32,
    /// The weight of each point; 1 where there are none.
    pub weights: Option<&'a [f32]>,
    /// Sums in FP16, as the processing elements of a memory add them up, instead of FP64. Weights are then divided by
    /// the largest, and a sum stops at the largest FP16 number.
    pub half_sums: bool,
    /// Centroids are rounded to FP16 before points are assigned to them.
    pub half_centroids: bool,
}

impl Default for Clustering<'_> {
    fn default() -> Self {
        Self { dimension: 1, iterations: 4, weights: None, half_sums: false, half_centroids: false }
    }
}

/// Centroids and, for each point, the index of its nearest one. `points` and `initial` are rows of `dimension`
/// elements; there are at most 65 536 centroids.
pub fn cluster(points: &[f32], initial: Vec<f32>, clustering: Clustering<'_>) -> (Vec<f32>, Vec<u16>) {
    let dimension = clustering.dimension.max(1);
    let mut centroids = initial;
    let mut codes = vec![0; points.len() / dimension];
    let mut sums = vec![0.0; centroids.len() + centroids.len() / dimension];
    let mut table = Vec::new();
    let largest = clustering.weights.map_or(1.0, |weights| weights.iter().copied().fold(f32::MIN_POSITIVE, f32::max));
    for iteration in 0..=clustering.iterations {
        if clustering.half_centroids {
            for element in &mut centroids {
                *element = f16::from_f32(*element).to_f32();
            }
        }
        assign(points, &centroids, dimension, &mut table, &mut codes);
        if iteration == clustering.iterations {
            break;
        }
        sums.fill(0.0);
        for (index, (point, code)) in points.chunks_exact(dimension).zip(&codes).enumerate() {
            let weight = clustering.weights.map_or(1.0, |weights| weights[index]);
            let sums = &mut sums[usize::from(*code) * (dimension + 1)..][..=dimension];
            if clustering.half_sums {
                add_half(sums, point, weight / largest);
            } else {
                add(sums, point, f64::from(weight));
            }
        }
        for (centroid, sums) in centroids.chunks_exact_mut(dimension).zip(sums.chunks_exact(dimension + 1)) {
            let weight = sums[dimension];
            if weight > 0.0 {
                centroid.iter_mut().zip(sums).for_each(|(element, sum)| *element = (sum / weight) as f32);
            }
        }
    }
    (centroids, codes)
}

/// The nearest centroid of each point.
pub fn nearest_codes(points: &[f32], centroids: &[f32], dimension: usize) -> Vec<u16> {
    let dimension = dimension.max(1);
    let mut codes = vec![0; points.len() / dimension];
    assign(points, centroids, dimension, &mut Vec::new(), &mut codes);
    codes
}

/// The nearest centroid of one point, without a table: for one point it would not pay.
pub(crate) fn nearest(point: &[f32], centroids: &[f32]) -> u16 {
    let mut best = (f32::INFINITY, 0);
    for (index, centroid) in centroids.chunks_exact(point.len().max(1)).enumerate() {
        let mut distance = 0.0;
        for (a, b) in point.iter().zip(centroid) {
            distance += (a - b) * (a - b);
        }
        if distance < best.0 {
            best = (distance, index as u16);
        }
    }
    best.1
}

/// Adds a weighted point and its weight.
fn add(sums: &mut [f64], point: &[f32], weight: f64) {
    for (sum, element) in sums.iter_mut().zip(point) {
        *sum += weight * f64::from(*element);
    }
    sums[point.len()] += weight;
}

/// The same with every product and every sum rounded to FP16.
fn add_half(sums: &mut [f64], point: &[f32], weight: f32) {
    let rounded = |number: f64| f16::from_f64(number).to_f64().clamp(f16::MIN.to_f64(), f16::MAX.to_f64());
    let weight = rounded(f64::from(weight));
    for (sum, element) in sums.iter_mut().zip(point) {
        *sum = rounded(*sum + rounded(weight * f64::from(*element)));
    }
    sums[point.len()] = rounded(sums[point.len()] + weight);
}

/// Writes the index of the nearest centroid of each point.
fn assign(points: &[f32], centroids: &[f32], dimension: usize, table: &mut Vec<f32>, codes: &mut [u16]) {
    let count = (centroids.len() / dimension).next_multiple_of(LANES);
    lay_out(centroids, dimension, count, table);
    let mut distances = vec![0.0; count];
    match dimension {
        1 => assign_fixed::<1>(points, table, &mut distances, codes),
        2 => assign_fixed::<2>(points, table, &mut distances, codes),
        4 => assign_fixed::<4>(points, table, &mut distances, codes),
        8 => assign_fixed::<8>(points, table, &mut distances, codes),
        _ => {
            for (point, code) in points.chunks_exact(dimension).zip(codes) {
                distances.fill(0.0);
                for (element, column) in point.iter().zip(table.chunks_exact(count)) {
                    for (distance, centroid) in distances.iter_mut().zip(column) {
                        *distance += (element - centroid) * (element - centroid);
                    }
                }
                *code = first_least(&distances);
            }
        }
    }
}

/// The centroids element after element, each in a row of `count`. Missing ones are infinitely far.
fn lay_out(centroids: &[f32], dimension: usize, count: usize, table: &mut Vec<f32>) {
    table.clear();
    for element in 0..dimension {
        let column = centroids.iter().skip(element).step_by(dimension).copied();
        table.extend(column.chain(std::iter::repeat(f32::INFINITY)).take(count));
    }
}

/// [`assign`] for points of a length that the compiler knows: no distance is written before it is complete.
fn assign_fixed<const D: usize>(points: &[f32], table: &[f32], distances: &mut [f32], codes: &mut [u16]) {
    let count = distances.len();
    let columns: [&[f32]; D] = std::array::from_fn(|element| &table[element * count..][..count]);
    for (point, code) in points.as_chunks::<D>().0.iter().zip(codes) {
        for (centroid, distance) in distances.iter_mut().enumerate() {
            let mut sum = 0.0;
            for element in 0..D {
                let difference = point[element] - columns[element][centroid];
                sum += difference * difference;
            }
            *distance = sum;
        }
        *code = first_least(distances);
    }
}

/// The lowest index of the least distance. There are whole lanes of distances, and none is NaN.
fn first_least(distances: &[f32]) -> u16 {
    let blocks = distances.as_chunks::<LANES>().0;
    let mut lanes = [f32::INFINITY; LANES];
    for block in blocks {
        for (least, &distance) in lanes.iter_mut().zip(block) {
            *least = if distance < *least { distance } else { *least };
        }
    }
    let least = lanes.iter().fold(f32::INFINITY, |least, &lane| if lane < least { lane } else { least }).to_bits();
    // Squares are not negative, so that equal distances have equal bits. All lanes of a block at once.
    let has = |block: &&[f32; LANES]| block.iter().fold(false, |any, distance| any | (distance.to_bits() == least));
    let Some(block) = blocks.iter().position(|block| has(&block)) else { return 0 };
    let lane = blocks[block].iter().position(|distance| distance.to_bits() == least);
    (block * LANES + lane.unwrap_or_default()) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, in FP64 and without any order of lanes.
    fn plain(points: &[f32], mut centroids: Vec<f64>, d: usize, iterations: u32, w: &[f32]) -> (Vec<f64>, Vec<u16>) {
        let nearest = |point: &[f32], centroids: &[f64]| {
            let distance = |c: &[f64]| -> f64 {
                point.iter().zip(c).map(|(x, c)| (f64::from(*x) - c) * (f64::from(*x) - c)).sum()
            };
            let all: Vec<f64> = centroids.chunks(d).map(distance).collect();
            (0..all.len()).reduce(|a, b| if all[b] < all[a] { b } else { a }).unwrap() as u16
        };
        for _ in 0..iterations {
            let codes: Vec<u16> = points.chunks(d).map(|p| nearest(p, &centroids)).collect();
            for j in 0..centroids.len() / d {
                let members: Vec<usize> = (0..codes.len()).filter(|&i| usize::from(codes[i]) == j).collect();
                let weight: f64 = members.iter().map(|&i| f64::from(w[i])).sum();
                for e in 0..d {
                    let sum: f64 = members.iter().map(|&i| f64::from(w[i]) * f64::from(points[i * d + e])).sum();
                    if weight > 0.0 {
                        centroids[j * d + e] = sum / weight;
                    }
                }
            }
        }
        let codes = points.chunks(d).map(|p| nearest(p, &centroids)).collect();
        (centroids, codes)
    }

    fn points(count: usize, d: usize) -> Vec<f32> {
        let draw = |i: u64| (sim_core::random::draw(7, d as u32, i) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        (0..(count * d) as u64).map(draw).collect()
    }

    #[test]
    fn do_points_of_every_length_agree_with_the_definition() {
        for d in [1, 2, 3, 4, 5, 8, 16, 20, 32, 33] {
            for k in [1, 7, 8, 9, 20] {
                let points = points(60, d);
                let weights: Vec<f32> = (0..60).map(|i| if i % 5 == 0 { 0.0 } else { 0.5 + i as f32 }).collect();
                let initial: Vec<f32> = (0..k).flat_map(|j| points[j * 60 / k * d..][..d].to_vec()).collect();
                let expected = plain(&points, initial.iter().map(|x| f64::from(*x)).collect(), d, 3, &weights);
                let clustering =
                    Clustering { dimension: d, iterations: 3, weights: Some(&weights), ..Default::default() };
                let (centroids, codes) = cluster(&points, initial, clustering);
                assert_eq!(codes, expected.1, "d {d}, K {k}");
                assert!(
                    centroids.iter().zip(&expected.0).all(|(a, b)| (f64::from(*a) - b).abs() < 1e-5),
                    "d {d}, K {k}"
                );
                let one: Vec<u16> = points.chunks(d).map(|point| nearest(point, &centroids)).collect();
                assert_eq!(one, codes);
            }
        }
    }

    #[test]
    fn do_ties_go_to_the_lowest_index_and_do_empty_clusters_stay() {
        // The point 0 lies between -1 and 1; centroid 2 is a copy of centroid 1; centroid 3 is far from everything.
        let clustering = Clustering { dimension: 1, iterations: 1, ..Default::default() };
        let (centroids, codes) = cluster(&[0.0, 1.0, 1.0], vec![-1.0, 1.0, 1.0, 99.0], clustering);
        assert_eq!(codes, [0, 1, 1]);
        assert_eq!(centroids.iter().map(|c| c.to_bits()).collect::<Vec<_>>(), [0.0, 1.0, 1.0, 99.0].map(f32::to_bits));
        // Across lanes and blocks.
        assert_eq!(nearest_codes(&[0.0], &[1.0; 30], 1), [0]);
        let mut many = vec![5.0; 30];
        many[9] = 1.0;
        many[16] = 1.0;
        assert_eq!(nearest_codes(&[0.0], &many, 1), [9]);
    }

    #[test]
    fn does_the_error_never_rise_from_one_iteration_to_the_next() {
        let points = points(500, 4);
        let error = |iterations: u32| -> f64 {
            let clustering = Clustering { dimension: 4, iterations, ..Default::default() };
            let (centroids, codes) = cluster(&points, points[..16 * 4].to_vec(), clustering);
            let members = points.chunks(4).zip(&codes);
            let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
            members.map(|(p, &c)| p.iter().zip(&centroids[usize::from(c) * 4..]).map(square).sum::<f64>()).sum()
        };
        let errors: Vec<f64> = (0..12).map(error).collect();
        assert!(errors.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-6)), "{errors:?}");
        assert!(errors[11] < 0.8 * errors[0], "{errors:?}");
    }

    #[test]
    fn do_sums_in_fp16_stay_near_and_finite() {
        let points = points(400, 2);
        let weights: Vec<f32> = (0..400).map(|i| if i == 0 { 4000.0 } else { 0.1 }).collect();
        let clustering =
            Clustering { dimension: 2, weights: Some(&weights), half_centroids: true, ..Default::default() };
        let (wide, _) = cluster(&points, points[..16].to_vec(), clustering);
        let (half, _) = cluster(&points, points[..16].to_vec(), Clustering { half_sums: true, ..clustering });
        assert!(half.iter().all(|c| c.is_finite()));
        assert_ne!(wide, half);
        assert!(half.iter().all(|c| f16::from_f32(*c).to_f32().to_bits() == c.to_bits()));
    }
}
