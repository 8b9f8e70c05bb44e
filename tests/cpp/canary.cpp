/*
 * Canaries: whatever the library shows during a case is searched for secrets: every log line, error and result.
 *
 * The linker leads every zcrm_error_free() and zcrm_result_free() here first (`--wrap`), so that no error and no result goes unseen,
 * whatever the case does with it.
 */
#include <atomic>

#include "harness.hpp"

namespace {

std::atomic<int> lines, errors, results;

void look(const char *text, const char *where) {
    if (!shows_secret(text)) return;
    std::printf("a secret is in %s\n", where); // which one is on the other end of a pipe
    ++failures();
}

}  // namespace

bool shows_secret(std::string_view text) {
    for (const char *name : {"ZCRM_TEST_TOKEN", "ZCRM_TEST_CLIENT_SECRET", "ZCRM_TEST_REFRESH_TOKEN", "ZCRM_TEST_GRANT_CODE", "ZCRM_TEST_PROXY_PASSWORD"}) {
        if (text.find(env(name)) != std::string_view::npos) return true;
    }
    // Anything of a token's form: the tokens that a refresh brings are known to nobody here.
    for (auto at = text.find("1000."); at != std::string_view::npos; at = text.find("1000.", at + 1)) {
        const auto end = text.find_first_not_of("0123456789abcdef", at + 5);
        if ((end == std::string_view::npos ? text.size() : end) - at - 5 >= 16) return true;
    }
    return false;
}

void look_at_line(std::string_view line) {
    ++lines;
    look(std::string(line).c_str(), "a log line");
}

void report_looks() {
    std::printf("looked for secrets in %d log lines, %d errors, %d results\n", lines.load(), errors.load(), results.load());
}

extern "C" {

void __real_zcrm_error_free(zcrm_error *error);
void __real_zcrm_result_free(zcrm_result *result);
void __wrap_zcrm_error_free(zcrm_error *error);
void __wrap_zcrm_result_free(zcrm_result *result);

void __wrap_zcrm_error_free(zcrm_error *error) {
    if (error) {
        ++errors;
        look(zcrm_error_json(error), "an error's JSON");
        look(zcrm_error_message(error), "an error's message");
        look(zcrm_error_reason(error), "an error's reason");
        look(zcrm_error_api_code(error), "an error's code");
    }
    __real_zcrm_error_free(error);
}

void __wrap_zcrm_result_free(zcrm_result *result) {
    const std::string_view json = result ? zcrm_result_json(result, nullptr) : "";
    if (result) ++results;
    // Tokens are what the exchange of a code is for.
    if (json.find("\"operation\":\"auth.exchange\"") == std::string_view::npos) look(json.data(), "a result");
    __real_zcrm_result_free(result);
}
}

CASE(a_secret_that_is_shown_is_found) {
    CHECK(shows_secret("Authorization: " + env("ZCRM_TEST_TOKEN")) && shows_secret("http://user:" + env("ZCRM_TEST_PROXY_PASSWORD") + "@proxy"));
    CHECK(shows_secret("1000.0123456789abcdef") && !shows_secret("1000.0123 1000.") && !shows_secret("Contacts"));
}

CASE(a_proxy_that_is_not_there_is_an_error_without_its_password) {
    auto settings = config();
    CHECK(settings.set("access_token", env("ZCRM_TEST_TOKEN")));
    CHECK(settings.set("api_domain", "http://zoho.invalid"));
    CHECK(settings.set("allow_http", "on"));
    CHECK(settings.set("proxy", "http://user:" + env("ZCRM_TEST_PROXY_PASSWORD") + "@127.0.0.1:1"));
    CHECK(fails(NEED(zcrm::Client::make(settings)).attachment_list(contact()), ZCRM_E_NETWORK));
}

CASE(refused_settings_and_tokens_are_not_shown) {
    auto settings = config();
    CHECK(fails(settings.set("access_token", env("ZCRM_TEST_TOKEN") + "\n"), ZCRM_E_CONFIG));
    auto nowhere = config();
    CHECK(fails(nowhere.set("proxy", "nowhere://user:" + env("ZCRM_TEST_PROXY_PASSWORD") + "@proxy"), ZCRM_E_CONFIG));
    CHECK(settings.set("client_id", env("ZCRM_TEST_CLIENT_ID")) && settings.set("client_secret", env("ZCRM_TEST_CLIENT_SECRET")));
    CHECK(settings.set("refresh_token", env("ZCRM_TEST_REFRESH_TOKEN") + "0"));
    CHECK(fails(NEED(zcrm::Client::make(settings)).attachment_list(contact()), ZCRM_E_AUTH));
    CHECK(settings.set("grant_code", env("ZCRM_TEST_GRANT_CODE") + "0"));
    CHECK(fails(zcrm::auth_exchange(settings), ZCRM_E_AUTH));
}
