/*
 * zcrm for C++17: one header over zcrm.h, with nothing to compile and no ABI of its own.
 *
 *   auto client = zcrm::Client::make({{"client_id", id}, {"client_secret", secret}, {"refresh_token", token}, {"data_center", "eu"}});
 *   if (!client) return fail(client.error());
 *   auto stored = client->attachment_upload({"Contacts", record_id}, zcrm::from_file("offer.pdf"), zcrm::Call{}.timeout(30s));
 *   if (!stored) return fail(stored.error());
 *   use(stored->attachment.id);
 *
 * Rules
 *
 *  1. What can fail returns a Result: the value, or an Error. Exceptions aren't needed: the header compiles with -fno-exceptions.
 *     Whoever prefers them calls Result::value(), which throws zcrm::Exception.
 *  2. Handles are move-only and free what they hold. A moved-from handle may only be destroyed or assigned to.
 *  3. Text in is std::string_view, UTF-8, copied. Structs that come out own their texts; what is borrowed says so.
 *  4. Callbacks run on the thread that made the call, during the call, and are referred to until it returns. The token, token store and
 *     log callbacks belong to the client, and may run on any thread: those of a Batch run its steps.
 *  5. An exception in a callback ends the call, and leaves the operation as that same exception once the C function has returned.
 *     From the log callback it doesn't end the call. On a thread that isn't in an operation, such as one of a Batch, there is nobody to
 *     give it to: a token or token store callback's then counts as its failure, a log callback's is dropped.
 *  6. Statuses are the ZCRM_E_* of zcrm.h, which also says which of them each operation can give.
 *
 * Compile all files of a program alike, with or without exceptions.
 */

#ifndef ZCRM_HPP
#define ZCRM_HPP

#include "zcrm.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <initializer_list>
#include <istream>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

/** After a function whose result is borrowed from its object: clang warns when that is a temporary. */
#if defined(__clang__)
#define ZCRM_BORROWED [[clang::lifetimebound]]
#else
#define ZCRM_BORROWED
#endif

/** A setter that chains: on an object it gives the object, on a temporary what was the temporary, so that nothing refers to one that is gone. */
#define ZCRM_SETTER(Class, signature, ...) \
    Class &signature & {                   \
        __VA_ARGS__;                       \
        return *this;                      \
    }                                      \
    Class signature && {                   \
        __VA_ARGS__;                       \
        return std::move(*this);           \
    }

namespace zcrm {

class Client;
class Source;

namespace detail {

Source keeping(Source source, std::shared_ptr<const void> bytes);

template <auto Function>
struct Free {
    template <class T>
    void operator()(T *handle) const noexcept {
        Function(handle);
    }
};

template <class T, auto Function>
using Handle = std::unique_ptr<T, Free<Function>>;

using ResultHandle = Handle<zcrm_result, zcrm_result_free>;
using PagesHandle = Handle<zcrm_pages, zcrm_pages_free>;

inline zcrm_str str(std::string_view text) noexcept {
    return zcrm_str{text.data(), text.size()};
}

inline std::string text(zcrm_str text) {
    return std::string(text.ptr, text.len);
}

/** A struct of zcrm.h as it wants to be filled in. */
template <class T>
T sized() noexcept {
    T value{};
    value.struct_size = sizeof(T);
    return value;
}

struct Frame;

}  // namespace detail

/** Everything that is known of one failure. Needs no client and may outlive it. Holds no token, secret or bytes of a file. */
class Error {
  public:
    /** Takes over `handle`, which may be NULL: then only the status is known, and `text`, static, may explain it. */
    explicit Error(zcrm_status status, zcrm_error *handle = nullptr, const char *text = nullptr) noexcept
        : status_(status), handle_(handle), text_(text) {}

    /** The status: `ZCRM_E_*`. Treat one that you don't know like ZCRM_E_SERVER. */
    zcrm_status code() const noexcept { return status_; }
    /** Its name, for example "ZCRM_E_NOT_FOUND". Static. */
    std::string_view name() const noexcept { return zcrm_status_name(status_); }
    /** A stable word for the exact reason, for example "record_invalid"; finer than the status. Borrowed, like every text here. */
    std::string_view reason() const noexcept ZCRM_BORROWED { return zcrm_error_reason(handle_.get()); }
    /** One line for a person: what failed, where, and the way out. NUL-terminated, like every text here. */
    std::string_view message() const noexcept ZCRM_BORROWED {
        return handle_ ? zcrm_error_message(handle_.get()) : text_ ? text_ : zcrm_status_name(status_);
    }
    /** HTTP status of the last reply; 0 when there was none. */
    std::int32_t http_status() const noexcept { return zcrm_error_http_status(handle_.get()); }
    /** Zoho's own code, for example "INVALID_DATA"; empty when Zoho sent none. */
    std::string_view api_code() const noexcept ZCRM_BORROWED { return zcrm_error_api_code(handle_.get()); }
    /** Whether the same call may succeed later without a change. The library itself has already retried it as often as `max_retries` allows. */
    bool retryable() const noexcept { return zcrm_error_retryable(handle_.get()) != 0; }
    /** How long to wait before the next try, where that is known. */
    std::optional<std::chrono::milliseconds> retry_after() const noexcept {
        const std::int64_t ms = handle_ ? zcrm_error_retry_after_ms(handle_.get()) : -1;
        return ms < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(ms));
    }
    /** How much of the request had left: `ZCRM_SENT_*`. */
    std::int32_t request_sent() const noexcept { return zcrm_error_request_sent(handle_.get()); }
    /** Whether what was asked for may be done although the call failed; look at the record before it is done again. */
    bool outcome_open() const noexcept { return zcrm_error_outcome_open(handle_.get()) != 0; }
    /** What the callback returned whose failure ended the call; else 0. */
    zcrm_status callback_status() const noexcept { return zcrm_error_callback_status(handle_.get()); }
    /** Ids of attachments that may be the upload of which nobody knows whether it is stored: ZCRM_E_OUTCOME_UNKNOWN. */
    std::vector<std::string> candidates() const {
        std::vector<std::string> ids;
        while (const char *id = zcrm_error_candidate(handle_.get(), ids.size())) ids.emplace_back(id);
        return ids;
    }
    /** All fields as a JSON object, Zoho's `details` included; empty when only the status is known. */
    std::string_view json() const noexcept ZCRM_BORROWED { return zcrm_error_json(handle_.get()); }

  private:
    zcrm_status status_;
    detail::Handle<zcrm_error, zcrm_error_free> handle_;
    const char *text_;
};

#ifdef __cpp_exceptions
/** What Result::value() throws. Copies share one Error. Absent with -fno-exceptions. */
class Exception : public std::exception {
  public:
    /** Takes over the error. */
    explicit Exception(Error error) : error_(std::make_shared<const Error>(std::move(error))) {}
    /** The error; lives as long as any copy of this exception. */
    const Error &error() const noexcept { return *error_; }
    /** Error::message(). */
    const char *what() const noexcept override { return error_->message().data(); }

  private:
    std::shared_ptr<const Error> error_;
};
#endif

/** A value, or the Error that kept it from being. Ask which before using either: the wrong one is undefined behaviour. */
template <class T>
class [[nodiscard]] Result {
  public:
    /** Success. */
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    /** Failure. */
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    /** Whether there is a value. */
    explicit operator bool() const noexcept { return state_.index() == 0; }
    /** The value. */
    T &operator*() &noexcept { return *std::get_if<0>(&state_); }
    /** The value. */
    const T &operator*() const &noexcept { return *std::get_if<0>(&state_); }
    /** The value, taken out: it outlives a temporary Result, as what a `for` goes over, or a reference, does. */
    T operator*() && { return std::move(*std::get_if<0>(&state_)); }
    /** A member of the value. Not of a temporary Result, which is gone before what was taken from it is used: give it a name. */
    T *operator->() &noexcept { return std::get_if<0>(&state_); }
    /** A member of the value. */
    const T *operator->() const &noexcept { return std::get_if<0>(&state_); }
    /** Give the Result a name. */
    T *operator->() && = delete;
    /** The error. */
    const Error &error() const &noexcept { return *std::get_if<1>(&state_); }
    /** The error, taken out. */
    Error error() &&noexcept { return std::move(*std::get_if<1>(&state_)); }
#ifdef __cpp_exceptions
    /** The value; throws Exception, with the error taken out, when there is none. */
    T &value() & {
        if (!*this) throw Exception(std::move(*this).error());
        return **this;
    }
    /** The value taken out; throws Exception, with the error taken out, when there is none. */
    T value() && {
        if (!*this) throw Exception(std::move(*this).error());
        return *std::move(*this);
    }
#endif

