/* The seven operations, the pages of a list, the grant exchange and steps. */
#include <set>

#include "harness.hpp"

CASE(a_file_is_attached_listed_downloaded_and_deleted) {
    const auto c = client();
    const std::string text = "Dear Sir or Madam";
    const auto stored = NEED(c.attachment_upload(contact(), zcrm::from_memory("letter.txt", text)));
    CHECK(!stored.attachment.id.empty() && !stored.attachment.is_link);
    CHECK(stored.transfer.bytes == text.size() && stored.transfer.file_name == "letter.txt");
    CHECK(stored.json().find("\"attachment.upload\"") != std::string_view::npos);

    const auto list = NEED(c.attachment_list(contact()));
    CHECK(list.attachments.size() == 1 && !list.more_records);
    const zcrm::Attachment &listed = list.attachments.at(0);
    CHECK(listed.id == stored.attachment.id && listed.file_name == "letter.txt" && listed.bytes == static_cast<std::int64_t>(text.size()));
    CHECK(listed.parent_id == contact().id && !listed.owner_name.empty() && !listed.created_time.empty() && !listed.modified_time.empty());

    const auto download = NEED(c.attachment_download(contact(), listed.id, zcrm::to_memory()));
    CHECK(fetch(c, listed.id) == text);
    CHECK(download.transfer.bytes == text.size() && download.transfer.file_name == "letter.txt" && download.transfer.length_verified);

    const auto deleted = NEED(c.attachment_delete(contact(), listed.id));
    CHECK(deleted.json().find(listed.id) != std::string_view::npos);
    CHECK(NEED(c.attachment_list(contact())).attachments.empty());
}

CASE(a_link_is_attached_and_has_no_bytes) {
    const auto c = client();
    const auto stored = NEED(c.attachment_upload(contact(), zcrm::from_link("https://example.com/price-list", "Price list")));
    CHECK(stored.transfer.bytes == 0);
    const auto listed = NEED(c.attachment_list(contact())).attachments.at(0);
    CHECK(listed.is_link && listed.link_url == "https://example.com/price-list" && listed.file_name == "Price list");
    CHECK(fails(c.attachment_download(contact(), listed.id, zcrm::to_memory()), ZCRM_E_IS_LINK));
}

CASE(several_attachments_are_deleted_by_one_call) {
    const auto c = client();
    const std::string ids = attach(c, "a.txt", "a") + "," + attach(c, "b.txt", "b");
    CHECK(c.attachment_delete(contact(), ids));
    CHECK(NEED(c.attachment_list(contact())).attachments.empty());
}

CASE(a_photo_is_set_read_and_deleted) {
    const auto c = client();
    const std::string png = read_file(env("ZCRM_TEST_PNG"));
    CHECK(NEED(c.photo_upload(contact(), zcrm::from_file(env("ZCRM_TEST_PNG")))).transfer.bytes == png.size());
    const auto photo = NEED(c.photo_download(contact(), zcrm::to_memory()));
    CHECK(NEED(photo.data()).size() == png.size() && !png.empty());
    CHECK(c.photo_delete(contact()));
    CHECK(fails(c.photo_download(contact(), zcrm::to_memory()), ZCRM_E_NOT_FOUND));
}

CASE(pages_give_every_attachment_once) {
    const auto c = client();
    std::set<std::string> ids;
    for (const char *name : {"1.txt", "2.txt", "3.txt", "4.txt", "5.txt"}) ids.insert(attach(c, name, name));
    zcrm::ListArgs two_a_page;
    two_a_page.per_page = 2;
    std::size_t pages = 0, entries = 0;
    for (auto &page : c.attachment_pages(contact(), two_a_page)) {
        ++pages;
        for (const auto &attachment : NEED(std::move(page)).attachments) entries += ids.erase(attachment.id);
    }
    CHECK(pages == 3 && entries == 5 && ids.empty());
}

CASE(pages_of_a_version_without_tokens_are_counted) {
    auto settings = config();
    CHECK(settings.set("access_token", env("ZCRM_TEST_TOKEN")) && settings.set("api_version", "v2.1"));
    const auto c = NEED(zcrm::Client::make(settings));
    for (const char *name : {"1.txt", "2.txt", "3.txt"}) attach(c, name, name);
    zcrm::ListArgs one_a_page;
    one_a_page.per_page = 1;
    std::size_t entries = 0;
    for (const auto &page : c.attachment_pages(contact(), one_a_page)) {
        CHECK(page && page->next_page_token.empty());
        if (page) entries += page->attachments.size();
    }
    CHECK(entries == 3);
}

CASE(a_record_without_attachments_has_one_empty_page) {
    const auto c = client();
    std::size_t pages = 0;
    for (const auto &page : c.attachment_pages(contact())) {
        ++pages;
        CHECK(page && page->attachments.empty());
    }
    CHECK(pages == 1);
}

