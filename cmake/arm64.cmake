# Cross build for arm64 Linux on Debian (g++-aarch64-linux-gnu); tests run under qemu (qemu-user-static).
# Only the kernels and their tests: the other rooms need libraries of the target system.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static -cpu max -L /usr/aarch64-linux-gnu)
# What that processor must be able to run (tests/kernels/select_test.cpp); a level that cannot run fails a test.
set(LAPIDARY_EXPECT_LEVELS neon,neon_dot,neon_i8mm CACHE STRING "Kernel levels that must be built and run")
set(LAP_ONLY_KERNELS ON CACHE BOOL "Build only the kernels and their tests")

# Header-only, but Debian keeps its package file in the folder of the build machine's architecture.
file(GLOB xsimd_folder /usr/lib/*/cmake/xsimd)
set(xsimd_DIR ${xsimd_folder} CACHE PATH "Package file of xsimd")
