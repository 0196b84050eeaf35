//! Which rows are open in which banks. A bank may have several open here: a precharge that closes fewer banks than the
//! activation opened leaves the others behind.

use super::rules::BankSet;

/// State of the banks of one channel.
#[derive(Clone, Debug)]
pub(super) struct OpenRows {
    /// By row: the banks in which it is open.
    banks: Vec<BankSet>,
    /// Banks that have any row open.
    open: BankSet,
    /// Rows that are open somewhere.
    rows: Vec<u32>,
}

impl OpenRows {
    pub(super) fn new(rows: u32) -> Self {
        Self { banks: vec![0; rows as usize], open: 0, rows: Vec::new() }
    }

    /// The banks in which a row is open.
    #[inline]
    pub(super) fn with(&self, row: u32) -> BankSet {
        self.banks[row as usize]
    }

    /// The banks that have any row open.
    #[inline]
    pub(super) const fn open(&self) -> BankSet {
        self.open
    }

    /// Opens a row in banks, beside what is open there.
    pub(super) fn activate(&mut self, row: u32, banks: BankSet) {
        let there = &mut self.banks[row as usize];
        if *there == 0 {
            self.rows.push(row);
        }
        *there |= banks;
        self.open |= banks;
    }

    /// Closes every row of banks.
    pub(super) fn precharge(&mut self, banks: BankSet) {
        let there = &mut self.banks;
        self.rows.retain(|&row| {
            there[row as usize] &= !banks;
            there[row as usize] != 0
        });
        self.open &= !banks;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn may_a_bank_have_several_rows_open() {
        let mut rows = OpenRows::new(16);
        rows.activate(3, 0b111);
        rows.activate(5, 0b110);
        rows.precharge(0b010);
        assert_eq!((rows.with(3), rows.with(5), rows.open()), (0b101, 0b100, 0b101));
        rows.precharge(0b100);
        assert_eq!((rows.with(3), rows.with(5), rows.open()), (0b001, 0, 0b001));
    }
}
