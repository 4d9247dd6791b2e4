// Runs with `make test`: the host is played here, its processes are entries of a table.
#include "hostler.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hostler_host_processes_process_t held[4];
static size_t count;

static hostler_host_processes_process_t *find(plugin_string_t key) {
    for (size_t i = 0; i < count; i++)
        if (text_same(held[i].key, key)) return &held[i];
    return NULL;
}

bool hostler_host_processes_spawn(plugin_string_t *key, hostler_host_processes_command_t *command, hostler_host_processes_process_t *ret,
                                  hostler_host_processes_error_t *err) {
    (void)err;
    if (!find(*key)) {
        held[count++] = (hostler_host_processes_process_t){.key = *key, .pid = {true, 7}, .started_at = 1};
        held[count - 1].labels.ptr = malloc(command->labels.len * sizeof *command->labels.ptr);
        memcpy(held[count - 1].labels.ptr, command->labels.ptr, command->labels.len * sizeof *command->labels.ptr);
        held[count - 1].labels.len = command->labels.len;
    }
    *ret = *find(*key);
    return true;
}

bool hostler_host_processes_inspect(plugin_list_string_t *keys, hostler_host_processes_list_option_process_t *ret, hostler_host_processes_error_t *err) {
    (void)err;
    *ret = (hostler_host_processes_list_option_process_t){calloc(keys->len, sizeof *ret->ptr), keys->len};
    for (size_t i = 0; i < keys->len; i++) {
        hostler_host_processes_process_t *found = find(keys->ptr[i]);
        ret->ptr[i].is_some = found != NULL;
        if (found) ret->ptr[i].val = *found;
    }
    return true;
}

bool hostler_host_processes_stop(plugin_string_t *key, plugin_string_t *signal, uint64_t grace, hostler_host_processes_exit_t *ret,
                                 hostler_host_processes_error_t *err) {
    (void)grace;
    hostler_host_processes_process_t *found = find(*key);
    if (!found) return err->tag = HOSTLER_HOST_ERRORS_ERROR_NOT_FOUND, false;
    *ret = (hostler_host_processes_exit_t){.signal = {true, *signal}, .at = 2};
    found->state.tag = HOSTLER_HOST_PROCESSES_STATE_EXITED;
    found->state.val.exited = *ret;
    return true;
}

bool hostler_host_processes_forget(plugin_string_t *key, hostler_host_processes_error_t *err) {
    hostler_host_processes_process_t *found = find(*key);
    if (found && found->state.tag == HOSTLER_HOST_PROCESSES_STATE_RUNNING) {
        err->tag = HOSTLER_HOST_ERRORS_ERROR_CONFLICT;
        err->val.conflict = text("it runs");
        return false;
    }
    if (found) *found = held[--count];
    return true;
}

bool hostler_host_processes_list(hostler_host_processes_list_process_t *ret, hostler_host_processes_error_t *err) {
    (void)err;
    *ret = (hostler_host_processes_list_process_t){held, count};
    return true;
}

bool hostler_host_processes_read_log(plugin_string_t *name, plugin_string_t *cursor, uint32_t *tail, uint32_t most, hostler_host_processes_lines_t *ret,
                                     hostler_host_processes_error_t *err) {
    (void)name, (void)cursor, (void)tail, (void)most, (void)err;
    *ret = (hostler_host_processes_lines_t){.next = text("0")};
    return true;
}

static exports_hostler_plugin_backend_task_t task(const char *digest) {
    return (exports_hostler_plugin_backend_task_t){
        .id = {.id = text("web-0-1"), .workspace = text("default"), .service = text("web"), .run = 1},
        .spec_digest = text(digest),
        .settings = text("{\"program\": \"/bin/sleep\", \"args\": [\"9\"]}"),
    };
}

static uint8_t phase(hostler_plugin_types_handle_t *handle) {
    exports_hostler_plugin_backend_list_handle_t one = {handle, 1};
    exports_hostler_plugin_backend_list_status_t seen;
    fault_t fault;
    assert(exports_hostler_plugin_backend_inspect(&one, &seen, &fault) && seen.len == 1);
    return seen.ptr[0].phase.tag;
}

int main(void) {
    exports_hostler_plugin_backend_task_t wanted = task("d"), other = task("other");
    hostler_plugin_types_handle_t first, second;
    fault_t fault;
    assert(exports_hostler_plugin_backend_start(&wanted, &first, &fault));
    assert(exports_hostler_plugin_backend_start(&wanted, &second, &fault) && count == 1 && second.state.len == first.state.len);
    puts("started twice is one process");

    assert(!exports_hostler_plugin_backend_start(&other, &second, &fault) && fault.tag == HOSTLER_PLUGIN_TYPES_FAULT_CONFLICT);
    puts("other settings are a conflict");

    hostler_plugin_types_status_t ended;
    assert(phase(&first) == HOSTLER_PLUGIN_TYPES_PHASE_RUNNING);
    assert(!exports_hostler_plugin_backend_destroy(&first, false, &fault) && fault.tag == HOSTLER_PLUGIN_TYPES_FAULT_CONFLICT);
    assert(exports_hostler_plugin_backend_stop(&first, NULL, 10, &ended, &fault) && text_is(ended.phase.val.exited.signal.val, "SIGTERM"));
    assert(exports_hostler_plugin_backend_destroy(&first, false, &fault) && phase(&first) == HOSTLER_PLUGIN_TYPES_PHASE_GONE);
    assert(exports_hostler_plugin_backend_destroy(&first, true, &fault));
    puts("a life");

    plugin_string_t typo = text("{\"program\": \"x\", \"agrs\": []}");
    exports_hostler_plugin_backend_list_problem_t wrong;
    assert(!exports_hostler_plugin_backend_validate(&typo, &wrong) && wrong.len == 1 && text_is(wrong.ptr[0].at, "/agrs"));
    puts("unknown settings are refused by their place");
    return 0;
}
