//! A wire that can be cut, or made silent in one direction.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    /// All passes.
    Open,
    /// What the server says is held back.
    Mute,
}

/// Stands between a client and a server.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    wire: watch::Sender<Wire>,
    cuts: watch::Sender<u32>,
}

impl Proxy {
    pub(crate) async fn to(server: (&'static str, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (wire, watching) = watch::channel(Wire::Open);
        let (cuts, cut) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut cut = cut.clone();
                cut.mark_unchanged();
                let watching = watching.clone();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(server).await else {
                        return;
                    };
                    tokio::select! {
                        () = pass(client, server, watching) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
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

    /// From now on clients hear nothing; the server hears them.
    pub(crate) fn mute(&self) {
        self.wire.send_replace(Wire::Mute);
    }

    /// Ends [`mute`](Self::mute). What was held back comes now.
    pub(crate) fn unmute(&self) {
        self.wire.send_replace(Wire::Open);
    }
}

async fn pass(client: TcpStream, server: TcpStream, mut wire: watch::Receiver<Wire>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = tokio::io::copy(&mut from_client, &mut to_server);
    let back = async {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let Ok(read @ 1..) = from_server.read(&mut buffer).await else {
                return;
            };
            let _ = wire.wait_for(|wire| *wire == Wire::Open).await;
            if to_client.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = there => {}
        () = back => {}
    }
}
