// Scratch memory of one thread that grows and stays, so that hot loops allocate nothing.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>
#include <new>

namespace ingot {

class Workspace {
 public:
  // At least `count` T, aligned to 64 bytes; the content is lost when it grows.
  template <class T>
  T* at_least(size_t count) {
    size_t bytes = (count * sizeof(T) + 127) / 64 * 64;
    if (bytes > size_) {
      data_.reset();
      size_ = 0;
      void* fresh = std::aligned_alloc(64, bytes);
      if (!fresh) throw std::bad_alloc();
      data_.reset(fresh);
      size_ = bytes;
    }
    return static_cast<T*>(data_.get());
  }

 private:
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  std::unique_ptr<void, Free> data_;
  size_t size_ = 0;
};

}  // namespace ingot
