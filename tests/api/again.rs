//! Calls that may have been made before: each effect is looked for first, and isn't had twice.

use zcrm::attachment;
use zcrm::batch::{self, Item, Options};
use zcrm::{Call, File, IfExists, Sink, Source, Status, Streamed, photo};
use zcrm_emulator::PNG;

use crate::support::{World, why, world};

fn again<'a>() -> Call<'a> {
    Call { again: true, ..Call::default() }
}

/// Whether the upload was found and not sent.
fn is_there(w: &World, name: &str, content: &[u8]) -> bool {
    attachment::upload(&w.client, &w.contact, File::memory(name, content), again()).unwrap().result.skipped
}

#[test]
fn an_upload_that_was_made_before_is_known_by_its_bytes() {
    let w = world();
    assert!(!is_there(&w, "report.csv", b"yesterday!"));
    assert!(is_there(&w, "report.csv", b"yesterday!"));
    // Of the same name and size, and another file.
    assert!(!is_there(&w, "report.csv", b"today....."));
    assert!(is_there(&w, "report.csv", b"today.....") && is_there(&w, "report.csv", b"yesterday!"));
    assert_eq!(w.stored().len(), 2);
}

#[test]
fn if_exists_by_name_and_size_still_holds_for_what_is_no_work_of_this_call() {
    let w = world();
    w.attach("report.csv", b"yesterday!");
    let call = Call { if_exists: IfExists::Skip, ..again() };
    let uploaded = attachment::upload(&w.client, &w.contact, File::memory("report.csv", b"today....."), call).unwrap().result;
    assert!(uploaded.skipped && w.stored().len() == 1);
}

#[test]
fn a_link_that_was_attached_before_is_known_by_its_url() {
    let w = world();
    let link = || attachment::upload(&w.client, &w.contact, Source::link("https://example.com/a", "A"), again()).unwrap().result.skipped;
    assert_eq!((link(), link()), (false, true));
}

#[test]
fn a_reader_that_cannot_rewind_is_kept_so_that_it_can_be_compared_first() {
    for (again, if_exists) in [(true, IfExists::Upload), (false, IfExists::SkipSameBytes)] {
        let w = world();
        let upload = |content: &[u8]| {
            let mut reader = Streamed(content);
            let call = Call { again, if_exists, ..Call::default() };
            attachment::upload(&w.client, &w.contact, File::reader("a.txt", &mut reader, Some(3)), call).unwrap().result.skipped
        };
        assert_eq!([upload(b"abc"), upload(b"abc"), upload(b"xyz"), upload(b"xyz")], [false, true, false, true]);
        assert_eq!(w.stored().len(), 2);
    }
}

#[test]
fn a_deletion_of_what_is_gone_is_done() {
    let w = world();
    let ids: Vec<String> = (0..3).map(|i| w.attach(&format!("{i}"), b"x")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let delete = |ids: &[&str], call| attachment::delete(&w.client, &w.contact, ids, call).map(|outcome| outcome.result.ids);
    delete(&ids[..1], Call::default()).unwrap();
    assert_eq!(why(delete(&ids[..1], Call::default())).0, Status::NotFound);
    assert_eq!(delete(&ids[..1], again()).unwrap(), ids[..1]);
    assert_eq!(delete(&ids, again()).unwrap(), ids);
    assert!(w.stored().is_empty());
    photo::delete(&w.client, &w.contact, again()).unwrap();
}

#[test]
fn a_download_that_is_in_its_file_already_is_done_and_another_file_stays() {
    let w = world();
    let id = w.attach("a.txt", b"content");
    let path = w.path("file");
    let download = |call| attachment::download(&w.client, &w.contact, &id, Sink::file(&path, false), call);
    download(Call::default()).unwrap();
    assert_eq!(why(download(Call::default())), (Status::Io, "target_exists"));
    let downloaded = download(again()).unwrap().result;
    assert_eq!((downloaded.bytes, downloaded.path.as_deref()), (7, Some(path.as_path())));
    for other in [b"CONTENT".as_slice(), b"more than the content", b""] {
        std::fs::write(&path, other).unwrap();
        assert_eq!(why(download(again())), (Status::Io, "target_exists"));
        assert_eq!(std::fs::read(&path).unwrap(), other);
    }
    assert_eq!(w.files(), ["file"]);
}

#[test]
fn a_photo_is_simply_set_again() {
    let w = world();
    for _ in 0..2 {
        photo::upload(&w.client, &w.contact, File::memory("p.png", PNG), again()).unwrap();
    }
    assert_eq!(w.emulator.photo("Contacts", &w.contact.id).as_deref(), Some(PNG));
}

#[test]
fn a_batch_that_was_run_before_without_a_journal_does_nothing_twice() {
    let w = world();
    let step = |name: &str| {
        let source = serde_json::json!({"base64": "eHh4", "name": name});
        serde_json::json!({"operation": "attachment.upload", "module": "Contacts", "record_id": w.contact.id, "source": source}).to_string()
    };
    // Two steps attach the same: two copies, also when both come again.
    let items = || ["a", "b", "b"].iter().enumerate().map(|(i, name)| Item { key: i.to_string(), step: step(name) });
    let run = |call| batch::run(&w.client, items(), &Options::default(), call, &mut |_| true).unwrap().result.done;
    assert_eq!((run(Call::default()), run(again()), run(again())), (3, 3, 3));
    assert_eq!(w.stored().len(), 3);
}
