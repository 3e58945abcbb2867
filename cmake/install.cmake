# The library as others find it: one shared and one static library, each with everything of ours inside and only the
# public functions visible (ADR 18), the headers, and the files for find_package and pkg-config.
include(CMakePackageConfigHelpers)
find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)  # merges the static library
find_package(Threads REQUIRED)

set(LAPIDARY_SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set(map ${PROJECT_SOURCE_DIR}/cmake/api.map)
set(library_folder ${PROJECT_BINARY_DIR}/lib)
file(MAKE_DIRECTORY ${library_folder})

# Sets `rooms`, the libraries of ours that a target links, itself first, and `modules`, what they take from pkg-config.
function(lapidary_collect target)
  list(APPEND rooms ${target})
  get_target_property(links ${target} LINK_LIBRARIES)
  foreach(link ${links})
    if(link MATCHES "^(PkgConfig|GIF)::(.+)")
      list(APPEND modules ${CMAKE_MATCH_2})
    elseif(link MATCHES "^lapidary_")
      get_target_property(type ${link} TYPE)
      if(type STREQUAL STATIC_LIBRARY AND NOT link IN_LIST rooms)
        lapidary_collect(${link})
      endif()
    elseif(NOT link MATCHES "^(nlohmann_json::nlohmann_json|Threads::Threads)$")  # headers only; known to both files
      message(FATAL_ERROR "cmake/install.cmake: ${target} links ${link}, and this file does not know how users of the "
                          "static library get it. Take it from pkg-config, or add it here.")
    endif()
  endforeach()
  set(rooms ${rooms} PARENT_SCOPE)
  set(modules ${modules} PARENT_SCOPE)
endfunction()
set(rooms)
set(modules)
lapidary_collect(lapidary_packing)  # the highest room of model/

set(archives)
foreach(room ${rooms})
  list(APPEND archives $<TARGET_FILE:${room}>)
endforeach()
set(LAPIDARY_SYSTEM_LIBRARIES)  # as flags for any linker, which knows the usual folders
foreach(module ${modules})
  list(APPEND LAPIDARY_SYSTEM_LIBRARIES ${${module}_LDFLAGS})
endforeach()
list(TRANSFORM CMAKE_CXX_IMPLICIT_LINK_DIRECTORIES PREPEND -L OUTPUT_VARIABLE usual_folders)
list(REMOVE_ITEM LAPIDARY_SYSTEM_LIBRARIES ${usual_folders})
list(REMOVE_DUPLICATES LAPIDARY_SYSTEM_LIBRARIES)
list(JOIN LAPIDARY_SYSTEM_LIBRARIES " " LAPIDARY_PC_PRIVATE)

file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/shared.cpp CONTENT "// CMake wants a source: the archives have the rest.\n")
add_library(lapidary_shared SHARED ${PROJECT_BINARY_DIR}/shared.cpp)
add_dependencies(lapidary_shared ${rooms})
target_link_libraries(lapidary_shared PRIVATE
  -Wl,--whole-archive ${archives} -Wl,--no-whole-archive ${LAPIDARY_SYSTEM_LIBRARIES} Threads::Threads)
target_link_options(lapidary_shared PRIVATE -Wl,--version-script=${map} -Wl,--no-undefined)
set_target_properties(lapidary_shared PROPERTIES OUTPUT_NAME lapidary VERSION ${PROJECT_VERSION}
  SOVERSION ${LAPIDARY_SOVERSION} LINK_DEPENDS "${map};${archives}" LIBRARY_OUTPUT_DIRECTORY ${library_folder})

set(merge ${PROJECT_SOURCE_DIR}/scripts/merge_static.py)
add_custom_command(OUTPUT ${library_folder}/liblapidary.a
  COMMAND ${Python3_EXECUTABLE} ${merge} --cxx ${CMAKE_CXX_COMPILER} --objcopy ${CMAKE_OBJCOPY} --nm ${CMAKE_NM}
          --ar ${CMAKE_AR} --map ${map} --out ${library_folder}/liblapidary.a ${archives}
  DEPENDS ${rooms} ${map} ${merge} VERBATIM)
add_custom_target(lapidary_merged ALL DEPENDS ${library_folder}/liblapidary.a)

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/lapidary)
configure_package_config_file(cmake/lapidaryConfig.cmake.in ${PROJECT_BINARY_DIR}/lapidaryConfig.cmake
  INSTALL_DESTINATION ${package} PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/lapidaryConfigVersion.cmake COMPATIBILITY SameMinorVersion)
file(RELATIVE_PATH LAPIDARY_PC_TO_PREFIX /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
string(REGEX REPLACE "/$" "" LAPIDARY_PC_TO_PREFIX "${LAPIDARY_PC_TO_PREFIX}")
configure_file(cmake/lapidary.pc.in ${PROJECT_BINARY_DIR}/lapidary.pc @ONLY)

install(TARGETS lapidary_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(FILES ${library_folder}/liblapidary.a DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/lapidary DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${PROJECT_BINARY_DIR}/lapidaryConfig.cmake ${PROJECT_BINARY_DIR}/lapidaryConfigVersion.cmake
        DESTINATION ${package})
install(FILES ${PROJECT_BINARY_DIR}/lapidary.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES LICENSE NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})
