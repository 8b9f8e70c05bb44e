//! The page at `/`, by raw requests and in a real browser.
#![allow(missing_docs)]

mod common;
use common::*;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

#[test]
fn the_page_takes_nothing_from_elsewhere_and_no_other_page_frames_it() {
    let e = start();
    let page = send(&e, "GET", "/", &[], b"");
    let policy = page.header("Content-Security-Policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    let html = String::from_utf8(page.body).unwrap();
    assert!(!html.contains("http://") && !html.contains("https://") && !html.contains("<style") && !html.contains("<script>"));
    for file in ["page.js", "page.css"] {
        assert!(html.contains(&format!("/_emulator/{file}")));
        assert_eq!(control(&e, "GET", file, "").status, 200);
    }
}

#[test]
fn the_page_is_shown_under_its_own_name_only() {
    let e = start();
    assert_eq!(send(&e, "GET", "/", &[("Host", "evil.example")], b"").status, 403);
    assert_eq!(send(&e, "POST", "/", &[("Host", &address(&e))], b"").status, 405);
}

/// The next event: its name and its data.
fn event(stream: &mut impl BufRead) -> (String, Value) {
    let (mut name, mut data) = (String::new(), Value::Null);
    loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the stream has ended");
        match line.trim_end().split_once(": ") {
            Some(("event", text)) => name = text.to_owned(),
            Some(("data", text)) => data = serde_json::from_str(text).unwrap(),
            None if line.trim_end().is_empty() && !name.is_empty() => return (name, data),
            _ => {}
        }
    }
}

#[test]
fn events_tell_each_request_as_it_comes() {
    let e = start();
    let mut tcp = connect(&e);
    tcp.write_all(&request(&e, "GET", "/_emulator/events", &[], b"")).unwrap();
    let mut stream = BufReader::new(tcp);
    call(&e, "GET", &(attachments(&e, "Contacts") + "?fields=id"));
    let listed = loop {
        match event(&mut stream) {
            (name, data) if name == "request" && data["status"] == 200 => break data,
            _ => {}
        }
    };
    assert_eq!((&listed["operation"], &listed["query"]), (&json!("attachment.list"), &json!("fields=id")));
    control(&e, "POST", "records", "{\"module\":\"Leads\"}");
    while event(&mut stream).0 != "changed" {}
}

/// A headless Chromium, driven over the pipe of its debugging protocol.
struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: Option<String>,
    next: u64,
    complaints: Vec<Value>,
    profile: std::path::PathBuf,
}

