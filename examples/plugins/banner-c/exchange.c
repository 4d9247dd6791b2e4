// See exchange.h. Handles of the host are not given back: they end with the call, as its memory does.
#include "exchange.h"

#include <string.h>

typedef wasi_io_poll_own_pollable_t pollable_t;
typedef wasi_sockets_network_error_code_t code_t;

// Waits for something, or the deadline: true when it is ready.
static bool ready(pollable_t what, pollable_t over) {
    wasi_io_poll_borrow_pollable_t both[] = {wasi_io_poll_borrow_pollable(what), wasi_io_poll_borrow_pollable(over)};
    wasi_io_poll_list_borrow_pollable_t list = {both, 2};
    plugin_list_u32_t found;
    wasi_io_poll_poll(&list, &found);
    return found.len > 0 && found.ptr[0] == 0;
}

static enum outcome trouble(code_t code, text_t *why) {
    switch (code) {
    case WASI_SOCKETS_NETWORK_ERROR_CODE_ACCESS_DENIED: return DENIED;
    case WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_REFUSED: return *why = text("refuses connections"), TARGET;
    case WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_RESET:
    case WASI_SOCKETS_NETWORK_ERROR_CODE_CONNECTION_ABORTED: return *why = text("cut the connection off"), TARGET;
    case WASI_SOCKETS_NETWORK_ERROR_CODE_TIMEOUT: return *why = text("did not answer in time"), TARGET;
    case WASI_SOCKETS_NETWORK_ERROR_CODE_REMOTE_UNREACHABLE: return *why = text("cannot be reached"), TARGET;
    case WASI_SOCKETS_NETWORK_ERROR_CODE_NAME_UNRESOLVABLE:
    case WASI_SOCKETS_NETWORK_ERROR_CODE_PERMANENT_RESOLVER_FAILURE: return *why = text("has a name that does not resolve"), TARGET;
    default: return *why = textf("could not be asked: error %u of the host's sockets", code), CHECKER;
    }
}

// The next address of a name; none left is a name that does not resolve.
static code_t next_address(wasi_sockets_ip_name_lookup_own_resolve_address_stream_t names, pollable_t over, wasi_sockets_network_ip_address_t *address) {
    wasi_sockets_ip_name_lookup_borrow_resolve_address_stream_t stream = wasi_sockets_ip_name_lookup_borrow_resolve_address_stream(names);
    for (;;) {
        wasi_sockets_ip_name_lookup_option_ip_address_t found;
        code_t code;
        if (wasi_sockets_ip_name_lookup_method_resolve_address_stream_resolve_next_address(stream, &found, &code)) {
            if (!found.is_some) return WASI_SOCKETS_NETWORK_ERROR_CODE_NAME_UNRESOLVABLE;
            memcpy(address, &found.val, sizeof *address);
            return WASI_SOCKETS_NETWORK_ERROR_CODE_UNKNOWN;
        }
        if (code != WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK) return code;
        if (!ready(wasi_sockets_ip_name_lookup_method_resolve_address_stream_subscribe(stream), over)) return WASI_SOCKETS_NETWORK_ERROR_CODE_TIMEOUT;
    }
}

static wasi_sockets_network_ip_socket_address_t with_port(const wasi_sockets_network_ip_address_t *address, uint16_t port) {
    wasi_sockets_network_ip_socket_address_t remote = {.tag = address->tag};
    if (address->tag == WASI_SOCKETS_NETWORK_IP_ADDRESS_IPV4) {
        remote.val.ipv4.port = port;
        remote.val.ipv4.address = address->val.ipv4;
    } else {
        remote.val.ipv6.port = port;
        remote.val.ipv6.address = address->val.ipv6;
    }
    return remote;
}

typedef wasi_sockets_tcp_tuple2_own_input_stream_own_output_stream_t streams_t;

