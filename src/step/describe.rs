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
        let input = schema::<O>(Contract::Deserialize);
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
        settings.into_generator().into_root_schema_for::<T>().to_value()
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
