//! What the banks of a channel hold.

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
#[derive(Clone, Debug)]
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
    pub fn below(&self, place: &Place) -> std::ops::Range<usize> {
        let each = self.organisation.nodes(Level::Bank) / self.organisation.nodes(place.level());
        (place.node() * each) as usize..((place.node() + 1) * each) as usize
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
