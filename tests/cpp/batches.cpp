/* Batches, and a token store of the host's. */
#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "harness.hpp"

namespace {

/** A client whose steps may name the files of the case. */
zcrm::Client stepping() {
    auto settings = config();
    CHECK(settings.set("access_token", env("ZCRM_TEST_TOKEN")));
    CHECK(settings.set("allow_paths", env("ZCRM_TEST_DIR")));
    CHECK(settings.set("settle_waits_ms", "20,50"));
    return NEED(zcrm::Client::make(settings));
}

std::string upload(const std::string &file) {
    return R"({"operation":"attachment.upload","module":"Contacts","record_id":")" + contact().id + R"(","source":{"path":")" + file + "\"}}";
}

/** `count` uploads of a file each, with the keys 0, 1, … */
zcrm::Batch uploads(int count) {
    zcrm::Batch batch;
    for (int i = 0; i < count; ++i) {
        const std::string key = std::to_string(i), file = path((key + ".txt").c_str());
        write_file(file, "text " + key);
        CHECK(batch.add(key, upload(file)));
    }
    return batch;
}

std::size_t attached(const zcrm::Client &client) {
    return NEED(client.attachment_list(contact())).attachments.size();
}

}  // namespace

CASE(a_batch_tells_of_each_step_and_sums_them_up) {
    const auto c = stepping();
    auto batch = uploads(5);
    CHECK(batch.add("bad", R"({"operation":"nonsense"})"));
    std::map<std::string, zcrm_status> told;
    const auto caller = std::this_thread::get_id();
    const auto summary = NEED(batch.run(c, {}, [&](const zcrm::BatchEnd &end) {
        CHECK(std::this_thread::get_id() == caller && !end.from_journal && !shows_secret(end.json));
        CHECK(end.json.find(end.status == ZCRM_OK ? "\"result\"" : "step_input") != std::string_view::npos);
        CHECK(told.emplace(end.key, end.status).second);
        return true;
    }));
    CHECK(told.size() == 6 && told["bad"] == ZCRM_E_ARGUMENT && told["4"] == ZCRM_OK);
    CHECK(summary.done == 5 && summary.failed == 1 && summary.unknown == 0 && summary.left == 0 && summary.from_journal == 0);
    CHECK(summary.attempts == 5 && summary.stopped.empty() && attached(c) == 5);
}

CASE(a_batch_asks_for_its_steps) {
    const auto c = stepping();
    auto batch = uploads(3);
    int given = 3;
    const auto caller = std::this_thread::get_id();
    CHECK(batch.source([&](std::string &key, std::string &step) {
        CHECK(std::this_thread::get_id() == caller && fails(batch.add("new", "{}"), ZCRM_E_STATE));
        if (given == 8) return false;
        key = std::to_string(given++);
        write_file(path((key + ".txt").c_str()), "text " + key);
        step = upload(path((key + ".txt").c_str()));
        return true;
    }));
    auto summary = NEED(batch.run(c));
    CHECK(summary.done == 8 && summary.left == 0 && attached(c) == 8);
    CHECK(batch.source({}));
    summary = NEED(batch.run(c, {}, {}, zcrm::Call().skip_existing()));
    CHECK(summary.done == 3 && attached(c) == 8);
}

CASE(a_batch_that_the_function_it_asks_destroys_runs_to_its_end) {
    const auto c = client();
    auto batch = std::make_unique<zcrm::Batch>();
    int given = 0;
    CHECK(batch->source([&, held = std::make_shared<int>(7)](std::string &key, std::string &step) {
        batch.reset();
        key = std::to_string(given);
        step = "{}";
        return *held == 7 && given++ < 20;
    }));
    CHECK(NEED(batch->run(c)).failed == 20);
}

CASE(a_batch_without_a_callback_runs_too) {
    const auto c = stepping();
    CHECK(NEED(uploads(3).run(c)).done == 3);
    CHECK(NEED(zcrm::Batch().run(c)).done == 0);
}

CASE(a_batch_goes_on_from_its_journal) {
    const auto c = stepping();
    const auto batch = uploads(6);
    const zcrm::BatchOptions options{path("journal"), 1};
    int ends = 0;
    const auto first = NEED(batch.run(c, options, [&](const zcrm::BatchEnd &) { return ++ends < 2; }));
    CHECK(first.stopped == "cancelled" && first.left > 0 && first.done + first.left == 6);
    std::uint64_t remembered = 0;
    const auto second = NEED(batch.run(c, options, [&](const zcrm::BatchEnd &end) { return remembered += end.from_journal, true; }));
    CHECK(second.done == 6 && second.from_journal == first.done && remembered == first.done && second.left == 0);
    CHECK(attached(c) == 6);
}

