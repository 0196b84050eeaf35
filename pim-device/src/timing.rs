//! DRAM timing parameters, in cycles of the channel clock.

pub mod ddr4;
pub mod ddr5;
pub mod gddr6;
pub mod hbm2;
pub mod hbm3;
pub mod hbm3_jedec;
pub mod hbm4;
pub mod lpddr5;
pub mod standard;

use sim_core::ClockDomain;

/// Declares [`Parameter`]: variant, name, meaning.
macro_rules! parameters {
    ($($variant:ident $name:literal $about:literal)*) => {
        /// Names a timing parameter in the constraint tables. The names are those of JEDEC, with n for "in cycles".
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Parameter {
            $(#[doc = $about] $variant,)*
        }

        impl Parameter {
            /// All of them, in the order of their discriminants.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name, such as `nRCDRD`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

parameters! {
    Bl "nBL" "Burst length on the data pins."
    BlMin "nBL_min" "Shortest burst on the data pins (LPDDR5)."
    BlMax "nBL_max" "Longest burst on the data pins (LPDDR5)."
    Cl "nCL" "Read latency."
    Cwl "nCWL" "Write latency."
    Rcd "nRCD" "ACT to read or write of the same bank."
    RcdRd "nRCDRD" "ACT to read of the same bank."
    RcdWr "nRCDWR" "ACT to write of the same bank."
    Aad "nAAD" "ACT1 to ACT2 at the latest (LPDDR5)."
    Cas "nCAS" "CAS to read or write (LPDDR5)."
    Rp "nRP" "Precharge."
    RpAb "nRPab" "Precharge of all banks, where it differs."
    Ppd "nPPD" "PRE to PRE."
    Ras "nRAS" "ACT to PRE of the same bank."
    Rc "nRC" "ACT to ACT of the same bank."
    Wr "nWR" "Last write data to PRE."
    Rtp "nRTP" "Read to PRE."
    RtpS "nRTPS" "Read to PRE, different bank group."
    RtpL "nRTPL" "Read to PRE, same bank group."
    CcdS "nCCDS" "Column to column, different bank group."
    CcdL "nCCDL" "Column to column, same bank group."
    CcdSWr "nCCDS_WR" "Write to write, different bank group."
    CcdLWr "nCCDL_WR" "Write to write, same bank group."
    CcdR "nCCDR" "Read to read, different stack ID."
    CcdAb "nCCDAB" "All-bank MAC to all-bank MAC: where the power limit acts."
    CcdSb "nCCDSB" "Same-bank MAC to same-bank MAC: where the power limit acts."
    Cs "nCS" "Switch of the data bus from one rank to another."
    Rtrs "nRTRS" "Read to a transfer of another rank."
    RrdS "nRRDS" "ACT to ACT of one rank, different bank group."
    RrdL "nRRDL" "ACT to ACT of one bank group."
    Faw "nFAW" "Window in which a rank takes at most four ACT."
    Act32 "n32AW" "Window in which a rank takes at most 32 ACT (GDDR)."
    WtrS "nWTRS" "Last write data to read, different bank group."
    WtrL "nWTRL" "Last write data to read, same bank group."
    Rtw "nRTW" "Read to write."
    WckPst "nWCKPST" "The data clock goes on so long after the last burst (LPDDR5)."
    Refi "nREFI" "Average interval between refreshes."
    RefiPb "nREFIpb" "Average interval between refreshes of one bank."
    Rfc "nRFC" "All-bank refresh."
    RfcAb "nRFCab" "All-bank refresh (GDDR6)."
    RfcPb "nRFCpb" "Per-bank refresh."
    RrefD "nRREFD" "Per-bank refresh to ACT or refresh of another bank."
    PbrToAct "nPBR2ACT" "Per-bank refresh to ACT of another bank (LPDDR5)."
    PbrToPbr "nPBR2PBR" "Per-bank refresh to per-bank refresh (LPDDR5)."
    RfmAb "nRFMab" "Refresh management of all banks."
    RfmPb "nRFMpb" "Refresh management of one bank."
    Mod "nMOD" "Mode switch: SETM to any other command."
    AllBankSpread "nABS" "How long after ACTAB the last bank is activated: 0 where the supply is made for all at once."
    AllBankWindow "nABW" "How long ACTAB uses the rank's activation window; 0 where the supply is made for all at once."
}

impl Parameter {
    /// The parameter of this name.
    ///
    /// ```
    /// use pim_device::Parameter;
    /// assert_eq!(Parameter::from_name("nRCDRD"), Some(Parameter::RcdRd));
    /// assert_eq!(Parameter::from_name("nXYZ"), None);
    /// ```
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|parameter| parameter.name() == name)
    }
}

/// Configuration: the timing of one device, in cycles of [`Timing::clock`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Name of the preset.
    pub name: String,
    /// The command clock.
    pub clock: ClockDomain,
    /// By parameter; 0 where a device has no such parameter.
    cycles: [u32; Parameter::ALL.len()],
}

impl Timing {
    /// A timing with the given parameters; all others are 0.
    pub fn new(name: impl Into<String>, clock: ClockDomain, parameters: &[(Parameter, u32)]) -> Self {
        let mut cycles = [0; Parameter::ALL.len()];
        for &(parameter, value) in parameters {
            cycles[parameter as usize] = value;
        }
        Self { name: name.into(), clock, cycles }
    }

    /// A parameter's cycles. The two of all-bank activation depend on the supply, see
    /// [`crate::DeviceSpec::cycles`], and are 0 here.
    pub const fn get(&self, parameter: Parameter) -> u32 {
        self.cycles[parameter as usize]
    }

    /// The same with another value of one parameter.
    #[must_use]
    pub fn with(mut self, parameter: Parameter, cycles: u32) -> Self {
        self.cycles[parameter as usize] = cycles;
        self
    }
}
