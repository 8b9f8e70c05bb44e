//! `/users` and `/org`: as little as the official SDKs need to know who they are.
//!
//! The keys are those the SDKs read; all else of these answers is left out (UNCONFIRMED whether anyone reads more).

use serde_json::{Value, json};

use crate::crm::Call;
use crate::reply::{Answer, Reply};

/// The users; with `type=CurrentUser` the one whose token it is.
pub fn users(call: &mut Call<'_>) -> Answer {
    let organisation = &call.state.organisations[call.organisation];
    let current = call.request.head.parameter("type").as_deref() == Some("CurrentUser");
    let count = if current { 1 } else { organisation.users.len() };
    let users: Vec<Value> =
        organisation.users[..count].iter().map(|u| json!({"id": u.id, "full_name": u.name, "email": u.email, "status": "active"})).collect();
    let info = json!({"per_page": 200, "count": count, "page": 1, "more_records": false});
    Ok(Reply::json(200, &json!({"users": users, "info": info})))
}

/// The organisation.
pub fn organisation(call: &mut Call<'_>) -> Answer {
    let organisation = &call.state.organisations[call.organisation];
    let (id, name) = (&organisation.zsoid, &organisation.name);
    Ok(Reply::json(200, &json!({"org": [{"id": id, "zgid": id, "company_name": name}]})))
}
