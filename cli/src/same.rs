//! Whether what a record has is what a file has.

use std::path::Path;

use zcrm::attachment;
use zcrm::{Call, Client, Record, Result, Sink};

use crate::app::App;
use crate::budget::Budget;

/// Whether the attachment has the bytes of the file: it is downloaded for that, and nothing is written.
pub fn attachment(app: &App, client: &Client, budget: &Budget, record: &Record, id: &str, file: &Path) -> Result<bool> {
    let call = Call { again: true, ..app.call() };
    match budget.spend(|| attachment::download(client, record, id, Sink::file(file, false), call)) {
        Ok(_) => Ok(true),
        Err(error) if error.reason() == "target_exists" => Ok(false),
        Err(error) => Err(error),
    }
}
