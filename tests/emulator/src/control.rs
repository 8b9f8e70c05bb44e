//! The control paths under `/_emulator/`: all that the library offers, for tests in other languages.

use std::time::Duration;

use serde_json::{Value, json};

use crate::accounts::ALL_SCOPES;
use crate::ledger::Ledger;
use crate::reply::{Blob, Reply};
use crate::request::Request;
use crate::script::Script;
use crate::seed;
use crate::state::State;
use crate::world::{Organisation, Record};

type Outcome = Result<Value, String>;

/// Answers a control request.
pub fn answer(state: &mut State, request: &Request) -> Reply {
    let head = &request.head;
    let path = head.path.strip_prefix("/_emulator/").unwrap_or_default();
    let segments: Vec<&str> = path.split('/').collect();
    if let (Some(reply), "GET") = (bytes(state, &segments, request), head.method.as_str()) {
        return reply;
    }
    let outcome = match (head.method.as_str(), segments.as_slice()) {
        ("GET", ["ledger"]) => Ok(json!(state.ledger)),
        ("DELETE", ["ledger"]) => {
            state.ledger = Ledger::default();
            Ok(json!({}))
        }
        ("POST", ["faults"]) => add_faults(state, request),
        ("GET", ["faults"]) => Ok(json!(state.scripts)),
        ("DELETE", ["faults"]) => {
            state.scripts.clear();
            Ok(json!({}))
        }
        ("GET", ["settings"]) => Ok(json!(state.settings)),
        ("PATCH", ["settings"]) => body(request).and_then(|b| state.settings.patch(&b)).map(|()| json!(state.settings)),
        ("POST", ["tokens", what]) => tokens(state, request, what),
        ("GET", ["world"]) => Ok(world(state)),
        ("POST", ["clock", "advance"]) => advance(state, request),
        ("POST", ["reset"]) => {
            state.reset();
            Ok(json!({}))
        }
        (method, ["records", rest @ ..]) => records(state, request, method, rest),
        _ => Err(format!("there is no {} {}", head.method, head.path)),
    };
    match outcome {
        Ok(value) => Reply::bytes(200, "application/json", value.to_string().into_bytes()),
        Err(error) => Reply::bytes(400, "application/json", json!({"error": error}).to_string().into_bytes()),
    }
}

/// The JSON body of a request; an empty one is `{}`.
fn body(request: &Request) -> Outcome {
    if request.body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(&request.body).map_err(|e| e.to_string())
}

fn add_faults(state: &mut State, request: &Request) -> Outcome {
    let script = Script::read(&body(request)?)?;
    Ok(json!({"queued": state.scripts.add(script)}))
}

/// The organisation a control request names, counted from 1 there and from 0 here.
fn organisation(state: &State, number: Option<&str>) -> Result<usize, String> {
    let number: usize = number.map_or(Ok(1), str::parse).map_err(|_| "organisation is a number")?;
    let inside = (1..=state.organisations.len()).contains(&number);
    if inside { Ok(number - 1) } else { Err(format!("there is no organisation {number}")) }
}

fn tokens(state: &mut State, request: &Request, what: &str) -> Outcome {
    let parameters = body(request)?;
    let number = parameters["organisation"].as_u64().map(|n| n.to_string());
    let organisation = organisation(state, number.as_deref())?;
    match what {
        "expire" => {
            state.accounts.expire_all();
            Ok(json!({}))
        }
        "grant-code" => Ok(json!({"code": state.self_client_code(organisation)})),
        "access" => {
            let token = match parameters["scope"].as_str() {
                Some(scope) => state.scoped_access(organisation, scope),
                None => state.current_access(organisation),
            };
            Ok(json!({"access_token": token}))
        }
        _ => Err(format!("there is no tokens/{what}")),
    }
}

