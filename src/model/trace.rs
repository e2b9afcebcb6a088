//! Which trace an event belongs to: W3C's `traceparent`, level 1.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// One span of one trace, as it is handed on. Displayed as a `traceparent` header of version 00.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace: [u8; 16],
    span: [u8; 8],
    sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent`; `None` if it is not one. A later version may have more fields; they are
    /// left out.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (head, rest) = bytes.split_at_checked(55)?;
        let is_lower = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
        let ends = match &head[..2] {
            b"ff" => false,
            b"00" => rest.is_empty(),
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        if !ends || !head.iter().all(is_lower) || [2, 35, 52].iter().any(|at| head[*at] != b'-') {
            return None;
        }
        let mut context = Self {
            trace: [0; 16],
            span: [0; 8],
            sampled: false,
        };
        let mut flags = [0; 1];
        hex::decode_to_slice(&head[3..35], &mut context.trace).ok()?;
        hex::decode_to_slice(&head[36..52], &mut context.span).ok()?;
        hex::decode_to_slice(&head[53..55], &mut flags).ok()?;
        context.sampled = flags[0] & 1 == 1;
        (context.trace != [0; 16] && context.span != [0; 8]).then_some(context)
    }

    /// The id of the trace.
    pub fn trace_id(&self) -> [u8; 16] {
        self.trace
    }

    /// The id of the span.
    pub fn span_id(&self) -> [u8; 8] {
        self.span
    }

    /// Whether whoever began the trace wants it recorded.
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// The id of the trace as people search for it.
    pub fn trace_id_text(&self) -> String {
        hex::encode(self.trace)
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (trace, span) = (hex::encode(self.trace), hex::encode(self.span));
        write!(f, "00-{trace}-{span}-{:02x}", u8::from(self.sampled))
    }
}

/// Makes ids. Those of one seed are the same each time; nobody should be able to guess anything by
/// them, and nothing depends on it.
#[derive(Debug)]
pub struct TraceIds {
    seed: u64,
    next: AtomicU64,
}

impl TraceIds {
    /// Ids that follow from this seed.
    pub const fn of(seed: u64) -> Self {
        Self {
            seed,
            next: AtomicU64::new(0),
        }
    }

    /// A new span: in the trace of `parent`, else the first of a new trace.
    pub fn span(&self, parent: Option<TraceContext>) -> TraceContext {
        let span = self.number().to_be_bytes();
        match parent {
            Some(parent) => TraceContext { span, ..parent },
            None => {
                let mut trace = [0; 16];
                trace[..8].copy_from_slice(&self.number().to_be_bytes());
                trace[8..].copy_from_slice(&self.number().to_be_bytes());
                TraceContext {
                    trace,
                    span,
                    sampled: true,
                }
            }
        }
    }

    /// SplitMix64: no two of the first 2^64 numbers are the same. Zero is no id.
    fn number(&self) -> u64 {
        let step = self.next.fetch_add(1, Ordering::Relaxed);
        let mut z = self
            .seed
            .wrapping_add(step.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).max(1)
    }
}
