"""A video player behind a network path whose capacity nobody logs: the second worked example.

One row of the log is one chunk of video, in the order of a session:

    trace, step       the session, and the chunk's number in it
    arm               which bitrate policy was live: assigned to the session at random
    rtt               s, the path's round trip
    size_0 .. size_5  Mbit, the chunk's size at each bitrate on offer
    bitrate           which of them was picked, 0 to 5
    throughput        Mbit/s that its download reached
    download_time     s
    buffer            s of video waiting to be played, when the chunk was asked for (or when it
                      had come: which of the two, the physics below tells)

What decides the answer is not in the log: the path's capacity. Throughput is no stand-in for it,
since TCP takes round trips to reach the capacity, so that a small chunk measures less of it. A
simulator that replays logged throughputs is biased towards what the logging policy did.

    fitted = VideoStreaming.fit(cs.Traces(log), seed=0)
    simulation = cs.simulate(fitted, cs.Traces(log), policies={"bola": cs.policies.BOLA()})
    simulation.frames["bola"]["buffer"].mean()

After CausalSim (Alomar et al., NSDI 2023); `case_studies/video_streaming` measures it against a
player whose paths are known.
"""

import causalsys as cs


class VideoStreaming(cs.SCM):
    """What a streaming service logs of a session, chunk by chunk: 4 s each, a buffer of 10 s."""

    # Assigned to sessions at random, so the paths of all arms are alike.
    arm = cs.Arm()

    # Never logged. It lasts, so a chunk's capacity says something about the next one's.
    capacity = cs.Latent(cs.Positive("Mbit/s"))

    # The path and the video are what they are, whatever the policy does.
    rtt = cs.Observed(cs.Positive("s"))
    size = cs.Observed(cs.Positive("Mbit", size=6))

    # What the policy finds, before the chunk.
    buffer = cs.State(cs.Positive("s"))

    # A policy may look at more than this (past throughputs, sizes to come), but never at the
    # capacity of this step: that makes it identifiable. It is only ever replaced, so how it chose
    # need not be learned.
    bitrate = cs.Decision(
        cs.Categorical(range(6)), parents=[arm, buffer, size, rtt], mechanism=cs.Logged()
    )

    @cs.equation(cs.Positive("Mbit"))
    def chunk(size, bitrate):
        """The size that was picked."""
        return cs.pick(size, bitrate)

    # A bijection of the capacity, given the rest: it need not be known, and is learned.
    throughput = cs.Observed(
        cs.Positive("Mbit/s"), parents=[capacity, chunk, rtt], mechanism=cs.SplineFlow()
    )

    # Known physics is written, not learned; fitting checks it against the log.
    @cs.equation(cs.Positive("s"))
    def download_time(chunk, throughput):
        """Megabits over megabits a second."""
        return chunk / throughput

    @cs.transition(buffer)
    def play(buffer, download_time):
        """The buffer drains while the chunk is on its way, and then gains it, up to its cap."""
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
