/*
 * Puts a file on a record, lists what hangs there and fetches it all into a directory.
 *
 *   g++ -std=c++17 attachments.cpp $(pkg-config --cflags --libs zcrm) -o attachments
 *   ZOHO_CLIENT_ID=… ZOHO_CLIENT_SECRET=… ZOHO_REFRESH_TOKEN=… ./attachments Contacts 3652397000000649013 offer.pdf downloads
 *
 * ZOHO_DATA_CENTER (us, eu, in …) says where the organisation lives; ZOHO_URL sends everything to another server, such as the emulator.
 */
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <zcrm.hpp>

using namespace std::chrono_literals;

namespace {

std::string setting(const char *name) {
    const char *value = std::getenv(name);
    return value ? value : "";
}

int fail(const zcrm::Error &error) {
    std::fprintf(stderr, "%s (%s)\n", error.message().data(), error.name().data());
    if (const auto wait = error.retry_after()) std::fprintf(stderr, "try again in %lld s\n", static_cast<long long>(wait->count() / 1000));
    return 1;
}

zcrm::Result<zcrm::Client> connect() {
    auto config = zcrm::Config::make();
    if (!config) return std::move(config).error();
    const std::pair<const char *, std::string> settings[] = {
        {"client_id", setting("ZOHO_CLIENT_ID")},
        {"client_secret", setting("ZOHO_CLIENT_SECRET")},
        {"refresh_token", setting("ZOHO_REFRESH_TOKEN")},
        {"data_center", setting("ZOHO_DATA_CENTER")},
        {"api_domain", setting("ZOHO_URL")},
        {"accounts_url", setting("ZOHO_URL")},
    };
    for (const auto &[key, value] : settings) {
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
