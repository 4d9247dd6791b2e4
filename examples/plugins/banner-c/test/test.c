// Runs with `make test`: in the place of a connection stands what the test says. The real one is tested by the project against real servers.
#include "exchange.h"

#include <assert.h>
#include <stdio.h>

static enum outcome outcome;
static text_t asked;

enum outcome exchange(text_t host, uint16_t port, text_t send, text_t expected, uint64_t deadline_ms, text_t *why) {
    asked = textf("%.*s %u %.*s %.*s %d", TEXT(host), port, TEXT(send), TEXT(expected), (int)deadline_ms);
    *why = text("greets somehow");
    return outcome;
}

static bool check(const char *settings, exports_hostler_plugin_health_check_report_t *report, fault_t *fault) {
    exports_hostler_plugin_health_check_target_t target = {0};
    plugin_string_t given = text(settings);
    return exports_hostler_plugin_health_check_check(&target, &given, 900, report, fault);
}

static void refuses(const char *settings, const char *at) {
    exports_hostler_plugin_health_check_list_problem_t wrong;
    plugin_string_t given = text(settings);
    assert(!exports_hostler_plugin_health_check_validate(&given, &wrong) && wrong.len == 1 && text_is(wrong.ptr[0].at, at));
}

int main(void) {
    static const char MAIL[] = "{\"host\": \"mail\", \"port\": 25, \"send\": \"EHLO me\", \"starts_with\": \"220 \"}";
    exports_hostler_plugin_health_check_report_t report;
    fault_t fault;
    assert(check(MAIL, &report, &fault) && report.verdict == EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_PASS);
    assert(text_is(asked, "mail 25 EHLO me 220  900") && text_is(report.message, "mail:25 greets somehow"));
    outcome = TARGET;
    assert(check(MAIL, &report, &fault) && report.verdict == EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_FAIL);
    outcome = CHECKER;
    assert(check(MAIL, &report, &fault) && report.verdict == EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_UNKNOWN);
    outcome = DENIED;
    assert(!check(MAIL, &report, &fault) && fault.tag == HOSTLER_PLUGIN_TYPES_FAULT_DENIED);
    puts("a good target, a bad one and a broken check are told apart");

    assert(check("{\"port\": 22, \"starts_with\": \"SSH-2.0-\"}", &report, &fault) == false && text_is(asked, "127.0.0.1 22  SSH-2.0- 900"));
    puts("the host is this machine unless said otherwise");

    refuses("{\"starts_with\": \"x\"}", "/port");
    refuses("{\"port\": 0, \"starts_with\": \"x\"}", "/port");
    refuses("{\"port\": 22.5, \"starts_with\": \"x\"}", "/port");
    refuses("{\"port\": 70000, \"starts_with\": \"x\"}", "/port");
    refuses("{\"port\": 22, \"starts_with\": \"\"}", "/starts_with");
    refuses("{\"port\": 22, \"starts_with\": \"x\", \"host\": \"\"}", "/host");
    refuses("{\"port\": 22, \"starts_with\": \"x\", \"hots\": \"x\"}", "/hots");
    puts("mistakes are named by their place");
    return 0;
}
