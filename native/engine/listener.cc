#include "engine/listener.h"

#include <fcntl.h>

#include "posix/socket.h"

namespace afunix::engine {

void Listener::Reserve() {
  if (reserve_.valid()) return;
  reserve_ = posix::Fd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool Listener::ShedOne() {
  if (!reserve_.valid()) return false;
  reserve_.Reset();
  bool shed = false;
  {
    auto accepted = posix::Accept(fd.get());
    shed = accepted.ok();
  }
  Reserve();
  return shed;
}

}  // namespace afunix::engine
