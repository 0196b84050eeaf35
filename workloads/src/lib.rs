//! Model configurations, operator graphs and KV caches of the pimscope simulator.
