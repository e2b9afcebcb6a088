//! Thousands of connections that mean harm, against the program itself, while a provider goes on: the
//! provider sees nothing of it.
//!
//! There are more attackers than the server has seats, and what they upload is more than it buffers. They
//! run on one thread, on loopback, and pause between attempts, so that they take at most one of the
//! machine's processors; so does the sender. Some of its events are large, and some go over a connection
//! that is kept. How long answers take is compared by `bash tests/attack`.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookmirror::clock::{Clock, SystemClock};
use hookmirror::model::event::EventId;
use hookmirror::model::source::Provider;
use hookmirror::provider::sign;
use http::HeaderMap;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::door::post_head;
use crate::cli::process::{Home, Running, SECRETS, wait_until};

const ATTACKERS: u64 = 5_000;
/// Fewer than the attackers who never let go by themselves: those are four of nine.
const SEATS: usize = 1_500;
const BUFFERED: usize = 8 * 1024 * 1024;
/// What the process takes at most: the buffered bodies, 32 KiB for each seat, and 100 MiB for itself.
const MOST_MEMORY: usize = BUFFERED + SEATS * 32 * 1024 + 100 * 1024 * 1024;
const WRONG: &str = "whsec_bm90IHRoZSBzZWNyZXQ=";
const PACE: Duration = Duration::from_millis(20);
/// As long as Svix waits.
const LONGEST: Duration = Duration::from_secs(15);
const PIECE: usize = 16 * 1024;
/// What one in ten honest events takes.
const LARGE: usize = 64 * 1024;

fn now() -> hookmirror::model::time::Timestamp {
    SystemClock.now()
}

fn headers(secret: &str, id: &str, body: &[u8]) -> HeaderMap {
    let id = EventId::parse(id).unwrap();
    sign(Provider::Clerk, &secret.into(), &id, now(), body).unwrap()
}

/// What one attacker does with one connection, until that ends.
async fn attack(kind: usize, mut wire: TcpStream) -> std::io::Result<()> {
    let forged = |length| post_head(Provider::Clerk, &headers(WRONG, "msg_1", b"x"), length);
    let slowly = Duration::from_millis(500);
    match kind {
        // Says nothing.
        0 => {}
        1 => {
            wire.write_all(b"POST /webhooks/clerk HTTP/1.1\r\nx: ")
                .await?;
            loop {
                sleep(slowly).await;
                wire.write_all(b"x").await?;
            }
        }
        2 => {
            wire.write_all(&forged(1024 * 1024)).await?;
            for _ in 0..4 {
                wire.write_all(&[b'x'; PIECE]).await?;
            }
            loop {
                sleep(slowly).await;
                wire.write_all(b"x").await?;
            }
        }
        3 => {
            wire.write_all(&forged(2)).await?;
            wire.write_all(b"{}").await?;
        }
        4 => wire.write_all(&forged(1 << 40)).await?,
        5 => {
            let mut head = headers(WRONG, "msg_1", b"x");
            head.insert("transfer-encoding", "chunked".parse().unwrap());
            let head = super::door::head("POST", "/webhooks/clerk", &head);
            wire.write_all(&head).await?;
            loop {
                wire.write_all(b"1000\r\n").await?;
                wire.write_all(&[b'x'; 0x1000]).await?;
                wire.write_all(b"\r\n").await?;
                sleep(slowly).await;
            }
        }
        6 => {
            let one = super::door::head("GET", "/livez", &HeaderMap::new());
            wire.write_all(&one.repeat(20)).await?;
        }
        7 => {
            wire.write_all(b"\x16\x03\x01\r\n\r\n POST / HTTP/9\r\n\r\n")
                .await?
        }
        _ => {
            wire.write_all(&forged(100)).await?;
            wire.write_all(b"cut off").await?;
            return Ok(());
        }
    }
    // Stays for as long as it is let.
    let mut ignored = [0; 4096];
    while wire.read(&mut ignored).await? > 0 {}
    Ok(())
}

