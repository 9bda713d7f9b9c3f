// The engine's small parts by themselves: handle table, deadlines, receive area, pending write.
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "engine/budgets.h"
#include "engine/deadlines.h"
#include "engine/handle_table.h"
#include "engine/pending_write.h"
#include "engine/receive_area.h"
#include "engine/stream_socket.h"
#include "support.h"

namespace afunix::engine {
namespace {

using test::Bytes;
using test::Text;

TEST("a table finds what it keeps, by number and by tag") {
  HandleTable table;
  auto owned = std::make_unique<StreamSocket>();
  const StreamSocket* socket = owned.get();
  const int32_t handle = table.Insert(std::move(owned));
  CHECK_EQ(socket->handle, handle);
  CHECK(table.Find(handle) == socket);
  CHECK(table.FindTagged(table.Tag(handle)) == socket);
  CHECK(table.Find(-1) == nullptr);
  CHECK(table.Find(handle + 1) == nullptr);
  CHECK(table.FindTagged(~uint64_t{0}) == nullptr);
}

TEST("an erased number is used again, and its old tag finds nobody") {
  HandleTable table;
  const int32_t handle = table.Insert(std::make_unique<StreamSocket>());
  const uint64_t old_tag = table.Tag(handle);
  table.Erase(handle);
  CHECK(table.Find(handle) == nullptr);
  CHECK(table.FindTagged(old_tag) == nullptr);
  CHECK_EQ(table.Insert(std::make_unique<StreamSocket>()), handle);
  CHECK(table.FindTagged(old_tag) == nullptr);
  CHECK(table.FindTagged(table.Tag(handle)) != nullptr);
}

TEST("what a table keeps stays where it is while the table grows") {
  HandleTable table;
  const int32_t first = table.Insert(std::make_unique<StreamSocket>());
  const Endpoint* endpoint = table.Find(first);
  for (int i = 0; i < 1000; ++i) (void)table.Insert(std::make_unique<StreamSocket>());
  CHECK(table.Find(first) == endpoint);
  size_t count = 0;
  table.ForEach([&](Endpoint&) { ++count; });
  CHECK_EQ(count, 1001u);
}

TEST("deadlines come in the order of their times, and not before") {
  Deadlines deadlines;
  CHECK(!deadlines.Next().has_value());
  CHECK(!deadlines.TakeDue(1'000).has_value());
  deadlines.Add(30, 3);
  deadlines.Add(10, 1);
  deadlines.Add(20, 2);
  CHECK_EQ(*deadlines.Next(), 10);
  CHECK(!deadlines.TakeDue(9).has_value());
  CHECK_EQ(*deadlines.TakeDue(20), 1u);
  CHECK_EQ(*deadlines.TakeDue(20), 2u);
  CHECK(!deadlines.TakeDue(20).has_value());
  CHECK_EQ(*deadlines.Next(), 30);
  deadlines.Clear();
  CHECK(!deadlines.Next().has_value());
}

TEST("claims of the receive area lie side by side, aligned, and end while a whole read fits") {
  std::vector<std::byte> memory(kReceiveAreaSize);
  ReceiveArea area(memory);
  CHECK_EQ(area.Claim(1), 0u);
  CHECK_EQ(area.Claim(8), 8u);
  CHECK_EQ(area.Claim(0), 16u);
  CHECK(area.Room().data() == memory.data() + 16);
  while (area.HasRoom()) {
    CHECK_EQ(area.Room().size(), kReadSize);
    CHECK(area.Room().data() + area.Room().size() <= memory.data() + memory.size());
    (void)area.Claim(kReadSize);
  }
  area.Rewind();
  CHECK_EQ(area.Claim(1), 0u);
}

TEST("a receive area can be claimed to its last byte by whole reads") {
  std::vector<std::byte> memory(kReceiveAreaSize);
  ReceiveArea area(memory);
  size_t reads = 0;
  for (; area.HasRoom(); ++reads) (void)area.Claim(area.Room().size());
  CHECK_EQ(reads, kReceiveAreaSize / kReadSize);
}

TEST("copies that wait are kept in order, whatever was consumed in between") {
  PendingWrite write;
  CHECK(write.empty());
  write.KeepCopy(Bytes("hello "));
  write.Consume(2);
  CHECK_EQ(Text(write.copy()), std::string_view("llo "));
  write.KeepCopy(Bytes("world"));
  CHECK(write.is_copy());
  CHECK_EQ(write.remaining(), 9u);
  CHECK_EQ(Text(write.copy()), std::string_view("llo world"));
  write.Consume(9);
  CHECK(write.empty());
  CHECK(!write.is_copy());
}

TEST("a payload that waits is a position in what somebody else keeps") {
  PendingWrite write;
  write.KeepPayload(100);
  CHECK(!write.is_copy());
  write.Consume(40);
  CHECK_EQ(write.position(), 40u);
  CHECK_EQ(write.remaining(), 60u);
  write.Discard();
  CHECK(write.empty());
  write.KeepCopy(Bytes("next"));
  CHECK_EQ(Text(write.copy()), std::string_view("next"));
}

}  // namespace
}  // namespace afunix::engine
