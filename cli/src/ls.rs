//! `zcrm ls`: what is attached to a record.

use zcrm::attachment::{self, Attachment, ListArgs};

use crate::app::App;
use crate::exit::Stop;
use crate::output::{About, size};
use crate::target::OneRecord;

/// List the attachments of records
#[derive(clap::Args)]
pub struct Args {
    /// The record, such as Contacts/3652397000000649013
    #[arg(value_name = "MODULE/ID", required = true)]
    records: Vec<OneRecord>,
}

pub fn run(args: &Args, app: &App) -> Result<(), Stop> {
    let client = app.client()?;
    for OneRecord(record) in &args.records {
        let about = About::record(record);
        let mut pages = match attachment::pages(&client, record, &ListArgs::default()) {
            Ok(pages) => pages,
            Err(error) => return app.out.failed(&about, &error),
        };
        loop {
            match pages.next(&app.call()) {
                Ok(Some(page)) => {
                    for attachment in &page.result.attachments {
                        app.out.row(&about, attachment, || line(attachment))?;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    app.out.failed(&about, &error)?;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Id, size or "link", time, name and URL, in columns.
fn line(attachment: &Attachment) -> String {
    let Attachment { id, file_name, bytes, link_url, created_time, is_link, .. } = attachment;
    let size = if *is_link { "link".to_owned() } else { bytes.map(size).unwrap_or_default() };
    let name = zcrm::one_line(file_name);
    let url = if *is_link { format!("  {}", zcrm::one_line(link_url)) } else { String::new() };
    format!("{id:<19}  {size:>10}  {:<25}  {name}{url}", zcrm::one_line(created_time))
}
