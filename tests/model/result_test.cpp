// Errors as values, as an embedder reads them.
#include "lapidary/result.h"

#include <doctest/doctest.h>

#include <memory>
#include <type_traits>
#include <vector>

#include "lapidary/tools.h"

using namespace lapidary;

namespace {

// What only the library may make or look into.
static_assert(!std::is_default_constructible_v<Engine> && !std::is_default_constructible_v<Session> &&
              !std::is_default_constructible_v<Prompt>);
static_assert(!std::is_constructible_v<Engine, std::shared_ptr<model::EngineState>>);
static_assert(!std::is_constructible_v<Session, std::unique_ptr<model::SessionState>>);
static_assert(!std::is_constructible_v<Prompt, std::shared_ptr<const model::PromptData>>);
static_assert(std::is_same_v<decltype(std::declval<const Result<int>&>().value()), const int&>);
static_assert(std::is_same_v<decltype(std::declval<Result<int>&>().value()), int&>);
static_assert(std::is_same_v<decltype(std::declval<Result<int>>().value()), int&&>);

}  // namespace

TEST_CASE("result: a value, read in every way") {
    Result<std::vector<int>> r(std::vector<int>{1, 2});
    REQUIRE(r);
    CHECK(r.has_value());
    CHECK(r->size() == 2);
    (*r)[0] = 3;
    const Result<std::vector<int>>& fixed = r;
    CHECK(fixed.value()[0] == 3);
    CHECK(fixed->back() == 2);
    CHECK(std::move(r).value().size() == 2);
}

TEST_CASE("result: the error of a success is ok and empty") {
    for (const Error& e : {Result<int>(7).error(), Result<void>().error()}) {
        CHECK(e.code == Errc::ok);
        CHECK(e.message.empty());
        CHECK(e.hint.empty());
    }
}

TEST_CASE("result: an error, and what value() then does") {
    const Result<std::unique_ptr<int>> r(Error{Errc::io_error, "disk is full", "make room"});
    CHECK(!r);
    CHECK(r.error().code == Errc::io_error);
    CHECK(r.error().message == "disk is full");
    CHECK_THROWS_AS((void)r.value(), std::bad_variant_access);
    const Result<void> v(Error{Errc::cancelled, "stopped"});
    CHECK(!v.has_value());
    CHECK(v.error().code == Errc::cancelled);
}
