//! What a device that works on a product-quantised KV cache has beside dense MACs.

use sim_core::Rate;

/// Where the looked-up values of a token, one from each sub-vector, are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PqReduction {
    /// On the buffer die: every bank's values travel there.
    Buffer,
    /// Those of the four banks of a bank group beside the bank group, the rest on the buffer die (default).
    #[default]
    BankGroup,
    /// In the bank. That needs another layout: tokens split over the banks of a head, all tables of a query in each bank.
    InBank,
}

/// How probabilities meet values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PqValues {
    /// Values are looked up token by token and multiplied by the token's probability (default).
    #[default]
    Reconstruct,
    /// Probabilities are added up for each centroid, a read-modify-write of a row for each token, and the sums are
    /// multiplied with the codebook once.
    Accumulate,
}

/// Where the sub-vectors of K and V of one head lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PqMapping {
    /// Sub-vector j of K and of V in one bank (default): a head takes m banks.
    #[default]
    Together,
    /// In different banks: a head takes 2 m banks, and K and V can be clustered at the same time.
    Apart,
}

/// Configuration: the PEs' means for product quantisation. Every default is an assumption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PqFigures {
    /// Values that a look-up command brings from the open row of each bank.
    pub lookups_per_column: u32,
    /// Where looked-up values are added.
    pub reduction: PqReduction,
    /// Registers of a bank PE, of an access granule each. They hold indices while values are looked up, and inner
    /// products or distances while these are made.
    pub register_file: u32,
    /// Registers of a bank PE for results that wait for the data path, beside the register file.
    pub result_registers: u32,
    /// Passes over the value indices; 0 for one pass for each channel of a sub-vector (d/m). Fewer are a what-if: the row
    /// that is open then stands for several.
    pub value_passes: u32,
    /// How probabilities meet values.
    pub values: PqValues,
    /// Where K and V lie.
    pub mapping: PqMapping,
    /// Operations per second of the BufferPEs of one stack: additions, minima, reciprocals.
    pub buffer_operations: Rate,
    /// Whether one move brings probabilities to all banks of a head.
    pub broadcast: bool,
}
