# viewsh_add_plugin(NAME SOURCES...): a plugin that viewsh can load, PROJECT_BINARY_DIR/plugins/NAME.so,
# installed where viewsh looks for plugins. The same for plugins in this tree and, by
# find_package(viewsh), for others.
function(viewsh_add_plugin name)
  add_library(${name} MODULE ${ARGN})
  set_target_properties(${name} PROPERTIES
    PREFIX ""
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON
    LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/plugins)
  target_link_libraries(${name} PRIVATE viewsh::api)
  if(TARGET viewsh_flags)
    target_link_libraries(${name} PRIVATE viewsh_flags)
  endif()
  if(NOT DEFINED VIEWSH_PLUGIN_DESTINATION)
    set(VIEWSH_PLUGIN_DESTINATION ${CMAKE_INSTALL_LIBDIR}/viewsh/plugins)
  endif()
  install(TARGETS ${name} LIBRARY DESTINATION ${VIEWSH_PLUGIN_DESTINATION})
endfunction()
