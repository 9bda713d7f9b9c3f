// Io: one way to wait for many connected sockets and to move bytes over them. A contender is one
// implementation of it, in a file of its own, and a line in main.cc.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

// What happens on the connections, which are numbered from 0 in the order they were added.
class Receiver {
 public:
  virtual ~Receiver() = default;
  // The bytes are lent until it returns.
  virtual void OnData(size_t connection, std::span<const std::byte> bytes) = 0;
  // The peer has closed; nothing more comes from there.
  virtual void OnEnd(size_t connection) = 0;
};

// Used by the thread that opened it, which is also the one that is measured.
class Io {
 public:
  virtual ~Io() = default;
  // A connected, blocking socket; it stays open.
  virtual void Add(int fd) = 0;
  // Sends a whole message. Nothing else of this connection is on its way: there is room for it.
  virtual void Send(size_t connection, std::span<const std::byte> bytes) = 0;
  // Waits until something has happened, and tells the receiver, which may call Send().
  virtual void Turn(Receiver& receiver) = 0;
};

// For messages of `message_size` bytes.
using OpenIo = std::unique_ptr<Io> (*)(size_t message_size);
std::unique_ptr<Io> OpenEpoll(size_t message_size);
std::unique_ptr<Io> OpenUring(size_t message_size);
std::unique_ptr<Io> OpenSpin(size_t message_size);
