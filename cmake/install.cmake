# libquorate for other projects: quorate::quorate, from this tree or by find_package(quorate) after
# `cmake --install`. Static libraries, one per folder; headers keep their folders: #include "runtime/node.h".
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(QUORATE_INSTALL_INCLUDE ${CMAKE_INSTALL_INCLUDEDIR}/quorate)
set(QUORATE_INSTALL_PACKAGE ${CMAKE_INSTALL_LIBDIR}/cmake/quorate)

add_library(quorate_interface INTERFACE)
target_link_libraries(quorate_interface INTERFACE quorate_runtime quorate_registry)
set_target_properties(quorate_interface PROPERTIES EXPORT_NAME quorate)
add_library(quorate::quorate ALIAS quorate_interface)

target_include_directories(quorate_options INTERFACE $<INSTALL_INTERFACE:${QUORATE_INSTALL_INCLUDE}>)
target_compile_features(quorate_options INTERFACE cxx_std_23)

install(TARGETS quorate_options quorate_core quorate_storage quorate_tls quorate_paxos quorate_raft quorate_slots quorate_registry
                quorate_replica quorate_net quorate_runtime quorate_interface
        EXPORT quorateTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library)
install(EXPORT quorateTargets NAMESPACE quorate:: DESTINATION ${QUORATE_INSTALL_PACKAGE} COMPONENT library)
foreach(folder core quorum storage tls models agreement replog registry replica net runtime)
  install(DIRECTORY src/${folder} DESTINATION ${QUORATE_INSTALL_INCLUDE} COMPONENT library
          FILES_MATCHING PATTERN "*.h" PATTERN "test_*.h" EXCLUDE PATTERN "etcd" EXCLUDE)
endforeach()

configure_package_config_file(cmake/quorateConfig.cmake.in ${CMAKE_CURRENT_BINARY_DIR}/quorateConfig.cmake
                              INSTALL_DESTINATION ${QUORATE_INSTALL_PACKAGE})
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/quorateConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/quorateConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/quorateConfigVersion.cmake
              cmake/dependencies.cmake
        DESTINATION ${QUORATE_INSTALL_PACKAGE} COMPONENT library)
