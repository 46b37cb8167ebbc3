// unix_name PATH: binds a socket to PATH (up to 108 bytes, without a NUL if that is all), connects
// to it, and prints the name that getsockname(2) gives back.
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 2 || strlen(argv[1]) > 108) return 2;
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  size_t size = strlen(argv[1]);
  memcpy(name.sun_path, argv[1], size);
  socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (size < 108));
  int server = socket(AF_UNIX, SOCK_STREAM, 0);
  int client = socket(AF_UNIX, SOCK_STREAM, 0);
  if (bind(server, (struct sockaddr*)&name, length) != 0) return perror("bind"), 1;
  if (listen(server, 1) != 0) return perror("listen"), 1;
  if (connect(client, (struct sockaddr*)&name, length) != 0) return perror("connect"), 1;
  char back[sizeof(name) + 1] = {0};
  length = sizeof(name);
  if (getsockname(server, (struct sockaddr*)back, &length) != 0) return perror("getsockname"), 1;
  printf("%s\n", back + offsetof(struct sockaddr_un, sun_path));
  return 0;
}
