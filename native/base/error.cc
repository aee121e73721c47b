#include "base/error.h"

#include <cstdarg>
#include <cstdio>
#include <stdexcept>
#include <string>

namespace sparsenas {

void Fail(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  va_list again;
  va_copy(again, arguments);
  const int size = std::vsnprintf(nullptr, 0, format, arguments);
  va_end(arguments);
  std::string message(size < 0 ? 0 : static_cast<size_t>(size), '\0');
  // Writes the closing zero into the string's own.
  std::vsnprintf(message.data(), message.size() + 1, format, again);
  va_end(again);
  throw std::invalid_argument(message);
}

}  // namespace sparsenas
