//! A wire that can be cut, made silent or slow in either direction, or refuse whoever comes.

use std::net::SocketAddr;
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

/// Stands between clients and a server.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
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
        tokio::spawn(accept(listener, server, watching, cut));
        Self {
            address,
            wire,
            cuts,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
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
                cuts.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    tokio::select! {
                        () = pass(client, server, wire) => {}
                        _ = cuts.changed() => {}
                    }
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

async fn pass(client: TcpStream, server: TcpStream, wire: watch::Receiver<Wire>) {
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        () = carry(from_client, to_server, Way::There, wire.clone()) => {}
        () = carry(from_server, to_client, Way::Back, wire) => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    mut wire: watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let is_slow = *wire.borrow() == Wire::Slow;
        let room = if is_slow { SLOW_BYTES } else { buffer.len() };
        let Ok(read @ 1..) = from.read(&mut buffer[..room]).await else {
            return;
        };
        let _ = wire.wait_for(|wire| !wire.holds_back(way)).await;
        if is_slow {
            tokio::time::sleep(SLOW_PAUSE).await;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
