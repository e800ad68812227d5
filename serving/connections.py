"""How gRPC is to treat connections: settings to channel arguments, each with its reason.

The names and their meaning are those of gRPC's own list (grpc/impl/channel_arg_names.h in its
sources) and of its guide to keepalive (https://grpc.io/docs/guides/keepalive/).
"""

from serving.settings import Settings

__all__ = ["channel_arguments"]

ChannelArguments = list[tuple[str, int]]

_NEVER = 2**31 - 1  # gRPC's own word for it


def channel_arguments(settings: Settings, *, servers: int, shared: bool) -> ChannelArguments:
    """Return the arguments for a server that these settings ask for.

    Args:
        settings: the settings in force.
        servers: how many of this process listen on its port, each for its part of the connections.
        shared: whether others of ours listen on its port. Two servers on one port share its
            connections without a word, so those that shall hold a claim on it.
    """
    return [
        ("grpc.so_reuseport", int(shared)),
        *_sizes(settings),
        *_numbers(settings, servers),
        *_lifetime(settings),
        *_keepalive(settings),
    ]


def _sizes(settings: Settings) -> ChannelArguments:
    return [
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        # Answers are bounded by max_count; cutting one off here would be found out too late.
        ("grpc.max_send_message_length", -1),
        # Between the two limits gRPC refuses at random, ever more often; only twice the limit is
        # refused for certain. What is refused costs nothing but its arrival.
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", 2 * settings.max_metadata_bytes),
    ]


def _numbers(settings: Settings, servers: int) -> ChannelArguments:
    return [
        # More connections are closed as they come. Without a limit they would use up the file
        # descriptors, and then the ones that are there suffer too.
        ("grpc.max_allowed_incoming_connections", -(-settings.max_connections // servers)),
        # Each stream may hold a message that is still arriving, which admission cannot see yet.
        ("grpc.max_concurrent_streams", settings.max_streams),
        # Who connects and does not finish the handshake occupies one of the connections.
        ("grpc.server_handshake_timeout_ms", _milliseconds(settings.handshake_timeout)),
    ]


def _lifetime(settings: Settings) -> ChannelArguments:
    """Old connections are asked to leave, so that clients spread over new servers.

    gRPC varies the age by up to a tenth either way, so clients that came together do not return
    together; the grace begins after it and is not varied. Age is announced before it is enforced
    and loses no request. Idleness is not: a request that comes at that very moment is lost
    unless its client retries, hence it is off, and age clears idle connections too.
    """
    return [
        ("grpc.max_connection_idle_ms", _milliseconds_or_never(settings.max_connection_idle)),
        ("grpc.max_connection_age_ms", _milliseconds_or_never(settings.max_connection_age)),
        ("grpc.max_connection_age_grace_ms", _milliseconds(settings.max_connection_grace)),
    ]


def _keepalive(settings: Settings) -> ChannelArguments:
    return [
        # Peers that vanished without a word are found within the sum of these two.
        ("grpc.keepalive_time_ms", _milliseconds(settings.keepalive)),
        ("grpc.keepalive_timeout_ms", _milliseconds(settings.keepalive_timeout)),
        # Clients may ping between requests too; one that pings more often than the interval
        # gets two warnings and is then sent away (ENHANCE_YOUR_CALM, too_many_pings).
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(settings.min_ping_interval)),
        ("grpc.http2.max_ping_strikes", 2),
    ]


def _milliseconds(seconds: float) -> int:
    return max(1, round(1000 * seconds))


def _milliseconds_or_never(seconds: float) -> int:
    return _milliseconds(seconds) if seconds else _NEVER
