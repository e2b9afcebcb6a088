//! One run of a scenario: a fresh database, a fresh queue, a fresh Clerk, and roles that are built anew
//! whenever they are gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use hookmirror::clock::Clock;
use hookmirror::model::entitlement::Policy;
use hookmirror::model::event::Event;
use hookmirror::model::ledger::Waiting;
use hookmirror::model::source::{Provider, Source, Sources};
use hookmirror::model::time::Timestamp;
use hookmirror::ops::account::account;
use hookmirror::store::Store;
use hookmirror::store::postgres::PostgresStore;
use hookmirror::store::sqlite::SqliteStore;
use hookmirror::worker::decide;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::end::End;
use super::seams::MemoryQueue;
use super::server::Server;
use super::steps::{Fault, Steps, Trip};
use crate::support::clerk::FakeClerk;
use crate::support::clock::ManualClock;
use crate::support::directory::directory;
use crate::support::faulty_store::FaultyStore;
use crate::support::given::{at, user_id};
use crate::support::rows::{self, Rows};
use crate::support::wire::{Break, Language, Wire};

/// See the module.
pub(super) struct World {
    pub(super) steps: Arc<Steps>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) queue: Arc<MemoryQueue>,
    pub(super) clerk: Arc<FakeClerk>,
    /// The database as the roles see it.
    pub(super) store: Arc<dyn Store>,
    /// The same, as the one sees it who looks on.
    pub(super) behind: Arc<dyn Store>,
    known: Mutex<Sources>,
    pub(super) run: Run,
    /// What was there after each deed of an operator.
    pub(super) deeds: Mutex<Vec<Rows>>,
    place: Place,
}

/// Where the database is, and what stands before it.
enum Place {
    File(TempDir),
    Server(Arc<Server>, Wire),
}

/// Which run it is.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) scenario: &'static str,
    pub(super) trip: Option<Trip>,
    /// What was there after each deed of an operator when nothing went wrong.
    pub(super) wanted: Arc<Vec<Rows>>,
}

/// A migrated database without rows, as it is in its file.
async fn empty_database() -> &'static [u8] {
    static EMPTY: OnceCell<Vec<u8>> = OnceCell::const_new();
    EMPTY
        .get_or_init(|| async {
            let directory = directory();
            let path = directory.path().join(FILE);
            let store = SqliteStore::open(&path).await.unwrap();
            store.migrate().await.unwrap();
            store.close().await;
            std::fs::read(&path).unwrap()
        })
        .await
}

const FILE: &str = "mirror.db";

impl World {
    /// With a database in a file. A call at a seam goes wrong.
    pub(super) async fn new(run: Run) -> Self {
        let directory = directory();
        let path = directory.path().join(FILE);
        std::fs::write(&path, empty_database().await).unwrap();
        let store = Arc::new(SqliteStore::open(&path).await.unwrap());
        let steps = Arc::new(Steps::new(run.trip));
        let behind = Arc::clone(&store) as Arc<dyn Store>;
        Self::with(run, steps, behind, store, Place::File(directory))
    }

    /// With a database on a server. A message on the wire to it goes wrong, which takes the role along
    /// that said it if the fault says so.
    pub(super) async fn behind_a_wire(run: Run, server: &Arc<Server>) -> Self {
        let at = run.trip.map(|Trip { step, fault }| Break {
            unit: step,
            is_heard: matches!(fault, Fault::Unanswered | Fault::GoneAfter),
        });
        let mut url = server.url();
        let address = ("127.0.0.1", url.port().unwrap());
        let wire = Wire::to(address, Language::Postgres, at).await;
        url.set_port(Some(wire.port())).unwrap();
        let store = Arc::new(PostgresStore::connect(url.as_str()).unwrap());
        let place = Place::Server(Arc::clone(server), wire);
        let behind = Arc::clone(&server.store);
        Self::with(run, Arc::default(), behind, store, place)
    }

