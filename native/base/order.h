// The order of things by a number each.
#pragma once

#include <cstddef>
#include <vector>

namespace sparsenas {

// Returns the places 0 to keys.size() - 1, those of smaller keys first, those of equal keys as they
// are. One function for everything that is sorted, out of the way: each copy of std::stable_sort
// takes 2 to 4 KB.
std::vector<size_t> OrderBy(const std::vector<double>& keys);

}  // namespace sparsenas
