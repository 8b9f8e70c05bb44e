//! Changing a reply at given places.

use memchr::memmem;
use serde_json::Value;

use crate::reply::Reply;

/// A pointer that [`set`] can follow.
pub fn check(pointer: &str) -> Result<(), String> {
    if pointer.starts_with('/') { Ok(()) } else { Err(format!("{pointer:?} is no JSON pointer: one begins with /")) }
}

/// Sets what stands at a pointer; in it `*` is every row of a list, and `-` at its end one more row.
pub fn set(json: &mut Value, pointer: &str, to: &Value) -> Result<(), String> {
    visit(json, &steps(pointer), &mut |parent, last| match parent {
        Value::Object(keys) => drop(keys.insert(last.to_owned(), to.clone())),
        Value::Array(rows) if last == "-" => rows.push(to.clone()),
        Value::Array(rows) if last == "*" => rows.iter_mut().for_each(|row| *row = to.clone()),
        _ => {
            if let Some(place) = parent.get_mut(last.parse::<usize>().unwrap_or(usize::MAX)) {
                *place = to.clone();
            }
        }
    })
}

/// Takes the key at a pointer out.
pub fn remove(json: &mut Value, pointer: &str) -> Result<(), String> {
    visit(json, &steps(pointer), &mut |parent, last| {
        if let Some(keys) = parent.as_object_mut() {
            keys.remove(last);
        }
    })
}

fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(|s| s.replace("~1", "/").replace("~0", "~")).collect()
}

fn visit(at: &mut Value, steps: &[String], change: &mut dyn FnMut(&mut Value, &str)) -> Result<(), String> {
    match steps {
        [] => Err("a pointer names a key or a row".to_owned()),
        [last] => {
            change(at, last);
            Ok(())
        }
        [step, rest @ ..] => match at {
            Value::Array(rows) if step == "*" => rows.iter_mut().try_for_each(|row| visit(row, rest, change)),
            Value::Array(rows) => step
                .parse::<usize>()
                .ok()
                .and_then(|i| rows.get_mut(i))
                .map_or_else(|| Err(format!("the reply has no row {step}")), |row| visit(row, rest, change)),
            _ => at.get_mut(step.as_str()).map_or_else(|| Err(format!("the reply has nothing at {step}")), |inner| visit(inner, rest, change)),
        },
    }
}

/// Changes the JSON of a reply. One that isn't JSON (an empty list's 204, say) stays as it is; a pointer that leads nowhere is a loud 500, for a
/// test that passes because its fault did nothing is worse than none.
pub fn edit(reply: &mut Reply, change: impl FnOnce(&mut Value) -> Result<(), String>) {
    let Ok(mut json) = serde_json::from_slice::<Value>(reply.body.bytes()) else { return };
    match change(&mut json) {
        Ok(()) => reply.set_json(&json),
        Err(error) => {
            *reply = Reply::json(500, &serde_json::json!({"code": "EMULATOR", "message": format!("emulator: the fault doesn't fit: {error}")}))
        }
    }
}

/// Replaces text wherever it stands in the body.
pub fn replace(reply: &mut Reply, from: &str, to: &str) {
    let body = reply.body.bytes();
    let mut changed = Vec::with_capacity(body.len());
    let mut done = 0;
    for at in memmem::find_iter(body, from.as_bytes()) {
        changed.extend_from_slice(&body[done..at]);
        changed.extend_from_slice(to.as_bytes());
        done = at + from.len();
    }
    changed.extend_from_slice(&body[done..]);
    reply.body = changed.into();
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_set_in_one_row_in_all_and_in_a_new_one() {
        let mut list = json!({"data": [{"id": "1"}, {"id": "2"}], "info": {"more": true}});
        set(&mut list, "/data/0/id", &json!(7)).unwrap();
        set(&mut list, "/data/*/Owner", &json!("text")).unwrap();
        set(&mut list, "/data/-", &json!({"id": "3"})).unwrap();
        set(&mut list, "/info", &json!(null)).unwrap();
        assert_eq!(list, json!({"data": [{"id": 7, "Owner": "text"}, {"id": "2", "Owner": "text"}, {"id": "3"}], "info": null}));
        remove(&mut list, "/data/*/Owner").unwrap();
        assert_eq!(list["data"][1], json!({"id": "2"}));
        assert!(set(&mut list, "/data/9/id", &json!(1)).is_err());
        assert!(set(&mut list, "/nothing/id", &json!(1)).is_err());
    }
}
