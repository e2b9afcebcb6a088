//! To a collector: OTLP over HTTP, as protobuf.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as proto;
use prost::Message;
use reqwest::{Client, Url};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{AttributeValue, Span, SpanKind, Traces};
use crate::backoff::{Backoff, Outage};
use crate::error_chain::ErrorChain;
use crate::http_client;
use crate::model::trace::TraceIds;

/// Spans that wait at most; further ones are lost.
const WAITING: usize = 4096;
/// Spans in one request at most.
const BATCH: usize = 512;
/// For how long a request waits for further spans.
const LINGER: Duration = Duration::from_millis(500);
/// How long the collector may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long the rest may take at the end.
const FLUSH: Duration = Duration::from_secs(2);

/// Where spans are sent.
#[derive(Clone)]
pub struct Collector {
    /// The address of its OTLP endpoint, without `/v1/traces`.
    pub endpoint: String,
    /// What it wants to be told with each request, such as a key.
    pub headers: HeaderMap,
    /// What this process is called there.
    pub service: String,
}

impl fmt::Debug for Collector {
    /// Leaves out where keys may stand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

/// Why spans cannot be sent anywhere. Quotes no address.
#[derive(Debug, thiserror::Error)]
pub enum ExporterError {
    /// The address is not one.
    #[error("the address of the collector is not an http or https URL")]
    BadUrl,
    /// TLS could not be set up.
    #[error("the HTTP client for the collector could not be set up")]
    Setup(#[source] reqwest::Error),
}

/// Why the collector has not taken spans.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("the collector did not answer")]
    NoAnswer(#[source] reqwest::Error),
    #[error("the collector answered {0}")]
    Answered(u16),
}

/// Sends spans to a collector.
pub struct Exporter {
    client: Client,
    url: Url,
    headers: HeaderMap,
    service: String,
    spans: mpsc::Receiver<Span>,
    backoff: Backoff,
}

impl fmt::Debug for Exporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exporter")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl Exporter {
    /// An exporter, and where spans are handed over to it.
    ///
    /// # Errors
    ///
    /// When there is no sending to that collector.
    pub fn new(
        collector: Collector,
        seed: u64,
        backoff: Backoff,
    ) -> Result<(Traces, Self), ExporterError> {
        let Collector {
            endpoint,
            headers,
            service,
        } = collector;
        let url = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let url = Url::parse(&url).map_err(|_| ExporterError::BadUrl)?;
        let client = http_client::builder([&url])
            .user_agent(concat!("hookmirror/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .map_err(ExporterError::Setup)?;
        let (sender, spans) = mpsc::channel(WAITING);
        let traces = Traces {
            ids: Arc::new(TraceIds::of(seed)),
            spans: Some(sender),
        };
        let exporter = Self {
            client,
            url,
            headers,
            service,
            spans,
            backoff,
        };
        Ok((traces, exporter))
    }

    /// Sends until `stop`, and then what there still is, for two seconds at most.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut outage = Outage::new(self.backoff);
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let taking = self.spans.recv_many(&mut batch, BATCH);
            match stop.run_until_cancelled(taking).await {
                None | Some(0) => break,
                Some(_) => {}
            }
            stop.run_until_cancelled(tokio::time::sleep(LINGER)).await;
            while batch.len() < BATCH
                && let Ok(span) = self.spans.try_recv()
            {
                batch.push(span);
            }
            match self.send(batch.split_off(0)).await {
                Ok(()) => {
                    if outage.end() {
                        tracing::info!("the collector takes traces again");
                    }
                }
                Err(error) => {
                    let wait = outage.failed();
                    if outage.has_just_begun() {
                        tracing::warn!(
                            error = %ErrorChain(&error),
                            "traces do not reach the collector and are lost until they do; nothing else \
                             depends on it"
                        );
                    }
                    stop.run_until_cancelled(tokio::time::sleep(wait)).await;
                }
            }
        }
        // The last thing: whoever waits for the end has a deadline, and spans are not worth it.
        let rest = async {
            self.spans.close();
            while self.spans.recv_many(&mut batch, BATCH).await > 0 {
                if self.send(batch.split_off(0)).await.is_err() {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(FLUSH, rest).await;
    }

    async fn send(&self, spans: Vec<Span>) -> Result<(), ExportError> {
        let body = request(&self.service, spans).encode_to_vec();
        let sending = self
            .client
            .post(self.url.clone())
            .headers(self.headers.clone())
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("application/x-protobuf"),
            )
            .body(body)
            .send();
        let response = sending
            .await
            .map_err(|error| ExportError::NoAnswer(error.without_url()))?;
        let status = response.status();
        match status.is_success() {
            true => Ok(()),
            false => Err(ExportError::Answered(status.as_u16())),
        }
    }
}

fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            attribute(("service.name", service.into())),
            attribute(("service.version", env!("CARGO_PKG_VERSION").into())),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![proto::ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![proto::ScopeSpans {
                scope: Some(scope),
                spans: spans.into_iter().map(encode).collect(),
                ..proto::ScopeSpans::default()
            }],
            ..proto::ResourceSpans::default()
        }],
    }
}

fn encode(span: Span) -> proto::Span {
    let kind = match span.kind {
        SpanKind::Server => proto::span::SpanKind::Server,
        SpanKind::Consumer => proto::span::SpanKind::Consumer,
        SpanKind::Client => proto::span::SpanKind::Client,
    };
    let status = proto::Status {
        code: match span.failed {
            true => proto::status::StatusCode::Error.into(),
            false => proto::status::StatusCode::Unset.into(),
        },
        ..proto::Status::default()
    };
    let began_at = u64::try_from(span.began_at.as_millis()).unwrap_or(0);
    let began_at = Duration::from_millis(began_at);
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    proto::Span {
        trace_id: span.context.trace_id().into(),
        span_id: span.context.span_id().into(),
        parent_span_id: match span.parent {
            Some(parent) => parent.span_id().into(),
            None => Vec::new(),
        },
        // Bit 0: sampled; nothing else is ever sent.
        flags: 1,
        name: span.name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanos(began_at),
        end_time_unix_nano: nanos(began_at.saturating_add(span.took)),
        attributes: span.attributes.into_iter().map(attribute).collect(),
        status: Some(status),
        ..proto::Span::default()
    }
}

fn attribute((key, value): (&str, AttributeValue)) -> KeyValue {
    let value = match value {
        AttributeValue::Text(text) => Value::StringValue(text),
        AttributeValue::Number(number) => Value::IntValue(number),
    };
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
