/* What the C++ tests share: cases by name, checks, and a client for the emulator that the runner started for the case. */
#ifndef HARNESS_HPP
#define HARNESS_HPP

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "zcrm.hpp"

struct Case {
    const char *name;
    const char *faults;  // what the emulator shall do wrong: a JSON object of operation and faults
    void (*run)();
};

inline std::vector<Case> &cases() {
    static std::vector<Case> all;
    return all;
}

inline int &failures() {
    static int count = 0;
    return count;
}

struct Register {
    explicit Register(Case added) { cases().push_back(added); }
};

#define CASE_WITH(name, faults)                                 \
    static void name();                                         \
    static const Register name##_registered({#name, faults, name}); \
    static void name()
#define CASE(name) CASE_WITH(name, "{}")

#define CHECK(condition)                                              \
    do {                                                              \
        if (!(condition)) {                                           \
            std::printf("%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            ++failures();                                             \
        }                                                             \
    } while (false)

/** The value of a Result; a failure ends the case. */
#define NEED(result) need(result, __FILE__, __LINE__)

template <class T>
T need(zcrm::Result<T> result, const char *file, int line) {
    if (!result) {
        const auto json = result.error().json();
        std::printf("%s:%d: %s %s\n", file, line, result.error().message().data(), json.data());
        std::exit(1);
    }
    return *std::move(result);
}

/** Whether it failed with this status; says what came instead. */
template <class T>
bool fails(const zcrm::Result<T> &result, zcrm_status status) {
    if (!result && result.error().code() == status) return true;
    std::printf("wanted %s, got %s\n", zcrm_status_name(status), result ? "success" : result.error().message().data());
    return false;
}

inline std::string env(const char *name) {
    const char *value = std::getenv(name);
    if (!value) {
        std::printf("%s is not set\n", name);
        std::exit(2);
    }
    return value;
}

/** Whether a text holds a secret of this run, or anything of a token's form. */
bool shows_secret(std::string_view text);
/** Searches a log line. Errors and results are searched without being asked: see canary.cpp. */
void look_at_line(std::string_view line);
/** Says in how much was looked for secrets. */
void report_looks();

inline zcrm::Config config() {
    auto config = NEED(zcrm::Config::make());
    if (!config.on_log(5, [](std::int32_t, std::string_view line) { look_at_line(line); })) std::exit(2);
    const std::string url = env("ZCRM_TEST_URL");
    for (const auto &[key, value] : {std::pair<const char *, std::string>{"api_domain", url}, {"accounts_url", url}, {"max_retries", "2"}, {"retry_base_ms", "1"}}) {
        if (!config.set(key, value)) std::exit(2);
    }
    return config;
}

inline zcrm::Client client() {
    auto settings = config();
    CHECK(settings.set("access_token", env("ZCRM_TEST_TOKEN")));
    return NEED(zcrm::Client::make(settings));
}

/** A contact without attachments. */
inline zcrm::Record contact() {
    return {"Contacts", env("ZCRM_TEST_RECORD")};
}

/** A path in a directory of the case's own. */
inline std::string path(const char *name) {
    return env("ZCRM_TEST_DIR") + "/" + name;
}

inline void write_file(const std::string &path, std::string_view text) {
    std::ofstream(path, std::ios::binary) << text;
}

inline std::string read_file(const std::string &path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

/** Uploads a text; gives the attachment's id. */
inline std::string attach(const zcrm::Client &client, std::string_view name, const std::string &text) {
    return NEED(client.attachment_upload(contact(), zcrm::from_memory(name, text))).attachment.id;
}

/** The bytes of an attachment. */
inline std::string fetch(const zcrm::Client &client, std::string_view id) {
    const auto download = NEED(client.attachment_download(contact(), id, zcrm::to_memory()));
    const auto data = NEED(download.data());
    return std::string(data.begin(), data.end());
}

#endif
