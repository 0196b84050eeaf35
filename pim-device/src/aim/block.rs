//! The program of one transformer block of the Llama family, for one token.
//!
//! The mapping is that of CENT (ASPLOS 2025), read off the traces that its generator writes (github.com/Yufeng98/CENT, MIT
//! licence; stored copy Morteza1814/CENT at 3a05842, `trace_only` of its Llama model). A block has `channels` channels to
//! itself; a device holds as many blocks as fit, and all of them work on tokens of their own at the same time, fed by the
//! same dispatcher: broadcasts serve them all, each ordinary access serves one.
//!
//! - *Weights*: each bank has whole columns of the matrix, a column in rows of 1024 elements. The input vector is in the
//!   global buffer, a row at a time; up to [`AimSpec::accumulators`] outputs of every bank are summed up in between two mode
//!   switches and kept outside between two rows. The gate projection uses half as many, and its activation function is
//!   applied to the last sums.
//! - *K*: each token's keys of all heads are in one bank, token by token over the banks of the block.
//! - *V*: each head is in one channel, an element of the head in one bank, its tokens along the row.
//! - *Vectors*: element-wise products work on bank groups: operands in the first two banks, the product in the third.
//! - Sums of squares, roots, the exponent of softmax, rotary sines and the residual sums are computed outside the
//!   channels. Their time is no part of the program, only that of the accesses which bring them.
//!
//! What the traces do and a user of the device would not is kept, so that cycles can be compared; docs/AIM.md lists it.

mod writer;

use super::error::AimError;
use super::program::AimProgram;
use super::spec::AimSpec;
use writer::Writer;

/// Configuration: the shape of a block, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockShape {
    /// Width of the residual stream.
    pub hidden: u64,
    /// Width of the feed-forward network, gated.
    pub ffn: u64,
    /// Query heads.
    pub heads: u64,
    /// Key and value heads; divides `heads`.
    pub kv_heads: u64,
    /// Elements of a head.
    pub head_dim: u64,
}

/// Configuration: a block, its context and its share of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AimBlock {
    shape: BlockShape,
    /// Cached tokens that the new one attends to, itself included.
    context: u64,
    /// Channels of the block.
    channels: u64,
}

impl AimBlock {
    /// A block of `shape` that attends to `context` tokens, on `channels` channels.
    pub const fn new(shape: BlockShape, context: u64, channels: u64) -> Self {
        Self { shape, context, channels }
    }

    /// The program of all blocks that share `device`.
    ///
    /// # Errors
    /// [`AimError`] where the device or the mapping cannot hold the block.
    pub fn program(&self, device: &AimSpec) -> Result<AimProgram, AimError> {
        self.check(device)?;
        Writer::block(self, device)
    }

    /// The program of what stands before and behind the blocks of a model, on the channels of one block: the product of a
    /// one-hot vector of `vocabulary` tokens with the embedding, RMSNorm, and the LM head.
    ///
    /// # Errors
    /// [`AimError`] where the device or the mapping cannot hold it.
    pub fn embedding(&self, device: &AimSpec, vocabulary: u64) -> Result<AimProgram, AimError> {
        self.check(device)?;
        within("the vocabulary", vocabulary, u64::from(device.elements_per_row()))?;
        Writer::embedding(self, device, vocabulary)
    }

    fn check(&self, device: &AimSpec) -> Result<(), AimError> {
        let BlockShape { hidden, ffn, heads, kv_heads, head_dim } = self.shape;
        let wrong = |what, value, wanted: String| Err(AimError::Shape { what, value, wanted });
        let channels = u64::from(device.organisation.channels);
        if self.channels == 0 || self.channels > channels {
            return wrong("the number of channels", self.channels, format!("1 to {channels}"));
        }
        let row = u64::from(device.elements_per_row());
        let banks = u64::from(device.organisation.banks_per_channel());
        if head_dim == 0 || head_dim % banks != 0 || row % head_dim != 0 {
            let wanted =
                format!("a multiple of the {banks} banks of a channel that divides the {row} elements of a row");
            return wrong("the size of a head", head_dim, wanted);
        }
        if kv_heads == 0 || heads % kv_heads != 0 {
            return wrong("the number of KV heads", kv_heads, format!("a divisor of the {heads} heads"));
        }
        if (kv_heads * head_dim) % row != 0 {
            let wanted = format!("a multiple of the {row} elements of a row");
            return wrong("the width of K (KV heads x size of a head)", kv_heads * head_dim, wanted);
        }
        within("the hidden width", hidden, row)?;
        within("the FFN width", ffn, row)?;
        if heads == 0 || heads > 1 << 12 {
            return wrong("the number of heads", heads, format!("1 to {}", 1 << 12));
        }
        if self.context == 0 || self.context > 1 << 24 {
            return wrong("the context", self.context, format!("1 to {} tokens", 1 << 24));
        }
        Ok(())
    }
}

/// Configuration: a matrix that lies in the banks of the whole device, times vectors, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AimGemv {
    /// Rows of the matrix: elements of a result.
    pub outputs: u64,
    /// Columns of the matrix: elements of a vector.
    pub inputs: u64,
    /// Vectors; the matrix is read again for each.
    pub batch: u64,
}

impl AimGemv {
    /// The program, which treats the matrix as a block treats its weights: whole outputs in each bank, the vector in the
    /// global buffers a row at a time.
    ///
    /// ```
    /// use pim_device::Command;
    /// use pim_device::aim::block::AimGemv;
    /// use pim_device::aim::{AimSpec, run};
    ///
    /// let device = AimSpec::gddr6_aim();
    /// let gemv = AimGemv { outputs: 4_096, inputs: 4_096, batch: 1 };
    /// let execution = run(&device, &gemv.program(&device)?)?;
    /// // Each of 32 x 16 banks has 8 outputs, each of 4,096 elements in accesses of 16.
    /// assert_eq!(execution.commands[Command::MacAb], 32 * 8 * 4_096 / 16);
    /// # Ok::<(), pim_device::aim::AimError>(())
    /// ```
    ///
    /// # Errors
    /// [`AimError`] where the device cannot hold the matrix.
    pub fn program(&self, device: &AimSpec) -> Result<AimProgram, AimError> {
        within("the number of outputs", self.outputs, 1)?;
        within("the number of inputs", self.inputs, 1)?;
        within("the batch", self.batch, 1)?;
        Writer::gemv(self, device)
    }
}

/// The widest matrix: far beyond any model, and small enough that every product of sizes fits.
const WIDEST: u64 = 1 << 22;

/// Whether a width is between a row and [`WIDEST`].
fn within(what: &'static str, value: u64, row: u64) -> Result<(), AimError> {
    if (row..=WIDEST).contains(&value) {
        return Ok(());
    }
    Err(AimError::Shape { what, value, wanted: format!("{row} to {WIDEST}") })
}