impl Browser {
    /// Opens a page; none where no Chromium is installed.
    fn open(url: &str) -> Option<Browser> {
        let names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
        let there = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
        let name = names.into_iter().find(|n| there(n))?;
        let profile = std::env::temp_dir().join(format!("zcrm-emulator-page-{}", std::process::id()));
        // The protocol's pipe is descriptors 3 and 4.
        let run = "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1";
        let mut command = Command::new("sh");
        command.args(["-c", run, "sh", name, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]);
        command.args(["--remote-debugging-pipe", "--window-size=1500,760"]).arg(format!("--user-data-dir={}", profile.display()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Browser { child, to, from, session: None, next: 0, complaints: Vec::new(), profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let session = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.call("Log.enable", json!({}));
        browser.call("Runtime.enable", json!({}));
        browser.call("Page.navigate", json!({"url": url}));
        Some(browser)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({"id": self.next, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let mut answer = Vec::new();
            self.from.read_until(0, &mut answer).unwrap();
            answer.pop();
            let answer: Value = serde_json::from_slice(&answer).expect("the browser answers");
            if answer["id"] == self.next {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            let wrong = answer["method"] == "Runtime.exceptionThrown" || answer["params"]["entry"]["level"] == "error";
            if wrong {
                self.complaints.push(answer);
            }
        }
    }

    fn value(&mut self, expression: &str) -> Value {
        let got = self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true, "awaitPromise": true}));
        assert!(got.get("exceptionDetails").is_none(), "{expression}: {got}");
        got["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    fn until(&mut self, expression: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.value(expression) != true {
            assert!(Instant::now() < end, "{expression} is not so; the page says: {}", self.value("document.body.innerText"));
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

#[test]
fn a_browser_shows_what_was_stored_as_text_and_arms_a_fault_by_a_click() {
    let e = start();
    let evil = "<img src=x onerror=document.title='bad'>.txt";
    let contact = e.record("Contacts");
    let path = attachments(&e, "Contacts");
    e.attach("Contacts", &contact, evil, b"12345");
    e.attach_link("Contacts", &contact, "a link", "javascript:document.title='bad'");
    let Some(mut browser) = Browser::open(e.url()) else {
        // Past the harness, which shows what a test prints only when it fails.
        let told = "LEFT OUT: no Chromium here, so the emulator's page wasn't tried in a browser (Debian: chromium-headless-shell)";
        writeln!(std::io::stderr(), "{told}").unwrap();
        return;
    };
    let row = format!("document.querySelector('[data-record=\"{contact}\"]')");
    browser.until(&format!("{row} !== null"));
    let text = browser.value(&format!("{row}.innerText"));
    let text = text.as_str().unwrap();
    assert!(text.contains(evil) && text.contains("5 bytes") && text.contains(&sha("12345")[..12]), "{text}");
    browser.until("document.images.length > 2 && [...document.images].every((i) => i.naturalWidth > 0)");
    assert_eq!(browser.value("document.querySelectorAll('img[src=x], a[href^=javascript]').length"), 0);

    upload(&e, &path, "from the pipeline.pdf", b"%PDF");
    browser.until("document.querySelector('#ledger tr')?.innerText.includes('attachment.upload') ?? false");
    browser.until(&format!("{row}.innerText.includes('from the pipeline.pdf')"));

    let choose = "const a = document.forms.arm.elements; a.operation.value = 'attachment.upload'; a.kind.value = 'status'; \
                  a.kind.dispatchEvent(new Event('change')); a.fields.value = '{\"status\":503}'; \
                  document.querySelector('#arm button').click(); true";
    browser.value(&format!("(() => {{ {choose} }})()"));
    browser.until("document.querySelector('#armed').innerText.includes('status status=503')");
    if std::env::var_os("ZCRM_WRITE_GENERATED").is_some() {
        write_picture(&mut browser);
    }
    assert_eq!(upload(&e, &path, "refused.pdf", b"%PDF").status, 503);
    browser.until("document.querySelector('#ledger tr').innerText.includes('503')");
    browser.until("document.querySelector('#armed').innerText === ''");
    let mistype = "const a = document.forms.arm.elements; a.fields.value = '{\"statsu\":1}'; document.querySelector('#arm button').click(); true";
    browser.value(&format!("(() => {{ {mistype} }})()"));
    browser.until("document.querySelector('#error').innerText.includes('perhaps status is meant')");

    let foreign = "performance.getEntriesByType('resource').filter((r) => !r.name.startsWith(location.origin)).length";
    assert_eq!(browser.value(foreign), 0);
    assert_eq!(browser.value("document.title"), "zcrm-emulator");
    // The refused fault is the one thing that a console complains of.
    let complaints: Vec<&Value> = browser.complaints.iter().filter(|c| !c.to_string().contains("/_emulator/faults")).collect();
    assert!(complaints.is_empty(), "{complaints:?}");
}

fn sha(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect()
}

/// The picture in README.
fn write_picture(browser: &mut Browser) {
    use base64::Engine as _;
    let picture = browser.call("Page.captureScreenshot", json!({"format": "png"}));
    let bytes = base64::engine::general_purpose::STANDARD.decode(picture["data"].as_str().unwrap()).unwrap();
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/page.png"), bytes).unwrap();
}
