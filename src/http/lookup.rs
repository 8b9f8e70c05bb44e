//! Looking up a host's addresses: the system's own function, which blocks, on a thread of its own, so that a cancelled call need not wait for it.

use std::net::{SocketAddr, ToSocketAddrs};
use std::thread::Builder;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

use crate::threads;

pub(super) struct Lookup;

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let (tell, told) = oneshot::channel();
            let look_up = move || {
                let found = (name.as_str(), 0).to_socket_addrs().map(Iterator::collect::<Vec<SocketAddr>>);
                let _ = tell.send(found); // a call that was cancelled listens no more
            };
            threads::start(|| Builder::new().name("zcrm-lookup".into()).spawn(look_up))?;
            let found: Addrs = Box::new(told.await??.into_iter());
            Ok(found)
        })
    }
}
