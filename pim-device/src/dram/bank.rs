//! What the banks of a channel hold.

#![allow(clippy::inline_always, reason = "asked for each command")]

use std::ops::Range;

use super::bank_set::{BankSet, CAPACITY};
use super::rules::Place;
use crate::organisation::{Level, Organisation};

/// What a bank holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BankState {
    /// No row is open.
    Closed,
    /// Half an activation has been sent (LPDDR5).
    Activating,
    /// This row is open.
    Open(u32),
}

const CLOSED: u32 = u32::MAX;
const ACTIVATING: u32 = u32::MAX - 1;

/// State: what every bank of a channel holds. Rows are below 2^32 - 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Banks {
    rows: Vec<u32>,
    /// Banks that are not closed.
    open: u32,
    organisation: Organisation,
}

impl Banks {
    /// All closed.
    pub fn new(organisation: &Organisation) -> Self {
        let banks = organisation.nodes(Level::Bank) as usize;
        Self { rows: vec![CLOSED; banks], open: 0, organisation: *organisation }
    }

    /// What bank `bank` of the channel holds.
    #[inline]
    pub fn state(&self, bank: usize) -> BankState {
        match self.rows[bank] {
            CLOSED => BankState::Closed,
            ACTIVATING => BankState::Activating,
            row => BankState::Open(row),
        }
    }

    /// The row that `bank` holds.
    #[inline]
    pub fn open_row(&self, bank: usize) -> Option<u32> {
        let row = self.rows[bank];
        (row < ACTIVATING).then_some(row)
    }

    /// Whether `row` is open in `bank`.
    #[inline]
    pub fn is_open(&self, bank: usize, row: u32) -> bool {
        self.rows[bank] == row
    }

    /// The row is open from now on.
    #[inline]
    pub fn open(&mut self, bank: usize, row: u32) {
        debug_assert!(row < ACTIVATING);
        self.open += u32::from(self.rows[bank] == CLOSED);
        self.rows[bank] = row;
    }

    /// Half an activation has been sent.
    #[inline]
    pub fn activating(&mut self, bank: usize) {
        self.open += u32::from(self.rows[bank] == CLOSED);
        self.rows[bank] = ACTIVATING;
    }

    /// The bank is closed from now on.
    #[inline]
    pub fn close(&mut self, bank: usize) {
        self.open -= u32::from(self.rows[bank] != CLOSED);
        self.rows[bank] = CLOSED;
    }

    /// The banks at or below a place.
    pub fn below(&self, place: &Place) -> Range<usize> {
        below(&self.organisation, place)
    }

    /// Whether every bank at or below a place is closed.
    pub fn all_closed(&self, place: &Place) -> bool {
        self.open == 0 || self.rows[self.below(place)].iter().all(|row| *row == CLOSED)
    }

    /// Closes every bank at or below a place.
    pub fn close_all(&mut self, place: &Place) {
        for bank in self.below(place) {
            self.close(bank);
        }
    }
}

/// The same for banks that go into one set.
#[derive(Clone, Debug)]
pub(super) struct OpenRows<S> {
    rows: Box<[u32; CAPACITY]>,
    closed: S,
    organisation: Organisation,
}

impl<S: BankSet> OpenRows<S> {
    /// All closed.
    pub(super) fn new(organisation: &Organisation) -> Self {
        let closed = S::range(0..organisation.nodes(Level::Bank) as usize);
        Self { rows: Box::new([CLOSED; CAPACITY]), closed, organisation: *organisation }
    }

    /// The banks that hold nothing.
    #[inline(always)]
    pub(super) const fn closed(&self) -> S {
        self.closed
    }

    /// The row that `bank` holds.
    #[inline(always)]
    pub(super) fn row(&self, bank: usize) -> Option<u32> {
        let row = self.rows[bank % CAPACITY];
        (row < ACTIVATING).then_some(row)
    }

    /// Whether half an activation of `bank` has been sent.
    pub(super) fn is_activating(&self, bank: usize) -> bool {
        self.rows[bank % CAPACITY] == ACTIVATING
    }

    /// The row is open from now on.
    #[inline(always)]
    pub(super) fn open(&mut self, bank: usize, row: u32) {
        debug_assert!(row < ACTIVATING);
        self.rows[bank % CAPACITY] = row;
        self.closed.remove(bank);
    }

    /// Half an activation has been sent.
    #[inline(always)]
    pub(super) fn activating(&mut self, bank: usize) {
        self.rows[bank % CAPACITY] = ACTIVATING;
        self.closed.remove(bank);
    }

    /// The bank is closed from now on.
    #[inline(always)]
    pub(super) fn close(&mut self, bank: usize) {
        self.rows[bank % CAPACITY] = CLOSED;
        self.closed.insert(bank);
    }

    /// The banks at or below a place.
    pub(super) fn below(&self, place: &Place) -> Range<usize> {
        below(&self.organisation, place)
    }

    /// Whether every bank at or below a place is closed.
    pub(super) fn all_closed(&self, place: &Place) -> bool {
        S::range(self.below(place)).without(self.closed).is_empty()
    }
}

fn below(organisation: &Organisation, place: &Place) -> Range<usize> {
    let each = organisation.nodes(Level::Bank) / organisation.nodes(place.level());
    (place.node() * each) as usize..((place.node() + 1) * each) as usize
}
