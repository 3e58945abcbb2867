# lapidary_add_kernel_isa(NAME FLAGS... SOURCES...): one object library compiled for one ISA.
# Always -O2, whatever the build type: at -O0 header inlines of SIMD libraries leak out as weak symbols.
function(lapidary_add_kernel_isa name)
  cmake_parse_arguments(ARG "" "" "FLAGS;SOURCES" ${ARGN})
  add_library(lapidary_kernels_${name} OBJECT ${ARG_SOURCES})
  target_compile_options(lapidary_kernels_${name} PRIVATE -O2 ${ARG_FLAGS})
  target_include_directories(lapidary_kernels_${name} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(lapidary_kernels_${name} PRIVATE lapidary_flags xsimd)
endfunction()
