// Dates are days that there were or will be, the 29th of February in leap years alone; seconds end at 59.
#include "model/text/schema/formats.h"

#include <string>

namespace lapidary::model {
namespace {

// Of four digits; 0000 is no year.
#define LAP_LEAP_YEAR "(?:\\d\\d(?:0[48]|[2468][048]|[13579][26])|(?:0[48]|[2468][048]|[13579][26])00)"
#define LAP_YEAR "(?:\\d{3}[1-9]|\\d{2}[1-9]0|\\d[1-9]00|[1-9]000)"
#define LAP_DATE                                                                                                       \
    "(?:" LAP_YEAR "-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\\d|30)|02-(?:0[1-9]|1\\d|2[0-8]))|" \
    LAP_LEAP_YEAR "-02-29)"
#define LAP_TIME "(?:[01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(?:\\.\\d{1,6})?(?:Z|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)"
#define LAP_LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
#define LAP_SHORT_LABEL "[A-Za-z0-9](?:[A-Za-z0-9-]{0,14}[A-Za-z0-9])?"  // so that lengths can be counted along
#define LAP_HOST LAP_LABEL "(?:\\." LAP_LABEL "){0,3}"
#define LAP_BYTE "(?:25[0-5]|2[0-4]\\d|1\\d\\d|[1-9]?\\d)"
#define LAP_HEX "[0-9a-fA-F]"
#define LAP_PATH "(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%" LAP_HEX "{2})"

struct FormatRow {
    std::string_view name, pattern;
};
constexpr FormatRow kFormats[] = {
    {"date", "^" LAP_DATE "$"},
    {"time", "^" LAP_TIME "$"},
    {"date-time", "^" LAP_DATE "T" LAP_TIME "$"},
    {"uuid", "^" LAP_HEX "{8}(?:-" LAP_HEX "{4}){3}-" LAP_HEX "{12}$"},
    {"email", "^[A-Za-z0-9_+-]+(?:\\.[A-Za-z0-9_+-]+)*@" LAP_SHORT_LABEL "(?:\\." LAP_SHORT_LABEL ")*\\.[A-Za-z]{2,6}$"},
    {"hostname", "^" LAP_HOST "$"},
    {"ipv4", "^" LAP_BYTE "(?:\\." LAP_BYTE "){3}$"},
    {"uri", "^(?:[a-z][a-z0-9+.-]*://" LAP_HOST "(?::[1-9]\\d{0,3})?(?:/" LAP_PATH "*)*|urn:[a-z0-9]+:" LAP_PATH "+|mailto:" LAP_PATH "+)"
            "(?:\\?(?:" LAP_PATH "|[/?])*)?(?:#(?:" LAP_PATH "|[/?])*)?$"},
};

}  // namespace

std::string_view pattern_of_format(std::string_view format) {
    for (const FormatRow& row : kFormats)
        if (row.name == format) return row.pattern;
    return {};
}

bool is_number_format(std::string_view format) {
    return format == "int32" || format == "int64" || format == "float" || format == "double";
}

}  // namespace lapidary::model
