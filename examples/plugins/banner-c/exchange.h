// One connection over wasi:sockets, within a deadline.
#ifndef EXCHANGE_H
#define EXCHANGE_H
#include "hostler.h"

// Bytes that are sent, and looked at, at most.
enum { MOST = 1024 };

// What came of it, by what it means.
enum outcome {
    GREETED,
    // The server is not there, too slow, or says something else.
    TARGET,
    // The check itself could not be made.
    CHECKER,
    // The grants do not cover it.
    DENIED,
};

// Connects to the first address of `host` that takes it, sends, and reads until the answer begins with `expected` or cannot any more.
// `why` is for people, and has nothing of the answer in it.
enum outcome exchange(text_t host, uint16_t port, text_t send, text_t expected, uint64_t deadline_ms, text_t *why);

#endif
