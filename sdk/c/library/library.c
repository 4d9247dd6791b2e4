// A C library for plugins: memory, strings and snprintf. It calls nothing of the host, so that a component imports what its plugin calls and no more.
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern unsigned char __heap_base;
static const size_t PAGE = 65536;
static uintptr_t next;

// The length of a piece stands before it, so that `realloc` knows how much to copy; both are aligned to 16 bytes.
static const size_t HEAD = 16;

void *malloc(size_t size) {
    if (next == 0) next = ((uintptr_t)&__heap_base + 15) & ~(uintptr_t)15;
    if (size > SIZE_MAX / 2) return NULL;
    size_t whole = HEAD + ((size + 15) & ~(size_t)15);
    size_t held = __builtin_wasm_memory_size(0) * PAGE;
    if (whole > held - next) {
        size_t pages = (whole - (held - next) + PAGE - 1) / PAGE;
        if (__builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return NULL;
    }
    unsigned char *memory = (unsigned char *)next + HEAD;
    *(size_t *)next = size;
    next += whole;
    return memory;
}

void *calloc(size_t count, size_t size) {
    size_t whole;
    if (__builtin_mul_overflow(count, size, &whole)) return NULL;
    void *memory = malloc(whole);
    return memory ? memset(memory, 0, whole) : NULL;
}

void *realloc(void *old, size_t size) {
    if (!old) return malloc(size);
    size_t had = *(size_t *)((unsigned char *)old - HEAD);
    if (size <= had) return old;
    void *memory = malloc(size);
    return memory ? memcpy(memory, old, had) : NULL;
}

void free(void *memory) { (void)memory; }

_Noreturn void abort(void) { __builtin_trap(); }

void *memcpy(void *restrict to, const void *restrict from, size_t length) {
    unsigned char *target = to;
    const unsigned char *source = from;
    while (length--) *target++ = *source++;
    return to;
}

void *memmove(void *to, const void *from, size_t length) {
    unsigned char *target = to;
    const unsigned char *source = from;
    if (target < source) return memcpy(to, from, length);
    while (length--) target[length] = source[length];
    return to;
}

void *memset(void *to, int byte, size_t length) {
    unsigned char *target = to;
    while (length--) *target++ = (unsigned char)byte;
    return to;
}

void *memchr(const void *memory, int byte, size_t length) {
    const unsigned char *at = memory;
    for (; length--; at++)
        if (*at == (unsigned char)byte) return (void *)at;
    return NULL;
}

int memcmp(const void *one, const void *other, size_t length) {
    const unsigned char *a = one, *b = other;
    for (; length--; a++, b++)
        if (*a != *b) return *a - *b;
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length]) length++;
    return length;
}

int strcmp(const char *one, const char *other) { return strncmp(one, other, SIZE_MAX); }

int strncmp(const char *one, const char *other, size_t length) {
    for (; length--; one++, other++)
        if (*one != *other || !*one) return (unsigned char)*one - (unsigned char)*other;
    return 0;
}

char *strchr(const char *text, int byte) {
    for (;; text++) {
        if (*text == (char)byte) return (char *)text;
        if (!*text) return NULL;
    }
}

long strtol(const char *text, char **end, int base) {
    const char *at = text;
    while (*at == ' ' || (*at >= '\t' && *at <= '\r')) at++;
    bool negative = *at == '-';
    if (*at == '-' || *at == '+') at++;
    const char *digits = at;
    long long value = 0;
    for (; ; at++) {
        int digit = *at >= '0' && *at <= '9' ? *at - '0' : (*at | 32) >= 'a' && (*at | 32) <= 'z' ? (*at | 32) - 'a' + 10 : base;
        if (digit >= base) break;
        if (value <= INT64_C(0xffffffff)) value = value * base + digit;
    }
    if (end) *end = (char *)(at == digits ? text : at);
    if (negative) value = -value;
    return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : (long)value;
}

struct writer {
    char *to;
    size_t size, length;
};

static void put(struct writer *out, char byte) {
    if (out->length + 1 < out->size) out->to[out->length] = byte;
    out->length++;
}

static void put_number(struct writer *out, uint64_t value, unsigned base, int width, bool negative) {
    char digits[24];
    int count = 0;
    do digits[count++] = "0123456789abcdef"[value % base];
    while ((value /= base) > 0);
    if (negative) put(out, '-');
    for (int filled = count + negative; filled < width; filled++) put(out, '0');
    while (count) put(out, digits[--count]);
}

static int64_t signed_value(va_list *values, int length) {
    return length == 2 ? va_arg(*values, long long) : length == 1 ? va_arg(*values, long) : va_arg(*values, int);
}

static uint64_t unsigned_value(va_list *values, int length) {
    return length == 2 ? va_arg(*values, unsigned long long) : length == 1 ? va_arg(*values, unsigned long) : va_arg(*values, unsigned);
}

int vsnprintf(char *to, size_t size, const char *format, va_list given) {
    struct writer out = {to, size, 0};
    va_list values;
    va_copy(values, given);
    for (; *format; format++) {
        if (*format != '%') {
            put(&out, *format);
            continue;
        }
        format++;
        int width = 0, most = -1, length = 0;
        while (*format >= '0' && *format <= '9') width = width * 10 + *format++ - '0';
        if (*format == '.') {
            most = *++format == '*' ? va_arg(values, int) : 0;
            if (*format == '*') format++;
            else while (*format >= '0' && *format <= '9') most = most * 10 + *format++ - '0';
        }
        for (; *format == 'l' || *format == 'z'; format++) length++;
        switch (*format) {
        case 's': {
            const char *text = va_arg(values, const char *);
            for (; most != 0 && *text; most--) put(&out, *text++);
            break;
        }
        case 'c': put(&out, (char)va_arg(values, int)); break;
        case 'd':
        case 'i': {
            int64_t value = signed_value(&values, length);
            put_number(&out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 10, width, value < 0);
            break;
        }
        case 'u': put_number(&out, unsigned_value(&values, length), 10, width, false); break;
        case 'x': put_number(&out, unsigned_value(&values, length), 16, width, false); break;
        default: put(&out, *format);
        }
        if (!*format) break;
    }
    va_end(values);
    if (size) to[out.length < size ? out.length : size - 1] = 0;
    return (int)out.length;
}

int snprintf(char *to, size_t size, const char *format, ...) {
    va_list values;
    va_start(values, format);
    int length = vsnprintf(to, size, format, values);
    va_end(values);
    return length;
}
