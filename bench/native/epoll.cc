// epoll_wait, and one recv and one send per message.
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "fail.h"
#include "io.h"

namespace {

class EpollIo : public Io {
 public:
  EpollIo() : epoll_(static_cast<int>(Check(::epoll_create1(EPOLL_CLOEXEC), "epoll_create1"))) {}

  void Add(int fd) override {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = sockets_.size();
    Check(::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event), "epoll_ctl");
    sockets_.push_back(fd);
  }

  void Send(size_t connection, std::span<const std::byte> bytes) override {
    const long sent =
        Check(::send(sockets_[connection], bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL),
              "send");
    if (static_cast<size_t>(sent) != bytes.size()) Fail("a message was not sent as a whole");
  }

  void Turn(Receiver& receiver) override {
    const int ready = ::epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), -1);
    if (ready < 0 && errno == EINTR) return;
    Check(ready, "epoll_wait");
    for (int i = 0; i < ready; ++i) Receive(events_[static_cast<size_t>(i)].data.u64, receiver);
  }

 private:
  void Receive(size_t connection, Receiver& receiver) {
    const int fd = sockets_[connection];
    const long size = Check(::recv(fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT), "recv");
    if (size > 0) return receiver.OnData(connection, {buffer_.data(), static_cast<size_t>(size)});
    Check(::epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr), "epoll_ctl");
    receiver.OnEnd(connection);
  }

  int epoll_;
  std::vector<int> sockets_;
  std::array<epoll_event, 1024> events_{};
  std::array<std::byte, 64 * 1024> buffer_{};
};

}  // namespace

std::unique_ptr<Io> OpenEpoll(size_t /*message_size*/) { return std::make_unique<EpollIo>(); }
