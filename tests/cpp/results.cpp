/* Results, errors and handles. */
#include <filesystem>
#include <fstream>
#include <type_traits>

#include "harness.hpp"

namespace {

template <class T>
constexpr bool move_only = std::is_nothrow_move_constructible_v<T> && std::is_move_assignable_v<T> && !std::is_copy_constructible_v<T>;

static_assert(move_only<zcrm::Client> && move_only<zcrm::Config> && move_only<zcrm::Cancel> && move_only<zcrm::Error>);
static_assert(move_only<zcrm::Outcome> && move_only<zcrm::Download> && move_only<zcrm::AttachmentList> && move_only<zcrm::AttachmentUpload>);
static_assert(std::is_copy_constructible_v<zcrm::Call> && std::is_copy_constructible_v<zcrm::Attachment>);

}  // namespace

CASE_WITH(an_error_says_everything_that_is_known, R"({"attachment.list": [{"kind": "status", "status": 403}]})") {
    const auto list = client().attachment_list(contact());
    CHECK(fails(list, ZCRM_E_FORBIDDEN));
    const zcrm::Error &error = list.error();
    CHECK(error.name() == "ZCRM_E_FORBIDDEN" && error.http_status() == 403 && error.api_code() == "NO_PERMISSION");
    CHECK(!error.message().empty() && !error.reason().empty());
    CHECK(!error.retryable() && !error.retry_after() && error.request_sent() == 3 && error.callback_status() == 0);
    CHECK(error.json().find("\"http_status\":403") != std::string_view::npos);
}

CASE_WITH(a_wait_that_the_server_asks_for_is_told, R"({"attachment.list": [{"kind": "status", "status": 429, "headers": {"Retry-After": "3600"}}]})") {
    const auto list = client().attachment_list(contact());
    CHECK(fails(list, ZCRM_E_RATE_LIMITED));
    CHECK(!list && list.error().retryable() && list.error().retry_after() == std::chrono::hours(1));
}

CASE(an_unknown_setting_is_named_with_the_nearest_one) {
    const auto made = zcrm::Client::make({{"client_idd", "x"}});
    CHECK(fails(made, ZCRM_E_CONFIG));
    CHECK(!made && made.error().message().find("client_id") != std::string_view::npos);
}

CASE(a_setting_may_be_any_view_and_empty) {
    auto settings = config();
    const std::string_view pair = "data_center=eu";
    CHECK(settings.set(pair.substr(0, 11), pair.substr(12)));
    CHECK(settings.set("spool_dir", {}));
}

CASE(settings_that_are_missing_are_told_when_the_client_is_made) {
    CHECK(fails(zcrm::Client::make({{"client_id", "x"}}), ZCRM_E_CONFIG));
}

CASE(a_client_is_made_from_pairs) {
    const std::string url = env("ZCRM_TEST_URL"), token = env("ZCRM_TEST_TOKEN");
    auto c = zcrm::Client::make({{"api_domain", url}, {"accounts_url", url}, {"access_token", token}});
    CHECK(c && c->attachment_list(contact()));
}

CASE(results_and_errors_outlive_their_client) {
    auto c = std::make_unique<zcrm::Client>(client());
    const std::string id = attach(*c, "a.txt", "bytes");
    auto download = NEED(c->attachment_download(contact(), id, zcrm::to_memory()));
    auto absent = c->photo_download(contact(), zcrm::to_memory());
    c.reset();
    const auto moved = std::move(download);
    CHECK(NEED(moved.data()).size() == 5 && !moved.json().empty());
    CHECK(fails(absent, ZCRM_E_NOT_FOUND));
    const zcrm::Error error = std::move(absent).error();
    CHECK(!error.message().empty());
}

CASE(handles_move) {
    auto first = client();
    auto second = std::move(first);
    first = client();
    CHECK(first.attachment_list(contact()) && second.attachment_list(contact()));
}

CASE(an_error_without_a_handle_still_speaks) {
    const zcrm::Error error(ZCRM_E_MEMORY);
    CHECK(error.code() == ZCRM_E_MEMORY && error.message() == "ZCRM_E_MEMORY" && error.json().empty() && !error.retry_after());
}

