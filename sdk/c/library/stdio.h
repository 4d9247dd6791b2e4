// What plugins use of <stdio.h>: %s %.*s %c %d %i %u %x and %%, with the lengths l, ll and z, and a width of digits filled with zeros.
#ifndef HOSTLER_STDIO_H
#define HOSTLER_STDIO_H
#include <stdarg.h>
#include <stddef.h>

int snprintf(char *to, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
int vsnprintf(char *to, size_t size, const char *format, va_list values) __attribute__((format(printf, 3, 0)));

#endif
