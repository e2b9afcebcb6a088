//! Reading a body that anyone may have sent: bounded in size, in time (by the caller) and in what
//! all bodies together take.

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use http_body_util::combinators::Fuse;

use super::budget::{Budget, Share};
use super::error::Refusal;

/// A whole body and the part of the budget that it takes. The budget gets it back when this is
/// dropped.
pub(super) struct Buffered<'a> {
    /// The bytes as they came.
    pub(super) bytes: Bytes,
    _share: Share<'a>,
}

/// Reads a body to its end.
///
/// A body that is announced too large is refused before it is read; one of unknown length as soon
/// as it is too large. The budget is charged for bytes when they are here, so that announcing a
/// large body and not sending it costs nothing; when it is used up, the bodies that have been arriving
/// the longest give way, and if there are none this one does: its sender has to come again. A body that
/// comes in one piece, as most do, is not copied.
pub(super) async fn read<'a>(
    body: &mut Fuse<Body>,
    limit: usize,
    budget: &'a Budget,
) -> Result<Buffered<'a>, Refusal> {
    let fits = |bytes: u64| usize::try_from(bytes).is_ok_and(|bytes| bytes <= limit);
    if !fits(body.size_hint().lower()) {
        return Err(Refusal::BodyTooLarge { limit });
    }

    let mut share = budget.share();
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            () = share.has_to_give_way() => return Err(Refusal::TooBusy),
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(Refusal::BodyUnreadable)?.into_data() else {
            // Trailers: not signed, so of no interest.
            continue;
        };
        let received = first.len().max(joined.len());
        if data.len() > limit - received {
            return Err(Refusal::BodyTooLarge { limit });
        }
        share.charge(data.len()).await?;
        if received == 0 {
            first = data;
            continue;
        }
        if joined.is_empty() {
            // Copied rather than kept as a list: each piece, however small, would pin the buffer
            // that it was read into.
            joined.extend_from_slice(&first);
            first = Bytes::new();
        }
        joined.extend_from_slice(&data);
    }
    let bytes = if joined.is_empty() {
        first
    } else {
        joined.freeze()
    };
    Ok(Buffered {
        bytes,
        _share: share.complete(),
    })
}