  private:
    std::variant<T, Error> state_;
};

/** Success without a value, or an Error. */
template <>
class [[nodiscard]] Result<void> {
  public:
    /** Success. */
    Result() noexcept = default;
    /** Failure. */
    Result(Error error) : error_(std::move(error)) {}

    /** Whether it succeeded. */
    explicit operator bool() const noexcept { return !error_; }
    /** The error. */
    const Error &error() const &noexcept { return *error_; }
    /** The error, taken out. */
    Error error() &&noexcept { return *std::move(error_); }
#ifdef __cpp_exceptions
    /** Throws Exception, with the error taken out, when it failed. */
    void value() {
        if (error_) throw Exception(*std::move(error_));
    }
#endif

  private:
    std::optional<Error> error_;
};

/** Ends the calls it was given to, from any thread. Stays fired: make one for each call. */
class Cancel {
  public:
    /** A token that isn't fired. */
    Cancel() noexcept {
        zcrm_cancel *handle = nullptr;
        zcrm_cancel_new(&handle);  // fails only without a place for the handle
        handle_.reset(handle);
    }
    /** Ends every call that holds this token within 100 ms: ZCRM_E_CANCELLED. Also from inside a callback; not from a signal handler. */
    void fire() const noexcept { zcrm_cancel_fire(handle_.get()); }
    /** For zcrm.h; stays ours. */
    const zcrm_cancel *get() const noexcept { return handle_.get(); }

  private:
    detail::Handle<zcrm_cancel, zcrm_cancel_free> handle_;
};

/** Reports how far a transfer is: bytes done, and of how many (-1 = unknown). Return true to go on, false to end the call with ZCRM_E_CANCELLED. */
using Progress = std::function<bool(std::uint64_t done, std::int64_t total)>;

/**
 * What applies to one call only; a default one asks for nothing. The setters chain:
 * `Call{}.timeout(30s).sha256()`. A Call may be used for any number of calls.
 */
class Call {
  public:
    /** Bound on the whole call with its retries, in place of the setting `call_timeout_ms`. One of 0 or less, such as that of a deadline which has
     *  passed, is ZCRM_E_TIMEOUT at once. */
    ZCRM_SETTER(Call, timeout(std::chrono::milliseconds bound), timeout_ = bound)
    /** The token that can end it; must live until the call has begun. */
    ZCRM_SETTER(Call, cancel(const Cancel &token), cancel_ = token.get())
    /** Give the token a name. */
    void cancel(const Cancel &&token) = delete;
    /** Told of the progress, at most about ten times a second and at the end. When an attempt is repeated, `done` starts over. */
    ZCRM_SETTER(Call, progress(Progress told), progress_ = std::move(told))
    /** Computes the SHA-256 of the bytes: Transfer::sha256. */
    ZCRM_SETTER(Call, sha256(), flags_ |= ZCRM_CALL_SHA256)
    /** The SHA-256 that the bytes must have, as 64 hexadecimal digits; others fail with ZCRM_E_CHECKSUM. An empty one is ZCRM_E_ARGUMENT. */
    ZCRM_SETTER(Call, expect_sha256(std::string_view digits), expected_sha256_ = digits.empty() ? "none" : digits)
    /** The size that a download must have, in bytes; 0 is a size too. */
    ZCRM_SETTER(Call, expect_bytes(std::int64_t bytes), expected_bytes_ = bytes, flags_ |= ZCRM_CALL_EXPECT_BYTES)
    /** Attachment upload: if the record already has one of the same name and size, or the same link, that is the result. Costs one list. */
    ZCRM_SETTER(Call, skip_existing(), flags_ |= ZCRM_CALL_SKIP_EXISTING)
    /** As skip_existing(), but only if the bytes are the same too. Downloads what is there to compare it. */
    ZCRM_SETTER(Call, skip_same_bytes(), flags_ |= ZCRM_CALL_SKIP_SAME_BYTES)
    /** This call may have been made before, and nobody knows how it ended, as when a queue delivers a job a second time. The library first looks for
     *  its effect, and doesn't repeat it: `ZCRM_CALL_AGAIN` says what counts as done, and what the look costs. */
    ZCRM_SETTER(Call, again(), flags_ |= ZCRM_CALL_AGAIN)
    /** Stands in the log lines of this call. */
    ZCRM_SETTER(Call, trace_id(std::string_view text), trace_id_ = text)
    /** Photo upload: "workflow" keeps workflows from being triggered. */
    ZCRM_SETTER(Call, restrict_triggers(std::string_view which), restrict_triggers_ = which)

  private:
    friend struct detail::Frame;
    std::optional<std::chrono::milliseconds> timeout_;
    const zcrm_cancel *cancel_ = nullptr;
    Progress progress_;
    std::string expected_sha256_, trace_id_, restrict_triggers_;
    std::int64_t expected_bytes_ = 0;
    std::uint32_t flags_ = 0;
};

/** Gives the next bytes of an upload: up to `cap` of them into `buf`, and how many into `n`, 0 at the end. Returns 0, or any other
 *  number to fail: ZCRM_E_CALLBACK, and Error::callback_status() gives it back. */
using Read = std::function<zcrm_status(std::uint8_t *buf, std::size_t cap, std::size_t &n)>;
/** Goes back to the first byte, so that an attempt can be repeated. Returns 0, or any other number to fail, as with Read. */
using Rewind = std::function<zcrm_status()>;
/** Takes the next bytes of a download, all of them. Returns 0, or any other number to fail, as with Read. What was written stays. */
using Write = std::function<zcrm_status(const std::uint8_t *buf, std::size_t len)>;

/** Where the bytes of an upload come from: made by the from_*() functions. It may be used for one upload after another, by copies of it too. */
class Source {
  public:
    /** MIME type of the bytes, in place of "application/octet-stream". The setters chain. */
    ZCRM_SETTER(Source, content_type(std::string_view type), content_type_ = type)
    /** File name for Zoho to store, in place of that of the from_*() function. */
    ZCRM_SETTER(Source, name(std::string_view name), name_ = name)

  private:
    explicit Source(std::int32_t kind, std::string_view name) : kind_(kind), name_(name) {}
    friend struct detail::Frame;
    friend Source from_file(std::string_view path);
    friend Source from_memory(std::string_view name, const void *data, std::size_t size);
    friend Source detail::keeping(Source source, std::shared_ptr<const void> bytes);
    friend Source from_reader(std::string_view name, Read read, std::int64_t length, Rewind rewind);
    friend Source from_link(std::string_view url, std::string_view title);
    friend Source from_stream(std::string_view name, std::istream &in, std::int64_t length);
    friend class Client;

    std::int32_t kind_;
    bool failed_ = false;
    std::string name_, content_type_, path_, link_url_;
    const void *data_ = nullptr;
    std::shared_ptr<const void> kept_;
    std::size_t size_ = 0;
    std::int64_t length_ = 0;
    Read read_;
    Rewind rewind_;
    std::shared_ptr<bool> begun_;  // whether an upload has asked the reader, shared by copies

    /** Goes back to the first byte where an earlier upload has read. */
    zcrm_status reopen() const {
        if (!begun_ || !*begun_) return ZCRM_OK;
        if (!rewind_) return ZCRM_E_SOURCE_CONSUMED;
        return rewind_() == ZCRM_OK ? ZCRM_OK : ZCRM_E_CALLBACK;
    }
};

/** The file at `path`, read while it is sent and stored under the last part of the path. ZCRM_E_IO when it can't be read. */
inline Source from_file(std::string_view path) {
    Source source(ZCRM_FROM_FILE, "");
    source.path_ = path;
    return source;
}

/** `size` bytes at `data`, which are borrowed until the call returns. */
inline Source from_memory(std::string_view name, const void *data, std::size_t size) {
    Source source(ZCRM_FROM_MEMORY, name);
    source.data_ = data;
    source.size_ = size;
    return source;
}

/** The bytes of a span, string, vector or array, which are borrowed until the call returns. */
template <class Bytes, std::size_t Size = sizeof(*std::declval<const Bytes &>().data())>
Source from_memory(std::string_view name, const Bytes &bytes) {
    static_assert(Size == 1, "a container of bytes is wanted");
    return from_memory(name, bytes.data(), bytes.size());
}