/// Whether only the server ends this attack, and only for want of seats: so soon it has no other reason,
/// as it would wait for headers for more than a minute.
fn never_lets_go(kind: usize) -> bool {
    matches!(kind, 0 | 1)
}

/// Attackers that come back until they are told to stop.
struct Siege {
    stop: CancellationToken,
    /// How often one was closed who never lets go.
    shed: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    attackers: u64,
    runtime: Option<Runtime>,
}

impl Siege {
    fn lay(address: SocketAddr) -> Self {
        let room = rlimit::increase_nofile_limit(2 * ATTACKERS + 1000).unwrap_or(1024);
        let attackers = ATTACKERS.min(room.saturating_sub(500));
        if attackers < ATTACKERS {
            eprintln!(
                "ONLY {attackers} ATTACKERS INSTEAD OF {ATTACKERS}: the hard limit of open files is {room}"
            );
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let stop = CancellationToken::new();
        let shed = Arc::new(AtomicUsize::new(0));
        let open = Arc::new(AtomicUsize::new(0));
        for number in 0..usize::try_from(attackers).unwrap() {
            let (shed, open) = (Arc::clone(&shed), Arc::clone(&open));
            let siege = async move {
                // Not all in the same moment.
                sleep(Duration::from_millis(1) * u32::try_from(number).unwrap()).await;
                open.fetch_add(1, Ordering::Relaxed);
                let kind = number % 9;
                loop {
                    if let Ok(wire) = TcpStream::connect(address).await {
                        let _ = attack(kind, wire).await;
                        shed.fetch_add(usize::from(never_lets_go(kind)), Ordering::Relaxed);
                    }
                    sleep(Duration::from_secs(4)).await;
                }
            };
            let stop = stop.clone();
            runtime.spawn(async move { stop.run_until_cancelled(siege).await });
        }
        let siege = Self {
            stop,
            shed,
            open,
            attackers,
            runtime: Some(runtime),
        };
        wait_until("all attackers have come", || {
            siege.open.load(Ordering::Relaxed) as u64 == siege.attackers
        });
        siege
    }
}

impl Drop for Siege {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// An event and its signature, as they go over the wire.
fn event(id: &str, length: usize) -> Vec<u8> {
    let mut body = br#"{"type":"session.created","data":{}}"#.to_vec();
    // White space belongs to the body.
    body.resize(length.max(body.len()), b' ');
    let signed = headers(SECRETS[0].1, id, &body);
    let mut request = post_head(Provider::Clerk, &signed, body.len());
    request.extend_from_slice(&body);
    request
}

/// Sends over a connection that is kept, one event after the other; how many were sent, and over how many
/// connections. As a proxy does it: one that was closed while it was idle is replaced, and the event sent
/// again. All must be 202 in the end.
async fn send_over_one(address: SocketAddr, prefix: &str, lasting: Duration) -> (usize, usize) {
    let begun = Instant::now();
    let (mut sent, mut opened) = (0, 0);
    let mut kept = None;
    while begun.elapsed() < lasting {
        let id = format!("msg_{prefix}_kept_{sent}");
        let request = event(&id, 0);
        let asked = async {
            loop {
                let mut wire = match kept.take() {
                    Some(wire) => wire,
                    None => {
                        opened += 1;
                        BufReader::new(TcpStream::connect(address).await.unwrap())
                    }
                };
                if let Ok(answer) = ask(&mut wire, &request).await {
                    kept = Some(wire);
                    break answer;
                }
            }
        };
        let answer = timeout(LONGEST, asked).await.expect("an answer in time");
        assert!(answer.starts_with("HTTP/1.1 202 "), "{id}: {answer}");
        sent += 1;
        sleep(PACE).await;
    }
    (sent, opened)
}

/// One request and the head of its answer, of which the body is read as well.
async fn ask(wire: &mut BufReader<TcpStream>, request: &[u8]) -> std::io::Result<String> {
    wire.write_all(request).await?;
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if wire.read_line(&mut head).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.unwrap().parse().unwrap()];
    wire.read_exact(&mut body).await?;
    Ok(head)
}

/// Sends for so long, each event on a connection of its own, every tenth a large one; how long each
/// answer took, in order. All must be 202.
async fn send(address: SocketAddr, prefix: &str, lasting: Duration) -> Vec<Duration> {
    let mut pace = interval(PACE);
    let begun = Instant::now();
    let mut sent = Vec::new();
    let mut number = 0;
    while begun.elapsed() < lasting {
        pace.tick().await;
        let id = format!("msg_{prefix}_{number}");
        let length = if number % 10 == 0 { LARGE } else { 0 };
        number += 1;
        sent.push(tokio::spawn(async move {
            let request = event(&id, length);
            let begun = Instant::now();
            let asked = async {
                let mut wire = TcpStream::connect(address).await?;
                wire.write_all(&request).await?;
                let mut answer = [0; 12];
                wire.read_exact(&mut answer).await?;
                std::io::Result::Ok(answer)
            };
            let answer = timeout(LONGEST, asked).await.expect("an answer in time");
            assert_eq!(&answer.unwrap(), b"HTTP/1.1 202", "{id}");
            begun.elapsed()
        }));
    }
    let mut took = Vec::new();
    for one in sent {
        took.push(one.await.unwrap());
    }
    took.sort();
    took
}

/// Resident memory of the server, in bytes, and the most it ever was.
fn memory(server: &Running) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
    kilobytes.parse::<usize>().unwrap() * 1024
}

