//! What an operator can do about the processing of a source's events.
//!
//! Ingress goes on accepting and the queue goes on being emptied, as it serves all sources: events of a
//! paused one are recorded as `queued`, with the outcome `paused`, without effect and without an
//! attempt. After a resumption the schedulers put them back, the oldest first.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::model::operator::{ActionRecord, Mode, Operator, OperatorAction};
use crate::model::pause::{SourceChange, SourceStanding};
use crate::model::source::{Source, SourceName};
use crate::model::time::Timestamp;
use crate::store::{Store, StoreError};

/// A source, as the settings and the ledger know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct KnownSource {
    /// What it speaks; `None`: the ledger has events of it, but it is not (or no longer) configured.
    pub provider: Option<&'static str>,
    /// How it stands.
    #[serde(flatten)]
    pub standing: SourceStanding,
}

/// What somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Pause or resume.
    pub change: SourceChange,
    /// Which sources.
    pub sources: Vec<SourceName>,
    /// Who wants it.
    pub operator: Operator,
    /// Whether for real.
    pub mode: Mode,
}

/// What was done, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Report {
    /// The line in the record of what operators did.
    pub action: ActionRecord,
    /// The sources that it is about, as they were before.
    pub sources: Vec<KnownSource>,
}

/// Why nothing is done.
#[derive(Debug, thiserror::Error)]
pub enum SourcesError {
    /// Neither the settings nor the ledger have it.
    #[error("there is no source {unknown}; there are {}", .known.join(", "))]
    Unknown {
        /// What was named.
        unknown: SourceName,
        /// What there is.
        known: Vec<String>,
    },
    /// The database cannot be used.
    #[error("the sources cannot be looked at or changed now")]
    Store(#[from] StoreError),
}

/// All sources, by name: those that are configured, and those that the ledger has events of.
///
/// # Errors
///
/// When the database cannot be read.
pub async fn list(
    store: &dyn Store,
    configured: &[Source],
) -> Result<Vec<KnownSource>, StoreError> {
    let provider = |name: &SourceName| {
        let source = configured.iter().find(|source| source.name == *name)?;
        Some(source.provider.as_str())
    };
    let standings = store.source_standings().await?;
    let mut sources: Vec<KnownSource> = standings
        .into_iter()
        .map(|standing| KnownSource {
            provider: provider(&standing.source),
            standing,
        })
        .collect();
    for source in configured {
        if sources
            .iter()
            .all(|known| known.standing.source != source.name)
        {
            sources.push(KnownSource {
                provider: Some(source.provider.as_str()),
                standing: SourceStanding {
                    source: source.name.clone(),
                    pause: None,
                    last_received_at: None,
                    parked: 0,
                    oldest_parked_at: None,
                    oldest_unapplied_at: None,
                },
            });
        }
    }
    sources.sort_by(|one, other| one.standing.source.cmp(&other.standing.source));
    Ok(sources)
}

/// Pauses or resumes sources; those that are already are left as they are.
///
/// # Errors
///
/// When a source is not known, or the database cannot be used. Then nothing was done.
pub async fn change(
    store: &dyn Store,
    configured: &[Source],
    request: Request,
    now: Timestamp,
) -> Result<Report, SourcesError> {
    let known = list(store, configured).await?;
    let is_known = |name: &&SourceName| known.iter().any(|known| known.standing.source == **name);
    if let Some(unknown) = request.sources.iter().find(|name| !is_known(name)) {
        return Err(SourcesError::Unknown {
            unknown: unknown.clone(),
            known: known
                .iter()
                .map(|known| known.standing.source.to_string())
                .collect(),
        });
    }
    let action = OperatorAction {
        operator: request.operator,
        action: match request.change {
            SourceChange::Pause => "sources pause",
            SourceChange::Resume => "sources resume",
        },
        target: json!({ "sources": request.sources }),
        mode: request.mode,
    };
    let changed = store.change_sources(request.change, &request.sources, &action, now);
    let action = changed.await?;
    let sources = known.into_iter();
    Ok(Report {
        action,
        sources: sources
            .filter(|known| request.sources.contains(&known.standing.source))
            .collect(),
    })
}
