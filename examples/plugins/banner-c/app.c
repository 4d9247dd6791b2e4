// Health check `banner-c`: connects, and passes when the server greets as it should: `220 ` of a mail server, `SSH-2.0-`, `+OK`, …
#include "hostler.h"
#include "exchange.h"

static const char SCHEMA[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"port\", \"starts_with\"], \"properties\": {"
    "\"host\": {\"type\": \"string\", \"minLength\": 1, \"default\": \"127.0.0.1\", \"description\": \"A name or an address.\"},"
    "\"port\": {\"type\": \"integer\", \"minimum\": 1, \"maximum\": 65535, \"description\": \"The port that greets.\"},"
    "\"send\": {\"type\": \"string\", \"maxLength\": 1024, \"description\": \"Sent first, for servers that wait to be spoken to.\"},"
    "\"starts_with\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 1024, \"description\": \"What the first bytes of the answer have to be.\"}},"
    "\"examples\": [{\"port\": 80, \"send\": \"HEAD / HTTP/1.0\\r\\n\\r\\n\", \"starts_with\": \"HTTP/1.\"}, {\"port\": 22, \"starts_with\": \"SSH-2.0-\"}]}";
static const shape_t SHAPE[] = {
    {"host", JSON_STRING, false}, {"port", JSON_NUMBER, true}, {"send", JSON_STRING, false}, {"starts_with", JSON_STRING, true}};
enum { KEYS = sizeof SHAPE / sizeof *SHAPE };

typedef exports_hostler_plugin_health_check_report_t report_t;

void exports_hostler_plugin_health_check_describe(exports_hostler_plugin_health_check_description_t *ret) {
    static plugin_tuple2_string_string_t needs[1];
    needs[0] = (plugin_tuple2_string_string_t){text("tcp"), text("connects to the hosts and ports that checks name")};
    *ret = (exports_hostler_plugin_health_check_description_t){
        .name = text("banner-c"),
        .version = text("0.1.0"),
        .summary = text("Passes when a server greets as it should."),
        .config_schema = text("{\"type\": \"object\", \"additionalProperties\": false}"),
        .check_schema = text(SCHEMA),
        .needs = {needs, 1},
    };
}

typedef struct {
    text_t host, send, starts_with;
    uint16_t port;
} settings_t;

static problems_t settings_of(text_t document, settings_t *found) {
    json_t *settings;
    problems_t wrong = settings_read(document, SHAPE, KEYS, &settings);
    if (wrong.len) return wrong;
    json_t *host = json_get(settings, "host"), *send = json_get(settings, "send");
    double port = json_get(settings, "port")->number;
    if (!(port >= 1 && port <= 65535) || port != (uint16_t)port) problems_add(&wrong, "/port", text("is no port: 1 to 65535"));
    else found->port = (uint16_t)port;
    found->host = host ? host->string : text("127.0.0.1");
    found->send = send ? send->string : text("");
    found->starts_with = json_get(settings, "starts_with")->string;
    if (found->host.len == 0) problems_add(&wrong, "/host", text("is empty"));
    if (found->starts_with.len == 0 || found->starts_with.len > MOST) problems_add(&wrong, "/starts_with", text("has to have 1 to 1,024 bytes"));
    if (found->send.len > MOST) problems_add(&wrong, "/send", text("has more than 1,024 bytes"));
    return wrong;
}

bool exports_hostler_plugin_health_check_validate(plugin_string_t *settings, exports_hostler_plugin_health_check_list_problem_t *err) {
    settings_t ignored;
    problems_t wrong = settings_of(*settings, &ignored);
    *err = (exports_hostler_plugin_health_check_list_problem_t){wrong.ptr, wrong.len};
    return wrong.len == 0;
}

static uint8_t verdict_of(enum outcome outcome) {
    switch (outcome) {
    case GREETED: return EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_PASS;
    case CHECKER: return EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_UNKNOWN;
    default: return EXPORTS_HOSTLER_PLUGIN_HEALTH_CHECK_VERDICT_FAIL;
    }
}

bool exports_hostler_plugin_health_check_check(exports_hostler_plugin_health_check_target_t *target, plugin_string_t *settings, uint64_t deadline,
                                               report_t *ret, fault_t *err) {
    (void)target;
    settings_t wanted;
    problems_t wrong = settings_of(*settings, &wanted);
    if (wrong.len) return *err = fault_invalid(wrong), false;
    text_t place = textf("%.*s:%u", TEXT(wanted.host), wanted.port), why = text("");
    enum outcome outcome = exchange(wanted.host, wanted.port, wanted.send, wanted.starts_with, deadline, &why);
    if (outcome == DENIED) {
        *err = fault_text(HOSTLER_PLUGIN_TYPES_FAULT_DENIED, textf("%.*s: the grants do not cover it", TEXT(place)));
        return false;
    }
    // what the server said stays here: an answer may be anything
    *ret = (report_t){.verdict = verdict_of(outcome), .message = textf("%.*s %.*s", TEXT(place), TEXT(why))};
    return true;
}
