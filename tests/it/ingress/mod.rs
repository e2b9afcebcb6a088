//! The front door, over real HTTP on loopback, written by hand where no honest client would do it.

mod attack;
mod bodies;
mod door;
mod durability;
mod hostile;
mod refusals;
mod seats;
mod shutdown;