static bool connected(const wasi_sockets_network_ip_address_t *address, uint16_t port, wasi_sockets_network_own_network_t network, pollable_t over,
                      streams_t *streams, code_t *code) {
    wasi_sockets_tcp_own_tcp_socket_t own;
    if (!wasi_sockets_tcp_create_socket_create_tcp_socket(address->tag, &own, code)) return false;
    wasi_sockets_tcp_borrow_tcp_socket_t socket = wasi_sockets_tcp_borrow_tcp_socket(own);
    wasi_sockets_network_ip_socket_address_t remote = with_port(address, port);
    if (!wasi_sockets_tcp_method_tcp_socket_start_connect(socket, wasi_sockets_network_borrow_network(network), &remote, code)) return false;
    while (!wasi_sockets_tcp_method_tcp_socket_finish_connect(socket, streams, code)) {
        if (*code != WASI_SOCKETS_NETWORK_ERROR_CODE_WOULD_BLOCK) return false;
        if (!ready(wasi_sockets_tcp_method_tcp_socket_subscribe(socket), over)) return *code = WASI_SOCKETS_NETWORK_ERROR_CODE_TIMEOUT, false;
    }
    return true;
}

static enum outcome listen_for(text_t expected, wasi_io_streams_borrow_input_stream_t input, pollable_t over, text_t *why) {
    uint8_t seen[MOST];
    size_t length = 0;
    while (length < expected.len) {
        plugin_list_u8_t bytes;
        wasi_io_streams_stream_error_t error;
        if (!ready(wasi_io_streams_method_input_stream_subscribe(input), over)) return *why = text("did not greet in time"), TARGET;
        if (!wasi_io_streams_method_input_stream_read(input, expected.len - length, &bytes, &error))
            return *why = text("closed the connection before its greeting"), TARGET;
        memcpy(seen + length, bytes.ptr, bytes.len);
        length += bytes.len;
        if (memcmp(seen, expected.ptr, length) != 0) return *why = text("greets with something else than `starts_with`"), TARGET;
    }
    *why = text("greets as it should");
    return GREETED;
}

enum outcome exchange(text_t host, uint16_t port, text_t send, text_t expected, uint64_t deadline_ms, text_t *why) {
    // a little less than there is: the host ends the call at the deadline, and would say nothing of the target
    uint64_t margin = deadline_ms / 20 < 100 ? deadline_ms / 20 : 100;
    pollable_t over = wasi_clocks_monotonic_clock_subscribe_duration((deadline_ms - margin) * 1000000);
    wasi_sockets_network_own_network_t network = wasi_sockets_instance_network_instance_network();
    wasi_sockets_ip_name_lookup_own_resolve_address_stream_t names;
    code_t code, last = WASI_SOCKETS_NETWORK_ERROR_CODE_UNKNOWN;
    if (!wasi_sockets_ip_name_lookup_resolve_addresses(wasi_sockets_network_borrow_network(network), &host, &names, &code)) return trouble(code, why);
    streams_t streams;
    for (;;) {
        wasi_sockets_network_ip_address_t address;
        code = next_address(names, over, &address);
        // of a name whose addresses all fail, the last one's failure says more than that there are no others
        if (code != WASI_SOCKETS_NETWORK_ERROR_CODE_UNKNOWN) return trouble(last != WASI_SOCKETS_NETWORK_ERROR_CODE_UNKNOWN ? last : code, why);
        if (connected(&address, port, network, over, &streams, &last)) break;
    }
    wasi_io_streams_stream_error_t error;
    plugin_list_u8_t bytes = {send.ptr, send.len};
    if (send.len && !wasi_io_streams_method_output_stream_blocking_write_and_flush(wasi_io_streams_borrow_output_stream(streams.f1), &bytes, &error))
        return *why = text("closed the connection before its greeting"), TARGET;
    return listen_for(expected, wasi_io_streams_borrow_input_stream(streams.f0), over, why);
}
