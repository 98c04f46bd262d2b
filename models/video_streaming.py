"""A video player behind a network path whose capacity nobody logs.

One step is one chunk. The policy sees how full the buffer is, what came before and what sizes are
on offer, and picks a bitrate. The chunk then downloads at a throughput that the path's hidden
capacity and the chunk's own size decide: TCP takes round trips to reach the capacity, so a small
chunk measures less of it. A simulator that replays the logged throughput forgets that, and is
biased towards what the logging policy did. Here the throughput's mechanism is learned, as a
bijection between the capacity and the throughput given chunk and round trip; how the buffer drains
is known, and is written down.

After CausalSim (Alomar et al., NSDI 2023), sections 5 and 6.
"""

import causalsys as cs


class VideoStreaming(cs.SCM):
    """What a streaming service logs of a session, chunk by chunk: 4 s each, a buffer of 10 s."""

    arm = cs.Arm()
    capacity = cs.Latent(cs.Positive("Mbit/s"))
    rtt = cs.Observed(cs.Positive("s"))
    size = cs.Observed(cs.Positive("Mbit", size=6))
    buffer = cs.State(cs.Positive("s"))  # as the policy sees it, before the chunk

    # A policy may look at more than this (past throughputs, sizes to come). It is always replaced,
    # so how it chose need not be learned.
    bitrate = cs.Decision(
        cs.Categorical(range(6)), parents=[arm, buffer, size, rtt], mechanism=cs.Logged()
    )

    @cs.equation(cs.Positive("Mbit"))
    def chunk(size, bitrate):
        return cs.pick(size, bitrate)

    throughput = cs.Observed(
        cs.Positive("Mbit/s"), parents=[capacity, chunk, rtt], mechanism=cs.SplineFlow()
    )

    @cs.equation(cs.Positive("s"))
    def download_time(chunk, throughput):
        return chunk / throughput

    @cs.transition(buffer)
    def play(buffer, download_time):
        return ((buffer - download_time).clamp(min=0) + 4.0).clamp(max=10.0)


def streaming(*, levels: int = 6, chunk_seconds: float = 4.0, cap: float = 10.0) -> type[cs.SCM]:
    """The same model for another service.

    Puffer's chunks are 2.002 s and its buffer holds 15 s: with `log = cs.read_puffer(folder)`, its
    model is `streaming(levels=len(log.formats), chunk_seconds=2.002, cap=15.0)`. To load what was
    saved of it, make it again: `cs.load(path, model=streaming(...))`.

    Args:
        levels: How many bitrates there are.
        chunk_seconds: Seconds of video in a chunk.
        cap: The most seconds that the buffer holds.
    """

    class Streaming(VideoStreaming):
        size = cs.Observed(cs.Positive("Mbit", size=levels))
        bitrate = cs.Decision(
            cs.Categorical(range(levels)),
            parents=["arm", "buffer", size, "rtt"],
            mechanism=cs.Logged(),
        )

        @cs.transition("buffer")
        def play(buffer, download_time):
            return ((buffer - download_time).clamp(min=0) + chunk_seconds).clamp(max=cap)

    return Streaming
