// Errors as values. Every fallible call of the library returns Result<T>: a value or an Error with a
// code, a message that names the thing and the numbers, and a hint that says what to do.
// Nothing here allocates unless an error is made; nothing throws except value() on an error.
//
//   auto engine = lapidary::Engine::open({.model = "model.gguf"});
//   if (!engine) return report(engine.error());
//   engine->info();
#pragma once

#include <string>
#include <utility>
#include <variant>

namespace lapidary {

enum class Errc {
    ok,
    invalid_argument,    // the caller's options, numbers, token ids, UTF-8 or messages are wrong
    not_found,           // a file other than the model is missing
    io_error,            // reading or writing failed (permissions, full disk)
    model_not_found,     // the model, projector or drafter file is missing
    bad_model_file,      // ... is damaged or inconsistent
    unsupported_model,   // ... is whole, but not what this library runs
    does_not_fit,        // more memory than the budget, or than is left: a session goes on once it is there
    out_of_memory,       // an allocation failed
    device_unavailable,  // a device was asked for and is absent
    device_lost,
    context_full,        // the prompt or the reply does not fit into the context
    media_unsupported,   // a picture, recording or video cannot be used
    bad_grammar,         // a JSON Schema is none, or has what is not served
    bad_session_file,    // a saved session or chat is damaged, or of another model
    cancelled,
    internal,
};

struct Error {
    Errc code = Errc::internal;
    std::string message;
    std::string hint = {};
};

namespace detail {
// What error() gives of a result that has none.
inline const Error& no_error() {
    static const Error kNone{Errc::ok, {}, {}};
    return kNone;
}
}  // namespace detail

// A value or an Error. * and -> are for results that were found to have a value.
template <class T>
class [[nodiscard]] Result {
  public:
    Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

    bool has_value() const { return state_.index() == 0; }
    explicit operator bool() const { return has_value(); }
    T& operator*() & { return *std::get_if<0>(&state_); }
    const T& operator*() const& { return *std::get_if<0>(&state_); }
    T&& operator*() && { return std::move(*std::get_if<0>(&state_)); }
    T* operator->() { return std::get_if<0>(&state_); }
    const T* operator->() const { return std::get_if<0>(&state_); }
    // Of a result with a value: Errc::ok, no message.
    const Error& error() const { return has_value() ? detail::no_error() : *std::get_if<1>(&state_); }
    // The value; throws std::bad_variant_access when there is none.
    T& value() & { return std::get<0>(state_); }
    const T& value() const& { return std::get<0>(state_); }
    T&& value() && { return std::get<0>(std::move(state_)); }

  private:
    std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() = default;
    Result(Error error) : error_(std::move(error)), failed_(true) {}

    bool has_value() const { return !failed_; }
    explicit operator bool() const { return !failed_; }
    const Error& error() const { return error_; }

  private:
    Error error_{Errc::ok, {}, {}};
    bool failed_ = false;
};

}  // namespace lapidary
