// JSON as the contract hands it over; see hostler.h.
#include "hostler.h"

#include <stdlib.h>
#include <string.h>

// Deeper documents are none that a plugin's settings could be.
enum { DEEPEST = 64 };

struct reader {
    const uint8_t *at, *end;
    bool failed;
};

static json_t *value(struct reader *from, int depth);

static void space(struct reader *from) {
    while (from->at < from->end && (*from->at == ' ' || *from->at == '\t' || *from->at == '\n' || *from->at == '\r')) from->at++;
}

static bool take(struct reader *from, const char *words) {
    size_t length = strlen(words);
    if ((size_t)(from->end - from->at) < length || memcmp(from->at, words, length) != 0) return false;
    from->at += length;
    return true;
}

static unsigned hex(struct reader *from) {
    unsigned found = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t byte = from->at < from->end ? *from->at++ : 0;
        unsigned digit = 16;
        if (byte >= '0' && byte <= '9') digit = byte - '0';
        if ((byte | 32) >= 'a' && (byte | 32) <= 'f') digit = (byte | 32) - 'a' + 10;
        from->failed |= digit == 16;
        found = found * 16 + (digit & 15);
    }
    return found;
}

static size_t utf8(uint8_t *to, unsigned letter) {
    if (letter < 0x80) return to[0] = (uint8_t)letter, 1;
    if (letter < 0x800) return to[0] = (uint8_t)(0xc0 | letter >> 6), to[1] = (uint8_t)(0x80 | (letter & 63)), 2;
    size_t more = letter < 0x10000 ? 2 : 3;
    to[0] = (uint8_t)((more == 2 ? 0xe0 : 0xf0) | letter >> (6 * more));
    for (size_t i = 1; i <= more; i++) to[i] = (uint8_t)(0x80 | (letter >> (6 * (more - i)) & 63));
    return more + 1;
}

// After `\u`: one letter, or two halves of one.
static unsigned letter(struct reader *from) {
    unsigned first = hex(from);
    if (first < 0xd800 || first > 0xdfff) return first;
    unsigned second = first < 0xdc00 && take(from, "\\u") ? hex(from) : 0;
    from->failed |= second < 0xdc00 || second > 0xdfff;
    return 0x10000 + ((first - 0xd800) << 10) + (second & 0x3ff);
}

// After the opening quote.
static text_t string(struct reader *from) {
    text_t found = {malloc((size_t)(from->end - from->at) + 4), 0};
    if (!found.ptr) abort();
    while (from->at < from->end && *from->at != '"' && !from->failed) {
        if (*from->at < ' ') from->failed = true;
        if (*from->at != '\\') {
            found.ptr[found.len++] = *from->at++;
            continue;
        }
        from->at++;
        const char *const names = "\"\\/bfnrt", *const bytes = "\"\\/\b\f\n\r\t";
        const char *name = from->at < from->end && *from->at ? strchr(names, *from->at) : NULL;
        if (name) found.ptr[found.len++] = (uint8_t)bytes[name - names], from->at++;
        else if (take(from, "u")) found.len += utf8(found.ptr + found.len, letter(from));
        else from->failed = true;
    }
    from->failed |= !take(from, "\"");
    return found;
}

static bool digits(struct reader *from, double *number, double *scale) {
    const uint8_t *begin = from->at;
    for (; from->at < from->end && *from->at >= '0' && *from->at <= '9'; from->at++) {
        *number = *number * 10 + (*from->at - '0');
        *scale *= 10;
    }
    return from->at > begin;
}

static double number(struct reader *from) {
    double found = 0, scale = 1, exponent = 0, ignored = 1;
    bool negative = take(from, "-");
    if (!take(from, "0")) from->failed |= !digits(from, &found, &scale);
    scale = 1;
    if (take(from, ".")) from->failed |= !digits(from, &found, &scale);
    found /= scale;
    if (take(from, "e") || take(from, "E")) {
        bool small = take(from, "-");
        if (!small) (void)take(from, "+");
        from->failed |= !digits(from, &exponent, &ignored);
        for (int i = 0; i < exponent && i < 400; i++) found = small ? found / 10 : found * 10;
    }
    return negative ? -found : found;
}

static void members(struct reader *from, json_t *into, bool keyed, const char *close, int depth) {
    json_t **last = &into->first;
    space(from);
    if (take(from, close)) return;
    do {
        text_t key = {NULL, 0};
        space(from);
        if (keyed) {
            from->failed |= !take(from, "\"");
            if (!from->failed) key = string(from);
            space(from);
            from->failed |= !take(from, ":");
        }
        if (from->failed || !(*last = value(from, depth + 1))) return;
        (*last)->key = key;
        last = &(*last)->next;
        space(from);
    } while (take(from, ","));
    from->failed |= !take(from, close);
}

static json_t *value(struct reader *from, int depth) {
    json_t *found = calloc(1, sizeof *found);
    if (!found) abort();
    space(from);
    from->failed |= depth > DEEPEST;
    if (from->failed) return NULL;
    if (take(from, "null")) found->kind = JSON_NULL;
    else if (take(from, "true")) found->kind = JSON_BOOL, found->boolean = true;
    else if (take(from, "false")) found->kind = JSON_BOOL;
    else if (take(from, "\"")) found->kind = JSON_STRING, found->string = string(from);
    else if (take(from, "[")) found->kind = JSON_ARRAY, members(from, found, false, "]", depth);
    else if (take(from, "{")) found->kind = JSON_OBJECT, members(from, found, true, "}", depth);
    else found->kind = JSON_NUMBER, found->number = number(from);
    return from->failed ? NULL : found;
}

json_t *json_read(text_t document) {
    struct reader from = {document.ptr, document.ptr + document.len, false};
    json_t *found = value(&from, 0);
    space(&from);
    return from.failed || from.at != from.end ? NULL : found;
}

json_t *json_get(const json_t *object, const char *key) {
    json_t *found = NULL;
    // of a key that is there twice the last one counts, as everywhere
    for (json_t *member = object->first; member; member = member->next)
        if (text_is(member->key, key)) found = member;
    return found;
}
