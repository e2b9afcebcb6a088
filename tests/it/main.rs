//! All tests that need more than one module, in one binary.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot go on")]

mod ingress;
mod support;
