//! A wire that can be cut, made silent or slow in either direction, or refuse whoever comes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What of a slow wire passes at a time, and how long that takes.
const SLOW_BYTES: usize = 4 * 1024;
const SLOW_PAUSE: Duration = Duration::from_millis(50);

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Everything.
    Open,
    /// What the server says is held back.
    Mute,
    /// What the client says is held back.
    Deaf,
    /// Whatever anyone says is held back.
    Still,
    /// Everything, late and little by little.
    Slow,
    /// Everything, for those who are connected already; who comes is refused.
    Refusing,
}

/// Which way bytes go.
#[derive(Clone, Copy)]
enum Way {
    There,
    Back,
}

impl Wire {
    fn holds_back(self, way: Way) -> bool {
        match way {
            Way::There => matches!(self, Self::Deaf | Self::Still),
            Way::Back => matches!(self, Self::Mute | Self::Still),
        }
    }
}

/// What anyone has felt of all that was done to the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Felt {
    /// Connections that were cut.
    pub(crate) cut: u64,
    /// Bytes that had to wait.
    pub(crate) held_back: u64,
    /// Bytes that came late.
    pub(crate) slowed: u64,
    /// How often a RabbitMQ behind it has said that it takes no more.
    pub(crate) blocked: u64,
}

#[derive(Debug, Default)]
struct Traffic {
    connected: AtomicU64,
    cut: AtomicU64,
    held_back: AtomicU64,
    slowed: AtomicU64,
    blocked: AtomicU64,
}

/// Stands between clients and a server.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    traffic: Arc<Traffic>,
    wire: watch::Sender<Wire>,
    cuts: watch::Sender<u32>,
}

