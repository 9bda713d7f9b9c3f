#include "posix/user_database.h"

#include "check.h"

namespace afunix::posix {
namespace {

TEST("root has a name, and the name its number") {
  const auto user = UserName(0);
  REQUIRE_OK(user);
  REQUIRE(user.value().has_value());
  CHECK_EQ(*user.value(), "root");
  CHECK_EQ(UserId("root").value().value_or(1), 0u);
  CHECK_EQ(GroupName(0).value().value_or(""), "root");
  CHECK_EQ(GroupId("root").value().value_or(1), 0u);
}

TEST("who is not there is none, and no error") {
  const auto user = UserName(4'000'000'001);
  REQUIRE_OK(user);
  CHECK(!user.value().has_value());
  CHECK(!GroupName(4'000'000'001).value().has_value());
  CHECK(!UserId("nobody of this name").value().has_value());
  CHECK(!GroupId("").value().has_value());
}

}  // namespace
}  // namespace afunix::posix
