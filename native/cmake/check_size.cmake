# Whether a file is smaller than it may be.
#
#   cmake -DFILE=PATH -DBELOW=BYTES -P check_size.cmake
file(SIZE "${FILE}" size)
if(size GREATER_EQUAL BELOW)
  message(FATAL_ERROR "Expected ${FILE} to be below ${BELOW} bytes, found ${size}: every device "
    "that is measured gets a copy. `nm --size-sort` of sparsenas-count-runs, which has symbols, "
    "says what takes the room.")
endif()
message(STATUS "${FILE}: ${size} bytes, below ${BELOW}")
