//! What steps there are: one JSON document from which an engine can draw its forms.

/// The description: one JSON document.
///
/// `schema` (its form), `library`, `version`, `operations` (each with `id`, `title`, `help`, `page`, `input` and `output` as JSON Schema
/// draft 2020-12, `examples`), `error` (the JSON Schema of a failure), `settings` (the keys of a config), `statuses` (each with whether it is
/// worth a retry of the host), `limits`.
pub fn describe() -> &'static str {
    include_str!("description.json")
}

/// Makes the description from the types that parse the input. `make generated` writes it.
#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use schemars::generate::{Contract, SchemaSettings};
    use serde_json::{Map, Value, json};

    use super::super::operations::Operation;
    use super::super::{MAX_BASE64_BYTES, MAX_INPUT_BYTES, MAX_ITEMS, MAX_STEPS, input};
    use crate::call::Outcome;
    use crate::config::{Config, KEYS, Key};
    use crate::error::{Detail, Status};

    /// Number of the document's form: raised when a field changes its meaning; new fields don't raise it.
    const SCHEMA: u32 = 1;

    #[test]
    fn the_committed_description_is_what_the_types_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/step/description.json");
        let made = in_lines(&description());
        if std::env::var_os("ZCRM_WRITE_GENERATED").is_some() {
            std::fs::write(path, &made).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == made, "src/step/description.json is stale: run make generated, and look at what it changes");
    }

    fn description() -> Value {
        json!({
            "schema": SCHEMA,
            "library": "zcrm",
            "version": env!("CARGO_PKG_VERSION"),
            "operations": [
                operation::<input::AttachmentUpload>("upload-attachment.html", include_str!("examples/attachment.upload.json")),
                operation::<input::AttachmentList>("get-attachments.html", include_str!("examples/attachment.list.json")),
                operation::<input::AttachmentDownload>("download-attachments.html", include_str!("examples/attachment.download.json")),
                operation::<input::PhotoUpload>("upload-image.html", include_str!("examples/photo.upload.json")),
                operation::<input::PhotoDownload>("download-image.html", include_str!("examples/photo.download.json")),
                operation::<input::PhotoDelete>("delete-image.html", include_str!("examples/photo.delete.json")),
                operation::<input::AttachmentDelete>("delete-attachments.html", include_str!("examples/attachment.delete.json")),
                operation::<input::RecordList>("get-records.html", include_str!("examples/record.list.json")),
                operation::<input::Batch>("api-limits.html", include_str!("examples/batch.json")),
            ],
            "error": error(),
            "settings": KEYS.iter().map(setting).collect::<Value>(),
            "statuses": Status::ALL.iter().map(|s| json!({
                "number": *s as i32, "name": s.name(), "help": s.help(), "retry": s.is_retryable(),
            })).collect::<Value>(),
            "limits": limits(),
        })
    }

    /// A form can be drawn from it: beside `name`, `group`, `default`, `secret` and `help` it has `type`, and `enum`, `minimum`, `maximum`, `unit`,
    /// `format` and `separator` where they say something.
    fn setting(key: &Key) -> Value {
        let mut setting = json!({"name": key.name, "group": key.group, "default": key.default, "secret": key.secret, "help": key.help()});
        let Value::Object(form) = serde_json::to_value(key.form()).unwrap() else { unreachable!("a form has fields") };
        setting.as_object_mut().unwrap().extend(form);
        setting
    }

    fn operation<O: Operation + JsonSchema>(page: &str, examples: &str) -> Value
    where
        O::Output: JsonSchema,
    {
        let mut input = schema::<O>(Contract::Deserialize);
        for_forms(&mut input);
        let mut output = schema::<Outcome<O::Output>>(Contract::Serialize);
        output["title"] = format!("{}: result", input["title"].as_str().unwrap()).into();
        output["properties"]["operation"]["const"] = O::ID.into();
        json!({
            "id": O::ID,
            "title": input["title"],
            "help": input["description"],
            "page": format!("https://www.zoho.com/crm/developer/docs/api/v8/{page}"),
            "input": input,
            "output": output,
            "examples": serde_json::from_str::<Value>(examples).unwrap(),
        })
    }

    fn error() -> Value {
        let mut error = schema::<Detail>(Contract::Serialize);
        error["title"] = "A failure".into();
        error["description"] = "What zcrm_error_json() gives.".into();
        error
    }

    /// Each schema stands by itself, without references: simple form builders follow none.
    fn schema<T: JsonSchema>(contract: Contract) -> Value {
        let settings = SchemaSettings::draft2020_12().with(|s| {
            s.inline_subschemas = true;
            s.contract = contract;
        });
        let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        join_lines(&mut schema);
        schema
    }

    /// A description is made from a doc comment, which has its lines where the code wants them.
    fn join_lines(schema: &mut Value) {
        match schema {
            Value::Object(object) => {
                if let Some(Value::String(text)) = object.get_mut("description") {
                    *text = text.replace('\n', " ");
                }
                object.values_mut().for_each(join_lines);
            }
            Value::Array(all) => all.iter_mut().for_each(join_lines),
            _ => {}
        }
    }

    /// What a form needs of each field, in a form that simple builders and every engine's regular expressions read: a title, plain enumerations, and
    /// patterns whose `$` takes no line end.
    fn for_forms(schema: &mut Value) {
        let Some(object) = schema.as_object_mut() else { return };
        if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
            for (name, field) in properties.iter_mut().filter(|(_, field)| field.get("description").is_some()) {
                let title = field.get("title").cloned().unwrap_or_else(|| title(name).into());
                field["title"] = title;
            }
        }
        if let Some(words) = enumeration(object) {
            object.extend(words);
        }
        if object.get("pattern").and_then(Value::as_str).is_some_and(|pattern| pattern.starts_with('^')) {
            object.insert("not".into(), json!({"type": "string", "pattern": "\\n"}));
        }
        object.values_mut().for_each(|value| match value {
            Value::Array(all) => all.iter_mut().for_each(for_forms),
            value => for_forms(value),
        });
    }

    /// `record_id` is "Record id".
    fn title(name: &str) -> String {
        let words = name.replace('_', " ").replace("url", "URL").replace("sha256", "SHA-256");
        words[..1].to_uppercase() + &words[1..]
    }

    /// The words of an optional enumeration, taken out of what schemars nests: alternatives of constants, or null.
    fn enumeration(object: &mut Map<String, Value>) -> Option<Map<String, Value>> {
        let [words, null] = object.get("anyOf")?.as_array()?.as_slice() else { return None };
        let constants = words.get("oneOf")?.as_array().filter(|all| all.iter().all(|one| one.get("const").is_some()))?.clone();
        assert_eq!(null, &json!({"type": "null"}));
        let means = |constant: &Value| format!("{}: {}", constant["const"].as_str().unwrap(), constant["description"].as_str().unwrap());
        let help = [object["description"].as_str()?.to_owned()].into_iter().chain(constants.iter().map(means)).collect::<Vec<_>>().join(" ");
        object.remove("anyOf");
        let all: Vec<Value> = constants.into_iter().map(|constant| constant["const"].clone()).chain([Value::Null]).collect();
        json!({"description": help, "type": ["string", "null"], "enum": all}).as_object().cloned()
    }

    fn limits() -> Value {
        let config = Config::new();
        json!({
            "input_bytes": MAX_INPUT_BYTES,
            "base64_bytes": MAX_BASE64_BYTES,
            "items": MAX_ITEMS,
            "steps": MAX_STEPS,
            "attachment_bytes": config.attachment_max_bytes,
            "photo_bytes": config.photo_max_bytes,
            "photo_pixels": config.photo_max_pixels,
        })
    }

    /// A line for each member of the document, and for each of an operation: compact, and changes can be seen.
    fn in_lines(description: &Value) -> String {
        let members = |object: &Map<String, Value>, indent: &str, text: &dyn Fn(&Value) -> String| {
            let lines: Vec<String> = object.iter().map(|(name, value)| format!("{indent}\"{name}\":{}", text(value))).collect();
            lines.join(",\n")
        };
        let entry = |value: &Value| match value.as_object().filter(|o| o.contains_key("input")) {
            Some(operation) => format!("{{\n{}}}", members(operation, "  ", &Value::to_string)),
            None => value.to_string(),
        };
        let member = |value: &Value| match value.as_array() {
            Some(entries) => format!("[\n{}]", entries.iter().map(entry).collect::<Vec<_>>().join(",\n")),
            None => value.to_string(),
        };
        format!("{{{}}}\n", members(description.as_object().unwrap(), "", &member))
    }
}
