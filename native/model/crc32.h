// CRC-32 of zlib, PNG and Ethernet (polynomial 0xEDB88320, reflected).
#pragma once

#include <cstddef>
#include <cstdint>

namespace sparsenas {

uint32_t Crc32(const uint8_t* bytes, size_t size);

}  // namespace sparsenas
