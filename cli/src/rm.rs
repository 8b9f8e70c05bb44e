//! `zcrm rm`: deletes attachments.

use zcrm::attachment::{self, ListArgs};
use zcrm::{Call, Client};

use crate::app::App;
use crate::exit::Stop;
use crate::output::About;
use crate::target::Target;

/// Delete attachments of a record
#[derive(clap::Args)]
pub struct Args {
    /// The attachments, as Contacts/ID/ATTACHMENT/ATTACHMENT; with --all records
    #[arg(value_name = "MODULE/ID/ATTACHMENT…", required = true)]
    targets: Vec<Target>,
    /// Delete every attachment of the records
    #[arg(long)]
    all: bool,
    /// This may have been done before: what isn't there is deleted
    #[arg(long)]
    again: bool,
    /// Only tell what would be deleted
    #[arg(long)]
    dry_run: bool,
}

pub fn run(args: &Args, app: &App) -> Result<(), Stop> {
    for target in &args.targets {
        if target.attachments.is_empty() != args.all {
            let way_out = if args.all { "--all goes with records: MODULE/ID" } else { "name the attachments, or give --all to delete every one" };
            return Err(Stop::new(format_args!("{}/{}: {way_out}", target.record.module, target.record.id)));
        }
    }
    let client = app.client()?;
    args.targets.iter().filter(|_| !app.cancel.is_fired()).try_for_each(|target| args.one(app, &client, target))
}

impl Args {
    fn one(&self, app: &App, client: &Client, target: &Target) -> Result<(), Stop> {
        let about = About::record(&target.record);
        let ids = match self.ids(app, client, target) {
            Ok(ids) => ids,
            Err(error) => return app.out.failed(&about, &error),
        };
        if ids.is_empty() {
            return Ok(());
        }
        if self.dry_run {
            #[derive(serde::Serialize)]
            struct Would<'a> {
                dry_run: bool,
                ids: &'a [String],
            }
            return app.out.done(&about, Would { dry_run: true, ids: &ids }, || lines("would delete", &ids));
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        match attachment::delete(client, &target.record, &ids, Call { again: self.again, ..app.call() }) {
            Ok(outcome) => app.out.done(&about, &outcome, || lines("deleted", &outcome.result.ids)),
            Err(error) => app.out.failed(&about, &error),
        }
    }

    fn ids(&self, app: &App, client: &Client, target: &Target) -> zcrm::Result<Vec<String>> {
        if !self.all {
            return Ok(target.attachments.clone());
        }
        let list = attachment::list(client, &target.record, &ListArgs::default(), app.call())?;
        Ok(list.result.attachments.into_iter().map(|attachment| attachment.id).collect())
    }
}

fn lines(done: &str, ids: &[String]) -> String {
    ids.iter().map(|id| format!("{done} {id}")).collect::<Vec<_>>().join("\n")
}
