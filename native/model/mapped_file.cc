#include "model/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace sparsenas {
namespace {

[[noreturn]] void CannotRead(const std::string& path, const char* reason) {
  Fail("Cannot read '%s': %s.", path.c_str(), reason);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) CannotRead(path, std::strerror(errno));
  struct stat status;
  if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    close(descriptor);
    CannotRead(path, "expected a regular file");
  }
  size_ = static_cast<size_t>(status.st_size);
  if (size_ > 0) {  // An empty mapping is an error of mmap; an empty file is one of the reader's.
    void* mapped = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int error = errno;
    close(descriptor);
    if (mapped == MAP_FAILED) CannotRead(path, std::strerror(error));
    bytes_ = static_cast<const uint8_t*>(mapped);
  } else {
    close(descriptor);
  }
}

MappedFile::~MappedFile() {
  if (bytes_ != nullptr) munmap(const_cast<uint8_t*>(bytes_), size_);
}

}  // namespace sparsenas