#ifdef __cpp_exceptions
CASE(value_throws_the_error) {
    const auto c = client();
    CHECK(c.attachment_list(contact()).value().attachments.empty());
    try {
        static_cast<void>(c.photo_download(contact(), zcrm::to_memory()).value());
        CHECK(!"thrown");
    } catch (const zcrm::Exception &e) {
        CHECK(e.error().code() == ZCRM_E_NOT_FOUND && e.what() == e.error().message());
    }
    try {
        config().set("nonsense", "x").value();
        CHECK(!"thrown");
    } catch (const std::exception &e) {
        CHECK(std::string_view(e.what()).find("nonsense") != std::string_view::npos);
    }
}
#endif

CASE_WITH(attachments_that_may_be_a_lost_upload_are_named, R"({"attachment.upload": [{"kind": "reset_after_store"}], "attachment.list": [
        {"kind": "status", "status": 200, "content_type": "application/json", "body": "{\"data\":[{\"id\":\"71\",\"File_Name\":\"a\",\"Size\":\"3\",\"Created_Time\":\"2099-01-01T00:00:00+00:00\"},{\"id\":\"72\",\"File_Name\":\"a\",\"Size\":\"3\",\"Created_Time\":\"2099-01-01T00:00:00+00:00\"}],\"info\":{\"more_records\":false}}"}]})") {
    auto settings = config();
    CHECK(settings.set("access_token", env("ZCRM_TEST_TOKEN")) && settings.set("settle_hash", "off") && settings.set("settle_waits_ms", ""));
    const auto c = NEED(zcrm::Client::make(settings));
    const auto uploaded = c.attachment_upload(contact(), zcrm::from_memory("a", "abc", 3));
    CHECK(!uploaded && uploaded.error().code() == ZCRM_E_OUTCOME_UNKNOWN);
    CHECK((uploaded.error().candidates() == std::vector<std::string>{"71", "72"}));
    CHECK(uploaded.error().request_sent() == ZCRM_SENT_FULLY);
    CHECK(fails(c.attachment_list({"Contacts", "x"}), ZCRM_E_ARGUMENT) && c.attachment_list({"Contacts", "x"}).error().candidates().empty());
}

CASE(an_empty_function_or_a_key_with_a_nul_is_refused_with_a_reason) {
    auto settings = config();
    for (const auto &refused : {settings.on_token(zcrm::Token{}), settings.on_log(5, zcrm::Log{}), settings.on_log(99, [](std::int32_t, std::string_view) {}),
                                settings.set(std::string_view("api_domain\0x", 12), "http://localhost")}) {
        CHECK(fails(refused, ZCRM_E_ARGUMENT) && !refused.error().message().empty() && refused.error().message() != "ZCRM_E_ARGUMENT");
    }
}

CASE(a_profile_is_loaded_and_what_is_set_afterwards_takes_its_place) {
    const std::string file = path("profiles.toml");
    std::ofstream(file) << "[work]\naccess_token = \"another\"\nmax_retries = 0\n";
    auto settings = config();
    CHECK(fails(settings.load_profile(file, "work"), ZCRM_E_CONFIG));  // others may read it
    std::filesystem::permissions(file, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    CHECK(fails(settings.load_profile(file), ZCRM_E_CONFIG));  // there is no "default"
    CHECK(fails(settings.load_profile(std::string("a\0b", 3)), ZCRM_E_ARGUMENT));
    CHECK(settings.load_profile(file, "work"));
    CHECK(fails(NEED(zcrm::Client::make(settings)).attachment_list(contact()), ZCRM_E_AUTH));
    CHECK(settings.set("access_token", env("ZCRM_TEST_TOKEN")));
    CHECK(NEED(zcrm::Client::make(settings)).attachment_list(contact()));
}

#ifdef __cpp_exceptions
CASE(a_result_with_a_name_gives_its_value_too) {
    auto made = zcrm::Config::make();
    zcrm::Config &settings = made.value();
    CHECK(settings.set("data_center", "eu"));
    auto refused = settings.set("nonsense", "x");
    bool thrown = false;
    try {
        refused.value();
    } catch (const zcrm::Exception &e) {
        thrown = e.error().code() == ZCRM_E_CONFIG;
    }
    CHECK(thrown);
}
#endif

CASE(what_is_taken_from_a_temporary_result_outlives_it) {
    const auto c = client();
    attach(c, "a.txt", std::string(100, 'a'));
    int seen = 0;
    for (const auto &attachment : (*c.attachment_list(contact())).attachments) seen += attachment.file_name == "a.txt";
    const auto &list = *c.attachment_list(contact());
    CHECK(seen == 1 && list.attachments.size() == 1 && list.attachments[0].file_name == "a.txt");
}
