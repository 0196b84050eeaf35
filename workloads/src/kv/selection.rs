//! What the codecs that keep or choose tokens share.

use super::attention::{Workspace, dense, room};
use super::fp16::Rows;

/// The indices of the `count` highest scores in rising order; of equals the lower indices.
pub(crate) fn highest(scores: &[f32], count: usize, order: &mut Vec<u32>) {
    order.clear();
    order.extend(0..scores.len() as u32);
    let falling = |a: &u32, b: &u32| scores[*b as usize].total_cmp(&scores[*a as usize]).then(a.cmp(b));
    if count < order.len() {
        if count > 0 {
            order.select_nth_unstable_by(count - 1, falling);
        }
        order.truncate(count);
    }
    order.sort_unstable();
}

/// Attention over some of the rows.
pub(crate) fn attend_to(
    rows: &Rows,
    chosen: &[u32],
    (queries, scale): (&[f32], f32),
    workspace: &mut Workspace,
    out: &mut [f32],
) {
    let d = rows.head_dim;
    let keys = room(&mut workspace.keys, chosen.len() * d);
    let values = room(&mut workspace.values, chosen.len() * d);
    let each = keys.chunks_exact_mut(d).zip(values.chunks_exact_mut(d)).zip(chosen);
    for ((key, value), &token) in each {
        let place = token as usize * d;
        super::fp16::widen(&rows.keys[place..place + d], key);
        super::fp16::widen(&rows.values[place..place + d], value);
    }
    workspace.probabilities.resize(queries.len() / d * chosen.len(), 0.0);
    dense(queries, keys, values, d, scale, &mut workspace.probabilities, out);
    workspace.complete = false;
}

/// Rows of which only some are left, and which tokens they are.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) rows: Rows,
    /// The number of each row's token, rising.
    pub(crate) tokens: Vec<u32>,
    /// How many tokens there have been.
    pub(crate) seen: u32,
}

impl Kept {
    /// These tokens of a prompt.
    pub(crate) fn of(prefill: &super::Prefill<'_>, tokens: Vec<u32>) -> Self {
        let d = prefill.head_dim;
        let mut rows = Rows::new(d);
        for &token in &tokens {
            let place = token as usize * d;
            rows.extend(&prefill.keys[place..place + d], &prefill.values[place..place + d]);
        }
        Self { rows, tokens, seen: prefill.tokens() as u32 }
    }

    pub(crate) fn attend(&self, queries: &[f32], scale: f32, workspace: &mut Workspace, out: &mut [f32]) {
        let sizes = (self.rows.tokens(), self.rows.head_dim);
        super::attention::decoded((queries, scale), sizes, workspace, out, |k, v| self.rows.decode(k, v));
        workspace.complete = false;
    }

    pub(crate) fn push(&mut self, key: &[f32], value: &[f32]) {
        self.rows.extend(key, value);
        self.tokens.push(self.seen);
        self.seen += 1;
    }

    pub(crate) fn remove(&mut self, place: usize) {
        self.rows.remove(place);
        self.tokens.remove(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_the_highest_found_and_the_lower_of_equals() {
        let mut order = Vec::new();
        highest(&[1.0, 3.0, 2.0, 3.0, 2.0], 3, &mut order);
        assert_eq!(order, [1, 2, 3]);
        highest(&[1.0, 3.0], 0, &mut order);
        assert!(order.is_empty());
        highest(&[1.0, 3.0], 9, &mut order);
        assert_eq!(order, [0, 1]);
    }
}
