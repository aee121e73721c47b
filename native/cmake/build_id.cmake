# Hashes all native sources that decide what a binary does, by name and content, into
# SPARSENAS_BUILD_ID. Changing, adding or removing one configures again.
file(GLOB_RECURSE sources RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/*.cc ${PROJECT_SOURCE_DIR}/*.h ${PROJECT_SOURCE_DIR}/*.inc
  ${PROJECT_SOURCE_DIR}/*.cmake ${PROJECT_SOURCE_DIR}/CMakeLists.txt)
# Tests and benchmarks are in no binary that people run, and no model runs what trains.
list(FILTER sources EXCLUDE REGEX
  "(^|/)(test|bench)\\.cc$|^testing/|^primitives/|^python/primitives\\.")
list(SORT sources)
set(hashes "")
foreach(source IN LISTS sources)
  file(SHA256 ${PROJECT_SOURCE_DIR}/${source} hash)
  string(APPEND hashes "${hash}  ${source}\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${source})
endforeach()
string(SHA256 SPARSENAS_BUILD_ID "${hashes}")
string(SUBSTRING ${SPARSENAS_BUILD_ID} 0 16 SPARSENAS_BUILD_ID)