namespace detail {

/** The source with the bytes that it borrows. */
inline Source keeping(Source source, std::shared_ptr<const void> bytes) {
    source.kept_ = std::move(bytes);
    return source;
}

}  // namespace detail

/** The same for a temporary, which the Source keeps. */
template <class Bytes, std::size_t Size = sizeof(*std::declval<const Bytes &>().data()), std::enable_if_t<!std::is_lvalue_reference_v<Bytes>, int> = 0>
Source from_memory(std::string_view name, Bytes &&bytes) {
    static_assert(Size == 1, "a container of bytes is wanted");
    auto kept = std::make_shared<const std::decay_t<Bytes>>(std::move(bytes));
    return detail::keeping(from_memory(name, kept->data(), kept->size()), kept);
}

/**
 * What `read` gives.
 *
 * @param name    file name for Zoho to store
 * @param read    gives the bytes
 * @param length  bytes that it will give, -1 = unknown: see the setting `unknown_length`. More or fewer are ZCRM_E_SOURCE_CHANGED.
 * @param rewind  goes back to the first byte; without it nothing is tried again once bytes have left, and a second upload from the same Source fails
 *                (both ZCRM_E_SOURCE_CONSUMED)
 */
inline Source from_reader(std::string_view name, Read read, std::int64_t length = -1, Rewind rewind = {}) {
    Source source(ZCRM_FROM_READER, name);
    source.length_ = length;
    source.read_ = std::move(read);
    source.rewind_ = std::move(rewind);
    source.begun_ = std::make_shared<bool>(false);
    return source;
}

namespace detail {

/** A callable that can only be moved, such as a lambda that owns a unique_ptr, in a form that std::function takes. */
template <class Function>
auto copyable(Function function) {
    return [shared = std::make_shared<Function>(std::move(function))](auto &&...arguments) {
        return (*shared)(std::forward<decltype(arguments)>(arguments)...);
    };
}

/** Whether std::function wouldn't take it. */
template <class Function>
using IfMoveOnly = std::enable_if_t<!std::is_copy_constructible_v<Function>, int>;

}  // namespace detail

/** The same for a `read` that can only be moved. */
template <class MoveOnly, detail::IfMoveOnly<MoveOnly> = 0>
Source from_reader(std::string_view name, MoveOnly read, std::int64_t length = -1, Rewind rewind = {}) {
    return from_reader(name, Read(detail::copyable(std::move(read))), length, std::move(rewind));
}

namespace detail {

/** Runs `body` while the stream throws nothing. `body` gives the state to leave the stream in, and that throws if the stream is set to. */
template <class Stream, class Body>
void without_exceptions(Stream &stream, Body body) {
    const std::ios::iostate throwing = stream.exceptions();
    stream.exceptions(std::ios::goodbit);
    const std::ios::iostate state = body();
    stream.clear();
    stream.exceptions(throwing);
    stream.clear(state);
}

/** Whether it is the stream of a file, which can be asked whether it is open: its state doesn't say so before the file is named. */
template <class Stream>
using IfOfFile = decltype(std::declval<Stream &>().is_open(), 0);

}  // namespace detail

/**
 * The rest of a stream, which is referred to until the call returns. Open files as std::ios::binary.
 *
 * A stream that can seek is measured, and read again when an attempt must be repeated and by each further upload from the Source; from one that
 * can't, a second upload is ZCRM_E_SOURCE_CONSUMED. A stream that fails, or has failed
 * before, as one of a file that couldn't be opened has, is ZCRM_E_CALLBACK; one that is set to throw throws then.
 *
 * @param name    file name for Zoho to store
 * @param in      the stream, read from where it stands
 * @param length  bytes that it will give; -1 = measure it, and if it can't seek the length is unknown: see from_reader()
 */
inline Source from_stream(std::string_view name, std::istream &in, std::int64_t length = -1) {
    Source source(ZCRM_FROM_READER, name);
    source.failed_ = in.fail() && !in.eof();
    if (source.failed_) return source;
    std::istream::pos_type start;
    detail::without_exceptions(in, [&] {
        start = in.tellg();
        if (start != std::istream::pos_type(-1) && length < 0 && in.seekg(0, std::ios::end)) {
            length = static_cast<std::int64_t>(in.tellg() - start);
            if (length == std::numeric_limits<std::int64_t>::max()) length = -1;  // of a directory
            in.seekg(start);
        }
        return in.rdstate() & ~std::ios::failbit;  // tellg() of a pipe sets it
    });
    Read read = [&in](std::uint8_t *buf, std::size_t cap, std::size_t &n) {
        bool failed = false;
        detail::without_exceptions(in, [&] {
            in.read(reinterpret_cast<char *>(buf), static_cast<std::streamsize>(cap));
            n = static_cast<std::size_t>(in.gcount());
            failed = in.bad() || (n == 0 && !in.eof());
            return failed ? in.rdstate() : std::ios::goodbit;  // the end sets failbit too, and is no failure
        });
        return failed ? ZCRM_E_IO : ZCRM_OK;
    };
    Rewind rewind = [&in, start] {
        in.clear();
        return in.seekg(start) ? ZCRM_OK : ZCRM_E_IO;
    };
    return from_reader(name, std::move(read), length, start != std::istream::pos_type(-1) ? std::move(rewind) : Rewind{});
}

/** The same for the stream of a file: one that isn't open has failed. */
template <class FileStream, detail::IfOfFile<FileStream> = 0>
Source from_stream(std::string_view name, FileStream &in, std::int64_t length = -1) {
    if (!in.is_open()) in.setstate(std::ios::failbit);
    return from_stream(name, static_cast<std::istream &>(in), length);
}

/** No bytes but a link. Only for attachments. An empty title is that of the linked page. */
inline Source from_link(std::string_view url, std::string_view title = {}) {
    Source source(ZCRM_FROM_LINK, title);
    source.link_url_ = url;
    return source;
}

/** Where the bytes of a download go: made by the to_*() functions. */
class Sink {
  public:
    /** Most bytes to take; more fail with ZCRM_E_TOO_LARGE; 0 = no bound of the call. The setters chain. */
    ZCRM_SETTER(Sink, max_bytes(std::uint64_t bytes), max_bytes_ = bytes)
    /** Of to_file(): a file that exists is replaced. Without it that is ZCRM_E_IO, reason "target_exists". */
    ZCRM_SETTER(Sink, overwrite(), flags_ |= ZCRM_OVERWRITE)

  private:
    explicit Sink(std::int32_t kind) : kind_(kind) {}
    friend struct detail::Frame;
    friend Sink to_file(std::string_view path);
    friend Sink to_memory();
    friend Sink to_writer(Write write);
    friend Sink to_stream(std::ostream &out);
    friend class Client;

    std::int32_t kind_;
    std::int32_t flags_ = 0;
    std::string path_;
    std::uint64_t max_bytes_ = 0;
    Write write_;
    std::function<bool()> finish_;
};

/** The file at `path`, which appears only when it is complete; its directory must exist. */
inline Sink to_file(std::string_view path) {
    Sink sink(ZCRM_TO_FILE);
    sink.path_ = path;
    return sink;
}

/** Memory: Download::data(). The setting `memory_max_bytes` bounds it. */
inline Sink to_memory() {
    return Sink(ZCRM_TO_MEMORY);
}

/** What `write` does with them. Once it has taken bytes, nothing is tried again. */
inline Sink to_writer(Write write) {
    Sink sink(ZCRM_TO_WRITER);
    sink.write_ = std::move(write);
    return sink;
}

/** The same for a `write` that can only be moved. */
template <class MoveOnly, detail::IfMoveOnly<MoveOnly> = 0>
Sink to_writer(MoveOnly write) {
    return to_writer(Write(detail::copyable(std::move(write))));
}

/**
 * A stream, which is referred to until the call returns, and flushed at its end. Open files as std::ios::binary.
 *
 * A stream that fails, at the end too, is ZCRM_E_CALLBACK; one that is set to throw throws.
 */
inline Sink to_stream(std::ostream &out) {
    Sink sink = to_writer([&out](const std::uint8_t *buf, std::size_t len) {
        return out.write(reinterpret_cast<const char *>(buf), static_cast<std::streamsize>(len)) ? ZCRM_OK : ZCRM_E_IO;
    });
    sink.finish_ = [&out] { return static_cast<bool>(out.flush()); };
    return sink;
}

