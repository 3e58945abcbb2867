# Flags that every target shares. No fused multiply-add that the source does not ask for: results
# must not depend on the compiler's taste (the image size formula and all scalar references rely on it).
add_library(lapidary_flags INTERFACE)
target_compile_options(lapidary_flags INTERFACE -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion
                                                -ffp-contract=off)
# Vulkan's structs are made to be named in part: the rest is zero. Linked behind lapidary_flags, as Clang heeds the order.
add_library(lapidary_vulkan_flags INTERFACE)
target_compile_options(lapidary_vulkan_flags INTERFACE -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 sees uninitialised strings in std::variant and overlaps in std::string where there are none; later ones do not.
  target_compile_options(lapidary_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # All objects may stand in a shared library. Calls within a file stay direct and inlined, as Clang has it anyway, and
  # merge_static.py can hide every symbol.
  target_compile_options(lapidary_flags INTERFACE -fno-semantic-interposition -fno-gnu-unique)
endif()
option(LAP_WERROR "Treat warnings as errors" OFF)
if(LAP_WERROR)
  target_compile_options(lapidary_flags INTERFACE -Werror)
endif()
set(LAP_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")
if(LAP_SANITIZE)
  add_compile_options(-fsanitize=${LAP_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g1)
  add_link_options(-fsanitize=${LAP_SANITIZE})
endif()
