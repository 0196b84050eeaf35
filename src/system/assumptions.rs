//! What the models themselves assume, besides the catalogue's figures.

use reports::Assumption;
use serde_json::{Value, json};

use super::{Figures, Placement, machine};

/// The assumptions that a system rests on, in a fixed order.
pub fn of(figures: &Figures, placement: &Placement) -> Vec<Assumption> {
    let mut list = vec![
        assume("gpu.activations", json!(2), "sets of the largest operator's activations that GPU memory holds"),
        assume(
            "dma.window",
            json!(machine::DMA_WINDOW),
            "bytes that a DMA engine keeps under way: more than bandwidth times round trip of any link here",
        ),
        assume(
            "dma.chunk",
            json!(machine::DMA_CHUNK),
            "bytes of the largest piece that travels as one; links serve pieces first come first served",
        ),
    ];
    if placement.uses_host() {
        list.push(assume("host.numa", json!(false), "the sockets' DRAM channels are one memory, none of it remote"));
    }
    if figures.pim.is_some() {
        list.extend(PIM.iter().map(|(key, value, why)| assume(key, json!(value), why)));
    }
    list.push(assume(
        "energy.active",
        json!("what tdp leaves"),
        "while a kernel runs a GPU takes its design power less idle power, memory and multiply-adds at their peak, and a CPU its design power",
    ));
    list
}

fn assume(key: &str, value: Value, why: &str) -> Assumption {
    Assumption { key: key.to_owned(), value, why: why.to_owned() }
}

/// Of crate `pim-device`: (key, value, why).
const PIM: &[(&str, &str, &str)] = &[
    ("pim.set_mode", "20 cycles", "a configuration command; no source gives a figure"),
    (
        "pim.result_latency",
        "nCL + nBL after a MAC or a move out, nCWL + nBL after a write or a move in",
        "as for reads and writes of the same device",
    ),
    ("pim.buffers", "double", "queries and probabilities of the next head arrive while those of this one are in use"),
    ("pim.moves", "both pseudo-channels at once", "8 moves carry the 512 B of scores of 16 keys in each bank group"),
    ("pim.refresh_phase", "the same in all channels", "so that channels with the same programs can be run as one"),
    ("pim.standby", "open rows while a program runs", "rows are open for most of a program"),
    (
        "pim.buffer_rows",
        "behind the rows of the banks",
        "queries and outputs are ordinary accesses to rows that the buffers answer at, with an activation in each bank group",
    ),
    (
        "pim.append",
        "by the PIM stack's channel",
        "K and V of the new token are written in ordinary mode before the program",
    ),
];