/** The same for the stream of a file: one that isn't open has failed. */
template <class FileStream, detail::IfOfFile<FileStream> = 0>
Sink to_stream(FileStream &out) {
    if (!out.is_open()) out.setstate(std::ios::failbit);
    return to_stream(static_cast<std::ostream &>(out));
}

namespace detail {

/** One call's callbacks, and what they threw: the `user` of every trampoline. Lives on the stack of the operation. */
struct Frame {
    explicit Frame(const Call &of) noexcept : call(of), outer(current()) { current() = this; }
    ~Frame() { current() = outer; }
    Frame(const Frame &) = delete;
    Frame &operator=(const Frame &) = delete;

    const Call &call;
    const Source *source = nullptr;
    const Sink *sink = nullptr;
    Frame *outer;
    std::exception_ptr thrown;

    /** The operation that this thread is in. */
    static Frame *&current() noexcept {
        static thread_local Frame *frame = nullptr;
        return frame;
    }

    /** Whether the time was up before the call begins, which C has no number for. */
    bool is_late() const noexcept { return call.timeout_ && call.timeout_->count() <= 0; }

    /** Runs a callback of the user: nothing may unwind through C. */
    template <class Body>
    static zcrm_status run(Frame *frame, Body body) noexcept {
#ifdef __cpp_exceptions
        try {
            return body();
        } catch (...) {
            if (frame && !frame->thrown) frame->thrown = std::current_exception();
            return -1;
        }
#else
        static_cast<void>(frame);
        return body();
#endif
    }

    static zcrm_status read(void *user, std::uint8_t *buf, std::size_t cap, std::size_t *n) noexcept {
        auto *frame = static_cast<Frame *>(user);
        *n = 0;
        *frame->source->begun_ = true;
        return run(frame, [&] { return frame->source->read_(buf, cap, *n); });
    }
    static zcrm_status rewind(void *user) noexcept {
        auto *frame = static_cast<Frame *>(user);
        return run(frame, [&] { return frame->source->rewind_(); });
    }
    static zcrm_status write(void *user, const std::uint8_t *buf, std::size_t len) noexcept {
        auto *frame = static_cast<Frame *>(user);
        return run(frame, [&] { return frame->sink->write_(buf, len); });
    }
    static std::int32_t progress(void *user, std::uint64_t done, std::int64_t total) noexcept {
        auto *frame = static_cast<Frame *>(user);
        return run(frame, [&] { return frame->call.progress_(done, total) ? 0 : 1; });
    }

    zcrm_call c_call() noexcept {
        auto c = sized<zcrm_call>();
        c.cancel = call.cancel_;
        c.timeout_ms = call.timeout_ ? call.timeout_->count() : 0;
        c.progress = call.progress_ ? &Frame::progress : nullptr;
        c.user = this;
        c.trace_id = str(call.trace_id_);
        c.expected_sha256 = str(call.expected_sha256_);
        c.expected_bytes = call.expected_bytes_;
        c.restrict_triggers = str(call.restrict_triggers_);
        c.flags = call.flags_;
        return c;
    }

    zcrm_source c_source(const Source &from) noexcept {
        source = &from;
        auto c = sized<zcrm_source>();
        c.kind = from.kind_;
        c.name = str(from.name_);
        c.content_type = str(from.content_type_);
        c.path = str(from.path_);
        c.data = static_cast<const std::uint8_t *>(from.data_);
        c.data_len = from.size_;
        c.length = from.length_;
        c.read = from.read_ ? &Frame::read : nullptr;
        c.rewind = from.rewind_ ? &Frame::rewind : nullptr;
        c.user = this;
        c.link_url = str(from.link_url_);
        return c;
    }

    zcrm_sink c_sink(const Sink &to) noexcept {
        sink = &to;
        auto c = sized<zcrm_sink>();
        c.kind = to.kind_;
        c.flags = to.flags_;
        c.path = str(to.path_);
        c.max_bytes = to.max_bytes_;
        c.write = to.write_ ? &Frame::write : nullptr;
        c.user = this;
        return c;
    }
};

/** Makes the C call and reads its result as a T. What a callback threw leaves from here. */
template <class T, class Operation>
Result<T> perform(Frame &frame, Operation operation) {
    if (frame.is_late()) return Error(ZCRM_E_TIMEOUT, nullptr, "the time for the call was up before it began");
    zcrm_result *result = nullptr;
    zcrm_error *error = nullptr;
    const zcrm_call call = frame.c_call();
    const zcrm_status status = operation(&call, &result, &error);
    ResultHandle owned(result);
    Error failure(status, error);
#ifdef __cpp_exceptions
    if (frame.thrown) std::rethrow_exception(frame.thrown);
#endif
    if (status != ZCRM_OK) return failure;
    return T::read(std::move(owned));
}

}  // namespace detail

/** A record of the CRM. */
struct Record {
    /** The module's API name, for example "Contacts". */
    std::string module;
    /** The record's id: digits. */
    std::string id;
};

/** One attachment of a record. */
struct Attachment {
    /** The attachment's id: digits. */
    std::string id;
    /** File name as Zoho has it, or the title of a link. Whoever uploaded it chose it: it may be a path or hold control characters. */
    std::string file_name;
    /** `file_name` made safe as the name of a file: no path, no control character, no device. Empty when nothing is left of it. */
    std::string safe_name;
    /** URL of a link; empty for a file. */
    std::string link_url;
    /** When it was attached: ISO 8601 with an offset. */
    std::string created_time;
    /** When it was last changed: ISO 8601 with an offset. Empty after an upload. */
    std::string modified_time;
    /** Id of the record it is attached to. Empty after an upload. */
    std::string parent_id;
    /** Id of its owner. Empty after an upload. */
    std::string owner_id;
    /** Name of its owner. Empty after an upload. */
    std::string owner_name;
    /** Id of the user who attached it. Empty after an upload. */
    std::string created_by_id;
    /** Zoho's id of the stored bytes; empty for a link, and after an upload. */
    std::string file_id;
    /** Zoho's `$type`, opaque. Empty after an upload. */
    std::string kind;
    /** Size in bytes; -1 = unknown. */
    std::int64_t bytes = -1;
    /** Whether it is a link. */
    bool is_link = false;
    /** After an upload: `ZCRM_UPLOAD_*`, what was out of the ordinary; 0 = nothing. */
    std::uint32_t flags = 0;
};

/** The bytes that an upload or a download moved. */
struct Transfer {
    /** How many; 0 for a link. */
    std::uint64_t bytes = 0;
    /** Upload: the file name that was sent. Download: the name that Zoho gives, made safe as a file name, or empty. */
    std::string file_name;
    /** Download: the MIME type that Zoho gives, or empty. */
    std::string content_type;
    /** SHA-256 as 64 hexadecimal digits when the call asked for it, else empty. */
    std::string sha256;
    /** Download to a file: the file that was written, else empty. */
    std::string path;
    /** Download: whether the number of bytes was checked against a length from Zoho or the caller. */
    bool length_verified = false;
};

/** Bytes that belong to somebody else. A range of contiguous bytes: C++20's std::span takes it. */
class BytesView {
  public:
    /** `size` bytes at `data`. */
    BytesView(const std::uint8_t *data, std::size_t size) noexcept : data_(data), size_(size) {}
    /** First byte; NULL when there are none. */
    const std::uint8_t *data() const noexcept { return data_; }
    /** How many. */
    std::size_t size() const noexcept { return size_; }
    /** First byte. */
    const std::uint8_t *begin() const noexcept { return data_; }
    /** Behind the last byte. */
    const std::uint8_t *end() const noexcept { return data_ + size_; }

  private:
    const std::uint8_t *data_;
    std::size_t size_;
};

/** What every operation gives. Needs no client and may outlive it. */
class Outcome {
  public:
    /** The whole result as a JSON object; borrowed from this object. */
    std::string_view json() const noexcept ZCRM_BORROWED {
        std::size_t n = 0;
        const char *text = zcrm_result_json(handle_.get(), &n);
        return {text, n};
    }
    /** For zcrm.h; stays ours. */
    const zcrm_result *get() const noexcept { return handle_.get(); }
    /** Takes over what the C function gave. */
    static Result<Outcome> read(detail::ResultHandle handle) { return Outcome(std::move(handle)); }