CASE(a_batch_that_comes_a_second_time_attaches_nothing_twice_on_request) {
    const auto c = stepping();
    const auto batch = uploads(2);
    for (int i = 0; i < 2; ++i) CHECK(NEED(batch.run(c, {}, {}, zcrm::Call{}.skip_same_bytes())).done == 2);
    CHECK(attached(c) == 2);
}

CASE(a_credit_budget_stops_a_batch) {
    zcrm::BatchOptions options;
    options.credits = 2;
    const auto summary = NEED(uploads(4).run(stepping(), options));
    CHECK(summary.done == 2 && summary.left == 2 && summary.stopped == "credits_budget");
}

CASE(a_held_batch_waits_until_it_goes_on) {
    const auto c = stepping();
    const auto batch = uploads(2);
    std::atomic<bool> resumed{false};
    batch.pause();
    std::thread later([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        resumed = true;
        batch.resume();
    });
    bool early = false;
    const auto summary = NEED(batch.run(c, {}, [&](const zcrm::BatchEnd &) { return early |= !resumed, true; }));
    later.join();
    CHECK(summary.done == 2 && !early);
}

CASE_WITH(a_cancelled_batch_leaves_the_rest, R"({"attachment.upload": [{"kind": "stall", "at": "before_reply"}]})") {
    const auto c = stepping();
    const auto batch = uploads(3);
    const zcrm::Cancel cancel;
    std::thread other([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        cancel.fire();
    });
    zcrm::BatchOptions options;
    options.parallel = 1;
    const auto summary = NEED(batch.run(c, options, {}, zcrm::Call{}.cancel(cancel)));
    other.join();
    CHECK(summary.stopped == "cancelled" && summary.left == 3);
}

CASE(what_is_no_batch_is_refused) {
    const auto c = stepping();
    zcrm::Batch batch;
    CHECK(fails(batch.add(std::string_view("a\0b", 3), "{}"), ZCRM_E_ARGUMENT));
    CHECK(fails(batch.add("a", "\xff"), ZCRM_E_ARGUMENT));
    CHECK(fails(batch.run(c, {"/nonexistent/journal"}), ZCRM_E_IO));
    write_file(path("letter"), "precious");
    CHECK(fails(batch.run(c, {path("letter")}), ZCRM_E_PROTOCOL));
    CHECK(read_file(path("letter")) == "precious");
}

CASE(an_operation_from_inside_a_batch_callback_is_refused) {
    const auto c = stepping();
    zcrm_status inner = ZCRM_OK;
    CHECK(uploads(1).run(c, {}, [&](const zcrm::BatchEnd &) {
        const auto list = c.attachment_list(contact());
        inner = list ? ZCRM_OK : list.error().code();
        return true;
    }));
    CHECK(inner == ZCRM_E_STATE);
}

namespace {

/** A store in memory, as a database would be one. */
struct Memory {
    std::mutex mutex;
    std::string document;
    bool locked = false;
    int puts = 0;
    zcrm_status failing = ZCRM_OK;

    zcrm::TokenStore store() {
        zcrm::TokenStore store;
        store.get = [this](std::string &into) {
            const std::lock_guard<std::mutex> guard(mutex);
            into = document;
            return failing;
        };
        store.put = [this](std::string_view text) {
            const std::lock_guard<std::mutex> guard(mutex);
            document = text;
            ++puts;
            return ZCRM_OK;
        };
        store.try_lock = [this](bool &taken) {
            const std::lock_guard<std::mutex> guard(mutex);
            taken = !locked;
            locked = true;
            return ZCRM_OK;
        };
        store.unlock = [this] {
            const std::lock_guard<std::mutex> guard(mutex);
            locked = false;
        };
        return store;
    }
};

zcrm::Config refreshing() {
    auto settings = config();
    CHECK(settings.set("client_id", env("ZCRM_TEST_CLIENT_ID")));
    CHECK(settings.set("client_secret", env("ZCRM_TEST_CLIENT_SECRET")));
    CHECK(settings.set("refresh_token", env("ZCRM_TEST_REFRESH_TOKEN")));
    return settings;
}

zcrm::Client sharing(zcrm::TokenStore store) {
    auto settings = refreshing();
    CHECK(settings.token_store(std::move(store)));
    return NEED(zcrm::Client::make(settings));
}

}  // namespace

