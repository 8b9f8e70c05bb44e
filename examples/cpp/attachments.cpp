/*
 * Puts a file on a record, lists what hangs there and fetches it all into a directory.
 *
 *   g++ -std=c++17 attachments.cpp $(pkg-config --cflags --libs zcrm) -o attachments
 *   ZCRM_CLIENT_ID=… ZCRM_CLIENT_SECRET=… ZCRM_REFRESH_TOKEN=… ./attachments Contacts 3652397000000649013 offer.pdf downloads
 *
 * ZCRM_DATA_CENTER (us, eu, in …) says which data centre hosts the organisation; ZCRM_API_DOMAIN and ZCRM_ACCOUNTS_URL name other servers, such
 * as the emulator. ZCRM_ACCESS_TOKEN can stand in place of the first three.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include <zcrm.hpp>

using namespace std::chrono_literals;

namespace {

constexpr std::pair<const char *, const char *> settings[] = {
    {"ZCRM_ACCESS_TOKEN", "access_token"}, {"ZCRM_CLIENT_ID", "client_id"},     {"ZCRM_CLIENT_SECRET", "client_secret"},
    {"ZCRM_REFRESH_TOKEN", "refresh_token"}, {"ZCRM_DATA_CENTER", "data_center"}, {"ZCRM_ENVIRONMENT", "environment"},
    {"ZCRM_API_DOMAIN", "api_domain"},     {"ZCRM_ACCOUNTS_URL", "accounts_url"}, {"ZCRM_TOKEN_FILE", "token_file"},
};

std::string environment(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

/** The variable that is missing, or nullptr. */
const char *missing() {
    if (!environment("ZCRM_ACCESS_TOKEN").empty()) return nullptr;
    for (const char *name : {"ZCRM_CLIENT_ID", "ZCRM_CLIENT_SECRET", "ZCRM_REFRESH_TOKEN"})
        if (environment(name).empty()) return name;
    return nullptr;
}

int fail(const zcrm::Error &error) {
    std::fprintf(stderr, "%s (%s)\n", error.message().data(), error.name().data());
    if (const auto wait = error.retry_after()) std::fprintf(stderr, "try again in %lld s\n", static_cast<long long>(wait->count() / 1000));
    return 1;
}

zcrm::Result<zcrm::Client> connect() {
    auto config = zcrm::Config::make();
    if (!config) return std::move(config).error();
    for (const auto &[variable, key] : settings) {
        const auto value = environment(variable);
        if (value.empty()) continue;
        if (auto set = config->set(key, value); !set) return std::move(set).error();
    }
    return zcrm::Client::make(*config);
}

}  // namespace

int main(int argc, char **argv) {
    if (argc != 5) {
        std::fprintf(stderr, "usage: %s MODULE RECORD FILE DIRECTORY\n", argv[0]);
        return 2;
    }
    if (const char *name = missing()) {
        std::fprintf(stderr, "%s is not set. Set ZCRM_ACCESS_TOKEN, or all of ZCRM_CLIENT_ID, ZCRM_CLIENT_SECRET and ZCRM_REFRESH_TOKEN.\n", name);
        return 2;
    }
    const zcrm::Record record{argv[1], argv[2]};
    const std::filesystem::path directory = argv[4];
    const auto client = connect();
    if (!client) return fail(client.error());

    const auto progress = [](std::uint64_t done, std::int64_t total) {
        std::printf("\r%llu of %lld bytes", static_cast<unsigned long long>(done), static_cast<long long>(total));
        return true;
    };
    const auto stored = client->attachment_upload(record, zcrm::from_file(argv[3]), zcrm::Call{}.timeout(5min).progress(progress).skip_existing());
    if (!stored) return fail(stored.error());
    std::printf("\nattached as %s\n", stored->attachment.id.c_str());

    std::filesystem::create_directories(directory);
    for (const auto &page : client->attachment_pages(record)) {
        if (!page) return fail(page.error());
        for (const auto &attachment : page->attachments) {
            if (attachment.is_link) {
                std::printf("%s -> %s\n", attachment.file_name.c_str(), attachment.link_url.c_str());
                continue;
            }
            // The id and not the name: what others have named a file is no path for us.
            const auto file = (directory / attachment.id).string();
            const auto fetched = client->attachment_download(record, attachment.id, zcrm::to_file(file).overwrite());
            if (!fetched) return fail(fetched.error());
            std::printf("%s: %llu bytes of %s\n", file.c_str(), static_cast<unsigned long long>(fetched->transfer.bytes), attachment.file_name.c_str());
        }
    }
    return 0;
}
