//! The seeded world: two organisations that read like real ones, and a sandbox of the first.

use crate::accounts::{ALL_SCOPES, AccessToken, Client, Grant};
use crate::clock::{HOUR, Millis};
use crate::state::{SeedPlan, State};
use crate::world::{Environment, NewFile, Organisation, Photo, RecordState, User, sha256};

/// A small PNG.
pub const PNG: &[u8] = include_bytes!("../fixtures/portrait.png");
/// A small JPEG.
pub const JPEG: &[u8] = include_bytes!("../fixtures/portrait.jpg");
/// Where the seeded web clients are sent back to.
pub const REDIRECT_URI: &str = "http://127.0.0.1:8000/callback";

/// What a client needs to get tokens for an organisation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Credentials {
    /// Client id of the self client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// A refresh token with all scopes.
    pub refresh_token: String,
    /// The organisation's id (zsoid), for `soid=ZohoCRM.{org_id}`.
    pub org_id: String,
}

/// A token-like value that is the same in every run.
fn secret(centre: &str, organisation: usize, what: &str) -> String {
    sha256(format!("{centre}/organisation {organisation}/{what}").as_bytes())
}

fn token(centre: &str, organisation: usize, what: &str) -> String {
    let hash = secret(centre, organisation, what);
    format!("1000.{}.{}", &hash[..32], &hash[32..])
}

/// The credentials of an organisation, counted from 1.
pub fn credentials(centre: &str, organisation: usize, zsoid: &str) -> Credentials {
    Credentials {
        client_id: client_id(centre, organisation, "self client"),
        client_secret: secret(centre, organisation, "client secret")[..42].to_owned(),
        refresh_token: token(centre, organisation, "refresh token"),
        org_id: zsoid.to_owned(),
    }
}

/// Id of the web client of an organisation; it has the secret of the self client.
pub fn web_client_id(centre: &str, organisation: usize) -> String {
    client_id(centre, organisation, "web client")
}

fn client_id(centre: &str, organisation: usize, what: &str) -> String {
    format!("1000.{}", secret(centre, organisation, what)[..30].to_ascii_uppercase())
}

/// Fills a state with organisations, clients and tokens, and with records if the plan says so.
pub fn fill(state: &mut State, plan: &SeedPlan) {
    let now = state.now();
    state.organisations = organisations();
    state.accounts = crate::accounts::Accounts::new(&plan.data_centre);
    state.plan = plan.clone();
    for index in 0..state.organisations.len() {
        add_clients(state, index);
    }
    if plan.records {
        coffee_records(&mut state.organisations[0], now);
        clinic_records(&mut state.organisations[1], now);
        let sandbox = &mut state.organisations[2];
        sandbox.add_record("Contacts", "Test Contact", now);
        sandbox.add_record("Leads", "Test Lead", now);
    }
}

fn organisations() -> Vec<Organisation> {
    let mut coffee = Organisation::new("Alpenglow Coffee Roasters", "20087654321", 2_876_819, 60);
    coffee.users =
        vec![user(2_876_819, "Marta Keller", "marta.keller@alpenglow.example"), user(2_876_819, "Jürg Ammann", "juerg.ammann@alpenglow.example")];
    let mut clinic = Organisation::new("Harbour Lights Clinic", "60012345678", 4_150_868, -420);
    clinic.users = vec![user(4_150_868, "Dana Whitfield", "dana.whitfield@harbourlights.example")];
    let mut sandbox = Organisation::new("Alpenglow Coffee Roasters (sandbox)", "20087654999", 5_623_071, 60);
    sandbox.environment = Environment::Sandbox;
    sandbox.users = vec![user(5_623_071, "Marta Keller", "marta.keller@alpenglow.example")];
    for (organisation, module) in [(&mut coffee, "CustomModule1"), (&mut clinic, "CustomModule1")] {
        organisation.custom_modules.push(module.to_owned());
    }
    vec![coffee, clinic, sandbox]
}

fn user(prefix: u64, name: &str, email: &str) -> User {
    let number = prefix * 1_000_000_000_000 + 511_001 + email.len() as u64;
    User { id: number.to_string(), name: name.to_owned(), email: email.to_owned() }
}

/// An organisation of a test's own: no other has its ids.
pub fn made(index: usize, name: &str) -> Organisation {
    let prefix = 7_000_000 + index as u64;
    let mut made = Organisation::new(name, &(90_000_000_000 + index as u64).to_string(), prefix, 0);
    made.users = vec![user(prefix, "Test User", "test.user@made.example")];
    made
}

