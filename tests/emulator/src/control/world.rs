//! The world as the control paths show and change it.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Control, Outcome, Refusal, bytes, done, tell};
use crate::accounts::ALL_SCOPES;
use crate::seed;
use crate::state::State;
use crate::world::{Organisation, Record, RecordState};

/// Most records that one request makes.
const MOST: usize = 100_000;

/// The world as JSON.
pub fn world(state: &mut State) -> Value {
    let organisations: Vec<Value> = (0..state.organisations.len()).map(|index| organisation(state, index)).collect();
    json!({"url": state.url(None), "organisations": organisations})
}

fn organisation(state: &mut State, index: usize) -> Value {
    let token = state.current_access(index);
    let o = &state.organisations[index];
    let records: Vec<Value> = o.order.iter().map(|id| record(o, &o.records[id])).collect();
    json!({
        "organisation": index + 1,
        "name": o.name,
        "environment": o.environment,
        "api_domain": crate::oauth::api_domain(&state.url(None), o.environment),
        "credentials": state.credentials(index),
        "web_client_id": seed::web_client_id(state.data_centre(), index + 1),
        "redirect_uri": seed::REDIRECT_URI,
        "scope": ALL_SCOPES,
        "access_token": token,
        "records": records,
    })
}

fn record(organisation: &Organisation, record: &Record) -> Value {
    let attachments: Vec<Value> = record
        .attachments
        .iter()
        .map(|a| {
            let id = a.id.to_string();
            let created = crate::clock::iso(a.created, organisation.offset_minutes);
            json!({"id": id, "name": a.name, "size": a.size, "sha256": a.sha256, "link_url": a.link, "created": created})
        })
        .collect();
    json!({
        "module": record.module,
        "id": record.id.to_string(),
        "name": record.name,
        "state": record.state,
        "photo": record.photo.as_ref().map(|p| p.name.clone()),
        "photo_sha256": record.photo.as_ref().map(|p| p.sha256.clone()),
        "attachments": attachments,
    })
}

/// Makes an organisation with its own credentials, ids, credits and records, so that a test is alone in it.
pub fn add_organisation(c: &mut Control<'_>) -> Outcome {
    #[derive(Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Wanted {
        name: String,
        records: Vec<WantedRecord>,
    }
    impl Default for Wanted {
        fn default() -> Wanted {
            Wanted { name: "Made by a test".to_owned(), records: Vec::new() }
        }
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct WantedRecord {
        module: String,
        #[serde(default)]
        name: Option<String>,
        #[serde(default)]
        state: RecordState,
        #[serde(default)]
        count: Option<usize>,
    }
    let wanted: Wanted = c.body()?;
    let count: usize = wanted.records.iter().map(|r| r.count.unwrap_or(1)).fold(0, usize::saturating_add);
    if count > MOST {
        return Err(format!("records: {count} are over {MOST}").into());
    }
    wanted.records.iter().try_for_each(|r| module_name(&r.module))?;
    let index = c.state.add_organisation(&wanted.name);
    for record in wanted.records {
        for _ in 0..record.count.unwrap_or(1) {
            c.state.add_record(index, &record.module, record.name.as_deref(), record.state);
        }
    }
    tell(organisation(c.state, index))
}

/// A module's API name is one segment of a path.
fn module_name(name: &str) -> Result<(), Refusal> {
    let fits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if fits { Ok(()) } else { Err(format!("module: {name:?} is no API name: letters, digits and _").into()) }
}

/// Makes a record.
pub fn add_record(c: &mut Control<'_>) -> Outcome {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Wanted {
        module: String,
        name: Option<String>,
        #[serde(default)]
        state: RecordState,
    }
    let (number, wanted) = (c.organisation()?, c.body::<Wanted>()?);
    module_name(&wanted.module)?;
    tell(json!({"id": c.state.add_record(number, &wanted.module, wanted.name.as_deref(), wanted.state)}))
}

/// Changes what is particular about a record.
pub fn set_state(c: &mut Control<'_>) -> Outcome {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct To {
        state: RecordState,
    }
    let (number, (module, id), to) = (c.organisation()?, c.record(), c.body::<To>()?);
    let record = c.state.organisations[number].record_mut(module, id).ok_or_else(|| no_record(module, id))?;
    record.state = to.state;
    done()
}

fn no_record(module: &str, id: &str) -> Refusal {
    Refusal { status: 404, text: format!("no record {module} {id}") }
}

/// Lists what is attached.
pub fn attachments(c: &mut Control<'_>) -> Outcome {
    let (number, (module, id)) = (c.organisation()?, c.record());
    c.state.organisations[number].record(module, id).ok_or_else(|| no_record(module, id))?;
    tell(json!(c.state.attachments(number, module, id)))
}

/// Attaches the raw body.
pub fn attach(c: &mut Control<'_>) -> Outcome {
    let (number, (module, id)) = (c.organisation()?, c.record());
    let name = c.request.head.parameter("name").ok_or("name: is missing in the query")?;
    let id = c.state.attach(number, module, id, &name, &c.request.body)?;
    tell(json!({"id": id}))
}

/// Attaches a link.
pub fn attach_link(c: &mut Control<'_>) -> Outcome {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Link {
        url: String,
        title: Option<String>,
    }
    let (number, (module, id), link) = (c.organisation()?, c.record(), c.body::<Link>()?);
    let title = link.title.as_deref().unwrap_or(&link.url);
    let id = c.state.attach_link(number, module, id, title, &link.url)?;
    tell(json!({"id": id}))
}

/// The bytes of an attachment.
pub fn attachment(c: &mut Control<'_>) -> Outcome {
    let (number, (module, id)) = (c.organisation()?, c.record());
    let record = c.state.organisations[number].record(module, id);
    let found = record.zip(c.names[2].parse().ok()).and_then(|(r, a)| r.attachment(a));
    bytes("application/octet-stream", found.and_then(|a| a.content.as_ref()))
}

/// The bytes of a photo.
pub fn photo(c: &mut Control<'_>) -> Outcome {
    let (number, (module, id)) = (c.organisation()?, c.record());
    let photo = c.state.organisations[number].record(module, id).and_then(|r| r.photo.as_ref());
    bytes(photo.map_or("", |p| p.kind), photo.and_then(|p| p.content.as_ref()))
}
