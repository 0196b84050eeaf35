//! Counts of the requests that wait, by granule and by row.

#![allow(clippy::inline_always, reason = "asked for each request")]

use crate::dram::request::Request;

/// Buckets of granules, and of rows.
const BUCKETS: usize = 4_096;

/// Where the granule and the row of a request are counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buckets {
    pub(super) granule: u16,
    pub(super) row: u16,
}

impl Buckets {
    #[inline(always)]
    pub(super) fn of(bank: usize, request: &Request) -> Self {
        let row = (request.address.row ^ (bank as u32) << 20).wrapping_mul(0x9E37_79B1);
        let granule = row ^ request.column.wrapping_mul(0x85EB_CA6B);
        Self { granule: (granule >> 20) as u16, row: (row >> 20) as u16 }
    }
}

/// State: how many requests that wait fall into each bucket. Where there is no other nobody has to search.
#[derive(Clone, Debug)]
pub(super) struct Counts(Box<[u32; BUCKETS]>);

impl Counts {
    pub(super) fn new() -> Self {
        Self(Box::new([0; BUCKETS]))
    }

    #[inline(always)]
    pub(super) fn of(&self, bucket: u16) -> u32 {
        self.0[usize::from(bucket) % BUCKETS]
    }

    #[inline(always)]
    pub(super) fn add(&mut self, bucket: u16) {
        self.0[usize::from(bucket) % BUCKETS] += 1;
    }

    #[inline(always)]
    pub(super) fn remove(&mut self, bucket: u16) {
        self.0[usize::from(bucket) % BUCKETS] -= 1;
    }
}
