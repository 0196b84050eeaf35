//! DRAM timing parameters, in cycles of the channel clock.

pub mod hbm3;

use sim_core::ClockDomain;

/// Names a timing parameter in the constraint table. The names are those of JEDEC without the `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Parameter {
    /// Burst length on the data pins.
    Bl,
    /// Read latency.
    Cl,
    /// Write latency.
    Cwl,
    /// ACT to read of the same bank.
    RcdRd,
    /// ACT to write of the same bank.
    RcdWr,
    /// Precharge.
    Rp,
    /// ACT to PRE of the same bank.
    Ras,
    /// ACT to ACT of the same bank.
    Rc,
    /// Last write data to PRE.
    Wr,
    /// Read to PRE, same bank group.
    RtpL,
    /// Column to column, different bank group.
    CcdS,
    /// Column to column, same bank group.
    CcdL,
    /// All-bank MAC to all-bank MAC: where the power limit acts.
    CcdAb,
    /// ACT to ACT of one rank, different bank group.
    RrdS,
    /// ACT to ACT of one bank group.
    RrdL,
    /// Window in which a rank takes at most four ACT.
    Faw,
    /// All-bank refresh.
    Rfc,
    /// Mode switch: SETM to any other command.
    Mod,
    /// How long after ACTAB the last bank is activated: 0 where the supply is made for all at once.
    AllBankSpread,
    /// How long ACTAB uses the rank's activation window; 0 where the supply is made for all at once.
    AllBankWindow,
}

/// Configuration: the timing of one device, in cycles of [`Timing::clock`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Name of the preset.
    pub name: String,
    /// The command clock.
    pub clock: ClockDomain,
    /// Burst length on the data pins of a pseudo-channel.
    pub n_bl: u32,
    /// Read latency.
    pub n_cl: u32,
    /// Write latency.
    pub n_cwl: u32,
    /// ACT to RD, MAC.
    pub n_rcd_rd: u32,
    /// ACT to WR.
    pub n_rcd_wr: u32,
    /// PRE to ACT.
    pub n_rp: u32,
    /// ACT to PRE.
    pub n_ras: u32,
    /// ACT to ACT of one bank.
    pub n_rc: u32,
    /// Write recovery.
    pub n_wr: u32,
    /// Read to PRE.
    pub n_rtp_l: u32,
    /// Column to column of one rank.
    pub n_ccd_s: u32,
    /// Column to column of one bank group.
    pub n_ccd_l: u32,
    /// MACAB to MACAB: 6 with, 4 without the power limit at 5.2 Gb/s.
    pub n_ccd_ab: u32,
    /// ACT to ACT of one rank.
    pub n_rrd_s: u32,
    /// ACT to ACT of one bank group.
    pub n_rrd_l: u32,
    /// Window of four ACT of one rank.
    pub n_faw: u32,
    /// All-bank refresh.
    pub n_rfc: u32,
    /// Average interval between refreshes.
    pub n_refi: u32,
    /// SETM to any other command.
    pub n_mod: u32,
}

impl Timing {
    /// A parameter's cycles. The two of all-bank activation depend on the supply, see
    /// [`crate::DeviceSpec::cycles`], and are 0 here.
    pub const fn get(&self, parameter: Parameter) -> u32 {
        match parameter {
            Parameter::Bl => self.n_bl,
            Parameter::Cl => self.n_cl,
            Parameter::Cwl => self.n_cwl,
            Parameter::RcdRd => self.n_rcd_rd,
            Parameter::RcdWr => self.n_rcd_wr,
            Parameter::Rp => self.n_rp,
            Parameter::Ras => self.n_ras,
            Parameter::Rc => self.n_rc,
            Parameter::Wr => self.n_wr,
            Parameter::RtpL => self.n_rtp_l,
            Parameter::CcdS => self.n_ccd_s,
            Parameter::CcdL => self.n_ccd_l,
            Parameter::CcdAb => self.n_ccd_ab,
            Parameter::RrdS => self.n_rrd_s,
            Parameter::RrdL => self.n_rrd_l,
            Parameter::Faw => self.n_faw,
            Parameter::Rfc => self.n_rfc,
            Parameter::Mod => self.n_mod,
            Parameter::AllBankSpread | Parameter::AllBankWindow => 0,
        }
    }
}
