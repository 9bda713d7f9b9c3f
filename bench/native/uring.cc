// io_uring: one thread, work deferred until it asks, one multishot receive per connection into
// provided buffers, and one system call per batch, which submits the sends and waits.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <vector>

#include "fail.h"
#include "io.h"
#include "posix/mapping.h"
#include "posix/uring_abi.h"

namespace {

using namespace afunix::posix::uring;  // NOLINT(google-build-using-namespace): it is the ABI
using afunix::posix::Mapping;

constexpr uint32_t kRequests = 4096;
constexpr uint32_t kAnswers = 16'384;
constexpr uint32_t kBuffers = 1024;
// Larger than the message, and no larger than it has to be: all buffers together stay in the cache.
uint32_t BufferSizeFor(size_t message_size) {
  return static_cast<uint32_t>(std::bit_ceil(message_size + 1));
}

Mapping Map(afunix::posix::Result<Mapping> mapping) {
  if (!mapping.ok()) {
    errno = mapping.error().code;
    Check(-1, "mmap");
  }
  return std::move(mapping).value();
}

class UringIo : public Io {
 public:
  explicit UringIo(size_t message_size)
      : buffer_size_(BufferSizeFor(message_size)), buffers_(size_t{kBuffers} * buffer_size_) {
    parameters_.flags = kSingleIssuer | kDeferTaskRun | kSubmitAll | kClamp | kCompletionSize;
    parameters_.completion_entries = kAnswers;
    ring_ = static_cast<int>(
        Check(::syscall(SYS_io_uring_setup, kRequests, &parameters_), "io_uring_setup"));
    if ((parameters_.features & kSingleMapping) == 0) Fail("io_uring of this kernel is too old");
    const auto& requests = parameters_.submission_offsets;
    const auto& answers = parameters_.completion_offsets;
    rings_ = Map(Mapping::Shared(
        ring_, kRingsAt,
        std::max(requests.array + parameters_.submission_entries * sizeof(uint32_t),
                 answers.entries + parameters_.completion_entries * sizeof(Answer))));
    requests_ =
        Map(Mapping::Shared(ring_, kRequestsAt, parameters_.submission_entries * sizeof(Request)));
    for (uint32_t i = 0; i < parameters_.submission_entries; ++i) {
      rings_.At<uint32_t>(requests.array)[i] = i;
    }
    ProvideBuffers();
  }

  void Add(int fd) override {
    const size_t connection = sockets_.size();
    sockets_.push_back(fd);
    messages_.resize(sockets_.size() * buffer_size_);
    Receive(connection);
  }

  // Copies the message to a place that is the connection's own. That place is free: of a
  // connection one message is on its way at a time, and its answer came after it had been sent.
  void Send(size_t connection, std::span<const std::byte> bytes) override {
    if (bytes.size() > buffer_size_) Fail("the message is larger than the buffer");
    std::byte* const message = messages_.data() + connection * buffer_size_;
    std::memcpy(message, bytes.data(), bytes.size());
    Request& request = NextRequest();
    request.operation = kSend;
    request.flags = kNoAnswerOnSuccess;
    request.fd = sockets_[connection];
    request.address = reinterpret_cast<uint64_t>(message);
    request.length = static_cast<uint32_t>(bytes.size());
    request.operation_flags = MSG_NOSIGNAL | MSG_WAITALL;
    request.tag = kSendTag;
  }

  void Turn(Receiver& receiver) override {
    Enter(1);
    const auto& offsets = parameters_.completion_offsets;
    const uint32_t tail = Shared(offsets.tail).load(std::memory_order_acquire);
    uint32_t head = Shared(offsets.head).load(std::memory_order_relaxed);
    for (; head != tail; ++head) {
      Take(rings_.At<Answer>(offsets.entries)[head & (parameters_.completion_entries - 1)],
           receiver);
    }
    Shared(offsets.head).store(head, std::memory_order_release);
    ShareBuffers();
  }

 private:
  static constexpr uint64_t kSendTag = ~uint64_t{0};

  std::atomic_ref<uint32_t> Shared(uint32_t offset) {
    return std::atomic_ref<uint32_t>(*rings_.At<uint32_t>(offset));
  }

  void ProvideBuffers() {
    buffer_ring_ = Map(Mapping::Anonymous(kBuffers * sizeof(Buffer)));
    BufferRegistration registration{};
    registration.ring_address = reinterpret_cast<uint64_t>(buffer_ring_.At<Buffer>(0));
    registration.ring_entries = kBuffers;
    Check(::syscall(SYS_io_uring_register, ring_, kRegisterBufferRing, &registration, 1),
          "io_uring_register");
    for (uint16_t id = 0; id < kBuffers; ++id) Recycle(id);
    ShareBuffers();
  }

  void Recycle(uint16_t id) {
    Buffer& buffer = buffer_ring_.At<Buffer>(0)[buffer_tail_++ % kBuffers];
    buffer.address = reinterpret_cast<uint64_t>(buffers_.data() + size_t{id} * buffer_size_);
    buffer.length = buffer_size_;
    buffer.id = id;
  }

  void ShareBuffers() {
    std::atomic_ref<uint16_t>(buffer_ring_.At<Buffer>(0)->tail)
        .store(buffer_tail_, std::memory_order_release);
  }

  Request& NextRequest() {
    if (request_tail_ - submitted_ == parameters_.submission_entries) Enter(0);
    Request& request =
        requests_.At<Request>(0)[request_tail_++ & (parameters_.submission_entries - 1)];
    request = {};
    return request;
  }

  void Receive(size_t connection) {
    Request& request = NextRequest();
    request.operation = kReceive;
    request.flags = kSelectBuffer;
    request.priority = kReceiveMultishot;
    request.fd = sockets_[connection];
    request.tag = connection;
  }

  void Enter(unsigned wait_for) {
    Shared(parameters_.submission_offsets.tail).store(request_tail_, std::memory_order_release);
    const long taken = ::syscall(SYS_io_uring_enter, ring_, request_tail_ - submitted_, wait_for,
                                 wait_for > 0 ? kGetEvents : 0, nullptr, 0);
    if (taken < 0 && errno == EINTR) return;
    submitted_ += static_cast<uint32_t>(Check(taken, "io_uring_enter"));
  }

  void Take(const Answer& answer, Receiver& receiver) {
    if (answer.tag == kSendTag) {
      errno = -answer.result;
      Check(-1, "send");
    }
    const size_t connection = answer.tag;
    if (answer.result == 0) return receiver.OnEnd(connection);
    if (answer.result > 0) {
      const auto id = static_cast<uint16_t>(answer.flags >> kBufferShift);
      receiver.OnData(connection, {buffers_.data() + size_t{id} * buffer_size_,
                                   static_cast<size_t>(answer.result)});
      Recycle(id);
    } else if (answer.result != -ENOBUFS) {
      errno = -answer.result;
      Check(-1, "recv");
    }
    if ((answer.flags & kHasMore) == 0) Receive(connection);
  }

  int ring_ = -1;
  Parameters parameters_{};
  Mapping rings_;
  Mapping requests_;
  Mapping buffer_ring_;
  uint32_t request_tail_ = 0;
  uint32_t submitted_ = 0;
  uint16_t buffer_tail_ = 0;
  uint32_t buffer_size_;
  std::vector<std::byte> buffers_;
  std::vector<int> sockets_;
  std::vector<std::byte> messages_;
};

}  // namespace

std::unique_ptr<Io> OpenUring(size_t message_size) {
  return std::make_unique<UringIo>(message_size);
}
