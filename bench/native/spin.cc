// recv that never waits, again and again, on one connection: nobody is ever woken.
#include <sys/socket.h>

#include <array>

#include "fail.h"
#include "io.h"

namespace {

class SpinIo : public Io {
 public:
  void Add(int fd) override {
    if (socket_ >= 0) Fail("spinning is for one connection");
    socket_ = fd;
  }

  void Send(size_t, std::span<const std::byte> bytes) override {
    const long sent =
        Check(::send(socket_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL), "send");
    if (static_cast<size_t>(sent) != bytes.size()) Fail("a message was not sent as a whole");
  }

  void Turn(Receiver& receiver) override {
    long size = -1;
    do {
      size = ::recv(socket_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    } while (size < 0 && (errno == EAGAIN || errno == EINTR));
    Check(size, "recv");
    if (size == 0) return receiver.OnEnd(0);
    receiver.OnData(0, {buffer_.data(), static_cast<size_t>(size)});
  }

 private:
  int socket_ = -1;
  std::array<std::byte, 64 * 1024> buffer_{};
};

}  // namespace

std::unique_ptr<Io> OpenSpin(size_t /*message_size*/) { return std::make_unique<SpinIo>(); }
