//! `zcrm mcp`: the steps as tools of an MCP server on standard input and output, for agents.
//!
//! Files go by path, so that no byte of them passes through the model: below the setting allow_paths or, where that has no value, below the
//! roots that the client declares.

use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, JsonObject, ListToolsResult, PaginatedRequestParams,
    ProgressNotificationParam, ProgressToken, ProtocolVersion, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{NotificationContext, Peer, RequestContext};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde_json::{Value, json};
use tokio::sync::{Mutex, mpsc, oneshot};
use zcrm::{Call, Cancel, Client, Config, Detail, step};

use crate::app::App;
use crate::exit::Stop;
use crate::settings::Settings;

/// Serve the operations as tools of an MCP server, on standard input and output
#[derive(clap::Args)]
pub struct Args {
    /// Only the tools that change nothing in Zoho CRM, and replace no file on this machine
    #[arg(long)]
    read_only: bool,
}

pub fn run(args: &Args, app: &App) -> Result<(), Stop> {
    let settings = Settings::read(&app.common)?;
    let config = app.heard(settings.config()?);
    Client::new(config.clone())?; // what is wrong with the settings is told before anything is served
    let server = Server { config, asks_roots: !settings.has("allow_paths"), read_only: args.read_only, client: Mutex::new(None) };
    let failed = |what: &dyn std::fmt::Display| Stop::new(format_args!("mcp: {what}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().map_err(|e| failed(&e))?;
    let served = runtime.block_on(async {
        let service = server.serve(rmcp::transport::stdio()).await.map_err(|e| failed(&e))?;
        service.waiting().await.map_err(|e| failed(&e)).map(drop)
    });
    runtime.shutdown_background(); // a call whose client is gone is not waited for
    served
}

struct Server {
    config: Config,
    /// Whether the client's roots say which files may be named.
    asks_roots: bool,
    read_only: bool,
    /// Made at the first call, and again when the roots have changed.
    client: Mutex<Option<Client>>,
}

/// What a tool does to the CRM and to this machine.
enum Effect {
    Reads,
    /// Writes a file here, in place of another where it is told to.
    Saves,
    Adds,
    /// What was there before may be gone.
    Destroys,
}

fn effect(operation: &str) -> Effect {
    match operation {
        "attachment.list" | "record.list" => Effect::Reads,
        "attachment.download" | "photo.download" => Effect::Saves,
        "attachment.upload" => Effect::Adds,
        _ => Effect::Destroys,
    }
}

/// The operations of the description.
fn operations() -> Vec<Value> {
    let description: Value = serde_json::from_str(step::describe()).expect("the description is JSON");
    description["operations"].as_array().cloned().unwrap_or_default()
}

/// A tool's name has no dot: not every model takes one.
fn tool_name(operation: &str) -> String {
    operation.replace('.', "_")
}

/// `replaces`: whether a download may take the place of a file.
fn tool(operation: &Value, replaces: bool) -> Tool {
    let text = |field: &str| operation[field].as_str().unwrap_or_default().to_owned();
    let schema = |field: &str| Arc::new(operation[field].as_object().cloned().unwrap_or_default());
    let (id, title) = (text("id"), text("title"));
    let hints = ToolAnnotations::with_title(title.clone());
    let hints = match effect(&id) {
        Effect::Reads => hints.read_only(true),
        Effect::Saves => hints.read_only(false).destructive(replaces),
        Effect::Adds => hints.read_only(false).destructive(false),
        Effect::Destroys => hints.read_only(false).destructive(true),
    };
    let help = format!("{} See {}", text("help"), text("page"));
    Tool::new(tool_name(&id), help, schema("input")).with_title(title).with_raw_output_schema(schema("output")).with_annotations(hints)
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let how = "Files and photos of Zoho CRM records. Give files by path, so that their bytes need not be read: at or below the directories that \
                   are allowed. A failure says in retryable whether the same call may succeed later.";
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("zcrm", env!("CARGO_PKG_VERSION")))
            .with_instructions(how)
    }

    /// Those in which a server may ask its client for the roots.
    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [ProtocolVersion]> {
        ProtocolVersion::known_up_to(&ProtocolVersion::LATEST_WITH_INITIALIZE).into()
    }

    async fn list_tools(&self, _: Option<PaginatedRequestParams>, _: RequestContext<RoleServer>) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(self.operations().iter().map(|operation| tool(operation, !self.read_only)).collect()))
    }

    async fn call_tool(&self, request: CallToolRequestParams, context: RequestContext<RoleServer>) -> Result<CallToolResponse, ErrorData> {
        let all = self.operations();
        let Some(operation) = all.iter().filter_map(|o| o["id"].as_str()).find(|id| tool_name(id) == request.name) else {
            return Err(ErrorData::invalid_params(format!("there is no tool {:?}", zcrm::one_line(&request.name)), None));
        };
        let mut arguments = request.arguments.unwrap_or_default();
        arguments.entry("operation").or_insert_with(|| operation.into());
        if arguments["operation"] != *operation {
            return Ok(CallToolResult::error(vec![ContentBlock::text(format!("operation: this tool is {operation}"))]).into());
        }
        if self.read_only && arguments.get("sink").is_some_and(|sink| sink["overwrite"] == true) {
            return Ok(CallToolResult::error(vec![ContentBlock::text("sink.overwrite: with --read-only no file is replaced")]).into());
        }
        let client = match self.client(&context.peer).await {
            Ok(client) => client,
            Err(error) => return Ok(failure(error.detail()).into()),
        };
        Ok(call(client, arguments, context).await?.into())
    }

    async fn on_roots_list_changed(&self, _: NotificationContext<RoleServer>) {
        *self.client.lock().await = None;
    }
}