    fn with(
        run: Run,
        steps: Arc<Steps>,
        behind: Arc<dyn Store>,
        store: Arc<dyn Store>,
        place: Place,
    ) -> Self {
        Self {
            run,
            store: seam(store, &steps),
            behind,
            steps,
            clock: Arc::new(ManualClock::new(at(100))),
            queue: Arc::default(),
            clerk: Arc::default(),
            known: Mutex::new(Provider::ALL.map(Source::from).into_iter().collect()),
            deeds: Mutex::default(),
            place,
        }
    }

    /// The database as roles see it whose settings are others.
    pub(super) async fn with_policy(&self, policy: Policy) -> Arc<dyn Store> {
        let Place::File(directory) = &self.place else {
            self.fail("another policy is for a database in a file");
        };
        let path = directory.path().join(FILE);
        let store = SqliteStore::open(&path).await.unwrap();
        seam(Arc::new(store.with_policy(policy)), &self.steps)
    }

    /// The wire, where the database is behind one.
    pub(super) fn wire(&self) -> Option<&Wire> {
        match &self.place {
            Place::File(_) => None,
            Place::Server(_, wire) => Some(wire),
        }
    }

    /// Which sources the workers know from now on.
    pub(super) fn know(&self, providers: &[Provider]) {
        let known = providers.iter().copied().map(Source::from);
        *self.known.lock().unwrap() = known.collect();
    }

    pub(super) fn sources(&self) -> Sources {
        self.known.lock().unwrap().clone()
    }

    /// What happened before the scenario: no step of it.
    pub(super) async fn given(&self, events: &[Event]) {
        let sources = self.sources();
        let batch: Vec<_> = events
            .iter()
            .map(|event| decide(&sources, event.clone()))
            .collect();
        self.behind.apply(&batch, self.now()).await.unwrap();
    }

    /// What was found, and where in the loop.
    pub(super) fn tell(&self, what: &str) -> String {
        let Run { scenario, trip, .. } = self.run;
        let Some(Trip { step, fault }) = trip else {
            return format!("{scenario}, undisturbed: {what}");
        };
        let seen = self.steps.seen();
        let call = match self.wire() {
            None => seen.tripped,
            Some(_) => seen.made.last().copied(),
        };
        let call = call.unwrap_or("nothing");
        format!("{scenario}, step {step}, {call}, {fault:?}: {what}")
    }

    /// Fails the test.
    pub(super) fn fail(&self, what: &str) -> ! {
        panic!("{}", self.tell(what))
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) async fn rows(&self) -> Rows {
        match &self.place {
            Place::File(directory) => {
                let path = directory.path().join(FILE);
                let options = SqliteConnectOptions::new().filename(path).read_only(true);
                let mut direct = SqliteConnection::connect_with(&options).await.unwrap();
                let rows = rows::of_sqlite(&mut direct, &[]).await;
                direct.close().await.unwrap();
                rows
            }
            Place::Server(server, _) => server.rows().await,
        }
    }

    /// How it all ended. Nothing may be left in the queue.
    pub(super) async fn end(&self) -> End {
        if !self.queue.is_empty() || self.queue.has_dead() {
            self.fail("something is left in the queue");
        }
        let waiting = Waiting {
            events: self.queue.keys(),
            ..Waiting::default()
        };
        let account = account(&*self.behind, waiting).await.unwrap();
        let rows = self.rows().await;
        let users = rows.iter().filter(|(table, _)| table == "outbox");
        let users = users.map(|(_, row)| row["user_id"].as_str().unwrap().to_owned());
        let at_clerk = users.map(|user| {
            let metadata = self.clerk.metadata(&user_id(&user));
            (user, metadata)
        });
        End {
            at_clerk: at_clerk.collect::<BTreeMap<_, _>>(),
            account: (account.accepted, account.recorded),
            at: self.now(),
            rows,
        }
    }
}

fn seam(store: Arc<dyn Store>, steps: &Arc<Steps>) -> Arc<dyn Store> {
    Arc::new(FaultyStore {
        inner: store,
        faults: Arc::clone(steps),
    })
}
