// Runs with `make test`: the host is played here, its commands answer what the test says.
#include "hostler.h"

#include <assert.h>
#include <stdio.h>

static int code;
static int refusal = -1;

bool hostler_host_commands_run(hostler_host_commands_command_t *command, hostler_host_commands_output_t *ret, hostler_host_commands_error_t *err) {
    // a text is never an option
    assert(text_is(command->program, "/bin/grep") && command->args.len == 6 && text_is(command->args.ptr[2], "-e") && text_is(command->args.ptr[4], "--"));
    if (refusal >= 0) return *err = (hostler_host_commands_error_t){.tag = (uint8_t)refusal, .val.denied = text("refused")}, false;
    *ret = (hostler_host_commands_output_t){.code = {code >= 0, code}};
    return true;
}

static bool check(exports_hostler_plugin_health_check_report_t *report, fault_t *fault) {
    exports_hostler_plugin_health_check_target_t target = {0};
    plugin_string_t given = text("{\"file\": \"/etc/passwd\", \"text\": \"-root:\"}");
    return exports_hostler_plugin_health_check_check(&target, &given, 1000, report, fault);
}

static void judges(int ended, uint8_t verdict) {
    exports_hostler_plugin_health_check_report_t report;
    fault_t fault;
    code = ended;
    assert(check(&report, &fault) && report.verdict == verdict);
}

static void refuses(const char *settings, const char *at) {
    exports_hostler_plugin_health_check_list_problem_t wrong;
    plugin_string_t given = text(settings);
    assert(!exports_hostler_plugin_health_check_validate(&given, &wrong) && wrong.len >= 1 && text_is(wrong.ptr[0].at, at));
}

int main(void) {
    judges(0, EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_PASS);
    judges(1, EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_FAIL);
    judges(2, EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_UNKNOWN);
    judges(-1, EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_UNKNOWN);
    puts("the exit code decides");

    refusal = HOSTLER_HOST_ERRORS_ERROR_UNAVAILABLE;
    judges(0, EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_UNKNOWN);
    puts("not being able to look is unknown");

    refusal = HOSTLER_HOST_ERRORS_ERROR_DENIED;
    exports_hostler_plugin_health_check_report_t report;
    fault_t fault;
    assert(!check(&report, &fault) && fault.tag == HOSTLER_PLUGIN_TYPES_FAULT_DENIED);
    puts("what is not granted is a fault");

    refuses("{\"file\": \"/\"}", "/text");
    refuses("{\"file\": \"/\", \"text\": \"x\", \"txet\": 1}", "/txet");
    refuses("{\"file\": 1, \"text\": \"x\"}", "/file");
    refuses("[1, {\"a\": \"\\u00e9\\ud83d\\ude00\"}]", "");
    refuses("{\"file\": \"/\", \"text\": \"\\ud83d\"}", "");
    refuses("{\"file\": \"/\", \"text\": \"x\"", "");
    refuses("nonsense", "");
    puts("mistakes are named by their place");
    return 0;
}
