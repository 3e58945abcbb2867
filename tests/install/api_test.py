"""The public headers, the list of public functions (cmake/api.map) and what both libraries show say the same.

Needs LAPIDARY_BUILD, the folder of a finished build."""

import collections
import fnmatch
import os
import pathlib
import re
import subprocess
import sys
import unittest

from public_functions import public_functions

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import merge_static  # noqa: E402  (the path above is what makes it importable)

LIBRARIES = pathlib.Path(os.environ["LAPIDARY_BUILD"]) / "lib"
MAP = ROOT / "cmake/api.map"
HEADER = """#pragma once
#include <string>  // int not_in_a_comment();
namespace lapidary {
namespace detail { inline int hidden() { return 1; } }
struct State;
enum class Kind { one, two };
using Sink = std::function<bool(int)>;
inline constexpr int kOne = one(1);
struct Plain {
    int number = first(1), list = {2};
    std::function<void(int)> called = {};
    static Plain make(std::string name = {}, std::function<void()> f = {});
    int body() const { if (number) { return 1; } return 2; }
    bool operator==(const Plain&) const = default;
};
template <class T>
class Box { public: T get() { return {}; } private: T value_; };
class [[nodiscard]] Closed {
  public:
    explicit Closed(int);
    Closed& operator=(Closed&&) noexcept;
    ~Closed();
  private:
    friend struct State;
    void secret();
    int number_ = 0;
};
std::vector<int> free_one(const Plain& plain = {}, int n = 3);
void free_two();
void free_two(int);
}  // namespace lapidary
"""


def declared():
    """Public function -> the number of its overloads, and the header it stands in."""
    counts, places = collections.Counter(), {}
    for header in sorted((ROOT / "include/lapidary").glob("*.h")):
        for name in public_functions(header.read_text()):
            counts[name] += 1
            places[name] = header.name
    return counts, places


def unlisted(names, patterns):
    """Those that no pattern covers. A list cannot hold `(`, `~` and `=`, so it has ? for them."""
    return [n for n in names if not any(fnmatch.fnmatchcase(f"{n}(lapidary::{n.split('::')[-1]}&&)", p) for p in patterns)]


def shown(path, *flags):
    """Readable names of the functions that a library shows, without the parameters; each overload once."""
    lines = subprocess.run(["nm", "-C", "--defined-only", *flags, path], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    names = {line.split(" ", 2)[2] for line in lines if re.match(r"^[0-9a-f]{16} \w ", line)}
    return collections.Counter(re.sub(r"\[abi:\w+\]|\(.*", "", name) for name in names)


class Api(unittest.TestCase):
    maxDiff = None

    def test_headers_are_read_as_a_compiler_does(self):
        self.assertEqual(public_functions(HEADER), [
            "lapidary::Plain::make", "lapidary::Closed::Closed", "lapidary::Closed::operator=", "lapidary::Closed::~Closed",
            "lapidary::free_one", "lapidary::free_two", "lapidary::free_two"])

    def test_every_public_function_is_listed(self):
        counts, places = declared()
        self.assertIn("lapidary::Engine::open", counts)
        patterns = list(merge_static.patterns(MAP.read_text()))
        for name in unlisted(counts, patterns):
            self.fail(f"{name} of include/lapidary/{places[name]} is not in cmake/api.map: programs could not link it. "
                      f"Add the line  {name.replace('~', '?').replace('operator=', 'operator?')}?*;")
        for pattern in patterns:
            self.assertTrue(any(not unlisted([n], [pattern]) for n in counts),
                            f"cmake/api.map lists {pattern}, which no public header declares")

    def test_a_forgotten_function_is_noticed(self):
        self.assertEqual(unlisted(["lapidary::pack", "lapidary::unpack", "lapidary::Session::~Session", "lapidary::Session::fork"],
                                  ["lapidary::pack?*", "lapidary::Session::?Session?*"]),
                         ["lapidary::unpack", "lapidary::Session::fork"])

    def test_the_libraries_show_these_and_nothing_else(self):
        counts, _ = declared()
        for library, flags in (("liblapidary.so", ["-D"]), ("liblapidary.a", ["-g"])):
            with self.subTest(library):
                self.assertEqual(dict(shown(LIBRARIES / library, *flags)), dict(counts))


if __name__ == "__main__":
    unittest.main()
