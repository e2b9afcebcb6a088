mod config;
mod shutdown;
mod telemetry;
