//! A trace through RabbitMQ and Postgres, and three processes.

use super::Fleet;
use crate::cli::process::{PAID, wait_until};
use crate::cli::traces::{check_chain, deliver, traceparent};
use crate::support::witness::Witness;

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_through_the_broker() {
    let (witness, address) = Witness::start().await;
    let mut fleet = Fleet::new().await;
    fleet.home = fleet
        .home
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{address}"))
        .with("CLERK_API_URL", &format!("http://{address}/v1"));
    let work = fleet.start("work");
    let dispatch = fleet.start("dispatch");
    let serve = fleet.home.listen("serve");
    assert_eq!(deliver(fleet.home.address, PAID, &traceparent()), 202);
    wait_until("Clerk is called", || !witness.traceparents().is_empty());
    for process in [serve, work, dispatch] {
        process.stop();
    }
    check_chain(&witness);
    let event = "SELECT COUNT(*) FROM events WHERE headers::jsonb ? 'secret'";
    assert_eq!(fleet.count(event).await, Some(1), "its headers went along");
}
