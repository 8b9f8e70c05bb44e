/* What belongs to one call: progress, cancel, timeout; and a client that many threads share. */
#include <atomic>
#include <thread>

#include "harness.hpp"

using namespace std::chrono_literals;

namespace {

constexpr const char *SILENT = R"({"attachment.list": [{"kind": "stall"}]})";

}  // namespace

CASE(progress_is_told_up_to_the_total) {
    const std::string text(100000, 'x');
    std::uint64_t done = 0;
    std::int64_t total = 0;
    const auto told = [&](std::uint64_t now, std::int64_t of) {
        done = now;
        total = of;
        return true;
    };
    CHECK(client().attachment_upload(contact(), zcrm::from_memory("x.txt", text), zcrm::Call{}.progress(told)));
    CHECK(done == text.size() && total == static_cast<std::int64_t>(text.size()));
}

CASE(progress_that_says_no_ends_the_call) {
    const auto no = [](std::uint64_t, std::int64_t) { return false; };
    const std::string text(100000, 'x');
    CHECK(fails(client().attachment_upload(contact(), zcrm::from_memory("x.txt", text), zcrm::Call{}.progress(no)), ZCRM_E_CANCELLED));
}

CASE_WITH(another_thread_cancels_a_call_that_waits, SILENT) {
    const auto c = client();
    const zcrm::Cancel token;
    std::thread other([&] {
        std::this_thread::sleep_for(50ms);
        token.fire();
    });
    CHECK(fails(c.attachment_list(contact(), {}, zcrm::Call{}.cancel(token)), ZCRM_E_CANCELLED));
    other.join();
    CHECK(c.attachment_list(contact()));  // the next call is not touched
}

CASE(a_fired_token_lets_nothing_begin) {
    const zcrm::Cancel token;
    token.fire();
    const auto list = client().attachment_list(contact(), {}, zcrm::Call{}.cancel(token));
    CHECK(fails(list, ZCRM_E_CANCELLED));
    CHECK(!list && list.error().request_sent() == 0);
}

CASE_WITH(a_timeout_bounds_the_whole_call, SILENT) {
    CHECK(fails(client().attachment_list(contact(), {}, zcrm::Call{}.timeout(100ms)), ZCRM_E_TIMEOUT));
}

CASE(a_time_that_has_passed_is_a_timeout_and_not_none) {
    const auto c = client();
    for (const std::chrono::milliseconds left : {0ms, -1ms, std::chrono::duration_cast<std::chrono::milliseconds>(400us)}) {
        const auto list = c.attachment_list(contact(), {}, zcrm::Call{}.timeout(left));
        CHECK(fails(list, ZCRM_E_TIMEOUT) && list.error().request_sent() == ZCRM_SENT_NO);
    }
    CHECK(c.attachment_list(contact(), {}, zcrm::Call{}.timeout(std::chrono::milliseconds::max())));
}

CASE(a_call_is_used_again_for_another_operation) {
    const auto c = client();
    int told = 0;
    const auto call = zcrm::Call{}.timeout(30s).trace_id("order-7").sha256().progress([&](std::uint64_t, std::int64_t) { return ++told; });
    const auto upload = NEED(c.attachment_upload(contact(), zcrm::from_memory("a.txt", std::string("a")), call));
    const int before = told;
    CHECK(before > 0 && c.attachment_download(contact(), upload.attachment.id, zcrm::to_memory(), call));
    CHECK(told > before);
}

CASE(triggers_can_be_restricted) {
    const auto source = zcrm::from_file(env("ZCRM_TEST_PNG"));
    CHECK(client().photo_upload(contact(), source, zcrm::Call{}.restrict_triggers("workflow")));
}

CASE(what_is_there_already_is_not_uploaded_again) {
    const auto c = client();
    const std::string text = "once";
    const std::string id = attach(c, "a.txt", text);
    const auto again = [&](const std::string &bytes, const zcrm::Call &call) {
        const auto upload = NEED(c.attachment_upload(contact(), zcrm::from_memory("a.txt", bytes), call));
        CHECK((upload.attachment.flags == ZCRM_UPLOAD_SKIPPED) == (upload.attachment.id == id));
        return upload.attachment.id;
    };
    CHECK(again(text, zcrm::Call{}.skip_existing()) == id);
    CHECK(again("ecno", zcrm::Call{}.skip_existing()) == id);
    CHECK(again(text, zcrm::Call{}.skip_same_bytes()) == id);
    CHECK(again("ecno", zcrm::Call{}.skip_same_bytes()) != id);
}

CASE(a_call_that_may_have_been_made_before_is_not_done_twice) {
    const auto c = client();
    const std::string id = attach(c, "a.txt", "once");
    const auto upload = NEED(c.attachment_upload(contact(), zcrm::from_memory("a.txt", std::string("once")), zcrm::Call{}.again()));
    CHECK(upload.attachment.id == id && upload.attachment.flags == ZCRM_UPLOAD_SKIPPED);
    CHECK(c.attachment_delete(contact(), id) && c.attachment_delete(contact(), id, zcrm::Call{}.again()));
    CHECK(fails(c.attachment_delete(contact(), id), ZCRM_E_NOT_FOUND));
}

CASE(threads_share_one_client) {
    const auto c = client();
    const std::string id = attach(c, "a.txt", "shared");
    std::atomic<int> right{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
        threads.emplace_back([&, i] {
            const auto wrong = c.attachment_download(contact(), std::to_string(100 + i), zcrm::to_memory());
            right += fetch(c, id) == "shared" && !wrong && wrong.error().code() == ZCRM_E_NOT_FOUND;
        });
    }
    for (auto &thread : threads) thread.join();
    CHECK(right == 8);
}

CASE(an_operation_of_a_thread_local_at_its_threads_end_fails_for_itself_at_most) {
    static const auto c = client();
    static std::atomic<int> wrong{0};
    struct AtThreadEnd {
        ~AtThreadEnd() {
            const auto list = c.attachment_list(contact());
            if (!list && list.error().code() != ZCRM_E_STATE) ++wrong;
        }
    };
    std::thread([] {
        thread_local AtThreadEnd at_end;
        static_cast<void>(at_end);
        static_cast<void>(c.attachment_list(contact()));
    }).join();
    CHECK(wrong == 0 && c.attachment_list(contact()));
}
