"""The library as other programs find it: installed, then used through find_package, pkg-config and add_subdirectory.

Needs LAPIDARY_BUILD, the folder of a finished build. Clang is tried where it is; with LAPIDARY_EXPECT_TOOLS it must be.
Everything happens in one folder of that build: at the same place every time, ccache knows what it compiles."""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ["LAPIDARY_BUILD"])
WORK = BUILD / "tests/install/work"
PREFIX = WORK / "moved"  # found where it lies, not where it was meant to lie
TINY = ROOT / "models/tiny"
WHO = "I am a tiny demo model"


def cached(name):
    """A setting of the build that is tested."""
    found = re.search(rf"^{name}:\w+=(.*)$", (BUILD / "CMakeCache.txt").read_text(), re.MULTILINE)
    return found[1] if found else ""


COMPILER, LAUNCHER = cached("CMAKE_CXX_COMPILER"), cached("CMAKE_CXX_COMPILER_LAUNCHER")


def compilers():
    """The build's own, and the other one where it is."""
    found = [COMPILER]
    own = pathlib.Path(COMPILER).resolve()
    found += [c for c in map(shutil.which, ("g++", "clang++")) if c and pathlib.Path(c).resolve() != own]
    if os.environ.get("LAPIDARY_EXPECT_TOOLS") and not any("clang" in str(pathlib.Path(c).resolve()) for c in found):
        raise RuntimeError("clang++ is expected here and missing")
    return found


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=900, **more)
    if done.returncode != 0:
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    return done.stdout


def configure(source, out, compiler, *options):
    run("cmake", "-S", source, "-B", out, "-G", "Ninja", f"-DCMAKE_CXX_COMPILER={compiler}",
        f"-DCMAKE_CXX_COMPILER_LAUNCHER={LAUNCHER}", *options)


def compile_program(compiler, *arguments):
    run(*([LAUNCHER] if LAUNCHER and "-c" in arguments else []), compiler, "-std=c++20", *arguments)


def new_folder(name):
    folder = WORK / name
    folder.mkdir()
    return folder


def internal_functions(library):
    """Linker names of our functions that a library does not show."""
    symbols = run("nm", "--defined-only", library)
    return sorted(set(re.findall(r"^[0-9a-f]{16} t (_ZNK?(?:8lapidary|5xsimd|8nlohmann)\w+)$", symbols, re.MULTILINE)))


