//! Direct access to the state, past the API: what the library and the control paths share.

use crate::accounts::{ALL_SCOPES, Code, Grant};
use crate::clock;
use crate::emulator::StoredAttachment;
use crate::ledger::Stored;
use crate::media;
use crate::seed::{self, Credentials};
use crate::state::State;
use crate::world::{NewFile, Photo, RecordState, sha256};

impl State {
    /// The credentials of an organisation, counted from 0.
    pub fn credentials(&self, organisation: usize) -> Credentials {
        seed::credentials(self.data_centre(), organisation + 1, &self.organisations[organisation].zsoid)
    }

    fn full_grant(&self, organisation: usize) -> Grant {
        Grant {
            client_id: self.credentials(organisation).client_id,
            organisation,
            environment: self.organisations[organisation].environment,
            scope: ALL_SCOPES.to_owned(),
        }
    }

    /// A valid access token: the last one handed out, or a new one if that has ended.
    pub fn current_access(&mut self, organisation: usize) -> String {
        let now = self.now();
        let last = self.seeded_access.get(&organisation).cloned();
        if let Some(last) = last.filter(|t| self.accounts.valid(t, now).is_some()) {
            return last;
        }
        let fresh = self.scoped_access(organisation, ALL_SCOPES);
        self.seeded_access.insert(organisation, fresh.clone());
        fresh
    }

    /// A new access token with given scopes, outside of all limits.
    pub fn scoped_access(&mut self, organisation: usize, scope: &str) -> String {
        let (now, settings) = (self.now(), self.settings.clone());
        let grant = Grant { scope: scope.to_owned(), ..self.full_grant(organisation) };
        self.accounts.new_access(grant, None, now, &settings)
    }

    /// A fresh grant code of the self client.
    pub fn self_client_code(&mut self, organisation: usize) -> String {
        let expires = self.now() + self.settings.grant_code_lifetime_s * 1000;
        let grant = self.full_grant(organisation);
        self.accounts.new_code(Code { grant, redirect_uri: None, offline: true, expires })
    }

    /// Makes an organisation, and says its index.
    pub fn add_organisation(&mut self, name: &str) -> usize {
        let index = self.organisations.len();
        self.organisations.push(seed::made(index, name));
        seed::add_clients(self, index);
        index
    }

    /// Makes a record.
    pub fn add_record(&mut self, organisation: usize, module: &str, name: Option<&str>, state: RecordState) -> String {
        let now = self.now();
        self.changes += 1;
        let organisation = &mut self.organisations[organisation];
        let id = organisation.add_record(module, name.unwrap_or("Made by a test"), now);
        if let Some(record) = organisation.records.get_mut(&id) {
            record.state = state;
        }
        id.to_string()
    }

    /// Deletes a record with all it has.
    pub fn delete_record(&mut self, organisation: usize, module: &str, id: &str) -> bool {
        let organisation = &mut self.organisations[organisation];
        let Some(number) = organisation.record(module, id).map(|r| r.id) else { return false };
        organisation.records.remove(&number);
        organisation.order.retain(|o| *o != number);
        true
    }

    fn find(&self, organisation: usize, module: &str, id: &str) -> Result<u64, String> {
        let record = self.organisations[organisation].record(module, id);
        record.map(|r| r.id).ok_or_else(|| format!("no record {module} {id}"))
    }

    /// Attaches a file.
    pub fn attach(&mut self, organisation: usize, module: &str, id: &str, name: &str, bytes: &[u8]) -> Result<String, String> {
        let record = self.find(organisation, module, id)?;
        let now = self.now();
        let attachment = self.organisations[organisation].attach_file(record, name, NewFile::new(bytes), now);
        self.note_stored(direct(organisation, "attachment", attachment, (module, id), name, bytes));
        Ok(attachment.to_string())
    }

    /// Attaches a link.
    pub fn attach_link(&mut self, organisation: usize, module: &str, id: &str, title: &str, url: &str) -> Result<String, String> {
        let record = self.find(organisation, module, id)?;
        let now = self.now();
        let attachment = self.organisations[organisation].attach_link(record, title, url, now);
        let entry = direct(organisation, "link", attachment, (module, id), title, url.as_bytes());
        self.note_stored(Stored { size: 0, ..entry });
        Ok(attachment.to_string())
    }

    /// Sets a photo, whatever its bytes.
    pub fn set_photo(&mut self, organisation: usize, module: &str, id: &str, bytes: &[u8]) -> Result<(), String> {
        let record = self.find(organisation, module, id)?;
        let kind = media::picture(bytes).map_or("application/octet-stream", |p| p.kind);
        let photo = Photo { name: "photo".to_owned(), kind, sha256: sha256(bytes), content: Some(bytes.to_vec().into()) };
        if let Some(record) = self.organisations[organisation].records.get_mut(&record) {
            record.photo = Some(photo);
        }
        self.note_stored(direct(organisation, "photo", record, (module, id), "photo", bytes));
        Ok(())
    }

    /// The attachments of a record, oldest first.
    pub fn attachments(&self, organisation: usize, module: &str, id: &str) -> Vec<StoredAttachment> {
        let organisation = &self.organisations[organisation];
        let Some(record) = organisation.record(module, id) else { return Vec::new() };
        let attachments = record.attachments.iter();
        attachments
            .map(|a| StoredAttachment {
                id: a.id.to_string(),
                name: a.name.clone(),
                link_url: a.link.clone(),
                bytes: a.content.as_ref().map(|c| c.bytes().to_vec()).unwrap_or_default(),
                sha256: a.sha256.clone(),
                size: a.size,
                created: clock::iso(a.created, organisation.offset_minutes),
            })
            .collect()
    }
}

fn direct(organisation: usize, kind: &'static str, stored: u64, record: (&str, &str), name: &str, bytes: &[u8]) -> Stored {
    Stored {
        organisation: organisation + 1,
        kind,
        id: stored.to_string(),
        module: record.0.to_owned(),
        record: record.1.to_owned(),
        name: name.to_owned(),
        size: bytes.len() as u64,
        sha256: sha256(bytes),
        seq: 0,
    }
}