CASE_WITH(a_failed_page_is_the_last, R"({"attachment.list": [{"kind": "none"}, {"kind": "status", "status": 403}]})") {
    const auto c = client();
    for (const char *name : {"1.txt", "2.txt", "3.txt"}) attach(c, name, name);
    zcrm::ListArgs one_a_page;
    one_a_page.per_page = 1;
    std::vector<zcrm_status> seen;
    for (const auto &page : c.attachment_pages(contact(), one_a_page)) seen.push_back(page ? ZCRM_OK : page.error().code());
    CHECK((seen == std::vector<zcrm_status>{ZCRM_OK, ZCRM_E_FORBIDDEN}));
}

CASE(deleting_in_the_loop_over_the_pages_leaves_nothing_behind) {
    for (const char *version : {"v6", "v8"}) {
        auto settings = config();
        CHECK(settings.set("access_token", env("ZCRM_TEST_TOKEN")) && settings.set("api_version", version));
        const auto c = NEED(zcrm::Client::make(settings));
        for (const char *name : {"1.txt", "2.txt", "3.txt", "4.txt", "5.txt"}) attach(c, name, name);
        zcrm::ListArgs two_a_page;
        two_a_page.per_page = 2;
        std::size_t deleted = 0;
        for (auto &page : c.attachment_pages(contact(), two_a_page)) {
            for (const auto &attachment : NEED(std::move(page)).attachments) deleted += c.attachment_delete(contact(), attachment.id) ? 1 : 0;
        }
        CHECK(deleted == 5 && NEED(c.attachment_list(contact())).attachments.empty());
    }
}

CASE(the_records_of_a_module_are_listed_at_once_and_page_by_page) {
    const auto c = client();
    const auto all = NEED(c.record_list("Contacts"));
    CHECK(all.record_ids.front() == env("ZCRM_TEST_RECORD") && !all.more_records && all.next_page_token.empty());
    zcrm::ListArgs one_a_page;
    one_a_page.per_page = 1;
    std::vector<std::string> told;
    for (auto &page : c.record_pages("Contacts", one_a_page)) told.push_back(NEED(std::move(page)).record_ids.at(0));
    CHECK(told == all.record_ids && told.size() > 1);
    CHECK(fails(c.record_list("../x"), ZCRM_E_ARGUMENT));
    for (const auto &page : c.record_pages("../x")) CHECK(fails(page, ZCRM_E_ARGUMENT));
}

CASE(pages_outlive_their_client) {
    attach(client(), "1.txt", "text");
    auto pages = client().attachment_pages(contact());
    std::size_t entries = 0;
    for (auto &page : pages) entries += NEED(std::move(page)).attachments.size();
    CHECK(entries == 1);
}

CASE_WITH(a_server_that_goes_in_a_circle_is_not_followed_for_ever, R"({"attachment.list": [
        {"kind": "status", "status": 200, "content_type": "application/json", "body": "{\"data\":[{\"id\":\"7\"}],\"info\":{\"more_records\":true,\"next_page_token\":\"a\"}}"},
        {"kind": "status", "status": 200, "content_type": "application/json", "body": "{\"data\":[{\"id\":\"8\"}],\"info\":{\"more_records\":true,\"next_page_token\":\"b\"}}"},
        {"kind": "status", "status": 200, "content_type": "application/json", "body": "{\"data\":[{\"id\":\"7\"}],\"info\":{\"more_records\":true,\"next_page_token\":\"c\"}}"}]})") {
    const auto c = client();
    std::vector<zcrm_status> seen;
    for (const auto &page : c.attachment_pages(contact())) seen.push_back(page ? ZCRM_OK : page.error().code());
    CHECK((seen == std::vector<zcrm_status>{ZCRM_OK, ZCRM_OK, ZCRM_E_PAGE}));
}

CASE(a_grant_code_is_exchanged_for_a_refresh_token) {
    auto settings = config();
    CHECK(settings.set("client_id", env("ZCRM_TEST_CLIENT_ID")) && settings.set("client_secret", env("ZCRM_TEST_CLIENT_SECRET")));
    CHECK(settings.set("grant_code", env("ZCRM_TEST_GRANT_CODE")));
    CHECK(NEED(zcrm::auth_exchange(settings)).json().find("\"refresh_token\"") != std::string_view::npos);
    CHECK(fails(zcrm::auth_exchange(settings), ZCRM_E_AUTH));
}

CASE(a_step_is_run_as_json) {
    const auto c = client();
    const std::string record = R"(", "module": "Contacts", "record_id": ")" + contact().id + "\"";
    const auto upload = R"({"operation": "attachment.upload)" + record + R"(, "source": {"base64": "aGVsbG8=", "name": "a.txt"}})";
    CHECK(c.step_run(upload));
    CHECK(NEED(c.step_run(R"({"operation": "attachment.list)" + record + "}")).json().find("\"a.txt\"") != std::string_view::npos);
    CHECK(fails(c.step_run("{}"), ZCRM_E_ARGUMENT));
}

CASE(the_description_names_the_operations) {
    CHECK(zcrm::step_describe().find("\"photo.delete\"") != std::string_view::npos);
}
