//! The look-up of host names, on a thread of its own: only the system's resolver knows all of the system's settings, it can't be interrupted,
//! and a cancelled call must not wait for it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::oneshot;

use crate::threads;

pub(super) struct Lookup;

/// Why a host has no address.
#[derive(Debug)]
pub(super) enum Unresolved {
    /// The system knows none of this name, or doesn't answer.
    Unknown(String, io::Error),
    /// The system gives no thread.
    NoThread(io::Error),
}

impl fmt::Display for Unresolved {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("the host name was not found")
    }
}

impl std::error::Error for Unresolved {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Unresolved::Unknown(_, cause) | Unresolved::NoThread(cause) => Some(cause),
        }
    }
}

impl Resolve for Lookup {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let (found, addresses) = oneshot::channel();
            let host = name.as_str().to_owned();
            let look_up = move || {
                let outcome = (name.as_str(), 0).to_socket_addrs().map(|addresses| addresses.collect::<Vec<SocketAddr>>());
                let _ = found.send(outcome); // nobody waits for it if the call was cancelled
            };
            threads::start(|| threads::builder("zcrm-lookup").spawn(look_up)).map_err(Unresolved::NoThread)?;
            let outcome = addresses.await.unwrap_or_else(|_| Err(io::Error::other("the look-up broke")));
            Ok(Box::new(outcome.map_err(|cause| Unresolved::Unknown(host, cause))?.into_iter()) as Addrs)
        })
    }
}
