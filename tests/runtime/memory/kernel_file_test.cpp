#include "runtime/memory/kernel_file.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "tests/support/scratch_folder.h"

using namespace lapidary::runtime;
using lapidary::test::ScratchFolder;

TEST_CASE("kernel file: text without the white space around it, and what is no file has none") {
    const ScratchFolder folder;
    CHECK(kernel_text(folder.write("word", " max \n")) == "max");
    CHECK(kernel_text(folder.write("lines", "a 1\nb 2\n\n")) == "a 1\nb 2");
    CHECK(kernel_text(folder.write("empty", "")).empty());
    CHECK(kernel_text(folder.write("blank", " \n\t\n")).empty());
    CHECK(kernel_text(folder.path()).empty());
    CHECK(kernel_text(folder.path() / "missing").empty());
    CHECK(kernel_text(folder.path() / std::string(5000, 'x')).empty());  // longer than a path may be
    REQUIRE(mkfifo((folder.path() / "pipe").c_str(), 0600) == 0);
    CHECK(kernel_text(folder.path() / "pipe").empty());  // and is not waited for
    CHECK(kernel_text(folder.write("huge", std::string(3 << 20, '7'))).size() == 1 << 20);
}

TEST_CASE("kernel file: /proc, whose files have no size") {
    CHECK(number_behind(kernel_text("/proc/self/status"), "VmRSS:").value_or(0) > 0);
}

TEST_CASE("kernel file: pieces, empty ones too") {
    using List = std::vector<std::string_view>;
    CHECK(pieces("cpu,memory", ',') == List{"cpu", "memory"});
    CHECK(pieces("a  b", ' ') == List{"a", "", "b"});
    CHECK(pieces("a\n", '\n') == List{"a", ""});
    CHECK(pieces("", ',') == List{""});
}

TEST_CASE("kernel file: numbers, and what is none") {
    CHECK(whole_number("0") == 0u);
    CHECK(whole_number("18446744073709551615") == UINT64_MAX);
    for (const char* bad : {"", "max", "-1", "+1", "18446744073709551616", "12 ", "12k", "1.5", "0x10"}) {
        CAPTURE(bad);
        CHECK(!whole_number(bad));
    }
}

TEST_CASE("kernel file: the number behind a key") {
    const char* text = "active_file 1\ninactive_file_more 2\ntotal_inactive_file 3\ninactive_file 4\ninactive_file 5\n"
                       "SwapFree:\t  6 kB\nbare";
    CHECK(number_behind(text, "inactive_file") == 4u);
    CHECK(number_behind(text, "total_inactive_file") == 3u);
    CHECK(number_behind(text, "SwapFree:") == 6u);
    CHECK(!number_behind(text, "bare"));
    CHECK(!number_behind(text, "file"));
    CHECK(!number_behind("key many\nkey 1", "key"));
    CHECK(!number_behind("", "key"));
}
