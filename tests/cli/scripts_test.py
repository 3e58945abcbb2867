"""scripts/install_packages.sh and configure.sh on machines and build folders that are not as they hope."""

import re
import shutil
import subprocess

from support import ROOT, CliTest, main

BASH = shutil.which("bash")
# Commands that lie: nothing is installed, the user is not root, apt-get fails.
LIES = {"dpkg-query": "exit 1", "id": "echo 1000", "apt-get": "exit 100", "sudo": 'exec "$@"'}


class InstallPackages(CliTest):
    def install(self, *commands, what="test"):
        """Runs the script where only these commands exist, and the plain tools it is written with."""
        folder = self.folder / "-".join(("bin", *commands))
        folder.mkdir(exist_ok=True)
        for tool in ("env", "grep", "dirname"):
            if not (folder / tool).exists():
                (folder / tool).symlink_to(shutil.which(tool))
        for command in commands:
            path = folder / command
            path.write_text(f"#!{BASH}\n{LIES[command]}\n")
            path.chmod(0o755)
        return subprocess.run([BASH, ROOT / "scripts/install_packages.sh", what], env={"PATH": str(folder)},
                              capture_output=True, text=True)

    def test_without_sudo_it_says_what_to_run_as_root(self):
        done = self.install("dpkg-query", "id", "apt-get")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        first, second = done.stderr.splitlines()
        self.assertIn("no sudo", first)
        self.assertIn("apt-get install", second)
        for package in ("g++", "ninja-build", "libjpeg-dev", "libbenchmark-dev", "doctest-dev"):
            self.assertIn(f" {package}", second)
        self.assertNotIn("libbenchmark-dev", self.install("dpkg-query", "id", "apt-get", what="build").stderr)

    def test_a_failing_installation_says_what_to_run_too(self):
        done = self.install("dpkg-query", "id", "apt-get", "sudo")
        self.assertEqual(done.returncode, 1)
        self.assertIn("installing failed", done.stderr)
        self.assertIn("apt-get install -y", done.stderr)

    def test_other_systems_get_the_list(self):
        done = self.install("dpkg-query", "id")
        self.assertEqual(done.returncode, 1)
        self.assertIn("apt-get is not here", done.stderr)
        self.assertEqual(self.install(what="everything").returncode, 2)

    def test_every_package_that_cmake_looks_for_is_named(self):
        packages = {"benchmark": "libbenchmark-dev", "doctest": "doctest-dev", "Eigen3": "libeigen3-dev",
                    "xsimd": "libxsimd-dev", "fmt": "libfmt-dev", "libpng": "libpng-dev",
                    "nlohmann_json": "nlohmann-json3-dev", "libjpeg": "libjpeg-dev", "Python3": "python3",
                    "PkgConfig": "pkg-config", "Threads": "g++", "sndfile": "libsndfile1-dev",
                    "samplerate": "libsamplerate0-dev", "libxxhash": "libxxhash-dev",
                    "libmpg123": "libmpg123-dev", "vorbisfile": "libvorbis-dev", "libwebp": "libwebp-dev",
                    "libwebpdemux": "libwebp-dev", "GIF": "libgif-dev", "libedit": "libedit-dev", "libavformat": "libavformat-dev",
                    "libavcodec": "libavcodec-dev", "libavutil": "libavcodec-dev", "libswscale": "libswscale-dev",
                    "libswresample": "libswresample-dev"}
        named = self.install("dpkg-query", "id", "apt-get").stderr.split()
        lists = [ROOT / "CMakeLists.txt", *(path for room in ("kernels", "runtime", "model", "apps", "tests", "bench")
                                            for path in (ROOT / room).rglob("CMakeLists.txt"))]
        text = "\n".join(path.read_text() for path in lists)
        found = re.findall(r"^ *find_package\((\S+?)[ )]", text, re.M)
        for modules in re.findall(r"^ *pkg_check_modules\(\w+ (.*)\)", text, re.M):
            found += [re.sub(">=.*", "", word) for word in modules.split() if word not in ("REQUIRED", "IMPORTED_TARGET")]
        self.assertIn("benchmark", found)
        self.assertIn("sndfile", found)
        self.assertIn("libavformat", found)
        for name in found:
            self.assertIn(packages[name], named, f"what CMake calls {name}")


PROJECT = """cmake_minimum_required(VERSION 3.22)
project(small LANGUAGES NONE)
option(BROKEN "" OFF)
if(BROKEN)
  find_package(something_that_nobody_has REQUIRED)
endif()
file(GLOB all CONFIGURE_DEPENDS *.txt)
add_custom_target(small ALL COMMENT "${all}")
"""


class Configure(CliTest):
    def project(self, name):
        folder = self.folder / name
        (folder / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts/configure.sh", folder / "scripts")
        (folder / "CMakeLists.txt").write_text(PROJECT)
        (folder / "CMakePresets.json").write_text(
            '{"version": 3, "configurePresets": [{"name": "release", "generator": "Ninja", '
            '"binaryDir": "${sourceDir}/build/release"}]}')
        return folder

    def configure(self, folder, *options):
        return subprocess.run([folder / "scripts/configure.sh", *options], capture_output=True, text=True)

    def builds(self, folder, *options):
        done = self.configure(folder, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        built = subprocess.run(["cmake", "--build", folder / "build/release"], capture_output=True, text=True)
        self.assertEqual(built.returncode, 0, built.stdout + built.stderr)
        return done.stderr

    def test_a_moved_clone(self):
        folder = self.project("one")
        self.builds(folder)
        moved = folder.rename(self.folder / "two")
        self.assertIn("starting afresh", self.builds(moved))
        self.assertNotIn("starting afresh", self.builds(moved))
        shutil.copytree(moved, self.folder / "three")
        shutil.rmtree(moved)
        self.builds(self.folder / "three")

    def test_a_link_to_the_clone(self):
        folder = self.project("real")
        self.builds(folder)
        link = self.folder / "link"
        link.symlink_to(folder)
        for path in (link, folder, link):
            self.assertNotIn("starting afresh", self.builds(path))

    def test_a_failed_option_is_forgotten(self):
        folder = self.project("options")
        for _ in range(2):
            self.assertEqual(self.configure(folder, "-DBROKEN=ON").returncode, 1)
            self.builds(folder)
        subprocess.run(["cmake", "--preset", "release", "-DBROKEN=ON"], cwd=folder, capture_output=True)
        self.assertIn("starting afresh", self.builds(folder))

    def test_another_generator_and_a_damaged_cache(self):
        folder = self.project("caches")
        self.builds(folder)
        cache = folder / "build/release/CMakeCache.txt"
        for old, new in (("GENERATOR:INTERNAL=Ninja", "GENERATOR:INTERNAL=Unix Makefiles"),
                         (cache.read_text(), "nonsense"), (cache.read_text(), "")):
            cache.write_text(cache.read_text().replace(old, new))
            self.builds(folder)

    def test_what_was_configured_stays(self):
        folder = self.project("kept")
        self.builds(folder, "-DMINE=7")
        self.builds(folder)
        self.assertIn("MINE:UNINITIALIZED=7", (folder / "build/release/CMakeCache.txt").read_text())


if __name__ == "__main__":
    main()