  protected:
    /** Takes it over. */
    explicit Outcome(detail::ResultHandle handle) noexcept : handle_(std::move(handle)) {}
    /** Reads one attachment into `out`. */
    Result<void> fill(std::size_t index, Attachment &out) const {
        zcrm_error *error = nullptr;
        auto c = detail::sized<zcrm_attachment>();
        if (const zcrm_status status = zcrm_result_attachment(get(), index, &c, &error)) return Error(status, error);
        out.id = detail::text(c.id);
        out.file_name = detail::text(c.file_name);
        out.link_url = detail::text(c.link_url);
        out.created_time = detail::text(c.created_time);
        out.modified_time = detail::text(c.modified_time);
        out.parent_id = detail::text(c.parent_id);
        out.owner_name = detail::text(c.owner_name);
        out.safe_name = detail::text(c.safe_name);
        out.owner_id = detail::text(c.owner_id);
        out.created_by_id = detail::text(c.created_by_id);
        out.file_id = detail::text(c.file_id);
        out.kind = detail::text(c.kind);
        out.bytes = c.bytes;
        out.is_link = c.is_link != 0;
        out.flags = c.flags;
        return {};
    }
    /** Reads where a list stands. */
    Result<void> fill(std::string &next_page_token, bool &more_records) const {
        zcrm_error *error = nullptr;
        auto page = detail::sized<zcrm_page>();
        if (const zcrm_status status = zcrm_result_page(get(), &page, &error)) return Error(status, error);
        next_page_token = detail::text(page.next_page_token);
        more_records = page.more_records != 0;
        return {};
    }
    /** Reads what was moved into `out`. */
    Result<void> fill(Transfer &out) const {
        zcrm_error *error = nullptr;
        auto c = detail::sized<zcrm_transfer>();
        if (const zcrm_status status = zcrm_result_transfer(get(), &c, &error)) return Error(status, error);
        out.bytes = c.bytes;
        out.file_name = detail::text(c.file_name);
        out.content_type = detail::text(c.content_type);
        out.sha256 = detail::text(c.sha256);
        out.path = detail::text(c.path);
        out.length_verified = c.length_verified != 0;
        return {};
    }

  private:
    detail::ResultHandle handle_;
};

/** What the upload of a photo gives. */
class Upload : public Outcome {
  public:
    /** The bytes that were sent. */
    Transfer transfer;
    /** Takes over what the C function gave. */
    static Result<Upload> read(detail::ResultHandle handle) {
        Upload upload(std::move(handle));
        if (auto filled = upload.fill(upload.transfer); !filled) return std::move(filled).error();
        return upload;
    }

  protected:
    using Outcome::Outcome;
};

/** What the upload of an attachment gives. */
class AttachmentUpload : public Upload {
  public:
    /** What was stored. */
    Attachment attachment;
    /** Takes over what the C function gave. */
    static Result<AttachmentUpload> read(detail::ResultHandle handle) {
        AttachmentUpload upload(std::move(handle));
        if (auto filled = upload.fill(upload.transfer); !filled) return std::move(filled).error();
        if (auto filled = upload.fill(0, upload.attachment); !filled) return std::move(filled).error();
        return upload;
    }

  private:
    using Upload::Upload;
};

/** What a download gives. */
class Download : public Outcome {
  public:
    /** The bytes that were received. */
    Transfer transfer;
    /** The bytes themselves after to_memory(), borrowed from this object; ZCRM_E_STATE after another sink. */
    Result<BytesView> data() const ZCRM_BORROWED {
        const std::uint8_t *data = nullptr;
        std::size_t size = 0;
        zcrm_error *error = nullptr;
        if (const zcrm_status status = zcrm_result_data(get(), &data, &size, &error)) return Error(status, error);
        return BytesView(data, size);
    }
    /** Takes over what the C function gave. */
    static Result<Download> read(detail::ResultHandle handle) {
        Download download(std::move(handle));
        if (auto filled = download.fill(download.transfer); !filled) return std::move(filled).error();
        return download;
    }

  private:
    using Outcome::Outcome;
};

/** Attachments of a record: all of them, or one page. */
class AttachmentList : public Outcome {
  public:
    /** The attachments, as Zoho orders them. */
    std::vector<Attachment> attachments;
    /** For ListArgs::page_token of the next page; empty when there is none, or the API version gives no tokens. */
    std::string next_page_token;
    /** Whether Zoho has more attachments after these. */
    bool more_records = false;
    /** Takes over what the C function gave. */
    static Result<AttachmentList> read(detail::ResultHandle handle) {
        AttachmentList list(std::move(handle));
        list.attachments.resize(zcrm_result_count(list.get()));
        for (std::size_t i = 0; i < list.attachments.size(); ++i) {
            if (auto filled = list.fill(i, list.attachments[i]); !filled) return std::move(filled).error();
        }
        if (auto filled = list.fill(list.next_page_token, list.more_records); !filled) return std::move(filled).error();
        return list;
    }

  private:
    using Outcome::Outcome;
};

/** Records of a module, by their ids: all of them, or one page. */
class RecordList : public Outcome {
  public:
    /** The ids, as Zoho orders the records. */
    std::vector<std::string> record_ids;
    /** For ListArgs::page_token of the next page; empty when there is none, or the API version gives no tokens. */
    std::string next_page_token;
    /** Whether Zoho has more records after these. */
    bool more_records = false;
    /** Takes over what the C function gave. */
    static Result<RecordList> read(detail::ResultHandle handle) {
        RecordList list(std::move(handle));
        list.record_ids.resize(zcrm_result_count(list.get()));
        for (std::size_t i = 0; i < list.record_ids.size(); ++i) list.record_ids[i] = zcrm_result_record_id(list.get(), i, nullptr);
        if (auto filled = list.fill(list.next_page_token, list.more_records); !filled) return std::move(filled).error();
        return list;
    }

  private:
    using Outcome::Outcome;
};

/** Which part of a list to fetch; a default one wants every page at once. */
struct ListArgs {
    /** Comma list of the API names of the fields to ask for; empty = those that Attachment has. Of records leave it empty. */
    std::string fields;
    /** One page: next_page_token of the page before. */
    std::string page_token;
    /** One page: its number, from 1; 0 = every page, unless `page_token` is set. With Pages these two say where to begin. */
    std::uint32_t page = 0;
    /** Rows a page, at most 200; 0 = 200. */
    std::uint32_t per_page = 0;
};

/** Takes a log line: the level, `ZCRM_LOG_*`, and one line without secrets, valid during the callback. Any thread. */
using Log = std::function<void(std::int32_t level, std::string_view line)>;
/** Puts an access token into `token`, a new one if Zoho refused the last. Called for each operation: answer from a cache of your own.
 *  Returns 0, or any other number if there is none: the call fails with ZCRM_E_CALLBACK, and Error::callback_status() gives the number. Any thread. */
using Token = std::function<zcrm_status(bool force_refresh, std::string &token)>;

/**
 * A place where processes and machines share one access token: a row in a database, a key in Redis. All four are needed; each may run on
 * any thread, and returns 0, or any other number to fail: ZCRM_E_CALLBACK, and Error::callback_status() gives it back.
 * Processes of one machine can use the setting `token_file` instead.
 */
struct TokenStore {
    /** Reads the stored document, which is secret, into `document`; leaves it empty when there is none. */
    std::function<zcrm_status(std::string &document)> get;
    /** Stores the document in place of the old one, whole or not at all. */
    std::function<zcrm_status(std::string_view document)> put;
    /** Tries to take the lock that everyone who shares the store respects, without waiting, and says whether it did. It must end with its holder. */
    std::function<zcrm_status(bool &locked)> try_lock;
    /** Gives the lock back. */
    std::function<void()> unlock;
};

