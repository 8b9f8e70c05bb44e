/* Where the bytes of an upload come from. */
#include <algorithm>
#include <array>

#include "harness.hpp"

namespace {

const std::string TEXT = "0123456789 the quick brown fox";
constexpr const char *BUSY_ONCE = R"({"attachment.upload": [{"kind": "status", "status": 429}]})";

/** A stream that can't seek, as a pipe can't. */
class Pipe : public std::streambuf {
  public:
    explicit Pipe(std::string text) : text_(std::move(text)) { setg(text_.data(), text_.data(), text_.data() + text_.size()); }

  private:
    std::string text_;
};

/** A stream whose device breaks after its first bytes. */
class Broken : public std::stringbuf {
  public:
    Broken() : std::stringbuf("first bytes") {}

  private:
    std::streamsize xsgetn(char *, std::streamsize) override {
#ifdef __cpp_exceptions
        throw std::ios_base::failure("the device broke");
#else
        return 0;
#endif
    }
};

/** Reads TEXT in pieces of 7 bytes. */
zcrm::Read pieces(std::size_t &at) {
    return [&at](std::uint8_t *buf, std::size_t cap, std::size_t &n) {
        n = std::min({cap, std::size_t{7}, TEXT.size() - at});
        std::copy_n(TEXT.data() + at, n, buf);
        at += n;
        return ZCRM_OK;
    };
}

std::string stored(const zcrm::Client &c, const zcrm::Source &source) {
    return fetch(c, NEED(c.attachment_upload(contact(), source)).attachment.id);
}

}  // namespace

CASE(a_file_is_stored_under_the_last_part_of_its_path) {
    const auto c = client();
    write_file(path("offer.txt"), TEXT);
    const auto upload = NEED(c.attachment_upload(contact(), zcrm::from_file(path("offer.txt"))));
    CHECK(upload.transfer.file_name == "offer.txt");
    CHECK(fetch(c, upload.attachment.id) == TEXT);
}

CASE(name_and_type_can_be_chosen) {
    const auto c = client();
    write_file(path("tmp1234"), TEXT);
    const auto source = zcrm::from_file(path("tmp1234")).name("offer.txt").content_type("text/plain");
    CHECK(NEED(c.attachment_upload(contact(), source)).transfer.file_name == "offer.txt");
}

CASE(a_missing_file_is_an_io_error_that_names_it) {
    const auto upload = client().attachment_upload(contact(), zcrm::from_file(path("absent.txt")));
    CHECK(fails(upload, ZCRM_E_IO));
    CHECK(upload.error().message().find("absent.txt") != std::string_view::npos);
}

CASE(containers_of_bytes_are_memory) {
    const auto c = client();
    const std::array<std::uint8_t, 3> bytes{'a', 0, 'b'};
    CHECK(stored(c, zcrm::from_memory("array.bin", bytes)) == std::string("a\0b", 3));
    CHECK(stored(c, zcrm::from_memory("view.txt", std::string_view(TEXT))) == TEXT);
    CHECK(stored(c, zcrm::from_memory("pointer.txt", TEXT.data(), 4)) == "0123");
}

CASE_WITH(a_stream_that_can_seek_is_measured_and_read_again, BUSY_ONCE) {
    const auto c = client();
    std::istringstream in(TEXT);
    in.seekg(11);  // what was read before isn't part of it
    CHECK(stored(c, zcrm::from_stream("fox.txt", in)) == "the quick brown fox");
}

CASE(a_stream_that_cannot_seek_is_sent_all_the_same) {
    Pipe pipe(TEXT);
    std::istream in(&pipe);
    CHECK(stored(client(), zcrm::from_stream("pipe.txt", in)) == TEXT);
}

CASE(a_stream_of_a_stated_length_that_has_less_is_found_out) {
    std::istringstream in(TEXT);
    CHECK(fails(client().attachment_upload(contact(), zcrm::from_stream("short.txt", in, 1000)), ZCRM_E_SOURCE_CHANGED));
}

CASE(a_stream_that_fails_ends_the_call) {
    Broken broken;
    std::istream in(&broken);
    const auto upload = client().attachment_upload(contact(), zcrm::from_stream("broken.txt", in));
#ifdef __cpp_exceptions
    CHECK(fails(upload, ZCRM_E_CALLBACK));  // istream catches it and sets badbit
    CHECK(!upload && upload.error().callback_status() == ZCRM_E_IO);
#else
    CHECK(fails(upload, ZCRM_E_SOURCE_CHANGED));
#endif
}

CASE_WITH(a_reader_with_rewind_is_read_again, BUSY_ONCE) {
    std::size_t at = 0;
    int rewound = 0;
    const auto rewind = [&] {
        at = 0;
        ++rewound;
        return ZCRM_OK;
    };
    CHECK(stored(client(), zcrm::from_reader("r.txt", pieces(at), static_cast<std::int64_t>(TEXT.size()), rewind)) == TEXT);
    CHECK(rewound >= 1);
}

CASE_WITH(a_reader_without_rewind_is_not_read_twice, BUSY_ONCE) {
    std::size_t at = 0;
    const auto upload = client().attachment_upload(contact(), zcrm::from_reader("r.txt", pieces(at), static_cast<std::int64_t>(TEXT.size())));
    CHECK(!upload && at == TEXT.size());
}

CASE(a_reader_may_own_what_can_only_be_moved) {
    auto read = [at = std::make_unique<std::size_t>(0)](std::uint8_t *buf, std::size_t cap, std::size_t &n) { return pieces(*at)(buf, cap, n); };
    CHECK(stored(client(), zcrm::from_reader("r.txt", std::move(read), static_cast<std::int64_t>(TEXT.size()))) == TEXT);
}

