//! What others read with SQL, as the documentation of the tables promises it.

use hookmirror::model::changes::Outcome;
use hookmirror::model::outbox::DeliveryState;
use hookmirror::model::payment::CheckoutSession;
use hookmirror::model::state::EventState;
use hookmirror::store::Store;
use sqlx::SqliteConnection;

use super::{open, stranger, texts};
use crate::store::{apply, outcomes, report};
use crate::support::directory::directory;
use crate::support::given::{at, mirror, record, session_of, user};

/// What `members` shows of a user.
const USERS: [&str; 21] = [
    "id",
    "external_id",
    "email",
    "email_verified",
    "phone",
    "username",
    "first_name",
    "last_name",
    "image_url",
    "locale",
    "banned",
    "locked",
    "public_metadata",
    "private_metadata",
    "unsafe_metadata",
    "created_at",
    "updated_at",
    "last_sign_in_at",
    "data",
    "revision",
    "synced_at",
];

const ENTITLEMENT: [&str; 7] = [
    "paid",
    "payment",
    "status",
    "reason",
    "checkout_session_id",
    "subscription_id",
    "entitlement_updated_at",
];

async fn columns(connection: &mut SqliteConnection, table: &str) -> Vec<String> {
    let sql = format!("SELECT name FROM pragma_table_info('{table}') ORDER BY cid");
    texts(connection, &sql).await
}

/// The words of `column IN ('a', 'b')` in the definition of a table.
async fn words(connection: &mut SqliteConnection, table: &str, column: &str) -> Vec<String> {
    let sql = format!("SELECT sql FROM sqlite_master WHERE name = '{table}'");
    let definition = texts(connection, &sql).await.remove(0);
    let (_, after) = definition
        .split_once(&format!("CHECK ({column} IN"))
        .unwrap();
    let (list, _) = after.split_once("))").unwrap();
    list.split('\'')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_states_of_the_schema_are_those_of_the_program() {
    let directory = directory();
    open(&directory).await.migrate().await.unwrap();
    let mut stranger = stranger(directory.path()).await;
    let states = EventState::ALL.map(EventState::as_str);
    assert_eq!(words(&mut stranger, "events", "state").await, states);
    let states = DeliveryState::ALL.map(DeliveryState::as_str);
    assert_eq!(words(&mut stranger, "outbox", "state").await, states);
}

#[tokio::test]
async fn members_are_users_with_their_entitlement() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let mut stranger = stranger(directory.path()).await;
    let users: Vec<&str> = USERS.into_iter().chain(["source"]).collect();
    assert_eq!(columns(&mut stranger, "users").await, users);
    let expected: Vec<&str> = USERS.into_iter().chain(ENTITLEMENT).collect();
    assert_eq!(columns(&mut stranger, "members").await, expected);

    let batch = [
        mirror("msg_1", user("user_a", 1, "Ann")),
        mirror("msg_2", user("user_b", 1, "Bob")),
        record("evt_1", session_of("cs_1", "user_b")),
        record("evt_2", session_of("cs_2", "user_nobody")),
    ];
    apply(&store, 0, &batch).await;
    let sql = "SELECT id || ' ' || paid || ' ' || COALESCE(payment, '-') FROM members ORDER BY id";
    let members = texts(&mut stranger, sql).await;
    assert_eq!(members, ["user_a 0 -", "user_b 1 paid"]);
}

#[tokio::test]
async fn an_entitlement_that_did_not_change_was_not_written() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let mut stranger = stranger(directory.path()).await;
    let mut written = async || {
        let sql = "SELECT updated_at FROM entitlements WHERE user_id = 'user_a'";
        texts(&mut stranger, sql).await
    };
    let session = session_of("cs_1", "user_a");
    apply(&store, 10, &[record("evt_1", session.clone())]).await;
    assert_eq!(written().await, [at(10).to_string()]);
    // A fact that changes nothing of the verdict, and one that does.
    let told_again = CheckoutSession {
        updated_at: at(30),
        ..session.clone()
    };
    apply(&store, 20, &[record("evt_2", told_again)]).await;
    assert_eq!(written().await, [at(10).to_string()]);
    let subscribed = CheckoutSession {
        subscription: Some("sub_1".to_owned()),
        ..session
    };
    apply(&store, 30, &[record("evt_3", subscribed)]).await;
    assert_eq!(written().await, [at(30).to_string()]);
}

#[tokio::test]
async fn whole_objects_are_kept_to_the_letter() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let mut stranger = stranger(directory.path()).await;
    let mut state = user("user_a", 1, "A\0nn");
    state.data = r#"{ "n": 1.0e2, "n": "\ud800", "z": "\u0000" }"#.to_owned();
    state.public_metadata = r#"{ "b": 1, "a": "\ud800" }"#.to_owned();
    apply(&store, 0, &[mirror("msg_1", state.clone())]).await;
    let data = texts(&mut stranger, "SELECT data FROM users").await;
    assert_eq!(data, [state.data]);
    let metadata = texts(&mut stranger, "SELECT public_metadata FROM users").await;
    assert_eq!(metadata, [state.public_metadata]);
}

/// SQLite's own functions stop at a NUL; what is stored and read back does not.
#[tokio::test]
async fn nul_characters_and_lone_surrogates_are_kept() {
    let directory = directory();
    let store = open(&directory).await;
    store.migrate().await.unwrap();
    let mut state = user("user_a", 1, "A\0nn");
    state.data = r#"{"first_name":"A\u0000nn","last_name":"\ud800"}"#.to_owned();
    state.unsafe_metadata = r#"{"nul":"\u0000","half":"\ud800"}"#.to_owned();
    let batch = [
        mirror("msg_1", state),
        mirror("msg_2", user("user_b", 1, "Bob")),
    ];
    assert_eq!(
        outcomes(&store, 0, &batch).await,
        [Outcome::UserMirrored; 2]
    );
    let found = report(&store, "user_a").await.user.unwrap();
    assert_eq!(found.first_name.as_deref(), Some("A\0nn"));
}
