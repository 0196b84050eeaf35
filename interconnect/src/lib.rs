//! Topology, links, switches and DMA engines of the pimscope simulator.