CASE(a_reader_that_fails_ends_the_call_with_its_status) {
    const auto read = [](std::uint8_t *, std::size_t, std::size_t &) { return zcrm_status{4711}; };
    const auto upload = client().attachment_upload(contact(), zcrm::from_reader("r.txt", read, 10));
    CHECK(fails(upload, ZCRM_E_CALLBACK));
    CHECK(!upload && upload.error().callback_status() == 4711);
}

CASE(a_reader_that_is_no_function_is_an_argument_error) {
    CHECK(fails(client().attachment_upload(contact(), zcrm::from_reader("r.txt", zcrm::Read{}, 10)), ZCRM_E_ARGUMENT));
}

CASE(a_source_that_is_used_again_is_sent_from_its_first_byte_or_refused) {
    const auto c = client();
    std::size_t at = 0;
    const zcrm::Rewind rewind = [&at] { return at = 0, ZCRM_OK; };
    std::istringstream seeks(TEXT);
    for (const auto &source : {zcrm::from_stream("seeks.txt", seeks), zcrm::from_reader("rewinds.txt", pieces(at), -1, rewind)}) {
        const auto copy = source;
        CHECK(stored(c, source) == TEXT && stored(c, copy) == TEXT && stored(c, source) == TEXT);
    }
    at = 0;
    Pipe pipe(TEXT);
    std::istream in(&pipe);
    for (const auto &source : {zcrm::from_stream("pipe.txt", in), zcrm::from_reader("reader.txt", pieces(at))}) {
        const auto copy = source;
        CHECK(fails(c.attachment_upload({"Contacts", "no id"}, source), ZCRM_E_ARGUMENT));
        CHECK(stored(c, source) == TEXT);
        CHECK(fails(c.attachment_upload(contact(), source), ZCRM_E_SOURCE_CONSUMED));
        CHECK(fails(c.attachment_upload(contact(), copy), ZCRM_E_SOURCE_CONSUMED));
    }
    CHECK(NEED(c.attachment_list(contact())).attachments.size() == 8);
}

CASE(a_stream_of_a_file_that_could_not_be_opened_fails) {
    const auto c = client();
    std::ifstream missing("/nonexistent/contract.pdf", std::ios::binary);
    CHECK(fails(c.attachment_upload(contact(), zcrm::from_stream("contract.pdf", missing)), ZCRM_E_CALLBACK));
    std::istringstream failed("text");
    failed.setstate(std::ios::failbit);
    CHECK(fails(c.attachment_upload(contact(), zcrm::from_stream("failed.txt", failed, 4)), ZCRM_E_CALLBACK));
    std::ifstream never, closed("/etc/passwd", std::ios::binary), cleared("/nonexistent/contract.pdf", std::ios::binary);
    closed.close();
    cleared.clear();
    for (std::ifstream *in : {&never, &closed, &cleared}) {
        const auto upload = c.attachment_upload(contact(), zcrm::from_stream("a.txt", *in));
        CHECK(fails(upload, ZCRM_E_CALLBACK) && upload.error().message().find("opened") != std::string_view::npos);
    }
    std::ifstream directory(env("ZCRM_TEST_DIR"), std::ios::binary);
    CHECK(fails(c.attachment_upload(contact(), zcrm::from_stream("directory", directory)), ZCRM_E_CALLBACK));
    CHECK(NEED(c.attachment_list(contact())).attachments.empty());
}

CASE(a_stream_that_has_been_read_to_its_end_has_no_more_bytes) {
    const auto c = client();
    std::istringstream read("text");
    std::string all;
    while (std::getline(read, all)) {}
    const auto upload = NEED(c.attachment_upload(contact(), zcrm::from_stream("rest.txt", read)));
    CHECK(upload.attachment.bytes == 0);
}

CASE(a_temporary_of_bytes_is_kept_by_its_source) {
    const auto c = client();
    auto source = zcrm::from_memory("kept.txt", std::string(100000, 'y'));
    const auto again = source;
    source = zcrm::from_memory("other.txt", std::vector<char>(3, 'z'));
    CHECK(fetch(c, NEED(c.attachment_upload(contact(), again)).attachment.id) == std::string(100000, 'y'));
    CHECK(fetch(c, NEED(c.attachment_upload(contact(), source)).attachment.id) == "zzz");
}

#ifdef __cpp_exceptions
CASE_WITH(a_stream_that_is_set_to_throw_is_uploaded_and_read_again, BUSY_ONCE) {
    const auto c = client();
    for (const std::int64_t length : {-1, 5}) {
        std::istringstream in("bytes");
        in.exceptions(std::ios::badbit | std::ios::failbit | std::ios::eofbit);
        CHECK(fetch(c, NEED(c.attachment_upload(contact(), zcrm::from_stream("a.txt", in, length))).attachment.id) == "bytes");
        CHECK(in.exceptions() == (std::ios::badbit | std::ios::failbit | std::ios::eofbit));
    }
}

CASE(a_stream_that_is_set_to_throw_throws_when_it_fails) {
    struct Broken : std::streambuf {
        int_type underflow() override { throw std::runtime_error("the disk is gone"); }
    } broken;
    std::istream in(&broken);
    in.exceptions(std::ios::badbit);
    bool thrown = false;
    try {
        static_cast<void>(client().attachment_upload(contact(), zcrm::from_stream("a.txt", in, 5)));
    } catch (const std::exception &) {
        thrown = true;
    }
    CHECK(thrown);
    std::istream quiet(&broken);
    CHECK(fails(client().attachment_upload(contact(), zcrm::from_stream("a.txt", quiet, 5)), ZCRM_E_CALLBACK));
}
#endif
