//! A wire that breaks at a given message.
//!
//! What clients say is counted over all connections, in units that the server acts on: for Postgres all
//! that asks for one answer, for RabbitMQ a frame. At the unit in question the connection ends, either
//! before the server has seen it, or when the server is done with it and the client has not heard so.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, sink};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Postgres,
    Amqp,
}

/// Where a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    /// At which unit; the first is number one.
    pub(crate) unit: usize,
    /// Whether the server sees it, and does what it says.
    pub(crate) is_heard: bool,
}

/// What has gone through so far.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    units: usize,
    /// It breaks, and may not have broken yet.
    breaks: bool,
    is_broken: bool,
}

/// Stands between clients and a server until it is dropped.
#[derive(Debug)]
pub(crate) struct Wire {
    address: SocketAddr,
    passed: Arc<watch::Sender<Passed>>,
    accepting: JoinHandle<()>,
}

impl Wire {
    pub(crate) async fn to(
        server: (&'static str, u16),
        language: Language,
        at: Option<Break>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let passed = Arc::new(watch::Sender::new(Passed::default()));
        let counter = Arc::clone(&passed);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                let passed = Arc::clone(&counter);
                tokio::spawn(connect(client, server, language, at, passed));
            }
        });
        Self {
            address,
            passed,
            accepting,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn units(&self) -> usize {
        self.passed.borrow().units
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.passed.borrow().is_broken
    }

    /// Whether it has broken, however long that takes: a client may be done while it does.
    pub(crate) async fn has_broken(&self) -> bool {
        let breaks = self.passed.borrow().breaks;
        if breaks {
            self.broken().await;
        }
        breaks
    }

    /// Waits for the break. Whoever waits learns of it before the client does.
    pub(crate) async fn broken(&self) {
        let mut passed = self.passed.subscribe();
        passed.wait_for(|passed| passed.is_broken).await.unwrap();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn connect(
    client: TcpStream,
    server: TcpStream,
    language: Language,
    at: Option<Break>,
    passed: Arc<watch::Sender<Passed>>,
) {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        let mut units = Units::new(from_client, language);
        while let Some((bytes, counts)) = units.next().await {
            if counts {
                passed.send_modify(|passed| passed.units += 1);
            }
            let number = passed.borrow().units;
            match at.filter(|at| counts && at.unit == number) {
                None => to_server.write_all(&bytes).await.ok()?,
                Some(at) => return Some((at, bytes)),
            }
        }
        None
    };
    let broken = tokio::select! {
        broken = there => broken,
        _ = copy(&mut from_server, &mut to_client) => None,
    };
    if let Some((at, unit)) = broken {
        passed.send_modify(|passed| passed.breaks = true);
        let heard = if at.is_heard { &unit[..] } else { &[] };
        hear_out(heard, &mut to_server, &mut from_server).await;
        passed.send_modify(|passed| passed.is_broken = true);
    }
}

/// Lets the server act on its last unit, if it has one, and waits until it has ended the connection by
/// itself, and let go of what it held: others pass by that, and a client that came back sooner would find
/// something else each time.
async fn hear_out(unit: &[u8], to_server: &mut OwnedWriteHalf, from_server: &mut OwnedReadHalf) {
    let _ = to_server.write_all(unit).await;
    let _ = to_server.shutdown().await;
    let _ = copy(from_server, &mut sink()).await;
}

/// Splits what a client says.
struct Units {
    from: OwnedReadHalf,
    language: Language,
    said: Vec<u8>,
    /// Whether the first words, which are framed differently, are over.
    has_begun: bool,
}

impl Units {
    fn new(from: OwnedReadHalf, language: Language) -> Self {
        Self {
            from,
            language,
            said: Vec::new(),
            has_begun: false,
        }
    }

    /// The next unit, and whether it counts: a farewell and a sign of life do not.
    async fn next(&mut self) -> Option<(Vec<u8>, bool)> {
        let mut unit = Vec::new();
        loop {
            let message = self.message().await?;
            let (ends, counts) = match (self.language, message[0]) {
                _ if !self.has_begun => {
                    self.has_begun = !is_ssl_request(&message);
                    (true, true)
                }
                (Language::Postgres, b'S' | b'Q' | b'H' | b'p') => (true, true),
                (Language::Postgres, b'X') => (true, false),
                (Language::Postgres, _) => (false, false),
                (Language::Amqp, kind) => (true, kind != HEARTBEAT),
            };
            unit.extend(message);
            if ends {
                return Some((unit, counts));
            }
        }
    }

    /// One message. `None`: the client has hung up.
    async fn message(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(length) = self.length().filter(|length| *length <= self.said.len()) {
                return Some(self.said.drain(..length).collect());
            }
            let read = self.from.read_buf(&mut self.said).await.ok()?;
            (read > 0).then_some(())?;
        }
    }

    /// How long the message is that begins here, if so much is known.
    fn length(&self) -> Option<usize> {
        let word = |at: usize| {
            let bytes = self.said.get(at..at + 4)?;
            Some(u32::from_be_bytes(bytes.try_into().unwrap()) as usize)
        };
        match (self.language, self.has_begun) {
            (Language::Postgres, false) => word(0),
            (Language::Postgres, true) => Some(1 + word(1)?),
            (Language::Amqp, false) => Some(8),
            (Language::Amqp, true) => Some(7 + word(3)? + 1),
        }
    }
}

const HEARTBEAT: u8 = 8;

/// Asks whether the server speaks TLS, and is followed by another first message.
fn is_ssl_request(message: &[u8]) -> bool {
    message[4..] == 80_877_103_u32.to_be_bytes()
}
