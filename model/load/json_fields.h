// Reads typed fields of a JSON object. A missing or null field takes the fallback, or is an error without
// one; a field of the wrong type is always an error that names file and key. Remembers what was asked for, so that
// nothing is read past in silence.
#pragma once

#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lapidary/result.h"

namespace lapidary::model {

class JsonFields {
  public:
    // `where` names the object in errors: the file, and the section in it. Both must outlive this.
    JsonFields(const nlohmann::json& object, std::string where)
        : object_(&object), where_(std::move(where)) {}

    bool has(const char* key) const { return get(key) != nullptr; }
    Result<int32_t> integer(const char* key, std::optional<int32_t> fallback = {}) const;
    Result<double> number(const char* key, std::optional<double> fallback = {}) const;
    Result<bool> boolean(const char* key, bool fallback) const;
    Result<std::string> text(const char* key, const std::string& fallback) const;
    Result<std::vector<int32_t>> integers(const char* key) const;  // a number, a list, or nothing
    const nlohmann::json* get(const char* key) const;              // null when absent or null
    Result<const nlohmann::json*> object(const char* key) const;   // null when absent
    Result<const nlohmann::json*> array(const char* key) const;    // null when absent

    // Keys whose values, whatever they are, change no result here.
    void without_effect(std::initializer_list<const char*> keys) const;
    // A key that changes nothing as long as it has this value.
    void neutral(const char* key, const nlohmann::json& value) const;
    // What the other asked of the same object counts as asked here too.
    void also_asked(const JsonFields& other) const { asked_.insert(other.asked_.begin(), other.asked_.end()); }
    // Appends a sentence that names the keys with values that nobody asked for, if there are any.
    void note_rest(std::vector<std::string>& notes) const;

    const std::string& where() const { return where_; }
    Error wrong(const char* key, const char* expected) const;

  private:
    const nlohmann::json* object_;
    std::string where_;
    mutable std::set<std::string, std::less<>> asked_;
};

}  // namespace lapidary::model
