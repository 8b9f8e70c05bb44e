/* Where the bytes of a download go, and what is expected of them. */
#include "harness.hpp"

namespace {

const std::string TEXT = "0123456789";
// sha256sum of TEXT
constexpr const char *SHA256 = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";

}  // namespace

CASE(a_file_appears_and_is_replaced_only_when_asked) {
    const auto c = client();
    const std::string id = attach(c, "a.txt", TEXT), to = path("a.txt");
    CHECK(NEED(c.attachment_download(contact(), id, zcrm::to_file(to))).transfer.path == to);
    CHECK(read_file(to) == TEXT);
    write_file(to, "older");
    const auto again = c.attachment_download(contact(), id, zcrm::to_file(to));
    CHECK(fails(again, ZCRM_E_IO));
    CHECK(!again && again.error().reason() == "target_exists" && read_file(to) == "older");
    CHECK(c.attachment_download(contact(), id, zcrm::to_file(to).overwrite()));
    CHECK(read_file(to) == TEXT);
}

CASE(a_stream_takes_the_bytes) {
    const auto c = client();
    std::ostringstream out;
    const auto download = NEED(c.attachment_download(contact(), attach(c, "a.txt", TEXT), zcrm::to_stream(out)));
    CHECK(out.str() == TEXT);
    CHECK(fails(download.data(), ZCRM_E_STATE));
}

CASE(a_stream_that_fails_ends_the_call) {
    const auto c = client();
    std::ostringstream out;
    out.setstate(std::ios::badbit);
    const auto download = c.attachment_download(contact(), attach(c, "a.txt", TEXT), zcrm::to_stream(out));
    CHECK(fails(download, ZCRM_E_CALLBACK));
    CHECK(!download && download.error().callback_status() == ZCRM_E_IO);
}

CASE(a_writer_takes_the_bytes_or_refuses_them) {
    const auto c = client();
    const std::string id = attach(c, "a.txt", TEXT);
    std::string got;
    const auto take = [&](const std::uint8_t *buf, std::size_t len) {
        got.append(reinterpret_cast<const char *>(buf), len);
        return ZCRM_OK;
    };
    CHECK(c.attachment_download(contact(), id, zcrm::to_writer(take)));
    CHECK(got == TEXT);
    const auto refused = c.attachment_download(contact(), id, zcrm::to_writer([](const std::uint8_t *, std::size_t) { return zcrm_status{-5}; }));
    CHECK(fails(refused, ZCRM_E_CALLBACK));
    CHECK(!refused && refused.error().callback_status() == -5);
}

CASE(a_writer_may_own_what_can_only_be_moved) {
    const zcrm::Client c = client();
    std::string got;
    auto take = [out = std::make_unique<std::string *>(&got)](const std::uint8_t *buf, std::size_t len) {
        (*out)->append(reinterpret_cast<const char *>(buf), len);
        return ZCRM_OK;
    };
    CHECK(c.attachment_download(contact(), attach(c, "a.txt", TEXT), zcrm::to_writer(std::move(take))));
    CHECK(got == TEXT);
}

CASE(more_bytes_than_allowed_are_refused) {
    const auto c = client();
    CHECK(fails(c.attachment_download(contact(), attach(c, "a.txt", TEXT), zcrm::to_memory().max_bytes(9)), ZCRM_E_TOO_LARGE));
}

CASE(a_checksum_is_computed_when_asked_for) {
    const auto c = client();
    const auto upload = NEED(c.attachment_upload(contact(), zcrm::from_memory("a.txt", TEXT), zcrm::Call{}.sha256()));
    CHECK(upload.transfer.sha256 == SHA256);
    CHECK(NEED(c.attachment_download(contact(), upload.attachment.id, zcrm::to_memory())).transfer.sha256.empty());
}

CASE(other_bytes_than_expected_are_refused) {
    const auto c = client();
    const std::string id = attach(c, "a.txt", TEXT), wrong(64, '0');
    const auto download = [&](const zcrm::Call &call) { return c.attachment_download(contact(), id, zcrm::to_memory(), call); };
    CHECK(download(zcrm::Call{}.expect_sha256(SHA256).expect_bytes(10)));
    CHECK(fails(download(zcrm::Call{}.expect_sha256(wrong)), ZCRM_E_CHECKSUM));
    CHECK(!download(zcrm::Call{}.expect_bytes(11)));
    CHECK(!download(zcrm::Call{}.expect_bytes(0)));
    CHECK(fails(download(zcrm::Call{}.expect_sha256("")), ZCRM_E_ARGUMENT)); // as of a manifest that lacks it
}

CASE(what_never_reached_the_file_of_a_stream_is_an_error) {
    const auto c = client();
    const std::string id = attach(c, "small.txt", "abc");
    std::ofstream full("/dev/full", std::ios::binary);
    CHECK(fails(c.attachment_download(contact(), id, zcrm::to_stream(full)), ZCRM_E_CALLBACK));
    std::ofstream closed;
    CHECK(fails(c.attachment_download(contact(), id, zcrm::to_stream(closed)), ZCRM_E_CALLBACK));
    std::ofstream never; // of no bytes nothing shows but that it isn't open
    CHECK(fails(c.attachment_download(contact(), attach(c, "empty.txt", ""), zcrm::to_stream(never)), ZCRM_E_CALLBACK));
    std::ofstream good(path("small.txt"), std::ios::binary);
    CHECK(c.attachment_download(contact(), id, zcrm::to_stream(good)) && read_file(path("small.txt")) == "abc");
}