/** Settings from which clients are made. One thread at a time may change it. */
class Config {
  public:
    /** Every setting at its default. ZCRM_E_VERSION when the loaded library isn't the one that this header belongs to. */
    static Result<Config> make() {
        if (zcrm_abi_version() != ZCRM_ABI_VERSION) {
            return Error(ZCRM_E_VERSION, nullptr, "libzcrm has another ABI version than zcrm.h: compile with the header of the installed library");
        }
        zcrm_config *config = nullptr;
        if (const zcrm_status status = zcrm_config_new(&config)) return Error(status);
        return Config(config);
    }
    /** Sets one setting. ZCRM_E_CONFIG for an unknown key (the message names the nearest one) or a wrong value. */
    Result<void> set(std::string_view key, std::string_view value) {
        if (key.find('\0') != std::string_view::npos) return Error(ZCRM_E_ARGUMENT, nullptr, "key: holds a NUL");
        zcrm_error *error = nullptr;
        const std::string name(key);
        const char *text = value.data() ? value.data() : "";
        if (const zcrm_status status = zcrm_config_set(handle_.get(), name.c_str(), text, value.size(), &error)) return Error(status, error);
        return {};
    }
    /** Sets what a profile says, which `zcrm login` has written; what is set afterwards takes its place. An empty path is the user's own file, an
     *  empty name `default`. ZCRM_E_CONFIG when it isn't there, or others have rights to it. */
    Result<void> load_profile(const std::string &path = {}, const std::string &name = {}) {
        for (const std::string *text : {&path, &name}) {
            if (text->find('\0') != std::string::npos) return Error(ZCRM_E_ARGUMENT, nullptr, "profile: its path or its name holds a NUL");
        }
        zcrm_error *error = nullptr;
        const char *file = path.empty() ? nullptr : path.c_str(), *of = name.empty() ? nullptr : name.c_str();
        if (const zcrm_status status = zcrm_config_load_profile(handle_.get(), file, of, &error)) return Error(status, error);
        return {};
    }
    /** The host gives the tokens instead of Zoho's accounts server. Held until config and clients are gone, or it is replaced. */
    Result<void> on_token(Token token) {
        auto held = std::make_unique<Token>(std::move(token));
        const zcrm_status status = zcrm_config_set_token_fn(handle_.get(), *held ? &give_token : nullptr, held.get(), &drop<Token>);
        return keep(status, held, nullptr, "token: is empty, or the config was moved from");
    }
    /** Log lines up to `max_level`, `ZCRM_LOG_*`, go to `log`. Held until config and clients are gone, or it is replaced. */
    Result<void> on_log(std::int32_t max_level, Log log) {
        auto held = std::make_unique<Log>(std::move(log));
        const zcrm_status status = zcrm_config_set_log_fn(handle_.get(), max_level, *held ? &take_line : nullptr, held.get(), &drop<Log>);
        return keep(status, held, nullptr, "log: is empty, max_level is none of ZCRM_LOG_*, or the config was moved from");
    }
    /** Processes and machines share one access token through `store`, so that each expiry costs one token request in all. Only for
     *  OAuth credentials. Held until config and clients are gone, or it is replaced. ZCRM_E_ARGUMENT when one of its functions is missing. */
    Result<void> token_store(TokenStore store) {
        auto held = std::make_unique<TokenStore>(std::move(store));
        auto c = detail::sized<zcrm_token_store>();
        c.get = held->get ? &store_get : nullptr;
        c.put = held->put ? &store_put : nullptr;
        c.try_lock = held->try_lock ? &store_try_lock : nullptr;
        c.unlock = held->unlock ? &store_unlock : nullptr;
        c.user = held.get();
        c.drop = &drop<TokenStore>;
        zcrm_error *error = nullptr;
        const zcrm_status status = zcrm_config_set_token_store(handle_.get(), &c, &error);
        return keep(status, held, error);
    }
    /** For zcrm.h; stays ours. */
    const zcrm_config *get() const noexcept { return handle_.get(); }

  private:
    explicit Config(zcrm_config *handle) noexcept : handle_(handle) {}

    template <class Function>
    static Result<void> keep(zcrm_status status, std::unique_ptr<Function> &held, zcrm_error *error, const char *text = nullptr) {
        if (status != ZCRM_OK) return Error(status, error, text);
        static_cast<void>(held.release());  // drop() frees it
        return {};
    }
    template <class Function>
    static void drop(void *user) noexcept {
        delete static_cast<Function *>(user);
    }
    static void take_line(void *user, std::int32_t level, const char *line, std::size_t len) noexcept {
        detail::Frame::run(detail::Frame::current(), [&] { return (*static_cast<Log *>(user))(level, std::string_view(line, len)), ZCRM_OK; });
    }
    static zcrm_status give_token(void *user, std::int32_t force_refresh, char *buf, std::size_t cap, std::size_t *n) noexcept {
        std::string token;
        zcrm_status status = detail::Frame::run(detail::Frame::current(), [&] { return (*static_cast<Token *>(user))(force_refresh != 0, token); });
        if (status == ZCRM_OK && token.size() > cap) status = ZCRM_E_TOO_LARGE;
        if (status == ZCRM_OK) {
            std::memcpy(buf, token.data(), token.size());
            *n = token.size();
        }
        wipe(token);
        return status;
    }
    /** The library wipes its own copy; this one is ours. */
    static void wipe(std::string &secret) noexcept {
        for (volatile char &c : secret) c = 0;
    }
    template <class Body>
    static zcrm_status store(void *user, Body body) noexcept {
        return detail::Frame::run(detail::Frame::current(), [&] { return body(*static_cast<TokenStore *>(user)); });
    }
    static zcrm_status store_get(void *user, std::uint8_t *buf, std::size_t cap, std::size_t *n) noexcept {
        std::string document;
        const zcrm_status status = store(user, [&](TokenStore &of) { return of.get(document); });
        *n = document.size();  // over `cap`: the library comes again with room for it
        if (status == ZCRM_OK && document.size() <= cap) std::memcpy(buf, document.data(), document.size());
        wipe(document);
        return status;
    }
    static zcrm_status store_put(void *user, const std::uint8_t *buf, std::size_t len) noexcept {
        return store(user, [&](TokenStore &of) { return of.put(std::string_view(reinterpret_cast<const char *>(buf), len)); });
    }
    static zcrm_status store_try_lock(void *user, std::int32_t *locked) noexcept {
        bool taken = false;
        const zcrm_status status = store(user, [&](TokenStore &of) { return of.try_lock(taken); });
        *locked = taken ? 1 : 0;
        return status;
    }
    static void store_unlock(void *user) noexcept {
        store(user, [](TokenStore &of) { return of.unlock(), ZCRM_OK; });
    }

    detail::Handle<zcrm_config, zcrm_config_free> handle_;
};

template <class List>
class Pages;

/** A configured connection to one CRM organisation. Any number of threads may use it at once. */
class Client {
  public:
    /** A client with these settings. Nothing is sent: wrong credentials show at the first operation. ZCRM_E_CONFIG, ZCRM_E_IO. */
    static Result<Client> make(const Config &config) {
        zcrm_client *client = nullptr;
        zcrm_error *error = nullptr;
        if (const zcrm_status status = zcrm_client_new(config.get(), &client, &error)) return Error(status, error);
        return Client(client);
    }
    /** The same from pairs of key and value: `Client::make({{"access_token", token}, {"data_center", "eu"}})`. */
    static Result<Client> make(std::initializer_list<std::pair<std::string_view, std::string_view>> settings) {
        auto config = Config::make();
        if (!config) return std::move(config).error();
        for (const auto &[key, value] : settings) {
            if (auto set = config->set(key, value); !set) return std::move(set).error();
        }
        return make(*config);
    }