fn home() -> Home {
    Home::new()
        .with("HOOKMIRROR_MAX_CONNECTIONS", &SEATS.to_string())
        .with("HOOKMIRROR_MAX_BUFFERED_BYTES", &BUFFERED.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_provider_goes_on_as_if_nobody_else_were_there() {
    let home = home();
    let server = home.serve();
    let siege = Siege::lay(home.address);
    let lasting = Duration::from_secs(10);
    let (took, (kept, opened)) = tokio::join!(
        send(home.address, "siege", lasting),
        send_over_one(home.address, "siege", lasting)
    );
    let shed = siege.shed.load(Ordering::Relaxed);
    let memory = memory(&server);
    eprintln!(
        "{} attackers, shed {shed} times; {} events, the slowest answer after {:?}; {kept} more over \
         {opened} connections that are kept; {} MiB",
        siege.attackers,
        took.len(),
        took.last(),
        memory / 1024 / 1024
    );
    drop(siege);
    assert!(took.len() > 300, "{} sent", took.len());
    assert!(kept > 10, "{kept} sent over connections that are kept");
    assert!(shed > 500, "they are not shed: {shed}");
    assert!(memory < MOST_MEMORY, "{memory} bytes");
}

fn p99(took: &[Duration]) -> Duration {
    took[(took.len() - 1) * 99 / 100]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Quiet and besieged windows in turn, so that what else the machine does is in both.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "compares times: `bash tests/attack`, on a machine that does nothing else"]
async fn answers_take_no_more_than_three_times_as_long() {
    let home = home();
    let _server = home.serve();
    let (mut quiet, mut besieged) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let took = send(
            home.address,
            &format!("quiet{round}"),
            Duration::from_secs(6),
        )
        .await;
        quiet.push(p99(&took));
        let siege = Siege::lay(home.address);
        assert_eq!(siege.attackers, ATTACKERS, "the hard limit of open files");
        let took = send(
            home.address,
            &format!("siege{round}"),
            Duration::from_secs(6),
        )
        .await;
        besieged.push(p99(&took));
        drop(siege);
        // What is left of it is shed within the shortest wait.
        sleep(Duration::from_secs(2)).await;
    }
    println!("p99 quiet {quiet:?}, besieged {besieged:?}");
    let (quiet, besieged) = (median(quiet), median(besieged));
    println!("median of p99: quiet {quiet:?}, besieged {besieged:?}");
    assert!(besieged <= 3 * quiet, "more than three times as long");
}
