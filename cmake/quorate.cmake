# quorate_library(name SOURCES... [DEPENDS targets...]): one folder, one static library, target quorate_<name>.
# quorate_test(name SOURCES... [DEPENDS targets...]): one test program per folder, target <name>_test, run by ctest.

add_library(quorate_options INTERFACE)
target_include_directories(quorate_options INTERFACE $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/src>)
target_compile_options(quorate_options INTERFACE
  "$<BUILD_INTERFACE:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wnon-virtual-dtor;-Werror=return-type>")
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(quorate_options INTERFACE -Wno-maybe-uninitialized)  # g++ 12 cries wolf on std::optional
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's stable_sort uses what it calls deprecated itself; g++ tells of our own uses.
  target_compile_options(quorate_options INTERFACE -Wno-deprecated-declarations)
endif()
if(QUORATE_SANITIZE)
  target_compile_options(quorate_options INTERFACE -fsanitize=${QUORATE_SANITIZE} -fno-omit-frame-pointer
                         -fno-sanitize-recover=all -O1)
  target_link_options(quorate_options INTERFACE -fsanitize=${QUORATE_SANITIZE})
endif()

function(quorate_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(quorate_${name} STATIC ${ARG_SOURCES})
  target_link_libraries(quorate_${name} PUBLIC quorate_options ${ARG_DEPENDS})
endfunction()

function(quorate_test name)
  if(NOT QUORATE_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;DEPENDS" ${ARGN})
  add_executable(${name}_test ${ARG_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name}_test)
  set_property(GLOBAL APPEND PROPERTY QUORATE_TEST_TARGETS ${name}_test)
endfunction()
