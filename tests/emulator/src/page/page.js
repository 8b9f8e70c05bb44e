"use strict";

// Everything from the server goes into the page as text, never as HTML: names are whatever a pipeline uploaded.
const $ = (id) => document.getElementById(id);
const MOST_ROWS = 200;

function el(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

async function ask(method, path, body) {
  const response = await fetch("/_emulator/" + path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error);
  return answer;
}

function size(bytes) {
  const units = ["bytes", "KiB", "MiB", "GiB"];
  let unit = 0;
  for (; bytes >= 1024 && unit < 3; unit++) bytes /= 1024;
  return (unit === 0 ? bytes : bytes.toFixed(1)) + " " + units[unit];
}

function attachment(organisation, record, a) {
  if (a.link_url !== null) return el("li", { className: "attachment" }, a.name, " ", el("span", { className: "soft" }, a.link_url));
  const href = `/_emulator/records/${record.module}/${record.id}/attachments/${a.id}?organisation=${organisation.organisation}`;
  return el("li", { className: "attachment" },
    el("a", { href, download: a.name }, a.name), " ",
    el("span", { className: "soft" }, size(a.size)), " ",
    el("span", { className: "soft mono", title: "SHA-256 " + a.sha256 }, a.sha256.slice(0, 12)));
}

function record(organisation, r) {
  const photo = el("td", {});
  if (r.photo !== null) {
    photo.append(el("img", { alt: "photo " + r.photo, title: r.photo, src: `/_emulator/records/${r.module}/${r.id}/photo?organisation=${organisation.organisation}&of=${r.photo_sha256}` }));
  }
  const name = el("td", {}, r.name);
  if (r.state !== "normal") name.append(" ", el("span", { className: "bad" }, r.state));
  const row = el("tr", {}, photo, el("td", { className: "word" }, r.module), el("td", { className: "id" }, r.id), name,
    el("td", {}, el("ul", {}, ...r.attachments.map((a) => attachment(organisation, r, a)))));
  row.dataset.record = r.id;
  return row;
}

function organisation(o) {
  const shown = o.records.slice(0, MOST_ROWS);
  const head = el("tr", {}, ...["", "module", "id", "name", "attachments"].map((t) => el("th", {}, t)));
  const parts = [el("h3", {}, `${o.organisation}. ${o.name} `, el("span", { className: "soft" }, o.environment)),
    el("table", {}, el("thead", {}, head), el("tbody", {}, ...shown.map((r) => record(o, r))))];
  if (shown.length < o.records.length) parts.push(el("p", { className: "soft" }, `and ${o.records.length - shown.length} more records`));
  return el("article", {}, ...parts);
}

function script(s) {
  const bound = ["record", "file_name", "organisation", "token"].filter((k) => k in s).map((k) => `${k} ${s[k]}`);
  const faults = s.faults.map((f) => Object.entries(f).filter(([k, v]) => k !== "kind" && v !== null && v !== false && v !== 0).reduce((text, [k, v]) => `${text} ${k}=${JSON.stringify(v)}`, f.kind));
  return el("li", { className: "mono" }, [s.operation, ...bound].join(", "), " → ", faults.join(" | "), s.always ? " (every time)" : "");
}

async function refresh() {
  const [world, faults] = await Promise.all([ask("GET", "world"), ask("GET", "faults")]);
  $("world").replaceChildren(el("h2", {}, "Organisations"), ...world.organisations.map(organisation));
  $("armed").replaceChildren(...faults.map(script));
}

// A burst of changes is drawn once.
let drawing = null;
function changed() {
  drawing ??= setTimeout(() => { drawing = null; refresh().catch(told); }, 150);
}

function told(error) {
  $("error").textContent = error.message;
}

function ledgerRow(r) {
  const status = r.status === 0 ? "–" : String(r.status);
  const row = el("tr", {}, el("td", { className: "id" }, String(r.seq)), el("td", { className: "word" }, r.operation),
    el("td", { className: "mono" }, r.method + " " + r.path + (r.query ? "?" + r.query : "")),
    el("td", { className: r.status >= 400 || r.status === 0 ? "bad" : "" }, status + (r.code && r.code !== "SUCCESS" ? " " + r.code : "")),
    el("td", { className: "word" }, r.fault ? r.fault.kind : ""), el("td", { className: "id" }, r.stored_id ?? ""));
  row.dataset.seq = r.seq;
  return row;
}

function listen() {
  const events = new EventSource("/_emulator/events");
  const ledger = $("ledger");
  events.onopen = () => { $("live").textContent = "live"; };
  events.onerror = () => { $("live").textContent = "the emulator is gone; trying again …"; };
  events.addEventListener("request", (event) => {
    const r = JSON.parse(event.data);
    const old = ledger.querySelector(`[data-seq="${r.seq}"]`);
    if (old) old.replaceWith(ledgerRow(r));
    else ledger.prepend(ledgerRow(r));
    while (ledger.children.length > MOST_ROWS) ledger.lastElementChild.remove();
  });
  events.addEventListener("changed", (event) => {
    const first = JSON.parse(event.data).first;
    for (const row of [...ledger.children]) if (first === null || Number(row.dataset.seq) < first) row.remove();
    changed();
  });
}

// What a kind's needed fields look like, as a start.
const EXAMPLES = {
  status: { status: 429 }, status_early: { status: 413 }, html: { status: 502 }, redirect: { status: 302, location: "http://127.0.0.1:1/" }, delay: { ms: 2000 },
  deferred: { ms: 2000 }, stall: { at: "before_reply" }, truncate: { bytes: 10 }, overlong: { bytes: 10 }, slow: { bytes: 1, ms: 100 }, endless: { what: "continue", ms: 100 },
  hide_attachment: { ms: 5000, lost: true }, rename: { name: "other.txt" }, edit: { set: { "/data/0/message": null } }, replace: { from: "a", to: "b" }, head: { status: 206 }, deep: { status: 400, depth: 1000 },
};

async function form() {
  const arm = $("arm").elements;
  const known = await ask("GET", "faults/kinds");
  arm.operation.append(...known.operations.map((o) => new Option(o)));
  arm.kind.append(...known.kinds.filter((k) => k.kind !== "none").map((k) => new Option(k.kind)));
  const example = () => { arm.fields.value = JSON.stringify(EXAMPLES[arm.kind.value] ?? {}); };
  arm.kind.addEventListener("change", example);
  example();
  $("arm").addEventListener("submit", async (event) => {
    event.preventDefault();
    $("error").textContent = "";
    try {
      const fault = { ...JSON.parse(arm.fields.value || "{}"), kind: arm.kind.value };
      const wanted = { operation: arm.operation.value, always: arm.always.checked, faults: [fault] };
      if (arm.record.value) wanted.record = arm.record.value;
      await ask("POST", "faults", wanted);
    } catch (error) { told(error); }
  });
  $("disarm").addEventListener("click", () => ask("DELETE", "faults").catch(told));
}

form().catch(told);
listen();
changed();
