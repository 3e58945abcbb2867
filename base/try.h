// Shorthand for code that passes errors on. For the library and its programs; no installed header needs it.
#pragma once

#include <utility>

#define LAP_CONCAT_INNER(a, b) a##b
#define LAP_CONCAT(a, b) LAP_CONCAT_INNER(a, b)

// Returns the error of `expr` from the enclosing function, if it has one.
#define LAP_TRY(expr)                                                         \
    do {                                                                      \
        if (auto lap_result = (expr); !lap_result) return lap_result.error(); \
    } while (0)

// LAP_ASSIGN(auto x, call()): declares or assigns x, or returns the error of the call.
#define LAP_ASSIGN(target, expr) LAP_ASSIGN_INNER(LAP_CONCAT(lap_result_, __LINE__), target, expr)
#define LAP_ASSIGN_INNER(result, target, expr) \
    auto result = (expr);                      \
    if (!result) return result.error();        \
    target = std::move(*result)
