//! The photo of a record.

use zcrm::{Call, File, Record, Sink, Status, photo};
use zcrm_emulator::{JPEG, PNG, RecordState};

use crate::support::{World, why, world, world_with};

fn upload(w: &World, name: &str, bytes: &[u8]) -> zcrm::Result<zcrm::Outcome<photo::PhotoUploaded>> {
    photo::upload(&w.client, &w.contact, File::memory(name, bytes), Call::default())
}

#[test]
fn a_photo_is_stored_replaced_given_back_and_deleted() {
    let w = world();
    upload(&w, "portrait.png", PNG).unwrap();
    upload(&w, "portrait.jpg", JPEG).unwrap();
    assert!(w.emulator.photo("Contacts", &w.contact.id).unwrap() == JPEG);
    let got = photo::download(&w.client, &w.contact, Sink::memory(), Call::default()).unwrap().result;
    assert!(got.data.unwrap() == JPEG && got.bytes == JPEG.len() as u64);
    photo::delete(&w.client, &w.contact, Call::default()).unwrap();
    assert!(w.emulator.photo("Contacts", &w.contact.id).is_none());
}

#[test]
fn no_photo_is_not_found() {
    let w = world();
    let failed = photo::download(&w.client, &w.contact, Sink::memory(), Call::default());
    assert_eq!(why(failed), (Status::NotFound, "no_photo"));
}

#[test]
fn restrict_triggers_reaches_the_server_on_an_upload() {
    let w = world();
    let call = Call { restrict_triggers: Some("workflow".into()), ..Call::default() };
    photo::upload(&w.client, &w.contact, File::memory("p.png", PNG), call).unwrap();
    assert_eq!(w.requests("photo.upload")[0].query, "restrict_triggers=workflow");
}

#[test]
fn every_module_with_photos_is_served() {
    let w = world();
    for module in ["Leads", "Contacts", "Accounts", "Products", "Vendors", "Deals", "Site_Visits"] {
        let record = Record::new(module, w.emulator.add_record(module));
        photo::upload(&w.client, &record, File::memory("p.png", PNG), Call::default()).unwrap();
        photo::download(&w.client, &record, Sink::memory(), Call::default()).unwrap();
        photo::delete(&w.client, &record, Call::default()).unwrap();
    }
}

#[test]
fn every_api_version_serves_photos() {
    for version in ["v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"] {
        let w = world_with(&[("api_version", version)]);
        upload(&w, "p.png", PNG).unwrap();
        photo::download(&w.client, &w.contact, Sink::memory(), Call::default()).unwrap();
        photo::delete(&w.client, &w.contact, Call::default()).unwrap();
    }
}

#[test]
fn a_locked_record_refuses_every_photo_call() {
    let w = world();
    w.emulator.set_photo("Contacts", &w.contact.id, PNG);
    w.emulator.set_record_state("Contacts", &w.contact.id, RecordState::Locked);
    assert_eq!(why(upload(&w, "p.jpg", JPEG)).0, Status::RecordLocked);
    assert_eq!(why(photo::download(&w.client, &w.contact, Sink::memory(), Call::default())).0, Status::RecordLocked);
    assert_eq!(why(photo::delete(&w.client, &w.contact, Call::default())).0, Status::RecordLocked);
    assert!(w.emulator.photo("Contacts", &w.contact.id).unwrap() == PNG, "the stored photo is unchanged");
}
