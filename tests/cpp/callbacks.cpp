/* The callbacks of a client, and exceptions that come back to the caller. */
#include <atomic>
#include <mutex>
#include <stdexcept>

#include "harness.hpp"

namespace {

const std::string TEXT(100000, 'x');

}  // namespace

CASE(log_lines_come_without_the_token_until_the_client_is_gone) {
    const auto lines = std::make_shared<std::vector<std::string>>();
    {
        auto settings = config();
        CHECK(settings.set("access_token", env("ZCRM_TEST_TOKEN")));
        CHECK(settings.on_log(5, [lines](std::int32_t level, std::string_view line) {
            CHECK(level >= 1 && level <= 5);
            lines->emplace_back(line);
        }));
        const auto c = NEED(zcrm::Client::make(settings));
        CHECK(c.attachment_list(contact(), {}, zcrm::Call{}.trace_id("order-7")));
    }
    CHECK(!lines->empty() && lines.use_count() == 1);
    bool traced = false;
    for (const auto &line : *lines) {
        look_at_line(line);
        traced |= line.find("order-7") != std::string::npos;
    }
    CHECK(traced);
}

CASE(a_log_level_that_is_none_is_refused_and_nothing_leaks) {
    CHECK(fails(config().on_log(9, [](std::int32_t, std::string_view) {}), ZCRM_E_ARGUMENT));
}

CASE(the_host_gives_tokens_and_is_asked_for_another_when_one_is_refused) {
    auto settings = config();
    std::vector<bool> asked;
    CHECK(settings.on_token([&](bool force_refresh, std::string &token) {
        asked.push_back(force_refresh);
        token = force_refresh ? env("ZCRM_TEST_TOKEN") : "1000.worn.out";
        return ZCRM_OK;
    }));
    const auto c = NEED(zcrm::Client::make(settings));
    CHECK(c.attachment_list(contact()));
    CHECK((asked == std::vector<bool>{false, true}));
}

CASE(a_host_without_a_token_ends_the_call_with_its_status) {
    auto settings = config();
    CHECK(settings.on_token([](bool, std::string &) { return zcrm_status{77}; }));
    const auto list = NEED(zcrm::Client::make(settings)).attachment_list(contact());
    CHECK(fails(list, ZCRM_E_CALLBACK));
    CHECK(!list && list.error().callback_status() == 77);
}

CASE(a_token_that_is_too_long_is_refused) {
    auto settings = config();
    CHECK(settings.on_token([](bool, std::string &token) {
        token.assign(10'000'000, 'x');
        return ZCRM_OK;
    }));
    CHECK(fails(NEED(zcrm::Client::make(settings)).attachment_list(contact()), ZCRM_E_CALLBACK));
}

CASE(a_replaced_callback_is_let_go) {
    const auto held = std::make_shared<int>(0);
    auto settings = config();
    CHECK(settings.on_log(1, [held](std::int32_t, std::string_view) {}));
    CHECK(held.use_count() == 2);
    CHECK(settings.on_log(1, [](std::int32_t, std::string_view) {}));
    CHECK(held.use_count() == 1);
}

CASE(an_operation_from_inside_a_callback_is_refused) {
    const auto c = client();
    zcrm_status inner = ZCRM_OK;
    const auto told = [&](std::uint64_t, std::int64_t) {
        const auto list = c.attachment_list(contact());
        inner = list ? ZCRM_OK : list.error().code();
        return true;
    };
    CHECK(c.attachment_upload(contact(), zcrm::from_memory("x.txt", TEXT), zcrm::Call{}.progress(told)));
    CHECK(inner == ZCRM_E_STATE);
}

#ifdef __cpp_exceptions

namespace {

/** What `body` throws; "" when it doesn't. */
template <class Body>
std::string thrown(Body body) {
    try {
        static_cast<void>(body());
    } catch (const std::runtime_error &e) {
        return e.what();
    }
    return "";
}

}  // namespace

CASE(an_exception_in_a_reader_comes_back_to_the_caller) {
    const auto c = client();
    const auto read = [](std::uint8_t *, std::size_t, std::size_t &) -> zcrm_status { throw std::runtime_error("reader"); };
    CHECK(thrown([&] { return c.attachment_upload(contact(), zcrm::from_reader("r.txt", read, 10)); }) == "reader");
    CHECK(c.attachment_list(contact()));  // the client is as good as before
}

CASE_WITH(an_exception_in_rewind_comes_back_to_the_caller, R"({"attachment.upload": [{"kind": "status", "status": 429}]})") {
    std::istringstream in(TEXT);
    const auto read = [&](std::uint8_t *buf, std::size_t cap, std::size_t &n) {
        in.read(reinterpret_cast<char *>(buf), static_cast<std::streamsize>(cap));
        n = static_cast<std::size_t>(in.gcount());
        return ZCRM_OK;
    };
    const auto rewind = []() -> zcrm_status { throw std::runtime_error("rewind"); };
    const auto source = zcrm::from_reader("r.txt", read, static_cast<std::int64_t>(TEXT.size()), rewind);
    CHECK(thrown([&] { return client().attachment_upload(contact(), source); }) == "rewind");
}

CASE(an_exception_in_a_writer_comes_back_to_the_caller) {
    const auto c = client();
    const std::string id = attach(c, "x.txt", TEXT);
    const auto write = [](const std::uint8_t *, std::size_t) -> zcrm_status { throw std::runtime_error("writer"); };
    CHECK(thrown([&] { return c.attachment_download(contact(), id, zcrm::to_writer(write)); }) == "writer");
}

CASE(an_exception_of_a_stream_comes_back_to_the_caller) {
    const auto c = client();
    const std::string id = attach(c, "x.txt", TEXT);
    class Full : public std::streambuf {
    } full;
    std::ostream out(&full);
    out.exceptions(std::ios::badbit);
    bool caught = false;
    try {
        static_cast<void>(c.attachment_download(contact(), id, zcrm::to_stream(out)));
    } catch (const std::ios_base::failure &) {
        caught = true;
    }
    CHECK(caught);
}

CASE(an_exception_in_progress_comes_back_to_the_caller) {
    const auto told = [](std::uint64_t, std::int64_t) -> bool { throw std::runtime_error("progress"); };
    const auto source = zcrm::from_memory("x.txt", TEXT);
    CHECK(thrown([&] { return client().attachment_upload(contact(), source, zcrm::Call{}.progress(told)); }) == "progress");
}

CASE(an_exception_in_the_token_callback_comes_back_to_the_caller) {
    auto settings = config();
    CHECK(settings.on_token([](bool, std::string &) -> zcrm_status { throw std::runtime_error("token"); }));
    const auto c = NEED(zcrm::Client::make(settings));
    CHECK(thrown([&] { return c.attachment_list(contact()); }) == "token");
}

CASE(an_exception_in_the_log_callback_comes_back_once_the_call_is_done) {
    auto settings = config();
    int lines = 0;
    CHECK(settings.set("access_token", env("ZCRM_TEST_TOKEN")));
    CHECK(settings.on_log(5, [&](std::int32_t, std::string_view line) {
        look_at_line(line);
        ++lines;
        throw std::runtime_error("log");
    }));
    const auto c = NEED(zcrm::Client::make(settings));
    CHECK(thrown([&] { return c.attachment_upload(contact(), zcrm::from_memory("x.txt", TEXT)); }) == "log");
    CHECK(lines > 1);
    CHECK(NEED(client().attachment_list(contact())).attachments.size() == 1);
}

#endif
