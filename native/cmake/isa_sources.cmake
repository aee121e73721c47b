# Adds `<folder>/<prefix><instruction set>.cc` to a target for every instruction set compiled for,
# each with the flags of its own.
function(sparsenas_isa_sources target prefix)
  foreach(isa IN LISTS SPARSENAS_ISAS)
    target_sources(${target} PRIVATE ${prefix}${isa}.cc)
    set_source_files_properties(${prefix}${isa}.cc PROPERTIES
      COMPILE_OPTIONS "${SPARSENAS_FLAGS_${isa}}")
  endforeach()
endfunction()
