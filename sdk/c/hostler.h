// What every plugin in C needs beside its bindings: texts, settings and faults. Nothing is ever freed: every call has an instance of its own,
// and its memory ends with it.
#ifndef HOSTLER_H
#define HOSTLER_H

#include <plugin.h>

typedef plugin_string_t text_t;
typedef hostler_plugin_types_problem_t problem_t;
typedef hostler_plugin_types_fault_t fault_t;
typedef struct {
    problem_t *ptr;
    size_t len;
} problems_t;

// A text that is not copied: for literals.
text_t text(const char *words);
// A new text, as by snprintf. A `text_t` is printed by `%.*s` and TEXT(it).
text_t textf(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define TEXT(text) (int)(text).len, (const char *)(text).ptr
bool text_is(text_t text, const char *words);
bool text_same(text_t one, text_t other);
// The place of `part` in `whole`; -1 when it is not in it.
long text_find(text_t whole, text_t part);
// As C's own strings are, with a zero at the end.
char *text_c(text_t text);

// One value of a JSON document.
enum json_kind { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
typedef struct json {
    enum json_kind kind;
    bool boolean;
    double number;
    text_t string;
    // Of an array or an object.
    struct json *first;
    // Within an array or an object; there with the key.
    struct json *next;
    text_t key;
} json_t;

// The document, or NULL when the text is none.
json_t *json_read(text_t document);
// The member of an object, or NULL.
json_t *json_get(const json_t *object, const char *key);

// What one key of the settings has to be.
typedef struct {
    const char *key;
    enum json_kind kind;
    bool required;
} shape_t;

// Reads settings and says all that is wrong with them: keys that are unknown, missing, or of another kind. `settings` is an object in any case.
problems_t settings_read(text_t document, const shape_t *shape, size_t count, json_t **settings);
// The texts of an array; false when something else is in it.
bool json_texts(const json_t *array, text_t **texts, size_t *count);
// One more problem.
void problems_add(problems_t *problems, const char *at, text_t message);

// The request can never work.
fault_t fault_invalid(problems_t problems);
// A fault of one of the cases that say a text: HOSTLER_PLUGIN_TYPES_FAULT_CONFLICT, …_INTERRUPTED, …_DENIED, …_UNSUPPORTED, …_OTHER.
fault_t fault_text(uint8_t tag, text_t message);
// Nothing happened; the host asks again later.
fault_t fault_unavailable(text_t message);
#ifdef HOSTLER_HOST_ERRORS_ERROR_DENIED
// The fault for what a capability answered, so that the host does the right thing next.
fault_t fault_of(const hostler_host_errors_error_t *error);
// The same, of a capability that changes something: what is not known to have done nothing may have happened, and the host has to look.
fault_t fault_unsure(const hostler_host_errors_error_t *error);
#endif

#endif
