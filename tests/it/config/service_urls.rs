//! Addresses of services: what is connected to, and what is shown of it.

use hookmirror::config::{DatabaseUrl, ServiceUrl};
use secrecy::ExposeSecret;

use super::loaded;

fn broker(url: &str) -> ServiceUrl {
    loaded(&[("AMQP_URL", url)]).broker.unwrap().url
}

#[test]
fn without_a_broker_there_is_no_spool_either() {
    assert_eq!(loaded(&[("HOOKMIRROR_SPOOL_MAX_BYTES", "1")]).broker, None);
}

#[test]
fn a_broker_comes_with_a_spool_that_can_be_switched_off() {
    let url = ("AMQP_URL", "amqp://broker");
    let settings = loaded(&[url]).broker.unwrap();
    assert_eq!(settings.spool_max_bytes, 1 << 30);
    let settings = loaded(&[url, ("HOOKMIRROR_SPOOL_MAX_BYTES", "0")]).broker;
    assert_eq!(settings.unwrap().spool_max_bytes, 0);
}

#[test]
fn a_lone_slash_is_the_vhost_that_everybody_means() {
    for (written, meant) in [
        ("amqp://me:x@broker:5673/", "amqp://me:x@broker:5673"),
        ("amqp://broker/?heartbeat=5", "amqp://broker?heartbeat=5"),
        ("amqp://broker", "amqp://broker"),
        ("amqps://broker/%2F", "amqps://broker/%2F"),
        ("amqp://broker/mine", "amqp://broker/mine"),
        (" amqp://broker/mine\n", "amqp://broker/mine"),
    ] {
        assert_eq!(broker(written).secret().expose_secret(), meant, "{written}");
    }
}

#[test]
fn what_is_shown_has_no_credentials_and_no_options() {
    let broker = broker("amqp://me:s3cret@broker:5673/mine?heartbeat=5");
    assert_eq!(broker.to_string(), "amqp://broker:5673/mine");
    for (url, shown) in [
        (
            "postgres://me:s3cret@db.example:5433/mirror?sslmode=require",
            "postgres://db.example:5433/mirror",
        ),
        (
            "postgresql:///mirror?host=/run/postgresql&password=s3cret",
            "postgresql:///mirror",
        ),
    ] {
        let database = loaded(&[("DATABASE_URL", url)]).database;
        assert_eq!(database.to_string(), shown);
        assert!(!format!("{database:?}").contains("s3cret"));
        let DatabaseUrl::Postgres(full) = database else {
            panic!("{url} is Postgres");
        };
        assert_eq!(full.secret().expose_secret(), url);
    }
}
