//! The simulator's address map `HBM3-PIM`, from the highest bit: channel 4, pseudo-channel 1, rank 1, bank group 2,
//! bank 2, row 14, column 5, byte of the granule 5.

use pim_device::Address;

/// Bytes from one column to the next, and so on up.
pub(super) const COLUMN: u64 = 1 << 5;
pub(super) const ROW: u64 = 1 << 10;
pub(super) const BANK: u64 = 1 << 24;
pub(super) const GROUP: u64 = 1 << 26;
pub(super) const RANK: u64 = 1 << 28;
pub(super) const PSEUDO_CHANNEL: u64 = 1 << 29;
pub(super) const CHANNEL: u64 = 1 << 30;
/// Bytes of the stack.
pub(super) const STACK: u64 = 1 << 34;

/// The row and the column of a byte address; its channel is [`channel`].
#[inline]
pub(super) const fn decode(address: u64) -> (Address, u16) {
    let at = Address {
        pseudo_channel: (address / PSEUDO_CHANNEL % 2) as u8,
        rank: (address / RANK % 2) as u8,
        bank_group: (address / GROUP % 4) as u8,
        bank: (address / BANK % 4) as u8,
        row: (address / ROW % (1 << 14)) as u32,
    };
    (at, (address / COLUMN % 32) as u16)
}

/// The channel of a byte address.
pub(super) const fn channel(address: u64) -> u8 {
    (address / CHANNEL % 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_an_address_taken_apart() {
        let address = 9 * CHANNEL + PSEUDO_CHANNEL + RANK + 2 * GROUP + 3 * BANK + 0x2345 * ROW + 17 * COLUMN + 5;
        assert_eq!(channel(address), 9);
        let at = Address { pseudo_channel: 1, rank: 1, bank_group: 2, bank: 3, row: 0x2345 };
        assert_eq!(decode(address), (at, 17));
    }
}