fn advance(state: &mut State, request: &Request) -> Outcome {
    let ms = body(request)?["ms"].as_u64().ok_or("ms is missing")?;
    state.clock.advance(Duration::from_millis(ms));
    Ok(json!({}))
}

fn records(state: &mut State, request: &Request, method: &str, rest: &[&str]) -> Outcome {
    let parameter = |name: &str| request.head.parameter(name);
    let number = organisation(state, parameter("organisation").as_deref())?;
    match (method, rest) {
        ("POST", []) => {
            let body = body(request)?;
            let module = body["module"].as_str().ok_or("module is missing")?;
            let kind = body.get("state").cloned().unwrap_or(json!("normal"));
            let kind = serde_json::from_value(kind).map_err(|e| e.to_string())?;
            Ok(json!({"id": state.add_record(number, module, kind)}))
        }
        ("PATCH", [module, id]) => {
            let to = serde_json::from_value(body(request)?["state"].clone()).map_err(|e| e.to_string())?;
            let record = state.organisations[number].record_mut(module, id).ok_or("there is no such record")?;
            record.state = to;
            Ok(json!({}))
        }
        ("DELETE", [module, id]) => Ok(json!({"deleted": state.delete_record(number, module, id)})),
        ("GET", [module, id, "attachments"]) => Ok(json!(state.attachments(number, module, id))),
        ("POST", [module, id, "attachments"]) => {
            let name = parameter("name").ok_or("name is missing")?;
            state.attach(number, module, id, &name, &request.body).map(|id| json!({"id": id}))
        }
        ("POST", [module, id, "links"]) => {
            let body = body(request)?;
            let url = body["url"].as_str().ok_or("url is missing")?;
            let title = body["title"].as_str().unwrap_or(url);
            state.attach_link(number, module, id, title, url).map(|id| json!({"id": id}))
        }
        ("POST" | "PUT", [module, id, "photo"]) => state.set_photo(number, module, id, &request.body).map(|()| json!({})),
        _ => Err(format!("there is no {method} {}", request.head.path)),
    }
}

/// Raw bytes: `records/{module}/{id}/photo` and `records/{module}/{id}/attachments/{attachment}`.
fn bytes(state: &State, segments: &[&str], request: &Request) -> Option<Reply> {
    let number = organisation(state, request.head.parameter("organisation").as_deref()).ok()?;
    let content: Option<&Blob> = match segments {
        ["records", module, id, "photo"] => {
            let record = state.organisations[number].record(module, id);
            record.and_then(|r| r.photo.as_ref()).and_then(|p| p.content.as_ref())
        }
        ["records", module, id, "attachments", attachment] => {
            let record = state.organisations[number].record(module, id);
            let attachment = attachment.parse().ok();
            record.zip(attachment).and_then(|(r, a)| r.attachment(a)).and_then(|a| a.content.as_ref())
        }
        _ => return None,
    };
    Some(match content {
        Some(content) => Reply::bytes(200, "application/octet-stream", content.clone()),
        None => Reply::empty(404),
    })
}

/// The world as JSON.
pub fn world(state: &mut State) -> Value {
    let count = state.organisations.len();
    let tokens: Vec<String> = (0..count).map(|o| state.current_access(o)).collect();
    let organisations: Vec<Value> = (0..count)
        .map(|index| {
            let o = &state.organisations[index];
            let records: Vec<Value> = o.order.iter().map(|id| record(o, &o.records[id])).collect();
            json!({
                "name": o.name,
                "environment": o.environment,
                "api_domain": crate::oauth::api_domain(&state.url, o.environment),
                "credentials": state.credentials(index),
                "web_client_id": seed::web_client_id(state.data_centre(), index + 1),
                "redirect_uri": seed::REDIRECT_URI,
                "scope": ALL_SCOPES,
                "access_token": tokens[index],
                "records": records,
            })
        })
        .collect();
    json!({"url": state.url, "organisations": organisations})
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
        "attachments": attachments,
    })
}