impl Proxy {
    pub(crate) async fn to(server: (&'static str, u16)) -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)), server).await
    }

    /// At an address that nobody takes while it refuses.
    pub(crate) async fn at(address: SocketAddr, server: (&'static str, u16)) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wire, watching) = watch::channel(Wire::Open);
        let (cuts, cut) = watch::channel(0);
        let traffic = Arc::default();
        tokio::spawn(accept(
            listener,
            server,
            watching,
            cut,
            Arc::clone(&traffic),
        ));
        Self {
            address,
            traffic,
            wire,
            cuts,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// How many connections go through here.
    pub(crate) fn connections(&self) -> u64 {
        self.traffic.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn felt(&self) -> Felt {
        let Traffic {
            cut,
            held_back,
            slowed,
            blocked,
            ..
        } = &*self.traffic;
        let [cut, held_back, slowed, blocked] =
            [cut, held_back, slowed, blocked].map(|figure| figure.load(Ordering::Relaxed));
        Felt {
            cut,
            held_back,
            slowed,
            blocked,
        }
    }

    /// Ends all connections that go through here, without a word. New ones are let through.
    pub(crate) fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// From now on this passes. What was held back comes when it may.
    pub(crate) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// From now on clients hear nothing; the server hears them.
    pub(crate) fn mute(&self) {
        self.set(Wire::Mute);
    }

    /// Ends [`mute`](Self::mute). What was held back comes now.
    pub(crate) fn unmute(&self) {
        self.set(Wire::Open);
    }
}

/// Ends with the proxy.
async fn accept(
    mut listener: TcpListener,
    server: (&'static str, u16),
    wire: watch::Receiver<Wire>,
    cuts: watch::Receiver<u32>,
    traffic: Arc<Traffic>,
) {
    let address = listener.local_addr().unwrap();
    loop {
        tokio::select! {
            known = refuses(&wire, true) => {
                drop(listener);
                if !known || !refuses(&wire, false).await {
                    return;
                }
                listener = TcpListener::bind(address).await.unwrap();
            }
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { return };
                let (wire, mut cuts) = (wire.clone(), cuts.clone());
                let traffic = Arc::clone(&traffic);
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    traffic.connected.fetch_add(1, Ordering::Relaxed);
                    tokio::select! {
                        () = pass(client, server, wire, &traffic) => {}
                        _ = cuts.changed() => {
                            traffic.cut.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    traffic.connected.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
    }
}

/// Waits until the wire does, or does not; false if it never will any more.
async fn refuses(wire: &watch::Receiver<Wire>, refuses: bool) -> bool {
    let mut changes = wire.clone();
    let comes = changes.wait_for(|wire| (*wire == Wire::Refusing) == refuses);
    comes.await.is_ok()
}

async fn pass(
    client: TcpStream,
    server: TcpStream,
    wire: watch::Receiver<Wire>,
    traffic: &Traffic,
) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = carry(from_client, to_server, Way::There, wire.clone(), traffic) => {}
        () = carry(from_server, to_client, Way::Back, wire, traffic) => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    mut wire: watch::Receiver<Wire>,
    traffic: &Traffic,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let is_slow = *wire.borrow() == Wire::Slow;
        let room = if is_slow { SLOW_BYTES } else { buffer.len() };
        let Ok(read @ 1..) = from.read(&mut buffer[..room]).await else {
            return;
        };
        let bytes = read as u64;
        if matches!(way, Way::Back) && says_blocked(&buffer[..read]) {
            traffic.blocked.fetch_add(1, Ordering::Relaxed);
        }
        if wire.borrow().holds_back(way) {
            traffic.held_back.fetch_add(bytes, Ordering::Relaxed);
        }
        let _ = wire.wait_for(|wire| !wire.holds_back(way)).await;
        if is_slow {
            traffic.slowed.fetch_add(bytes, Ordering::Relaxed);
            tokio::time::sleep(SLOW_PAUSE).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

/// Whether a frame in there is AMQP's `connection.blocked` (AMQP 0-9-1, method 60 of class 10): a method of
/// channel 0, after the seven bytes of a frame's head.
fn says_blocked(bytes: &[u8]) -> bool {
    bytes
        .windows(11)
        .any(|frame| frame.starts_with(&[1, 0, 0]) && frame.ends_with(&[0, 10, 0, 60]))
}

#[tokio::test]
async fn what_nobody_feels_is_not_told() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::to(("127.0.0.1", server.local_addr().unwrap().port())).await;
    for wire in [Wire::Still, Wire::Slow, Wire::Refusing, Wire::Open] {
        proxy.set(wire);
        proxy.cut();
    }
    // Refusing takes the listener away for a moment.
    let mut client = loop {
        match TcpStream::connect(("127.0.0.1", proxy.port())).await {
            Ok(client) => break client,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let (mut served, _) = server.accept().await.unwrap();
    let mut word = [0; 4];
    client.write_all(b"word").await.unwrap();
    served.read_exact(&mut word).await.unwrap();
    assert_eq!((proxy.felt(), proxy.connections()), (Felt::default(), 1));

    proxy.set(Wire::Mute);
    client.write_all(b"word").await.unwrap();
    served.read_exact(&mut word).await.unwrap();
    assert_eq!(proxy.felt(), Felt::default(), "this way is open");
    served.write_all(b"back").await.unwrap();
    let mut felt = Felt {
        held_back: 4,
        ..Felt::default()
    };
    until(&proxy, felt).await;
    proxy.set(Wire::Slow);
    client.read_exact(&mut word).await.unwrap();
    // What was being waited for already is not late yet.
    for _ in 0..2 {
        served.write_all(b"late").await.unwrap();
        client.read_exact(&mut word).await.unwrap();
    }
    assert!(proxy.felt().slowed >= 4, "{:?}", proxy.felt());
    proxy.cut();
    assert_eq!(client.read(&mut word).await.unwrap_or_default(), 0);
    felt.cut = 1;
    felt.slowed = proxy.felt().slowed;
    until(&proxy, felt).await;
}

#[test]
fn a_broker_that_takes_no_more_is_heard() {
    let blocked = b"\x01\0\0\0\0\0\x0c\0\x0a\0\x3c\x07low mem\xce";
    assert!(says_blocked(blocked));
    assert!(says_blocked(&[b"what came before", &blocked[..]].concat()));
    let unblocked = b"\x01\0\0\0\0\0\x04\0\x0a\0\x3d\xce";
    assert!(!says_blocked(unblocked));
}

async fn until(proxy: &Proxy, felt: Felt) {
    let seen = async {
        while proxy.felt() != felt {
            tokio::task::yield_now().await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(10), seen).await;
    assert!(seen.is_ok(), "{:?} instead of {felt:?}", proxy.felt());
}