/// Gives an organisation its clients and tokens.
pub fn add_clients(state: &mut State, index: usize) {
    let (centre, now) = (state.data_centre().to_owned(), state.now());
    let centre = centre.as_str();
    let own = credentials(centre, index + 1, &state.organisations[index].zsoid);
    let client = Client { id: own.client_id.clone(), secret: own.client_secret.clone(), organisation: index, redirect_uri: None };
    let web = Client { id: web_client_id(centre, index + 1), redirect_uri: Some(REDIRECT_URI.to_owned()), ..client.clone() };
    let grant =
        Grant { client_id: own.client_id, organisation: index, environment: state.organisations[index].environment, scope: ALL_SCOPES.to_owned() };
    state.accounts.clients.extend([client, web]);
    state.accounts.add_refresh(own.refresh_token, grant.clone());
    let access = token(centre, index + 1, "access token");
    let expires = now + HOUR;
    state.accounts.add_access(access.clone(), AccessToken { grant, expires });
    state.seeded_access.insert(index, access);
}

fn photo(organisation: &mut Organisation, record: u64, name: &str, kind: &'static str, bytes: &[u8]) {
    if let Some(record) = organisation.records.get_mut(&record) {
        record.photo = Some(Photo { name: name.to_owned(), kind, sha256: sha256(bytes), content: Some(bytes.to_vec().into()) });
    }
}

fn file(organisation: &mut Organisation, record: u64, name: &str, text: &str, now: Millis) {
    organisation.attach_file(record, name, NewFile::new(text.as_bytes()), now);
}

fn set_state(organisation: &mut Organisation, record: u64, state: RecordState) {
    if let Some(record) = organisation.records.get_mut(&record) {
        record.state = state;
    }
}

fn coffee_records(o: &mut Organisation, now: Millis) {
    let lead = o.add_record("Leads", "Ines Baumgartner", now);
    file(o, lead, "Espresso price list.txt", "House blend 1 kg: CHF 24.00\nSingle origin 1 kg: CHF 31.50\n", now);
    file(o, lead, "Müller & Söhne – Größenübersicht.csv", "size,grams\nklein,250\ngroß,1000\n", now);
    o.attach_link(lead, "Harvest calendar", "https://www.example.org/harvest-calendar", now);
    let contact = o.add_record("Contacts", "Luca Moretti", now);
    photo(o, contact, "luca.png", "image/png", PNG);
    file(o, contact, "signed contract.pdf", "%PDF-1.4\n% a stand-in for a contract\n%%EOF\n", now);
    file(o, contact, "見積書.txt", "焙煎豆 5 kg\n", now);
    o.add_record("Contacts", "Aylin Yılmaz", now);
    let locked = o.add_record("Contacts", "Audit Archive (locked)", now);
    photo(o, locked, "archive.jpg", "image/jpeg", JPEG);
    set_state(o, locked, RecordState::Locked);
    let board = o.add_record("Contacts", "Board Only (restricted)", now);
    set_state(o, board, RecordState::Restricted);
    let account = o.add_record("Accounts", "Café Rosengarten AG", now);
    photo(o, account, "storefront.jpg", "image/jpeg", JPEG);
    let deal = o.add_record("Deals", "Autumn subscription, 40 kg a month", now);
    file(o, deal, "offer.json", "{\"kg_per_month\":40,\"currency\":\"CHF\"}\n", now);
    o.add_record("Products", "Sidamo washed, 1 kg", now);
    o.add_record("Vendors", "Yirgacheffe Growers Union", now);
    o.add_record("Cases", "Grinder arrived damaged", now);
    o.add_record("Invoices", "Invoice 2026-0117", now);
    o.add_record("CustomModule1", "Roaster 3 maintenance log", now);
    let note = o.add_record("Notes", "Call with Luca", now);
    if let Some(note) = o.records.get_mut(&note) {
        note.parent = Some(contact);
    }
    file(o, note, "call summary.txt", "Wants samples of the new Sidamo by Friday.\n", now);
}

fn clinic_records(o: &mut Organisation, now: Millis) {
    o.add_record("Leads", "Referral: P. Okafor", now);
    let contact = o.add_record("Contacts", "Noor Haddad", now);
    photo(o, contact, "noor.jpg", "image/jpeg", JPEG);
    file(o, contact, "consent form.txt", "Signed on 2026-01-12\n", now);
    o.add_record("Accounts", "Bayview Insurance", now);
    o.add_record("Deals", "Flu campaign 2026", now);
    o.add_record("Products", "Annual check-up", now);
    o.add_record("Vendors", "MedSupply West", now);
    o.add_record("Cases", "Rescheduled appointment", now);
    o.add_record("Invoices", "Invoice HL-2206", now);
    o.add_record("CustomModule1", "Consulting room 2", now);
    o.add_record("Notes", "Opening hours", now);
}
