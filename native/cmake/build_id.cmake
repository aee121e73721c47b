# Hashes all native sources that decide how a model runs and how fast, by name and content, into
# SPARSENAS_BUILD_ID: a latency table or a tuned file of one build is not for another. Changing,
# adding or removing one configures again.
set(patterns "")
foreach(folder base kernels model cmake)
  foreach(pattern *.cc *.h *.inc *.cmake CMakeLists.txt)
    list(APPEND patterns ${PROJECT_SOURCE_DIR}/${folder}/${pattern})
  endforeach()
endforeach()
file(GLOB_RECURSE sources RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${patterns})
# Tests and benchmarks are in no binary that people run.
list(FILTER sources EXCLUDE REGEX "(^|/)(test|bench)[a-z_]*\\.cc$")
# What only brings a file into memory decides nothing that is measured: once it is read, every kernel runs on
# weights that were packed by other sources. Nor does this file.
list(FILTER sources EXCLUDE REGEX "^model/(crc32|format|half|mapped_file)\\.(cc|h)$|^cmake/build_id\\.cmake$")
list(SORT sources)
set(hashes "")
foreach(source IN LISTS sources)
  file(SHA256 ${PROJECT_SOURCE_DIR}/${source} hash)
  string(APPEND hashes "${hash}  ${source}\n")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${source})
endforeach()
string(SHA256 SPARSENAS_BUILD_ID "${hashes}")
string(SUBSTRING ${SPARSENAS_BUILD_ID} 0 16 SPARSENAS_BUILD_ID)
