# Fails if an object file of one instruction set (x86_avx512.cc, ...) defines a weak symbol or calls
# anything of std::. Weak functions are inline ones and templates that other files have too: the
# linker keeps one copy for all, and it might be the one that not every machine can run.
#
#   cmake -DNM=nm "-DOBJECTS=a.o;b.o" -P check_symbols.cmake
set(checked 0)
foreach(object IN LISTS OBJECTS)
  if(NOT object MATCHES "(x86|arm64)_[a-z0-9]+\\.cc\\.o")
    continue()
  endif()
  math(EXPR checked "${checked} + 1")
  execute_process(COMMAND ${NM} ${object} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]* (W|V) [^\n]*|[^\n]* U _ZNK?St[^\n]*" shared "${symbols}")
  if(shared)
    message(SEND_ERROR "${object}: expected no weak symbols and no calls into std::, "
      "found ${shared}; put the function into an anonymous namespace.")
  endif()
endforeach()
if(checked EQUAL 0)
  message(SEND_ERROR "Expected object files of instruction sets, found none.")
endif()
