//! A way to a host that takes its time, for kernels that cannot delay packets: it hands bytes on after half a round trip,
//! opens a connection after a whole one, and counts how often the directions change.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// How often anybody waited for an answer, over all relays.
pub(super) static ROUND_TRIPS: AtomicU64 = AtomicU64::new(0);

/// Listens for as long as this program runs.
pub(super) fn start(listen: SocketAddr, to: SocketAddr, round_trip: Duration) -> anyhow::Result<()> {
    let listener = TcpListener::bind(listen)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || carry(&stream, to, round_trip));
        }
    });
    Ok(())
}

fn carry(client: &TcpStream, to: SocketAddr, round_trip: Duration) -> Option<()> {
    thread::sleep(round_trip);
    ROUND_TRIPS.fetch_add(1, Ordering::Relaxed);
    let host = TcpStream::connect(to).ok()?;
    host.set_nodelay(true).ok()?;
    client.set_nodelay(true).ok()?;
    // Who speaks first is no answer to anybody.
    let asked = Arc::new(AtomicBool::new(true));
    let there = one_way(client.try_clone().ok()?, host.try_clone().ok()?, round_trip / 2, true, Arc::clone(&asked));
    let back = one_way(host, client.try_clone().ok()?, round_trip / 2, false, asked);
    there.join().ok()?;
    back.join().ok()
}

fn one_way(
    mut from: TcpStream,
    mut to: TcpStream,
    delay: Duration,
    asks: bool,
    asked: Arc<AtomicBool>,
) -> thread::JoinHandle<()> {
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    let late = thread::spawn(move || {
        for (when, bytes) in receive {
            thread::sleep(when.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if asked.swap(asks, Ordering::Relaxed) != asks && asks {
                ROUND_TRIPS.fetch_add(1, Ordering::Relaxed);
            }
            let Some(bytes) = buffer.get(..read) else { break };
            if send.send((Instant::now() + delay, bytes.to_vec())).is_err() {
                break;
            }
        }
        drop(send);
        let _ = late.join();
    })
}