CASE(clients_share_one_token_through_a_store) {
    Memory memory;
    for (int i = 0; i < 3; ++i) CHECK(sharing(memory.store()).attachment_list(contact()));
    CHECK(memory.puts == 1 && !memory.locked);
    CHECK(memory.document.find(env("ZCRM_TEST_REFRESH_TOKEN")) == std::string::npos);
}

CASE(a_document_that_is_larger_than_the_librarys_first_buffer_is_read) {
    Memory memory;
    CHECK(sharing(memory.store()).attachment_list(contact()));
    memory.document.insert(memory.document.size() - 1, std::string(10000, ' '));
    CHECK(sharing(memory.store()).attachment_list(contact()));
    CHECK(memory.puts == 1);
}

CASE(a_store_that_fails_ends_the_call_with_its_status) {
    Memory memory;
    memory.failing = 55;
    const auto list = sharing(memory.store()).attachment_list(contact());
    CHECK(fails(list, ZCRM_E_CALLBACK));
    CHECK(!list && list.error().callback_status() == 55);
}

CASE(a_store_without_one_of_its_functions_is_refused_and_let_go) {
    const auto held = std::make_shared<int>(0);
    Memory memory;
    auto store = memory.store();
    store.unlock = nullptr;
    store.get = [held](std::string &) { return ZCRM_OK; };
    auto settings = refreshing();
    CHECK(fails(settings.token_store(std::move(store)), ZCRM_E_ARGUMENT));
    CHECK(held.use_count() == 1);
}

#ifdef __cpp_exceptions

CASE(an_exception_in_a_batch_callback_comes_back_and_no_further_end_is_told) {
    const auto c = stepping();
    int ends = 0;
    bool caught = false;
    try {
        static_cast<void>(uploads(20).run(c, {}, [&](const zcrm::BatchEnd &) -> bool {
            ++ends;
            throw std::runtime_error("batch");
        }));
    } catch (const std::runtime_error &e) {
        caught = std::string_view(e.what()) == "batch";
    }
    CHECK(caught && ends == 1);
    CHECK(attached(c) < 20);
}

CASE(an_exception_in_the_function_that_a_batch_asks_comes_back_and_it_isnt_asked_again) {
    const auto c = stepping();
    zcrm::Batch batch;
    int asked = 0;
    CHECK(batch.source([&](std::string &key, std::string &step) {
        if (++asked == 4) throw std::runtime_error("source");
        key = std::to_string(asked);
        write_file(path((key + ".txt").c_str()), "text " + key);
        step = upload(path((key + ".txt").c_str()));
        return true;
    }));
    bool caught = false;
    try {
        static_cast<void>(batch.run(c));
    } catch (const std::runtime_error &e) {
        caught = std::string_view(e.what()) == "source";
    }
    CHECK(caught && asked == 4 && attached(c) == 3);
}

CASE(an_exception_in_a_token_store_comes_back_to_the_caller) {
    Memory memory;
    auto store = memory.store();
    store.put = [](std::string_view) -> zcrm_status { throw std::runtime_error("store"); };
    const auto c = sharing(std::move(store));
    bool caught = false;
    try {
        static_cast<void>(c.attachment_list(contact()));
    } catch (const std::runtime_error &e) {
        caught = std::string_view(e.what()) == "store";
    }
    CHECK(caught && !memory.locked);
}

#endif

CASE(a_batch_is_safe_from_the_function_that_is_told_of_its_ends) {
    const auto c = client();
    auto batch = std::make_unique<zcrm::Batch>();
    for (int i = 0; i < 50; ++i) CHECK(batch->add("k" + std::to_string(i), "{}"));
    int refused = 0;
    const auto chain = [&](const zcrm::BatchEnd &) {
        for (int i = 0; i < 100; ++i) refused += fails(batch->add("n" + std::to_string(i), "{}"), ZCRM_E_STATE);
        return true;
    };
    CHECK(NEED(batch->run(c, {}, chain)).failed == 50 && refused == 5000);
    CHECK(batch->add("after", "{}"));
    CHECK(NEED(batch->run(c, {}, [&](const zcrm::BatchEnd &) { return batch.reset(), true; })).failed == 51);
}
