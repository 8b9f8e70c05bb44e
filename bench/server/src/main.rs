//! The bench server: `zcrm-bench-server CA_FILE` writes the certificate of its CA to that file, prints its addresses as one line of JSON
//! and serves until it is killed.
//!
//! It must never be what is measured, so it drains bodies without looking at them, answers from prepared bytes, and gives each connection
//! a thread with blocking reads: for the few connections of a benchmark that costs less than an event loop.

mod api;
mod conn;
mod delay;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use api::Api;

/// Added round trips that a delaying address is offered for, in milliseconds.
const DELAYS: [u64; 3] = [10, 50, 200];

fn main() -> io::Result<()> {
    let ca_file = std::env::args().nth(1).ok_or_else(|| io::Error::other("usage: zcrm-bench-server CA_FILE"))?;
    let tls = Arc::new(tls::config(&ca_file)?);
    let api = Arc::new(Api::default());

    let plain_api = api.clone();
    let http = listen(move |stream| conn::plain(stream, &plain_api))?;
    let https = listen(move |stream| conn::tls(stream, tls.clone(), &api))?;

    let mut addresses = serde_json::Map::new();
    let mut offer = |name: String, scheme: &str, at: SocketAddr| addresses.insert(name, format!("{scheme}://localhost:{}", at.port()).into());
    offer("http".into(), "http", http);
    offer("https".into(), "https", https);
    for rtt in DELAYS {
        offer(format!("http+{rtt}"), "http", listen(move |stream| delay::forward(stream, http, rtt))?);
        offer(format!("https+{rtt}"), "https", listen(move |stream| delay::forward(stream, https, rtt))?);
    }
    println!("{}", serde_json::Value::Object(addresses));
    loop {
        thread::park();
    }
}

/// Listens on a free port of the loopback and gives every connection to `serve`, each on its own thread.
fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let at = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || {
                let _ = stream.set_nodelay(true);
                let _ = serve(stream); // a client that goes away is not this server's trouble
            });
        }
    });
    Ok(at)
}
