// Mapping: the one owner of a piece of mapped memory. mmap(2).
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <utility>

#include "posix/result.h"

namespace afunix::posix {

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping() {
    if (memory_ != nullptr) ::munmap(memory_, size_);
  }

  // `size` bytes of `fd` from `offset` on, shared with whoever else maps them, readable and
  // writable.
  [[nodiscard]] static Result<Mapping> Shared(int fd, int64_t offset, size_t size) {
    return Map(MAP_SHARED | MAP_POPULATE, fd, offset, size);
  }
  // Zeroed memory of our own.
  [[nodiscard]] static Result<Mapping> Anonymous(size_t size) {
    return Map(MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, size);
  }

  [[nodiscard]] size_t size() const { return size_; }
  template <typename T>
  [[nodiscard]] T* At(size_t offset) const {
    return reinterpret_cast<T*>(static_cast<std::byte*>(memory_) + offset);
  }

 private:
  [[nodiscard]] static Result<Mapping> Map(int flags, int fd, int64_t offset, size_t size) {
    void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, flags, fd, offset);
    if (memory == MAP_FAILED) return LastError();
    Mapping mapping;
    mapping.memory_ = memory;
    mapping.size_ = size;
    return mapping;
  }

  void* memory_ = nullptr;
  size_t size_ = 0;
};

}  // namespace afunix::posix