class Consumers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        shutil.rmtree(WORK, ignore_errors=True)
        run("cmake", "--install", BUILD, "--prefix", WORK / "first")
        (WORK / "first").rename(PREFIX)
        cls.libs = next(PREFIX.rglob("liblapidary.a")).parent

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(WORK)

    def pkg_config(self, *what, package="lapidary"):
        return run("pkg-config", *what, package, env={**os.environ, "PKG_CONFIG_PATH": self.libs / "pkgconfig"}).split()

    def static_libs(self):
        return ["-l:liblapidary.a" if flag == "-llapidary" else flag for flag in self.pkg_config("--static", "--libs")]

    def start(self, program, *arguments, **more):
        return run(program, *arguments, env={**os.environ, "LD_LIBRARY_PATH": self.libs}, **more)

    def check_linked(self, program, shared):
        self.assertEqual("liblapidary.so" in run("readelf", "-d", program), shared)

    def check_answers(self, folder):
        self.assertIn(WHO, self.start(folder / "hello", TINY))
        self.assertEqual(self.start(folder / "picture", TINY, TINY / "samples/image_2.png"),
                         "A pink square and a yellow triangle.\n")
        self.assertRegex(self.start(folder / "stream_cancel", TINY), r"stopped after 5 tokens\ncancelled\n$")
        talked = self.start(folder / "chat", TINY, input="What is the weather in Paris?\nWho are you?\n")
        self.assertRegex(talked, r'^\(get_weather \{"city":"Paris"\}\)\n.*21.*\n\(\d+ of \d+ tokens were known\)\n')
        first, second = self.start(folder / "two_sessions", TINY).splitlines()
        self.assertEqual(first, second)
        self.assertIn(WHO, first)

    def test_files(self):
        names = {p.name for p in self.libs.iterdir() if p.is_file()}
        version = cached("CMAKE_PROJECT_VERSION")
        soname = re.search(r"SONAME.*\[(.*)\]", run("readelf", "-d", self.libs / "liblapidary.so"))[1]
        self.assertEqual(soname, f"liblapidary.so.{'.'.join(version.split('.')[:2])}")
        module = {"liblapidary_ffmpeg.so"} if cached("LAP_FFMPEG") == "ON" else set()
        self.assertEqual(names, {"liblapidary.so", soname, f"liblapidary.so.{version}", "liblapidary.a"} | module)
        self.assertIn(WHO, run(PREFIX / "bin/lapidary", "run", "-q", "--temp", "0", "-p", "Who are you?", cwd=WORK))

    def test_install_below_another_root(self):
        root = WORK / "root"
        run("cmake", "--install", BUILD, "--prefix", "/usr", env={**os.environ, "DESTDIR": root})
        self.assertEqual([p.name for p in root.iterdir()], ["usr"])
        names = {str(p.relative_to(root / "usr")) for p in root.rglob("*") if not p.is_dir()}
        self.assertEqual(names, {str(p.relative_to(PREFIX)) for p in PREFIX.rglob("*") if not p.is_dir()})
        for path in [*root.rglob("*.cmake"), *root.rglob("*.pc")]:
            for place in (ROOT, BUILD, root):
                self.assertNotIn(str(place), path.read_text(), path)

    def test_headers(self):
        for header in sorted((PREFIX / "include/lapidary").iterdir()):
            self.assertNotRegex(header.read_text(), r"(?m)^\s*#\s*define")
            for compiler in compilers():
                run(compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion",
                    "-Werror", f"-I{PREFIX / 'include'}", "-include", header, "-x", "c++", "/dev/null")

    def test_find_package(self):
        for number, compiler in enumerate(compilers()):
            for shared in (True, False):
                with self.subTest(compiler=compiler, shared=shared):
                    out = WORK / f"examples{number}{shared}"
                    configure(ROOT / "examples/consumer/find_package", out, compiler, f"-DCMAKE_PREFIX_PATH={PREFIX}",
                              f"-DBUILD_SHARED_LIBS={shared}", "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror")
                    run("cmake", "--build", out)
                    self.check_linked(out / "hello", shared)
                    self.check_answers(out)

    def find(self, name, version, **environment):
        project = new_folder(name)
        (project / "CMakeLists.txt").write_text(
            f"cmake_minimum_required(VERSION 3.22)\nproject({name} LANGUAGES CXX)\n"
            f"find_package(lapidary {version} REQUIRED)\nmessage(STATUS \"version ${{lapidary_VERSION}}\")\n")
        return subprocess.run(["cmake", "-S", project, "-B", project / "build", "-G", "Ninja"], capture_output=True, text=True,
                              env={**os.environ, **environment})

    def test_find_package_where_programs_are_found(self):
        done = self.find("found", "0.1", PATH=f"{PREFIX / 'bin'}:{os.environ['PATH']}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"version {cached('CMAKE_PROJECT_VERSION')}", done.stdout)

    def test_find_package_of_another_minor_version_is_refused(self):
        done = self.find("refused", "0.0", CMAKE_PREFIX_PATH=str(PREFIX))
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"version: {cached('CMAKE_PROJECT_VERSION')}", done.stderr)

    def test_pkg_config(self):
        for shared in (True, False):
            with self.subTest(shared=shared):
                out = new_folder(f"pkg{shared}")
                run("make", "-C", ROOT / "examples/consumer/pkg_config", f"OUT={out}", f"CXX={LAUNCHER} {COMPILER}",
                    *([] if shared else ["STATIC=1"]), env={**os.environ, "PKG_CONFIG_PATH": self.libs / "pkgconfig"})
                self.check_linked(out / "hello", shared)
                self.check_answers(out)

    def test_the_bundled_model_is_found_beside_the_shared_library(self):
        out = new_folder("bundled")
        (out / "bundled.cpp").write_text(
            '#include <cstdio>\n#include "lapidary/tools.h"\n'
            'int main() { const auto p = lapidary::bundled_model(); std::puts(p ? p->c_str() : p.error().message.c_str()); }\n')
        compile_program(COMPILER, out / "bundled.cpp", "-o", out / "bundled", *self.pkg_config("--cflags"),
                        *self.pkg_config("--libs"))
        env = {**os.environ, "LD_LIBRARY_PATH": str(self.libs)}
        found = pathlib.Path(run(out / "bundled", env=env).strip())
        self.assertEqual(found.resolve(), (PREFIX / "share/lapidary/models/tiny").resolve())

    def test_a_program_with_names_like_ours_inside(self):
        """Every function that the library keeps to itself exists in the program too, and ends it there."""
        out = new_folder("embedder")
        png = self.pkg_config("--cflags", package="libpng"), self.pkg_config("--libs", package="libpng")
        compile_program(COMPILER, "-c", ROOT / "tests/install/embedder.cpp", "-o", out / "embedder.o",
                        *self.pkg_config("--cflags"), *png[0])
        own = set(re.findall(r"\S+$", run("nm", "--defined-only", out / "embedder.o"), re.MULTILINE))
        names = [name for name in internal_functions(self.libs / "liblapidary.a") if name not in own]
        self.assertGreater(len(names), 500)
        (out / "names.cpp").write_text("".join(
            f'void f{i}() __asm__("{name}");\nvoid f{i}() {{ __builtin_trap(); }}\n' for i, name in enumerate(names)))
        compile_program(COMPILER, "-c", out / "names.cpp", "-o", out / "names.o")
        for shared, libs in ((True, self.pkg_config("--libs")), (False, self.static_libs())):
            with self.subTest(shared=shared):
                compile_program(COMPILER, "-rdynamic", out / "embedder.o", out / "names.o", "-o", out / "embedder",
                                *png[1], *libs)
                self.check_linked(out / "embedder", shared)
                self.assertIn(WHO, self.start(out / "embedder", TINY, out / "grey.png"))

    def test_readme_program_beside_the_sources(self):
        (WORK / "main.cpp").write_text(re.search(r"```cpp\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1])
        for number, compiler in enumerate(compilers()):
            out = BUILD.with_name(f"{BUILD.name}-consumer{number}")
            shutil.rmtree(out, ignore_errors=True)
            self.addCleanup(shutil.rmtree, out, ignore_errors=True)
            kind = cached("CMAKE_BUILD_TYPE")
            flags = [f"-D{name}={cached(name)}" for name in ("CMAKE_CXX_FLAGS", f"CMAKE_CXX_FLAGS_{kind.upper()}")]
            configure(ROOT / "examples/consumer/add_subdirectory", out, compiler, f"-DPROGRAM={WORK / 'main.cpp'}",
                      f"-DCMAKE_BUILD_TYPE={kind}", *flags)
            rules = run("ninja", "-C", out, "-t", "commands", "consumer")
            self.assertNotIn("-Werror", rules)
            own = next(line for line in rules.splitlines() if "CMakeFiles/consumer.dir/" in line and " -c " in line)
            self.assertRegex(own, r"-std=(gnu|c)\+\+20\b")
            self.assertNotRegex(own, r"-W|-DLAP")
            self.assertEqual(re.findall(r"-(?:I|isystem) ?(\S+)", own), [str(ROOT / "include")])
            targets = run("ninja", "-C", out, "-t", "targets", "all")
            self.assertEqual(re.findall(r"^(.*): CXX_(?:EXECUTABLE|SHARED_LIBRARY)_LINKER", targets, re.MULTILINE), ["consumer"])
            self.assertIn("Total Tests: 0", run("ctest", "--test-dir", out, "-N"))
            run("cmake", "--install", out, "--prefix", out / "nothing")
            self.assertFalse((out / "nothing").exists())
            # Compiling the program must do: the rooms would be compiled once more, and the program here links them the same way.
            compiled = re.search(r"^(CMakeFiles/consumer\.dir/.*?):", targets, re.MULTILINE)[1]
            run("ninja", "-C", out, compiled)


if __name__ == "__main__":
    unittest.main()
