//! What others read with SQL, and what Postgres does with values.

use hookmirror::model::changes::{Outcome, Planned};
use hookmirror::model::payment::CheckoutSession;
use hookmirror::model::state::EventState;
use hookmirror::model::time::Timestamp;
use hookmirror::store::Store;

use super::{MIRRORED, texts};
use crate::store::{apply, outcomes, record_of, report};
use crate::support::given::{at, mirror, record, session_of, user};
use crate::support::postgres::TestDatabase;

const REFUSED: Outcome = Outcome::Failed("data_refused");

/// The same columns in the same order as in the other engine, as the documentation promises.
#[tokio::test]
async fn members_are_users_with_their_entitlement() {
    let database = TestDatabase::migrated().await;
    let mut stranger = database.stranger().await;
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        mirror("msg_2", user("user_b", 1, "Bob")),
        record("evt_1", session_of("cs_1", "user_b")),
        record("evt_2", session_of("cs_2", "user_nobody")),
    ];
    apply(&database.store(), 0, &batch).await;
    let sql = "SELECT id || ' ' || paid || ' ' || COALESCE(payment, '-') FROM members ORDER BY id";
    let members = texts(&mut stranger, sql).await;
    assert_eq!(members, ["user_a false -", "user_b true paid"]);
}

#[tokio::test]
async fn both_engines_have_the_same_columns() {
    use crate::support::directory::directory;
    use sqlx::{Connection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

    let database = TestDatabase::migrated().await;
    let mut postgres = database.stranger().await;
    let directory = directory();
    let path = directory.path().join("mirror.db");
    let store = hookmirror::store::sqlite::SqliteStore::open(&path)
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let options = SqliteConnectOptions::new().filename(&path);
    let mut sqlite = SqliteConnection::connect_with(&options).await.unwrap();
    let of_postgres = texts(
        &mut postgres,
        "SELECT table_name || '.' || column_name FROM information_schema.columns \
         WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations' \
         ORDER BY table_name COLLATE \"C\", ordinal_position",
    )
    .await;
    let of_sqlite: Vec<String> = sqlx::query(
        "SELECT t.name || '.' || c.name FROM sqlite_master AS t, pragma_table_info(t.name) AS c \
         WHERE t.type IN ('table', 'view') AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
         AND t.name <> 'sqlite_sequence' \
         ORDER BY t.name, c.cid",
    )
    .fetch_all(&mut sqlite)
    .await
    .unwrap()
    .iter()
    .map(|row| row.get(0))
    .collect();
    assert!(of_postgres.len() > 80, "{of_postgres:?}");
    assert_eq!(of_postgres, of_sqlite);
}

#[tokio::test]
async fn whole_objects_are_kept_to_the_letter() {
    let database = TestDatabase::migrated().await;
    let mut state = user("user_a", 1, "Ann");
    state.data = r#"{ "n": 1.0e2, "n": "\ud800", "z": "\u0000" }"#.to_owned();
    let store = database.store();
    assert_eq!(
        outcomes(&store, 0, &[mirror("msg_1", state.clone())]).await,
        [MIRRORED]
    );
    let mut stranger = database.stranger().await;
    let data = texts(&mut stranger, "SELECT data::text FROM users").await;
    assert_eq!(data, [state.data]);
}

/// Each of these is a fact that Postgres cannot hold, in a batch with one that it can.
#[tokio::test]
async fn what_postgres_cannot_hold_fails_alone_and_is_not_quoted() {
    const SECRET: &str = "s3cret";
    let state = || user("user_bad", 1, "Ann");
    let session = || session_of("cs_bad", "user_bad");
    let nul = format!("{SECRET}\0\"{SECRET}\"");
    let mut states = vec![state(), state(), state(), state(), state()];
    states[0].first_name = Some(nul.clone());
    states[1].unsafe_metadata = format!(r#"{{"{SECRET}":"\u0000"}}"#);
    states[2].public_metadata = format!(r#"{{"{SECRET}":"\ud800"}}"#);
    states[3].private_metadata = format!(r#"{{"{SECRET}":1e999999}}"#);
    states[4].data = format!(r#"{{"{SECRET}":"#);
    let mut refused: Vec<Planned> = states
        .into_iter()
        .enumerate()
        .map(|(number, state)| mirror(&format!("msg_bad_{number}"), state))
        .collect();
    for (number, session) in [
        CheckoutSession {
            id: nul.clone(),
            ..session()
        },
        CheckoutSession {
            customer: Some(nul.clone()),
            ..session()
        },
        CheckoutSession {
            currency: Some(nul.clone()),
            ..session()
        },
    ]
    .into_iter()
    .enumerate()
    {
        let mut planned = record(&format!("evt_bad_{number}"), session);
        planned.subject = Some("cs_bad".to_owned());
        refused.push(planned);
    }

    let database = TestDatabase::migrated().await;
    let store = database.store();
    for (number, bad) in refused.into_iter().enumerate() {
        let event = bad.event.key.id.to_string();
        let batch = [
            mirror(
                &format!("msg_{number}"),
                user(&format!("user_{number}"), 1, "Ann"),
            ),
            bad,
            mirror(
                &format!("msg_{number}_b"),
                user(&format!("user_{number}_b"), 1, "Bob"),
            ),
        ];
        let expected = [MIRRORED, REFUSED, MIRRORED];
        assert_eq!(outcomes(&store, 0, &batch).await, expected, "{event}");
        let failed = record_of(&store, &event).await.summary;
        assert_eq!(failed.state, EventState::Failed);
        let error = failed.last_error.unwrap();
        assert!(!error.contains(SECRET), "quotes the value: {error}");
    }
}

/// Otherwise it would come back first each time, and nothing behind it would ever be applied.
#[tokio::test]
async fn what_a_trigger_of_the_team_refuses_fails_alone_and_is_not_quoted() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    let mut stranger = database.stranger().await;
    sqlx::raw_sql(
        "CREATE FUNCTION no_eves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF NEW.first_name = 'Eve' THEN RAISE EXCEPTION 'no % here', NEW.email; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER no_eves BEFORE INSERT OR UPDATE ON users \
         FOR EACH ROW EXECUTE FUNCTION no_eves()",
    )
    .execute(&mut stranger)
    .await
    .unwrap();
    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        mirror("msg_2", user("user_e", 1, "Eve")),
        mirror("msg_3", user("user_b", 1, "Bob")),
    ];
    let seen = outcomes(&store, 0, &batch).await;
    assert_eq!(seen, [MIRRORED, REFUSED, MIRRORED]);
    let error = record_of(&store, "msg_2").await.summary.last_error.unwrap();
    assert!(
        error.contains("P0001") && !error.contains("user_e"),
        "{error}"
    );
}

#[tokio::test]
async fn a_failure_that_tells_of_a_nul_can_be_recorded() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    let failing = crate::support::given::failing("msg_1", "user.updated", "a\0b");
    apply(&store, 0, &[failing]).await;
    let error = record_of(&store, "msg_1").await.summary.last_error;
    assert_eq!(error.as_deref(), Some("`a\u{fffd}b` is missing"));
}

#[tokio::test]
async fn times_beyond_the_calendar_are_held_at_its_ends() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    let mut state = user("user_a", 1, "Ann");
    state.created_at = Some(Timestamp::from_millis(i64::MIN));
    state.updated_at = Timestamp::from_millis(i64::MAX);
    assert_eq!(
        outcomes(&store, 0, &[mirror("msg_1", state)]).await,
        [MIRRORED]
    );
    let found = report(&store, "user_a").await.user.unwrap();
    assert_eq!(
        found.created_at.unwrap().to_string(),
        "0001-01-01T00:00:00.000Z"
    );
    assert_eq!(found.updated_at.to_string(), "9999-12-31T23:59:59.999Z");
}

/// The server of the tests sorts as a language does: `a` before `B`, punctuation last of all.
#[tokio::test]
async fn ids_sort_by_their_bytes() {
    use crate::support::given::{ignore, received};

    let database = TestDatabase::migrated().await;
    let store = database.store();
    let ids = ["evt_B", "evt_Z1", "evt__", "evt_a", "evt_a-b", "evt_aa"];
    let batch = ids.map(|id| received(1, ignore(id, "a.type")));
    apply(&store, 0, &batch).await;
    let found = store.list_events(&Default::default(), 10).await.unwrap();
    let found: Vec<String> = found.iter().map(|event| event.key.id.to_string()).collect();
    assert_eq!(found, ids);
}

#[tokio::test]
async fn a_pattern_means_what_it_means_elsewhere() {
    use crate::support::given::ignore;
    use hookmirror::model::ledger::EventFilter;

    let database = TestDatabase::migrated().await;
    let store = database.store();
    let types = ["a_b", "aXb", r"a\b", "a%b"];
    for (number, event_type) in types.into_iter().enumerate() {
        apply(&store, 0, &[ignore(&format!("evt_{number}"), event_type)]).await;
    }
    for (pattern, expected) in [
        ("a_b", 1),
        (r"a\b", 1),
        ("a%b", 1),
        ("axb", 0),
        ("a?b", 4),
        ("a*", 4),
        ("?", 0),
    ] {
        let filter = EventFilter {
            event_type: Some(pattern.to_owned()),
            ..EventFilter::default()
        };
        let found = store.list_events(&filter, 10).await.unwrap();
        assert_eq!(found.len(), expected, "{pattern}");
    }
}

#[tokio::test]
async fn an_entitlement_that_did_not_change_was_not_written() {
    let database = TestDatabase::migrated().await;
    let store = database.store();
    let mut stranger = database.stranger().await;
    let mut written = async || {
        let sql = "SELECT (extract(epoch FROM updated_at) * 1000)::bigint::text FROM entitlements";
        texts(&mut stranger, sql).await
    };
    let session = session_of("cs_1", "user_a");
    apply(&store, 10, &[record("evt_1", session.clone())]).await;
    assert_eq!(written().await, [at(10).as_millis().to_string()]);
    // A fact that changes nothing of the verdict, and one that does.
    let told_again = CheckoutSession {
        updated_at: at(30),
        ..session.clone()
    };
    apply(&store, 20, &[record("evt_2", told_again)]).await;
    assert_eq!(written().await, [at(10).as_millis().to_string()]);
    let subscribed = CheckoutSession {
        subscription: Some("sub_1".to_owned()),
        ..session
    };
    apply(&store, 30, &[record("evt_3", subscribed)]).await;
    assert_eq!(written().await, [at(30).as_millis().to_string()]);
}