    /** Attaches a file or a link to a record: zcrm_attachment_upload(). */
    Result<AttachmentUpload> attachment_upload(const Record &record, const Source &source, const Call &call = {}) const {
        return upload<AttachmentUpload>(zcrm_attachment_upload, record, source, call);
    }
    /** Lists the attachments of a record, every page of them or one: zcrm_attachment_list(). */
    Result<AttachmentList> attachment_list(const Record &record, const ListArgs &args = {}, const Call &call = {}) const {
        detail::Frame frame(call);
        const zcrm_target target = target_of(record, {});
        const zcrm_list_args wanted = c_args(args);
        return detail::perform<AttachmentList>(
            frame, [&](auto *c, auto **result, auto **error) { return zcrm_attachment_list(get(), &target, &wanted, c, result, error); });
    }
    /** The attachments of a record page by page: `for (auto &page : client.attachment_pages(record))`. See Pages. */
    Pages<AttachmentList> attachment_pages(const Record &record, const ListArgs &args = {}, Call call = {}) const;
    /** Downloads an attachment: zcrm_attachment_download(). */
    Result<Download> attachment_download(const Record &record, std::string_view id, const Sink &sink, const Call &call = {}) const {
        return download(zcrm_attachment_download, record, id, sink, call);
    }
    /** Sets the photo of a record: zcrm_photo_upload(). */
    Result<Upload> photo_upload(const Record &record, const Source &source, const Call &call = {}) const {
        return upload<Upload>(zcrm_photo_upload, record, source, call);
    }
    /** Downloads the photo of a record: zcrm_photo_download(). */
    Result<Download> photo_download(const Record &record, const Sink &sink, const Call &call = {}) const {
        return download(zcrm_photo_download, record, {}, sink, call);
    }
    /** Deletes the photo of a record: zcrm_photo_delete(). */
    Result<Outcome> photo_delete(const Record &record, const Call &call = {}) const {
        return remove(zcrm_photo_delete, record, {}, call);
    }
    /** Deletes an attachment, or several whose ids are separated by commas: zcrm_attachment_delete(). */
    Result<Outcome> attachment_delete(const Record &record, std::string_view ids, const Call &call = {}) const {
        return remove(zcrm_attachment_delete, record, ids, call);
    }
    /** Lists the records of a module by their ids, every page of them or one: zcrm_record_list(). */
    Result<RecordList> record_list(std::string_view module, const ListArgs &args = {}, const Call &call = {}) const {
        detail::Frame frame(call);
        const zcrm_list_args wanted = c_args(args);
        return detail::perform<RecordList>(frame, [&](auto *c, auto **result, auto **error) {
            return zcrm_record_list(get(), module.data(), module.size(), &wanted, c, result, error);
        });
    }
    /** The records of a module page by page: `for (auto &page : client.record_pages("Contacts"))`. See Pages. */
    Pages<RecordList> record_pages(std::string_view module, const ListArgs &args = {}, Call call = {}) const;
    /** Runs one operation given as JSON, which is taken as untrusted: zcrm_step_run(). Outcome::json() is the step's output. */
    Result<Outcome> step_run(std::string_view json, const Call &call = {}) const {
        detail::Frame frame(call);
        return detail::perform<Outcome>(
            frame, [&](auto *c, auto **result, auto **error) { return zcrm_step_run(get(), json.data(), json.size(), c, result, error); });
    }
    /** For zcrm.h; stays ours. */
    const zcrm_client *get() const noexcept { return handle_.get(); }

  private:
    explicit Client(zcrm_client *handle) noexcept : handle_(handle) {}

    static zcrm_target target_of(const Record &record, std::string_view attachment_id) noexcept {
        auto target = detail::sized<zcrm_target>();
        target.module = detail::str(record.module);
        target.record_id = detail::str(record.id);
        target.attachment_id = detail::str(attachment_id);
        return target;
    }
    static zcrm_list_args c_args(const ListArgs &args) noexcept {
        auto wanted = detail::sized<zcrm_list_args>();
        wanted.fields = detail::str(args.fields);
        wanted.page_token = detail::str(args.page_token);
        wanted.page = args.page;
        wanted.per_page = args.per_page;
        return wanted;
    }
    template <class T, class Function>
    Result<T> upload(Function function, const Record &record, const Source &source, const Call &call) const {
        if (source.failed_) return Error(ZCRM_E_CALLBACK, nullptr, "the stream had failed before it was read: was its file opened?");
        if (const zcrm_status status = source.reopen()) return Error(status, nullptr, "an earlier upload has taken bytes from this source, and it can't go back");
        detail::Frame frame(call);
        const zcrm_target target = target_of(record, {});
        const zcrm_source from = frame.c_source(source);
        return detail::perform<T>(frame, [&](auto *c, auto **result, auto **error) { return function(get(), &target, &from, c, result, error); });
    }
    template <class Function>
    Result<Download> download(Function function, const Record &record, std::string_view id, const Sink &sink, const Call &call) const {
        detail::Frame frame(call);
        const zcrm_target target = target_of(record, id);
        const zcrm_sink to = frame.c_sink(sink);
        auto done = detail::perform<Download>(frame, [&](auto *c, auto **result, auto **error) { return function(get(), &target, &to, c, result, error); });
        if (done && sink.finish_ && !sink.finish_()) return Error(ZCRM_E_CALLBACK, nullptr, "the stream failed when it was flushed at the end");
        return done;
    }
    template <class Function>
    Result<Outcome> remove(Function function, const Record &record, std::string_view ids, const Call &call) const {
        detail::Frame frame(call);
        const zcrm_target target = target_of(record, ids);
        return detail::perform<Outcome>(frame, [&](auto *c, auto **result, auto **error) { return function(get(), &target, c, result, error); });
    }

    detail::Handle<zcrm_client, zcrm_client_free> handle_;
};

/**
 * The pages of a list, fetched one at a time while they are iterated over, once: zcrm_pages_next(). Each is a Result; a failure is the last.
 * Each row comes once, even if the list changes meanwhile: you can delete the attachments of each page, and none is left behind.
 */
template <class List>
class Pages {
  public:
    /** Goes through the pages. An input iterator: `*it` is valid until `++it`. */
    class iterator {
      public:
        /** For std::iterator_traits. */
        using iterator_category = std::input_iterator_tag;
        /** For std::iterator_traits. */
        using value_type = Result<List>;
        /** For std::iterator_traits. */
        using difference_type = std::ptrdiff_t;
        /** For std::iterator_traits. */
        using pointer = value_type *;
        /** For std::iterator_traits. */
        using reference = value_type &;

        /** The end. */
        iterator() noexcept = default;
        /** At the page that `pages` stands at, or at the end when there is none. */
        explicit iterator(Pages *pages) noexcept : pages_(pages && pages->page_ ? pages : nullptr) {}
        /** The page. */
        reference operator*() const noexcept { return *pages_->page_; }
        /** A member of the page's Result. */
        pointer operator->() const noexcept { return &*pages_->page_; }
        /** Fetches the next page. */
        iterator &operator++() {
            pages_->fetch();
            return *this = iterator(pages_);
        }
        /** Fetches the next page. */
        void operator++(int) { ++*this; }
        /** Whether both are at the end, or both at a page. */
        friend bool operator==(const iterator &a, const iterator &b) noexcept { return a.pages_ == b.pages_; }
        /** The opposite. */
        friend bool operator!=(const iterator &a, const iterator &b) noexcept { return !(a == b); }

      private:
        Pages *pages_ = nullptr;
    };

    /** Fetches the first page. Call it once. */
    iterator begin() {
        fetch();
        return iterator(this);
    }
    /** Behind the last page. */
    iterator end() noexcept { return {}; }

  private:
    friend class Client;
    Pages(Result<detail::PagesHandle> pages, Call call) : pages_(std::move(pages)), call_(std::move(call)) {}

    void fetch() {
        const bool failed = page_ && !*page_;
        page_.reset();
        if (failed) return;
        if (!pages_) {
            page_.emplace(std::move(pages_).error());
            return;
        }
        detail::Frame frame(call_);
        auto page = detail::perform<Next>(frame, [&](auto *c, auto **result, auto **error) { return zcrm_pages_next(pages_->get(), c, result, error); });
        if (!page) {
            page_.emplace(std::move(page).error());
        } else if (page->list) {
            page_.emplace(*std::move(page->list));
        }
    }

    /** A page, or the end. */
    struct Next {
        std::optional<List> list;
        static Result<Next> read(detail::ResultHandle handle) {
            Next next;
            if (!handle) return next;
            auto list = List::read(std::move(handle));
            if (!list) return std::move(list).error();
            next.list.emplace(*std::move(list));
            return next;
        }
    };

    Result<detail::PagesHandle> pages_;
    Call call_;
    std::optional<Result<List>> page_;
};

inline Pages<AttachmentList> Client::attachment_pages(const Record &record, const ListArgs &args, Call call) const {
    const zcrm_target target = target_of(record, {});
    const zcrm_list_args wanted = c_args(args);
    zcrm_pages *pages = nullptr;
    zcrm_error *error = nullptr;
    if (const zcrm_status status = zcrm_pages_new(get(), &target, &wanted, &pages, &error)) return {Error(status, error), std::move(call)};
    return {detail::PagesHandle(pages), std::move(call)};
}

inline Pages<RecordList> Client::record_pages(std::string_view module, const ListArgs &args, Call call) const {
    const zcrm_list_args wanted = c_args(args);
    zcrm_pages *pages = nullptr;
    zcrm_error *error = nullptr;
    const zcrm_status status = zcrm_record_pages_new(get(), module.data(), module.size(), &wanted, &pages, &error);
    if (status) return {Error(status, error), std::move(call)};
    return {detail::PagesHandle(pages), std::move(call)};
}

