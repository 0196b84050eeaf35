//! Jobs that overlap on one actor, put side by side.

use sim_core::Time;

/// For each interval the lane that it goes in, such that no two of a lane overlap; as few lanes as possible. The intervals
/// come in the order of their beginnings.
pub(crate) fn lanes(intervals: impl Iterator<Item = (Time, Time)>) -> Vec<usize> {
    let mut ends: Vec<Time> = Vec::new();
    let place = |(from, to): (Time, Time)| {
        let lane = ends.iter().position(|&end| end <= from).unwrap_or(ends.len());
        if lane == ends.len() {
            ends.push(to);
        } else {
            ends[lane] = to;
        }
        lane
    };
    intervals.map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn do_overlapping_jobs_get_lanes_of_their_own() {
        let jobs = [(0, 10), (2, 4), (3, 8), (5, 6), (10, 10), (10, 12)];
        let jobs = jobs.map(|(from, to)| (Time::from_ps(from), Time::from_ps(to)));
        assert_eq!(lanes(jobs.into_iter()), [0, 1, 2, 1, 0, 0]);
    }
}
