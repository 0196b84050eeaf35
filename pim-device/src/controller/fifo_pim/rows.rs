//! Which rows are open in which banks. A bank may have several open here: a precharge that closes fewer banks than the
//! activation opened leaves the others behind.

use super::rules::BankSet;

/// State of the banks of one channel.
#[derive(Clone, Debug, Default)]
pub(super) struct OpenRows {
    /// Rows that are open somewhere, in order, and where.
    rows: Vec<(u32, BankSet)>,
    /// Banks that have any row open.
    open: BankSet,
}

impl OpenRows {
    /// The banks in which a row is open.
    #[inline]
    pub(super) fn with(&self, row: u32) -> BankSet {
        match self.rows.as_slice() {
            [] => 0,
            &[(open, banks)] => {
                if open == row {
                    banks
                } else {
                    0
                }
            }
            rows => rows.binary_search_by_key(&row, |&(row, _)| row).map_or(0, |place| rows[place].1),
        }
    }

    /// The banks that have any row open.
    #[inline]
    pub(super) const fn open(&self) -> BankSet {
        self.open
    }

    /// Writes down the rows, counted from `base`, and where they are open.
    pub(super) fn describe(&self, base: u32, key: &mut Vec<u32>) {
        key.push(self.rows.len() as u32);
        for &(row, banks) in &self.rows {
            key.push(row.wrapping_sub(base));
            key.extend([banks as u32, (banks >> 32) as u32, (banks >> 64) as u32, (banks >> 96) as u32]);
        }
    }

    /// Puts in place what [`Self::describe`] has written down.
    pub(super) fn put(&mut self, base: u32, words: &mut impl Iterator<Item = u32>) {
        *self = Self::default();
        let mut word = || words.next().unwrap_or(0);
        for _ in 0..word() {
            let row = base.wrapping_add(word());
            let banks = [word(), word(), word(), word()];
            let banks = banks.iter().rev().fold(0, |banks, &part| banks << 32 | BankSet::from(part));
            self.activate(row, banks);
        }
    }

    /// Opens a row in banks, beside what is open there.
    pub(super) fn activate(&mut self, row: u32, banks: BankSet) {
        match self.rows.binary_search_by_key(&row, |&(row, _)| row) {
            Ok(place) => self.rows[place].1 |= banks,
            Err(place) => self.rows.insert(place, (row, banks)),
        }
        self.open |= banks;
    }

    /// Closes every row of banks.
    pub(super) fn precharge(&mut self, banks: BankSet) {
        self.rows.retain_mut(|(_, there)| {
            *there &= !banks;
            *there != 0
        });
        self.open &= !banks;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn may_a_bank_have_several_rows_open() {
        let mut rows = OpenRows::default();
        rows.activate(3, 0b111);
        rows.activate(5, 0b110);
        rows.precharge(0b010);
        assert_eq!((rows.with(3), rows.with(5), rows.open()), (0b101, 0b100, 0b101));
        rows.precharge(0b100);
        assert_eq!((rows.with(3), rows.with(5), rows.open()), (0b001, 0, 0b001));
    }
}
