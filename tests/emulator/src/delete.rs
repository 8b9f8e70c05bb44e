//! `DELETE …/Attachments/{id}` and `DELETE …/Attachments?ids=…`.

use serde_json::{Value, json};

use crate::crm::Call;
use crate::list::{comma_list, parameter_missing};
use crate::reply::{Answer, Reply, error_object, refuse, success};

/// Deletes one attachment. The second time it is an error: deleting is not idempotent in its status.
pub fn delete_one(call: &mut Call<'_>, module: &str, record_id: &str, attachment: &str) -> Answer {
    let record = call.attachment_parent(module, record_id, "delete attachment")?;
    if !detach(call, record, attachment) {
        return Err(refuse(400, "INVALID_DATA", "record not deleted", call.index(3)));
    }
    Ok(Reply::json(200, &json!({"data": [deleted(attachment)]})))
}

/// Deletes several attachments, each with its own verdict.
pub fn delete_many(call: &mut Call<'_>, module: &str, record_id: &str) -> Answer {
    if call.version.name == "v8" && !call.state.settings.bulk_delete_in_v8 {
        let message = "The http request method type is not a valid one";
        return Err(refuse(400, "INVALID_REQUEST_METHOD", message, json!({})));
    }
    let record = call.attachment_parent(module, record_id, "delete attachment")?;
    let ids = comma_list(call, "ids").ok_or_else(|| parameter_missing(call, "ids"))?;
    let most = call.state.settings.bulk_delete_max_ids;
    if ids.len() > most {
        let details = json!({"param_name": "ids", "maximum_length": most});
        return Err(refuse(400, "INVALID_DATA", "invalid data", details));
    }
    let mut data = Vec::new();
    let mut status = 200;
    for id in &ids {
        if detach(call, record, id) {
            data.push(deleted(id));
        } else {
            data.push(error_object("INVALID_DATA", "record not deleted", json!({"id": id})));
            status = call.state.settings.bulk_delete_partial_status;
        }
    }
    Ok(Reply::json(status, &json!({"data": data})))
}

fn detach(call: &mut Call<'_>, record: u64, attachment: &str) -> bool {
    let now = call.state.now();
    let id = attachment.parse().ok();
    id.is_some_and(|id| call.state.organisations[call.organisation].detach(record, id, now))
}

fn deleted(id: &str) -> Value {
    success("record deleted", json!({"id": id}))
}
