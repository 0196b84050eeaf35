//! GPU and CPU actors of the pimscope simulator.
