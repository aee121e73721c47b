// A file's bytes, mapped for reading.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sparsenas {

class MappedFile {
 public:
  // Fails when the file cannot be opened or is no regular file.
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const uint8_t* bytes() const { return bytes_; }
  size_t size() const { return size_; }

 private:
  const uint8_t* bytes_ = nullptr;
  size_t size_ = 0;
};

}  // namespace sparsenas
