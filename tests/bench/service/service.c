// The service that is started, killed and started again, by every supervisor alike: says when its main began, and stays.
//
//   service FILE SLOT     or, in a directory with the links `births` -> FILE and `slot` -> SLOT, without arguments
//
// Linked statically, so that its start is little more than the kernel's part of it. FILE is an array of `struct birth`.

#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct birth {
    uint64_t at;
    uint64_t pid;
};

static const char *link_text(const char *name, char text[PATH_MAX]) {
    ssize_t length = readlink(name, text, PATH_MAX - 1);
    text[length < 0 ? 0 : length] = 0;
    return text;
}

int main(int argc, char **argv) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);

    char file_text[PATH_MAX], slot_text[PATH_MAX];
    const char *path = argc == 3 ? argv[1] : link_text("births", file_text);
    size_t slot = strtoul(argc == 3 ? argv[2] : link_text("slot", slot_text), NULL, 10);
    struct stat stat;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0 || fstat(file, &stat) < 0 || slot >= (size_t)stat.st_size / sizeof(struct birth)) return 2;
    struct birth *births = mmap(NULL, stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (births == MAP_FAILED) return 2;
    births[slot].pid = getpid();
    // last: who sees a new time finds the pid that belongs to it
    __atomic_store_n(&births[slot].at, now.tv_sec * UINT64_C(1000000000) + now.tv_nsec, __ATOMIC_RELEASE);
    munmap(births, stat.st_size);
    close(file);
    for (;;) pause();
}
