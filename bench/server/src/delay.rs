//! A wire with latency: every byte arrives half a round trip after it was sent.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Pieces of 64 KiB on the wire at most: 16 MiB, more than a receive window.
const WINDOW: usize = 256;

/// Joins the client with the server at `to`, `rtt` milliseconds away.
pub fn forward(client: TcpStream, to: SocketAddr, rtt: u64) -> io::Result<()> {
    let server = TcpStream::connect(to)?;
    server.set_nodelay(true)?;
    let rtt = Duration::from_millis(rtt);
    let (client_in, server_out) = (client.try_clone()?, server.try_clone()?);
    // The client's connect was answered at once: its first bytes make up for that round trip.
    let up = thread::spawn(move || carry(client_in, server_out, rtt / 2, rtt));
    let down = carry(server, client, rtt / 2, Duration::ZERO);
    let _ = up.join();
    down
}

fn carry(mut from: TcpStream, mut to: TcpStream, delay: Duration, mut extra: Duration) -> io::Result<()> {
    let (sender, wire) = mpsc::sync_channel::<(Instant, Vec<u8>)>(WINDOW);
    let arrive = thread::spawn(move || {
        for (due, piece) in wire {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
    let mut buf = vec![0; 64 * 1024];
    loop {
        let n = from.read(&mut buf)?;
        if n == 0 || sender.send((Instant::now() + delay + extra, buf[..n].to_vec())).is_err() {
            break;
        }
        extra = Duration::ZERO;
    }
    drop(sender);
    let _ = arrive.join();
    Ok(())
}
