#include "kernels/pool.h"

#include "base/error.h"

namespace sparsenas {

void CheckPool(const char* op, size_t kernel, size_t stride, size_t padding, size_t height,
               size_t width) {
  if (kernel == 0 || stride == 0)
    Fail("%s: expected a kernel and a stride of at least 1, found %zu and %zu.", op, kernel,
         stride);
  if (padding > kernel / 2)
    Fail("%s: expected at most %zu pixels of padding, half of the kernel, found %zu.", op,
         kernel / 2, padding);
  if (WindowsAlong(height, kernel, stride, padding) == 0 ||
      WindowsAlong(width, kernel, stride, padding) == 0)
    Fail("%s: expected a window to fit in the image, found kernel %zu for %zux%zu pixels.", op,
         kernel, height, width);
}

}  // namespace sparsenas
