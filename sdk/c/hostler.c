// Texts and faults; see hostler.h.
#include "hostler.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *memory(size_t size) {
    void *found = malloc(size ? size : 1);
    // past its limit of memory a plugin ends; the host says why
    if (!found) abort();
    return found;
}

text_t text(const char *words) { return (text_t){(uint8_t *)words, strlen(words)}; }

text_t textf(const char *format, ...) {
    va_list values;
    va_start(values, format);
    int length = vsnprintf(NULL, 0, format, values);
    va_end(values);
    char *words = memory((size_t)length + 1);
    va_start(values, format);
    vsnprintf(words, (size_t)length + 1, format, values);
    va_end(values);
    return (text_t){(uint8_t *)words, (size_t)length};
}

bool text_is(text_t one, const char *words) { return text_same(one, text(words)); }

bool text_same(text_t one, text_t other) { return one.len == other.len && (one.len == 0 || memcmp(one.ptr, other.ptr, one.len) == 0); }

long text_find(text_t whole, text_t part) {
    for (size_t at = 0; at + part.len <= whole.len; at++)
        if (part.len == 0 || memcmp(whole.ptr + at, part.ptr, part.len) == 0) return (long)at;
    return -1;
}

char *text_c(text_t from) {
    char *words = memory(from.len + 1);
    if (from.len) memcpy(words, from.ptr, from.len);
    words[from.len] = 0;
    return words;
}

static json_t *of_kind(json_t *settings, const shape_t *shape) {
    json_t *found = json_get(settings, shape->key);
    return found && found->kind == shape->kind ? found : NULL;
}

static const char *const KINDS[] = {"null", "boolean", "number", "text", "list", "object"};

problems_t settings_read(text_t document, const shape_t *shape, size_t count, json_t **settings) {
    problems_t wrong = {NULL, 0};
    *settings = json_read(document);
    if (!*settings || (*settings)->kind != JSON_OBJECT) {
        problems_add(&wrong, "", text("not a JSON object"));
        *settings = memory(sizeof **settings);
        memset(*settings, 0, sizeof **settings);
        (*settings)->kind = JSON_OBJECT;
        return wrong;
    }
    for (json_t *member = (*settings)->first; member; member = member->next) {
        bool known = false;
        for (size_t i = 0; i < count; i++) known |= text_is(member->key, shape[i].key);
        if (!known) problems_add(&wrong, (char *)textf("/%.*s", TEXT(member->key)).ptr, textf("unknown key `%.*s`", TEXT(member->key)));
    }
    for (size_t i = 0; i < count; i++) {
        const char *at = (char *)textf("/%s", shape[i].key).ptr;
        if (of_kind(*settings, &shape[i])) continue;
        if (json_get(*settings, shape[i].key)) problems_add(&wrong, at, textf("is no %s", KINDS[shape[i].kind]));
        else if (shape[i].required) problems_add(&wrong, at, text("is missing"));
    }
    return wrong;
}

void problems_add(problems_t *problems, const char *at, text_t message) {
    problem_t *all = memory((problems->len + 1) * sizeof *all);
    if (problems->len) memcpy(all, problems->ptr, problems->len * sizeof *all);
    all[problems->len] = (problem_t){.at = text(at), .message = message, .hint = {.is_some = false}};
    *problems = (problems_t){all, problems->len + 1};
}

bool json_texts(const json_t *array, text_t **texts, size_t *count) {
    *texts = NULL;
    *count = 0;
    size_t all = 0;
    for (const json_t *item = array ? array->first : NULL; item; item = item->next) all++;
    *texts = memory(all * sizeof **texts);
    for (const json_t *item = array ? array->first : NULL; item; item = item->next) {
        if (item->kind != JSON_STRING) return false;
        (*texts)[(*count)++] = item->string;
    }
    return true;
}

fault_t fault_invalid(problems_t problems) {
    return (fault_t){.tag = HOSTLER_PLUGIN_TYPES_FAULT_INVALID, .val.invalid = {problems.ptr, problems.len}};
}

fault_t fault_text(uint8_t tag, text_t message) { return (fault_t){.tag = tag, .val.other = message}; }

fault_t fault_unavailable(text_t message) {
    return (fault_t){.tag = HOSTLER_PLUGIN_TYPES_FAULT_UNAVAILABLE, .val.unavailable = {.message = message, .after = {.is_some = false}}};
}

#ifdef HOSTLER_HOST_ERRORS_ERROR_DENIED
fault_t fault_of(const hostler_host_errors_error_t *error) {
    switch (error->tag) {
    case HOSTLER_HOST_ERRORS_ERROR_DENIED: return fault_text(HOSTLER_PLUGIN_TYPES_FAULT_DENIED, error->val.denied);
    case HOSTLER_HOST_ERRORS_ERROR_NOT_FOUND: return (fault_t){.tag = HOSTLER_PLUGIN_TYPES_FAULT_GONE};
    case HOSTLER_HOST_ERRORS_ERROR_CONFLICT: return fault_text(HOSTLER_PLUGIN_TYPES_FAULT_CONFLICT, error->val.conflict);
    case HOSTLER_HOST_ERRORS_ERROR_UNAVAILABLE: return fault_unavailable(error->val.unavailable);
    case HOSTLER_HOST_ERRORS_ERROR_TIMEOUT: return fault_text(HOSTLER_PLUGIN_TYPES_FAULT_INTERRUPTED, text("the deadline passed"));
    case HOSTLER_HOST_ERRORS_ERROR_INVALID: {
        problems_t wrong = {NULL, 0};
        problems_add(&wrong, "", error->val.invalid);
        return fault_invalid(wrong);
    }
    default: return fault_text(HOSTLER_PLUGIN_TYPES_FAULT_OTHER, error->val.other);
    }
}

fault_t fault_unsure(const hostler_host_errors_error_t *error) {
    if (error->tag != HOSTLER_HOST_ERRORS_ERROR_OTHER) return fault_of(error);
    return fault_text(HOSTLER_PLUGIN_TYPES_FAULT_INTERRUPTED, error->val.other);
}
#endif
