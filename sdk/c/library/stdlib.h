// What plugins and their bindings use of <stdlib.h>. Tests of a plugin are compiled with the machine's own.
#ifndef HOSTLER_STDLIB_H
#define HOSTLER_STDLIB_H
#include <stddef.h>

#define NULL_ON_FAILURE __attribute__((malloc, warn_unused_result))

// Memory is given back all at once, at the end of the call: every call has an instance of its own.
void *malloc(size_t size) NULL_ON_FAILURE;
void *calloc(size_t count, size_t size) NULL_ON_FAILURE;
void *realloc(void *old, size_t size) __attribute__((warn_unused_result));
void free(void *memory);
_Noreturn void abort(void);
long strtol(const char *text, char **end, int base);

#undef NULL_ON_FAILURE
#endif
