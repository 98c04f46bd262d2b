"""Jobs of unknown size, routed to servers of unknown speed: the worked example of simulation.

One row of the log is one job, in the order of arrival:

    trace, step   the trace, and the job's number in it
    arm           which routing policy was live: assigned to the trace at random
    gap           ms until the next job arrives
    server        where the job was sent, 0 to 7
    work          ms that the server worked on it
    latency       ms from arrival to completion: the wait in the server's queue, and then `work`

What decides the answer is not in the log. The size of a job is not, nor is the speed of a server;
both are found from what the arms did differently. Nor are the queues: they follow from the rest.

    fitted = LoadBalancer.fit(cs.Traces(log), seed=0)
    simulation = cs.simulate(fitted, cs.Traces(log), policies={"jsq": cs.policies.ShortestQueue()})
    simulation.frames["jsq"]["latency"].mean()

How to read the class is told line by line below; `case_studies/load_balancing` measures it against
a system whose sizes and speeds are known.
"""

import causalsys as cs

SERVERS = 8


class LoadBalancer(cs.SCM):
    """Each job waits its turn on the server that a policy picked for it."""

    # Assigned to traces at random, so the jobs of all arms are alike.
    arm = cs.Arm()

    # Never logged. Sizes come in regimes, so a job's size says something about the next one's.
    job_size = cs.Latent(cs.Positive())

    # The jobs arrive when they arrive, whatever the policy does.
    gap = cs.Observed(cs.Positive("ms"))

    # First come, first served, on each server. Carried from job to job; not a column.
    queues = cs.State(cs.Fifo(SERVERS, "ms"))

    # Policies count jobs; they cannot know how long those will take.
    @cs.equation(cs.Count("jobs", size=SERVERS))
    def waiting(queues):
        """Jobs on each server that are not finished, the one in service included."""
        return queues.waiting

    # The recorded policy is only ever replaced, so nothing about it needs to be learned. That it
    # reads `waiting`, and not the job's size, is what makes sizes and speeds identifiable.
    server = cs.Decision(
        cs.Categorical(range(SERVERS)), parents=[arm, waiting], mechanism=cs.Logged()
    )

    # Twice the size takes twice as long, on every server: work = speed of the server * size.
    work = cs.Observed(cs.Positive("ms"), parents=[job_size, server], mechanism=cs.Multiplicative())

    # Known physics is written, not learned; fitting checks it against the log.
    @cs.equation(cs.Positive("ms"))
    def latency(queues, server, work):
        """What is still to be done on that server, and then the job itself."""
        return queues.wait(server) + work

    # What the next job finds: this one has joined its queue, and `gap` ms have passed.
    @cs.transition(queues)
    def serve(queues, server, work, gap):
        """The queues, one arrival later."""
        return queues.push(server, work).after(gap)
