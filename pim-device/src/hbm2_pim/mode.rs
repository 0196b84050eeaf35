//! The modes of a rank and what switches between them.

use super::request::REGISTER_SPACE;

/// Row whose activation in four banks leads from single-bank to all-bank mode (ABMR).
pub const ROW_ALL_BANK: u16 = 0x17ff;
/// Row whose precharge in two banks leads back (SBMR).
pub const ROW_SINGLE_BANK: u16 = 0x1fff;
/// Row of the register file: control, scalar registers, CRF, general registers.
pub const ROW_REGISTERS: u16 = 0x3fff;
/// Row that is read to park all banks.
pub const ROW_PARK: u16 = 0x1000;
/// Column that the requests of a mode switch must name.
pub const COLUMN_MODE: u8 = 0x1f;
/// Column of the control register in [`ROW_REGISTERS`].
pub const COLUMN_CONTROL: u8 = 0x00;
/// Column of the scalar registers.
pub const COLUMN_SRF: u8 = 0x01;
/// First column of the CRF, eight instructions a column.
pub const COLUMN_CRF: u8 = 0x04;
/// First column of GRF_A.
pub const COLUMN_GRF_A: u8 = 0x08;
/// First column of GRF_B.
pub const COLUMN_GRF_B: u8 = 0x18;

/// The banks whose activation of [`ROW_ALL_BANK`] counts.
const ALL_BANK_KEYS: [u8; 4] = [0, 1, 8, 9];

/// Mode of a rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Ordinary memory: a command works on one bank (SB).
    #[default]
    SingleBank,
    /// A command works on all even banks or all odd banks (HAB).
    AllBank,
    /// The same, and column commands run the PIM program (HAB_PIM).
    Pim,
}

impl Mode {
    /// As the reference traces have it.
    pub const fn text(self) -> &'static str {
        match self {
            Self::SingleBank => "SB",
            Self::AllBank => "HAB",
            Self::Pim => "HAB_PIM",
        }
    }
}

/// What the control register is set to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Bits of one register.
pub struct Control {
    /// PIM mode, or else all-bank mode (`pim_op`, byte 0).
    pub pim: bool,
    /// Plain moves choose the registers by column bit 3, not by the bank (byte 10).
    pub use_all_grf: bool,
    /// GRF_A becomes zero (byte 20).
    pub zero_a: bool,
    /// GRF_B becomes zero (byte 21).
    pub zero_b: bool,
}

/// State: the mode of a rank, and how far a switch has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModeState {
    mode: Mode,
    /// Banks of the next switch that have been seen, one bit each.
    seen: u16,
}

impl ModeState {
    /// The mode.
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// An activation for a request to `column` reaches the rank.
    pub fn activate(&mut self, bank: u8, row: u16, column: u8) {
        if self.mode == Mode::SingleBank && row == ROW_ALL_BANK && column == COLUMN_MODE {
            self.see(bank, &ALL_BANK_KEYS, Mode::AllBank);
        }
    }

    /// A precharge of an open `row` reaches the rank.
    pub fn precharge(&mut self, bank: u8, row: u16) {
        if self.mode == Mode::AllBank && row == ROW_SINGLE_BANK {
            self.see(bank, &[0, 1], Mode::SingleBank);
        }
    }

    /// A write of the control register reaches the rank. It says nothing in single-bank mode.
    pub fn control(&mut self, bank: u8, row: u16, column: u8, control: Control) {
        if self.mode != Mode::SingleBank && bank == 0 && row == ROW_REGISTERS && column == COLUMN_CONTROL {
            self.mode = if control.pim { Mode::Pim } else { Mode::AllBank };
        }
    }

    fn see(&mut self, bank: u8, keys: &[u8], next: Mode) {
        if keys.contains(&bank) {
            self.seen |= 1 << bank;
        }
        if keys.iter().all(|key| self.seen >> key & 1 == 1) {
            *self = Self { mode: next, seen: 0 };
        }
    }
}

/// Whether a row is memory, and not registers or a key of a mode.
pub const fn is_memory(row: u16) -> bool {
    row & REGISTER_SPACE == 0
}
