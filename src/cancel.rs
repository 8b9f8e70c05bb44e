//! A token that ends one call from any thread.

use tokio::sync::watch;

/// Cancels the calls it was given to, from any thread, once and for all. Clones are the same token.
#[derive(Debug, Clone)]
pub struct Cancel(watch::Sender<bool>);

impl Default for Cancel {
    fn default() -> Self {
        Cancel(watch::Sender::new(false))
    }
}

impl Cancel {
    /// A token that has not been fired.
    pub fn new() -> Cancel {
        Cancel::default()
    }

    /// Ends every call that holds this token, now and in the future.
    pub fn fire(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was fired.
    pub fn is_fired(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the token is fired.
    pub(crate) async fn fired(&self) {
        // An error would mean that every sender is gone; `self` is one.
        let _ = self.0.subscribe().wait_for(|fired| *fired).await;
    }
}
