# What a plugin out of this tree builds against: headers, viewsh::api and viewsh_add_plugin(), found
# by find_package(viewsh).
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(viewsh_config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/viewsh)
set(viewsh_plugin_dir ${CMAKE_INSTALL_LIBDIR}/viewsh/plugins)

set_target_properties(viewsh_api PROPERTIES EXPORT_NAME api)
install(TARGETS viewsh_api EXPORT viewshTargets)
install(EXPORT viewshTargets NAMESPACE viewsh:: DESTINATION ${viewsh_config_dir})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/engine/include/viewsh
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/cmake/viewshConfig.cmake.in ${PROJECT_BINARY_DIR}/viewshConfig.cmake
  INSTALL_DESTINATION ${viewsh_config_dir}
  PATH_VARS viewsh_plugin_dir)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/viewshConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES
  ${PROJECT_BINARY_DIR}/viewshConfig.cmake
  ${PROJECT_BINARY_DIR}/viewshConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/viewsh_plugin.cmake
  DESTINATION ${viewsh_config_dir})
