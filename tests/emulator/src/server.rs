//! Connections: accepting them, reading requests, answering them, and the end of it all.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::exchange::{self, Next};
use crate::reply::Reply;
use crate::state::State;
use crate::wire::{HeadRead, Stream, Wire, encode};

/// What all connections share.
pub struct Shared {
    state: Mutex<State>,
    /// Set when the emulator ends.
    pub stop: AtomicBool,
    connections: Mutex<HashMap<u64, TcpStream>>,
    next_connection: AtomicU64,
    tls: Option<Arc<rustls::ServerConfig>>,
}

impl Shared {
    /// Shares a state.
    pub fn new(state: State, tls: Option<Arc<rustls::ServerConfig>>) -> Shared {
        Shared { state: Mutex::new(state), stop: AtomicBool::new(false), connections: Mutex::default(), next_connection: AtomicU64::new(1), tls }
    }

    /// The state. A panic in another thread does not take it away from the test.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The emulator is ending.
    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Cuts every connection and waits a moment for their threads.
    pub fn close_all(&self) {
        let deadline = Instant::now() + Duration::from_secs(2);
        loop {
            let open = self.connections();
            open.values().for_each(|c| drop(c.shutdown(Shutdown::Both)));
            if open.is_empty() || Instant::now() > deadline {
                return;
            }
            drop(open);
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Accepts connections until the emulator ends.
pub fn accept(shared: &Arc<Shared>, listener: &TcpListener) {
    loop {
        let accepted = listener.accept();
        if shared.stopping() {
            return;
        }
        match accepted {
            Ok((tcp, _)) => start(shared, tcp),
            // Out of file descriptors, perhaps: do not spin.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn start(shared: &Arc<Shared>, tcp: TcpStream) {
    let number = shared.next_connection.fetch_add(1, Ordering::Relaxed);
    let Ok(handle) = tcp.try_clone() else { return };
    shared.connections().insert(number, handle);
    let own = shared.clone();
    let thread = std::thread::Builder::new().name("emulator connection".into()).spawn(move || {
        // Whatever becomes of the connection, its handle must go: a reset needs the last one closed.
        let _ = serve(&own, tcp, number);
        own.connections().remove(&number);
    });
    if thread.is_err() {
        shared.connections().remove(&number);
    }
}

fn serve(shared: &Arc<Shared>, tcp: TcpStream, connection: u64) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let socket = tcp.try_clone()?;
    let stream = match &shared.tls {
        None => Stream::Plain(tcp),
        Some(config) => {
            let server = rustls::ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            Stream::Tls(Box::new(rustls::StreamOwned::new(server, tcp)))
        }
    };
    let mut wire = Wire::new(stream, socket);
    loop {
        let (idle, whole, limit, notify) = limits(shared);
        let next = match wire.read_head(idle, whole, limit) {
            HeadRead::Gone => return Ok(()),
            HeadRead::TooSlow => refuse(&mut wire, 408),
            HeadRead::Malformed => refuse(&mut wire, 400),
            HeadRead::TooLong => refuse(&mut wire, 431),
            HeadRead::Head(head) if !head.is_sound() => refuse(&mut wire, 400),
            HeadRead::Head(head) => exchange::run(shared, &mut wire, connection, *head),
        };
        match next {
            Next::Continue if !shared.stopping() => {}
            Next::Continue | Next::Close => {
                wire.finish(notify);
                return Ok(());
            }
            Next::Cut => {
                wire.finish(false);
                return Ok(());
            }
            Next::Reset => {
                wire.arm_reset();
                return Ok(());
            }
        }
    }
}

fn limits(shared: &Shared) -> (Option<Duration>, Duration, usize, bool) {
    let settings = &shared.state().settings;
    let idle = settings.idle_timeout_ms;
    let idle = (idle > 0).then(|| Duration::from_millis(idle));
    (idle, Duration::from_millis(settings.head_timeout_ms), settings.head_limit, settings.tls_close_notify)
}

fn refuse(wire: &mut Wire, status: u16) -> Next {
    let reply = Reply::html(status);
    let mut bytes = encode(&reply, false, false);
    bytes.extend_from_slice(reply.body.bytes());
    let _ = wire.send(&bytes);
    Next::Close
}
