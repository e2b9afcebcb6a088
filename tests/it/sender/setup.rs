//! What keeps anything from being sent.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use hookmirror::clock::SystemClock;
use hookmirror::error_chain::ErrorChain;
use hookmirror::model::source::Provider;
use hookmirror::sender::{SendError, SendOptions, Sender, Silent};
use tokio::net::TcpSocket;
use tokio_util::sync::CancellationToken;

use super::receiver::{Receiver, accepted, endpoints};
use super::{deliveries, eager};

#[tokio::test]
async fn where_nothing_answers_it_fails_at_once_or_as_long_as_it_is_told_to() {
    // Bound and not listening: nobody else can take the port, and every connection is refused.
    let closed = TcpSocket::new_v4().unwrap();
    closed.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let base = format!("http://{}", closed.local_addr().unwrap());
    let never = CancellationToken::new();

    let patient = SendOptions {
        retry_for: Duration::from_millis(30),
        wait_for_receiver: true,
        ..eager()
    };
    let clock = Arc::new(SystemClock);
    let sender = Sender::new(endpoints(&base), patient, clock.clone()).unwrap();
    let report = sender.send(deliveries(3), &Silent, &never).await.unwrap();
    assert_eq!(report.gave_up, 3);
    assert!(report.retries > 0);

    let sender = Sender::new(endpoints(&base), eager(), clock).unwrap();
    let error = sender
        .send(deliveries(3), &Silent, &never)
        .await
        .unwrap_err();
    assert!(matches!(error, SendError::NobodyAnswers { .. }));
    let text = error.to_string();
    assert!(
        text.contains(&base) && text.contains("hookmirror run"),
        "{text}"
    );
    assert!(error.source().is_some());

    let mut secretive = endpoints(&base);
    for endpoint in &mut secretive {
        endpoint.url = endpoint.url.replace("http://", "http://jane:hunter2@");
    }
    let sender = Sender::new(secretive, eager(), Arc::new(SystemClock)).unwrap();
    let error = sender
        .send(deliveries(1), &Silent, &never)
        .await
        .unwrap_err();
    let shown = format!("{} {error:?}", ErrorChain(&error));
    assert!(
        !shown.contains("jane") && !shown.contains("hunter2"),
        "{shown}"
    );
}

#[tokio::test]
async fn what_cannot_be_sent_is_told_before_anything_is() {
    let receiver = Receiver::start(async |_, _| accepted()).await;
    let clock = || Arc::new(SystemClock);

    let only_clerk = receiver.endpoints().into_iter().take(1);
    let sender = Sender::new(only_clerk, eager(), clock()).unwrap();
    let error = sender
        .send(deliveries(2), &Silent, &CancellationToken::new())
        .await
        .unwrap_err();
    assert!(matches!(&error, SendError::NoEndpoint { name } if name.as_str() == "stripe"));
    assert_eq!(receiver.attempts().len(), 0);

    let mut endpoint = receiver.endpoints().remove(0);
    assert_eq!(endpoint.source, Provider::Clerk.into());
    endpoint.secret = "whsec_not!base64".into();
    let error = Sender::new([endpoint], eager(), clock()).unwrap_err();
    assert!(matches!(error, SendError::BadSecret { .. }));
    assert!(!format!("{error} {error:?}").contains("not!base64"));

    let mut endpoint = receiver.endpoints().remove(0);
    endpoint.url = "localhost:8080".to_owned();
    let error = Sender::new([endpoint], eager(), clock()).unwrap_err();
    assert!(matches!(error, SendError::BadUrl));

    for options in [
        SendOptions {
            concurrency: 0,
            ..eager()
        },
        SendOptions {
            rate: Some(0.0),
            ..eager()
        },
        SendOptions {
            rate: Some(-1.0),
            ..eager()
        },
        SendOptions {
            rate: Some(f64::NAN),
            ..eager()
        },
    ] {
        let error = Sender::new(receiver.endpoints(), options, clock()).unwrap_err();
        assert!(matches!(error, SendError::BadOption(_)));
    }
}
