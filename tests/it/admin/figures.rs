//! What the private listener costs the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use axum::body::Body;
use futures_util::FutureExt;
use hookmirror::admin::{Desk, Figures, Sources, router};
use hookmirror::clock::SystemClock;
use hookmirror::model::ledger::Waiting;
use hookmirror::model::source::{Provider, Source};
use hookmirror::store::StoreError;
use hookmirror::worker;
use http::Request;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;

use crate::support::database;
use crate::support::faulty_store::{Around, FaultyStore, StoreCall};

/// As long as a ledger of many events takes to be counted.
const SLOW: Duration = Duration::from_secs(1);
/// Longer than what a quick database said is told again.
const WHILE: Duration = Duration::from_secs(7);

/// Answers late, and knows how often it was asked.
#[derive(Debug, Default)]
struct Slow(AtomicU32);

impl Around for Arc<Slow> {
    async fn around_call<T: Send>(
        &self,
        _call: StoreCall<'_>,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(SLOW).await;
        work.await
    }
}

#[tokio::test]
async fn a_database_that_is_slow_to_count_is_left_alone_for_longer() {
    let database = database::sqlite().await;
    let slow = Arc::new(Slow::default());
    let figures = Figures::new(Sources {
        store: Some(Arc::new(FaultyStore {
            inner: Arc::clone(&database.store),
            faults: Arc::clone(&slow),
        })),
        names: vec![Provider::Clerk.into()],
        counted: Vec::new(),
        oldest: Box::new(|| None),
        queues: Box::new(Vec::new),
        spool: Box::new(|| None),
        dispatchers: Vec::new(),
        clock: Arc::new(SystemClock),
    });
    let desk = Desk {
        store: None,
        queue: Box::new(|| async { Ok(Waiting::default()) }.boxed()),
        sources: Provider::ALL.into_iter().map(Source::from).collect(),
        decide: Box::new(|event| {
            worker::decide(
                &Provider::ALL.into_iter().map(Source::from).collect(),
                event,
            )
        }),
        clock: Arc::new(SystemClock),
    };
    let listener = TowerToHyperService::new(router(Arc::new(figures), desk, None));
    let ask = async || {
        let request = Request::get("/metrics").body(Body::empty()).unwrap();
        assert_eq!(listener.call(request).await.unwrap().status(), 200);
        slow.0.load(Ordering::Relaxed)
    };
    let once = ask().await;
    assert!(once > 0);
    let begun = Instant::now();
    while begun.elapsed() < WHILE {
        assert_eq!(ask().await, once, "after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