/** How one step of a Batch ended. Its texts are borrowed during the callback, and NUL-terminated. */
struct BatchEnd {
    /** The step's key. */
    std::string_view key;
    /** ZCRM_OK, or the status that Client::step_run() would have given. */
    zcrm_status status = ZCRM_OK;
    /** What Outcome::json() or Error::json() would have given. */
    std::string_view json;
    /** Whether it was done in an earlier run, and the journal knows it. */
    bool from_journal = false;
};

/** Reports how a step ended, in the order in which they end, on the thread that called Batch::run(). Return true to go on, false to cancel the batch. */
using BatchEnded = std::function<bool(const BatchEnd &end)>;

/** Asked for the next step of a Batch when there is room for one, on the thread that called Batch::run(): writes its key and its JSON and returns
 *  true, or false when there are no more. Strings come with what they held before. */
using NextStep = std::function<bool(std::string &key, std::string &step)>;

/** How a Batch is run. */
struct BatchOptions {
    /** Path of a file that remembers what was begun and done; empty = none. Run again with it, a batch sends only what its record doesn't show yet. */
    std::string journal;
    /** Steps at once, at most 256; 0 = as many as the setting `max_in_flight` lets in, which applies as well. */
    std::uint32_t parallel = 0;
    /** API calls after which no further step is begun; 0 = no bound. */
    std::uint64_t credits = 0;
};

/** How a Batch ended. */
class BatchSummary : public Outcome {
  public:
    /** Steps that are done, those of earlier runs included. */
    std::uint64_t done = 0;
    /** How many of these were done in an earlier run. */
    std::uint64_t from_journal = 0;
    /** Steps that were refused or failed. */
    std::uint64_t failed = 0;
    /** How many of these are uploads that may or may not be stored. */
    std::uint64_t unknown = 0;
    /** Steps that were not begun, or not finished: the next run does them. */
    std::uint64_t left = 0;
    /** Why steps are left: "credits_budget", "credits_exhausted", "no_token", "source", "cancelled" or "call_timeout"; else empty. */
    std::string stopped;
    /** API calls made. */
    std::uint64_t attempts = 0;
    /** Takes over what the C function gave. */
    static Result<BatchSummary> read(detail::ResultHandle handle) {
        BatchSummary summary(std::move(handle));
        zcrm_error *error = nullptr;
        auto c = detail::sized<zcrm_batch_summary>();
        if (const zcrm_status status = zcrm_result_batch(summary.get(), &c, &error)) return Error(status, error);
        summary.done = c.done;
        summary.from_journal = c.from_journal;
        summary.failed = c.failed;
        summary.unknown = c.unknown;
        summary.left = c.left;
        summary.attempts = c.attempts;
        summary.stopped = detail::text(c.stopped);
        return summary;
    }

  private:
    using Outcome::Outcome;
};

/**
 * Steps to be run together: zcrm_batch_run(). One thread fills it; pause() and resume() may be called from any.
 *
 *   zcrm::Batch batch;
 *   for (auto &job : jobs) if (auto added = batch.add(job.key, job.step); !added) return fail(added.error());
 *   auto summary = batch.run(client, {"upload.journal", 8}, [](const zcrm::BatchEnd &end) { return report(end), true; });
 */
class Batch {
  public:
    /** No step. */
    Batch() noexcept {
        zcrm_batch *handle = nullptr;
        zcrm_batch_new(&handle);  // fails only without a place for the handle
        handle_.reset(handle);
    }
    /**
     * Adds a step; not while the batch runs. ZCRM_E_ARGUMENT.
     *
     * @param key   what the caller calls it: unique in the batch, the same whenever it is run again, and without NUL
     * @param step  the step, as Client::step_run() takes it; it may name files only below the directories of the setting `allow_paths`
     */
    Result<void> add(std::string_view key, std::string_view step) {
        if (key.find('\0') != std::string_view::npos) return Error(ZCRM_E_ARGUMENT, nullptr, "key: holds a NUL");
        zcrm_error *error = nullptr;
        const std::string name(key);
        const char *json = step.data() ? step.data() : "";
        if (const zcrm_status status = zcrm_batch_add(handle_.get(), name.c_str(), json, step.size(), &error)) return Error(status, error);
        return {};
    }
    /**
     * Lets it ask for its steps, after those that were added, so that a batch of any length takes little memory: zcrm_batch_set_source(). An empty
     * function is asked no more. An exception of it stops the batch, and comes back from run() as that same exception. ZCRM_E_STATE while it runs.
     */
    Result<void> source(NextStep next) {
        auto asked = next ? std::make_shared<Asked>(Asked{std::move(next), {}, {}}) : nullptr;
        zcrm_error *error = nullptr;
        if (const zcrm_status status = zcrm_batch_set_source(handle_.get(), asked ? &ask : nullptr, asked.get(), &error)) return Error(status, error);
        asked_ = std::move(asked);
        return {};
    }
    /** Holds it: steps under way end and none is begun. Also before run(), and from `ended`. */
    void pause() const noexcept { zcrm_batch_pause(handle_.get(), 1); }
    /** Lets it go on. */
    void resume() const noexcept { zcrm_batch_pause(handle_.get(), 0); }
    /**
     * Runs the steps, which stay, so that it can be run again. Success also when steps have failed or are left: see the summary. An error
     * only when nothing can be run: ZCRM_E_IO, ZCRM_E_PROTOCOL (the journal is broken), ZCRM_E_STATE (another batch has it).
     *
     * @param client   the client
     * @param options  how to run it
     * @param ended    told of each end, or empty. When it throws, the batch is cancelled, and it isn't told of the steps that end then.
     * @param call     timeout, cancel token and trace id of the whole; sha256(), skip_existing() and skip_same_bytes() of each step
     */
    Result<BatchSummary> run(const Client &client, const BatchOptions &options = {}, const BatchEnded &ended = {}, const Call &call = {}) const {
        detail::Frame frame(call);
        Told told{frame, ended};
        const auto asked = asked_;  // also when one of its functions destroys the batch
        auto args = detail::sized<zcrm_batch_args>();
        args.journal = detail::str(options.journal);
        args.parallel = options.parallel;
        args.credits = options.credits;
        args.ended = ended ? &tell : nullptr;
        args.user = &told;
        return detail::perform<BatchSummary>(
            frame, [&](auto *c, auto **result, auto **error) { return zcrm_batch_run(client.get(), handle_.get(), &args, c, result, error); });
    }
    /** For zcrm.h; stays ours. */
    const zcrm_batch *get() const noexcept { return handle_.get(); }

  private:
    struct Told {
        detail::Frame &frame;
        const BatchEnded &ended;
        bool threw = false;
    };

    struct Asked {
        NextStep next;
        std::string key, step;
    };

    static std::int32_t ask(void *user, zcrm_str *key, zcrm_str *json) noexcept {
        auto &asked = *static_cast<Asked *>(user);
        return detail::Frame::run(detail::Frame::current(), [&] {
            if (!asked.next(asked.key, asked.step)) return 0;
            *key = detail::str(asked.key);
            *json = detail::str(asked.step);
            return 1;
        });
    }

    static std::int32_t tell(void *user, const char *key, zcrm_status status, const char *json, std::int32_t from_journal) noexcept {
        auto &told = *static_cast<Told *>(user);
        if (told.threw) return 1;
        const zcrm_status answer = detail::Frame::run(&told.frame, [&] { return told.ended(BatchEnd{key, status, json, from_journal != 0}) ? 0 : 1; });
        told.threw = answer < 0;
        return answer;
    }

    std::shared_ptr<Asked> asked_;
    detail::Handle<zcrm_batch, zcrm_batch_free> handle_;
};

/**
 * Exchanges the setting `grant_code` for a refresh token, once, when a connection is set up: zcrm_auth_exchange().
 *
 * Outcome::json() has `refresh_token`, `access_token`, `api_domain`, `scope` and `expires_in`: keep it out of logs.
 */
inline Result<Outcome> auth_exchange(const Config &config, const Call &call = {}) {
    detail::Frame frame(call);
    return detail::perform<Outcome>(frame, [&](auto *c, auto **result, auto **error) { return zcrm_auth_exchange(config.get(), c, result, error); });
}

/** Describes the steps, with the JSON Schema of each input and output, and the settings, in one JSON document. Static. */
inline std::string_view step_describe() noexcept {
    return zcrm_step_describe();
}

}  // namespace zcrm

#undef ZCRM_SETTER
#undef ZCRM_BORROWED

#endif  // ZCRM_HPP
