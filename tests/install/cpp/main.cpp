/* Attaches a text to a record and lists it: URL TOKEN RECORD. */
#include <cstdio>
#include <string>

#include <zcrm.hpp>

static int fail(const zcrm::Error &error) {
    std::fprintf(stderr, "%s\n", error.message().data());
    return 1;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    const auto client = zcrm::Client::make({{"api_domain", argv[1]}, {"accounts_url", argv[1]}, {"access_token", argv[2]}});
    if (!client) return fail(client.error());
    const zcrm::Record record{"Contacts", argv[3]};
    const auto stored = client->attachment_upload(record, zcrm::from_memory("outside.txt", std::string("C++")));
    if (!stored) return fail(stored.error());
    const auto list = client->attachment_list(record);
    if (!list) return fail(list.error());
    std::printf("%zu attachments\n", list->attachments.size());
    return 0;
}
