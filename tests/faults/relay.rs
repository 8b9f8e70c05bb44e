//! A relay between client and emulator that counts the steps of what passes, and at a chosen one cuts the connection or holds it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A place in what passes: a connection, which of its turns (requests and replies by turns), and a byte of that turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub connection: usize,
    pub turn: usize,
    pub byte: usize,
}

/// What is done at the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Both sides get a TCP reset.
    Cut,
    /// Nothing passes any more, until [`Relay::free`].
    Hold,
}

#[derive(Default)]
struct State {
    /// Bytes of each turn of each connection.
    turns: Vec<Vec<usize>>,
    plan: Option<(Step, Act)>,
    reached: bool,
    freed: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    to: SocketAddr,
}

/// A relay that runs until the test ends.
pub struct Relay {
    shared: Arc<Shared>,
    pub url: String,
}

impl Relay {
    pub fn to(emulator: &str, plan: Option<(Step, Act)>) -> Relay {
        let to = emulator.strip_prefix("http://").unwrap().parse().unwrap();
        let shared = Arc::new(Shared { state: Mutex::new(State { plan, ..State::default() }), changed: Condvar::new(), to });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let own = Arc::downgrade(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Some(shared) = own.upgrade() else { return };
                shared.serve(client.unwrap());
            }
        });
        Relay { shared, url }
    }

    /// Whether what passed has come to the step.
    pub fn reached(&self) -> bool {
        self.shared.state().reached
    }

    /// Waits for that, for a time.
    pub fn wait(&self, most: Duration) -> bool {
        let state = self.shared.state();
        self.shared.changed.wait_timeout_while(state, most, |state| !state.reached).unwrap_or_else(PoisonError::into_inner).0.reached
    }

    /// Lets go of what is held.
    pub fn free(&self) {
        self.shared.state().freed = true;
        self.shared.changed.notify_all();
    }

    /// The steps worth failing at: the start, the first, the middle and the last byte of each turn.
    pub fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (connection, turns) in self.shared.state().turns.iter().enumerate() {
            for (turn, length) in turns.iter().enumerate().filter(|(_, length)| **length > 0) {
                let mut bytes = vec![0, 1, length / 2, length - 1];
                bytes.dedup();
                steps.extend(bytes.into_iter().map(|byte| Step { connection, turn, byte }));
            }
        }
        steps
    }
}

impl Drop for Relay {
    /// Ends the accepting thread by a last connection.
    fn drop(&mut self) {
        self.free();
        let address: SocketAddr = self.url.strip_prefix("http://").unwrap().parse().unwrap();
        self.shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), to: address });
        let _ = TcpStream::connect(address);
    }
}

/// One connection through the relay, as both its directions see it.
struct Way {
    shared: Arc<Shared>,
    connection: usize,
    client: TcpStream,
    server: TcpStream,
    cut: AtomicBool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.to) else { return };
        let mut state = self.state();
        state.turns.push(Vec::new());
        let connection = state.turns.len() - 1;
        drop(state);
        let way = Arc::new(Way { shared: self.clone(), connection, client, server, cut: AtomicBool::new(false) });
        let other = way.clone();
        std::thread::spawn(move || other.pump(0));
        std::thread::spawn(move || way.pump(1));
    }
}

impl Way {
    /// Moves bytes of one direction: 0 from the client, 1 from the server.
    fn pump(&self, direction: usize) {
        let (mut from, mut to) = if direction == 0 { (&self.client, &self.server) } else { (&self.server, &self.client) };
        let mut buffer = vec![0; 65_536];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            let mut at = 0;
            while at < n {
                let (may, act) = self.passes(direction, n - at);
                if to.write_all(&buffer[at..at + may]).is_err() {
                    break;
                }
                at += may;
                match act {
                    Some(Act::Cut) => return self.cut(),
                    Some(Act::Hold) => self.hold(),
                    None => {}
                }
            }
        }
        if !self.cut.load(Ordering::SeqCst) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// How many of `n` bytes may pass, and what is done then.
    fn passes(&self, direction: usize, n: usize) -> (usize, Option<Act>) {
        let mut state = self.shared.state();
        let turns = &mut state.turns[self.connection];
        if turns.is_empty() || (turns.len() - 1) % 2 != direction {
            turns.push(0);
        }
        let (turn, passed) = (turns.len() - 1, *turns.last().unwrap());
        let here = |step: &Step| step.connection == self.connection && step.turn == turn && (passed..passed + n).contains(&step.byte);
        let Some((step, act)) = state.plan.take_if(|(step, _)| here(step)) else {
            state.turns[self.connection][turn] += n;
            return (n, None);
        };
        state.turns[self.connection][turn] = step.byte;
        state.reached = true;
        self.shared.changed.notify_all();
        (step.byte - passed, Some(act))
    }

    fn hold(&self) {
        let state = self.shared.state();
        drop(self.shared.changed.wait_while(state, |state| !state.freed).unwrap_or_else(PoisonError::into_inner));
    }

    fn cut(&self) {
        self.cut.store(true, Ordering::SeqCst);
        for side in [&self.client, &self.server] {
            let _ = socket2::SockRef::from(side).set_linger(Some(Duration::ZERO));
            let _ = side.shutdown(Shutdown::Read); // wakes the other direction
        }
    }
}
