//! The list of a module's records: ids alone, every page of them, in every version.

use zcrm::records::{self, ListArgs, Page, Pages};
use zcrm::{Call, Result, Status};
use zcrm_emulator::{EmptyList, Fault};

use crate::support::{World, why, world, world_with};

const VERSIONS: [&str; 8] = ["v2", "v2.1", "v3", "v4", "v5", "v6", "v7", "v8"];

/// Records of a module of their own, the one made last first, as the list has them.
fn fill(w: &World, count: usize) -> Vec<String> {
    let mut ids: Vec<String> = (0..count).map(|_| w.emulator.add_record("Widgets")).collect();
    ids.reverse();
    ids
}

fn list(w: &World, args: ListArgs) -> Result<Page> {
    records::list(&w.client, "Widgets", &args, Call::default()).map(|outcome| outcome.result)
}

fn next(pages: &mut Pages) -> Result<Option<Page>> {
    Ok(pages.next(&Call::default())?.map(|outcome| outcome.result))
}

fn pages(w: &World, per_page: u32) -> Pages {
    records::pages(&w.client, "Widgets", &ListArgs { per_page, ..ListArgs::default() }).unwrap()
}

#[test]
fn every_version_lists_every_record_once_by_its_id_alone() {
    for version in VERSIONS {
        let w = world_with(&[("api_version", version)]);
        let ids = fill(&w, 450);
        assert!(list(&w, ListArgs::default()).unwrap().record_ids == ids, "{version}");
        let requests = w.requests("record.list");
        assert!(requests.iter().all(|r| r.query.contains("fields=id&per_page=200") && r.path == format!("/crm/{version}/Widgets")), "{version}");
        let by_token = requests.iter().filter(|r| r.query.contains("page_token=")).count();
        // By number, where rows can move, the list is walked a second time.
        let wanted = if version.starts_with("v2") { (6, 0) } else { (3, 2) };
        assert_eq!((requests.len(), by_token), wanted, "{version}");
    }
}

#[test]
fn no_records_are_an_empty_list_in_both_forms() {
    for form in [EmptyList::NoContent204, EmptyList::Ok200] {
        let w = world();
        let only = fill(&w, 1).remove(0);
        w.emulator.delete_record("Widgets", &only);
        w.emulator.settings(|s| s.empty_list = form);
        assert_eq!(list(&w, ListArgs::default()).unwrap(), Page::default(), "{form:?}");
    }
}

#[test]
fn tokens_go_on_where_page_numbers_end() {
    let w = world();
    w.emulator.settings(|s| s.discrete_rows = 10);
    let ids = fill(&w, 25);
    assert_eq!(list(&w, ListArgs { per_page: 5, page: 2, ..ListArgs::default() }).unwrap().record_ids, ids[5..10]);
    let beyond = list(&w, ListArgs { per_page: 5, page: 3, ..ListArgs::default() }).unwrap_err();
    assert_eq!((beyond.status(), beyond.reason()), (Status::Page, "page_needs_token"));
    assert!(beyond.to_string().contains("next_page_token"), "{beyond}");
    assert_eq!(list(&w, ListArgs { per_page: 5, ..ListArgs::default() }).unwrap().record_ids, ids);
}

#[test]
fn a_module_with_more_records_than_zoho_lists_is_an_error_that_shows_the_way_to_the_others() {
    let w = world();
    w.emulator.settings(|s| s.list_rows = 10);
    let ids = fill(&w, 11);
    let mut pages = pages(&w, 5);
    let told: Vec<String> = [next(&mut pages), next(&mut pages)].into_iter().flat_map(|page| page.unwrap().unwrap().record_ids).collect();
    assert_eq!(told, ids[..10], "what Zoho lists is told first");
    let error = next(&mut pages).unwrap_err();
    assert_eq!((error.status(), error.reason(), error.detail().retryable), (Status::Page, "pages_exhausted", false));
    assert!(error.to_string().contains("100,000") && error.to_string().contains("--ids"), "{error}");
    assert_eq!(why(list(&w, ListArgs { per_page: 5, ..ListArgs::default() })), (Status::Page, "pages_exhausted"));
}