impl Server {
    fn operations(&self) -> Vec<Value> {
        let mut all = operations();
        all.retain(|operation| !self.read_only || matches!(effect(operation["id"].as_str().unwrap_or_default()), Effect::Reads | Effect::Saves));
        all
    }

    async fn client(&self, peer: &Peer<RoleServer>) -> zcrm::Result<Client> {
        let mut held = self.client.lock().await;
        if let Some(client) = &*held {
            return Ok(client.clone());
        }
        let mut config = self.config.clone();
        if self.asks_roots {
            let roots = roots(peer).await;
            let joined = std::env::join_paths(&roots).ok().and_then(|paths| paths.into_string().ok()).unwrap_or_default();
            config.set("allow_paths", &joined)?;
        }
        Ok(held.insert(Client::new(config)?).clone())
    }
}

/// The directories that the client declares; none where it declares none.
#[allow(deprecated, reason = "roots go from a later version of the protocol, and those that are served have them")]
async fn roots(peer: &Peer<RoleServer>) -> Vec<PathBuf> {
    if peer.peer_info().is_none_or(|info| info.capabilities.roots.is_none()) {
        return Vec::new();
    }
    let Ok(listed) = peer.list_roots().await else { return Vec::new() };
    let path = |uri: &str| Some(PathBuf::from(percent_decode_str(uri.strip_prefix("file://")?).decode_utf8().ok()?.into_owned()));
    listed.roots.iter().filter_map(|root| path(&root.uri)).filter(|path| path.is_absolute() && !path.is_file()).collect()
}

/// Runs the step on a thread of its own; tells its progress, and cancels it when the client does.
async fn call(client: Client, arguments: JsonObject, context: RequestContext<RoleServer>) -> Result<CallToolResult, ErrorData> {
    let (cancel, (told, mut progress)) = (Cancel::new(), mpsc::unbounded_channel());
    let (token, inside) = (context.meta.get_progress_token(), cancel.clone());
    let (ends, mut running) = oneshot::channel();
    // A thread of its own: one of the runtime's is refused by the library, which has a runtime itself.
    std::thread::spawn(move || {
        let mut tell = |done: u64, of: Option<u64>| told.send((done, of)).is_ok();
        let call = Call { cancel: Some(inside), progress: Some(&mut tell), ..Call::default() };
        let outcome = step::run(&client, &Value::Object(arguments).to_string(), call);
        let _ = ends.send(outcome.map(|outcome| serde_json::to_value(outcome).expect("a result holds only what JSON can say")));
    });
    let ended = loop {
        tokio::select! {
            biased;
            () = context.ct.cancelled(), if !cancel.is_fired() => cancel.fire(),
            Some((done, of)) = progress.recv() => notify(&context.peer, token.as_ref(), done, of).await,
            ended = &mut running => break ended,
        }
    };
    match ended {
        Ok(Ok(outcome)) => Ok(success(outcome)),
        Ok(Err(error)) => Ok(failure(error.detail())),
        Err(e) => Err(ErrorData::internal_error(format!("the call ended early: {e}"), None)),
    }
}

async fn notify(peer: &Peer<RoleServer>, token: Option<&ProgressToken>, done: u64, of: Option<u64>) {
    let Some(token) = token else { return };
    let mut told = ProgressNotificationParam::new(token.clone(), done as f64);
    told.total = of.map(|of| of as f64);
    let _ = peer.notify_progress(told).await; // a client that is gone is seen elsewhere
}

/// The step's result. A photo inside of it becomes an image, and its bytes stand there alone.
fn success(mut outcome: Value) -> CallToolResult {
    let mut image = None;
    if outcome["operation"] == "photo.download"
        && let Some(result) = outcome["result"].as_object_mut()
        && let Some(Value::String(base64)) = result.remove("base64")
    {
        let kind = result.get("content_type").and_then(Value::as_str).filter(|kind| kind.starts_with("image/")).unwrap_or(kind(&base64));
        image = Some(ContentBlock::image(base64, kind));
    }
    let mut told = CallToolResult::success([ContentBlock::text(outcome.to_string())].into_iter().chain(image).collect());
    told.structured_content = Some(outcome);
    told
}

/// The MIME type of a picture, by how its base64 begins.
fn kind(base64: &str) -> &'static str {
    match base64.as_bytes() {
        [b'i', b'V', b'B', ..] => "image/png",
        [b'R', b'0', b'l', ..] => "image/gif",
        [b'Q', b'k', ..] => "image/bmp",
        _ => "image/jpeg",
    }
}

/// The failure by its name, whether it is worth a retry, and the message, which has the way out; and all of it as JSON.
fn failure(detail: &Detail) -> CallToolResult {
    let retry = if detail.retryable { "retryable: the same call may succeed later" } else { "not retryable without a change" };
    let mut told = CallToolResult::error(vec![ContentBlock::text(format!("{} ({retry}): {}", detail.name, detail.message))]);
    told.structured_content = Some(json!({"error": detail}));
    told
}