#[test]
fn one_page_is_given_with_the_token_of_the_next() {
    for version in ["v3", "v8"] {
        let w = world_with(&[("api_version", version)]);
        let ids = fill(&w, 7);
        let first = list(&w, ListArgs { page: 1, per_page: 5, ..ListArgs::default() }).unwrap();
        assert_eq!((first.record_ids.as_slice(), first.more_records), (&ids[..5], true));
        let second = list(&w, ListArgs { page_token: first.next_page_token.unwrap(), per_page: 5, ..ListArgs::default() }).unwrap();
        assert_eq!((second.record_ids.as_slice(), second.more_records, second.next_page_token), (&ids[5..], false, None));
    }
}

#[test]
fn records_that_are_deleted_or_added_while_the_pages_are_walked_hide_no_other() {
    for version in VERSIONS {
        let w = world_with(&[("api_version", version)]);
        let ids = fill(&w, 23);
        let mut pages = pages(&w, 5);
        let mut told = Vec::new();
        while let Some(page) = next(&mut pages).unwrap() {
            page.record_ids.iter().for_each(|id| w.emulator.delete_record("Widgets", id));
            told.extend(page.record_ids);
            if told.len() == 5 {
                w.emulator.add_record("Widgets");
            }
        }
        told.retain(|id| ids.contains(id));
        told.sort();
        let mut wanted = ids.clone();
        wanted.sort();
        assert_eq!(told, wanted, "{version}");
    }
}

#[test]
fn after_an_error_the_same_page_is_asked_for_again() {
    let w = world();
    let ids = fill(&w, 9);
    w.emulator.script("record.list", [Fault::none(), Fault::status(403)]);
    let mut pages = pages(&w, 5);
    let mut all = next(&mut pages).unwrap().unwrap().record_ids;
    assert_eq!(why(next(&mut pages)).0, Status::Forbidden);
    all.extend(next(&mut pages).unwrap().unwrap().record_ids);
    assert_eq!((all, next(&mut pages).unwrap()), (ids, None));
}

#[test]
fn a_list_that_never_ends_is_left() {
    let w = world_with(&[("list_max_rows", "1000")]);
    fill(&w, 1);
    w.emulator.always("record.list", Fault::endless_pages());
    assert_eq!(why(list(&w, ListArgs::default())), (Status::Page, "list_too_long"));
    assert_eq!(w.requests("record.list").len(), 6);
}

#[test]
fn an_error_names_the_module_and_the_one_that_is_probably_meant() {
    let w = world();
    let error = records::list(&w.client, "Potentials", &ListArgs::default(), Call::default()).unwrap_err();
    assert_eq!(error.status(), Status::InvalidModule);
    assert!(error.to_string().contains("(Potentials); did you mean \"Deals\"?"), "{error}");
}

#[test]
fn what_can_not_be_is_refused_before_anything_is_sent() {
    let w = world_with(&[("api_version", "v2.1")]);
    let refused = |module: &str, args: ListArgs| records::list(&w.client, module, &args, Call::default()).unwrap_err();
    for (module, args, status, field) in [
        ("", ListArgs::default(), Status::Argument, "module"),
        ("a/b", ListArgs::default(), Status::Argument, "module"),
        ("Widgets", ListArgs { fields: "id,Name".into(), ..ListArgs::default() }, Status::Argument, "fields"),
        ("Widgets", ListArgs { per_page: 201, ..ListArgs::default() }, Status::Argument, "per_page"),
        ("Widgets", ListArgs { page: 1, page_token: "t".into(), ..ListArgs::default() }, Status::Argument, "page_token"),
        ("Widgets", ListArgs { page_token: "t".into(), ..ListArgs::default() }, Status::Version, "page_token"),
    ] {
        let error = refused(module, args);
        assert_eq!((error.status(), error.detail().field), (status, Some(field)), "{error}");
    }
    assert!(w.emulator.ledger().requests.is_empty());
}

#[test]
fn a_token_without_the_modules_scope_is_told_so() {
    let w = world();
    fill(&w, 1);
    let list = |scope: &str| {
        let client = crate::support::client(&w.emulator, &[("access_token", &w.emulator.access_token_with_scope(scope))]);
        records::list(&client, "Widgets", &ListArgs::default(), Call::default())
    };
    assert_eq!(list("ZohoCRM.modules.custom.READ").unwrap().result.record_ids.len(), 1);
    assert_eq!(list("ZohoCRM.modules.contacts.READ").unwrap_err().status(), Status::Scope);
}
