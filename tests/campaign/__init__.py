"""The fault campaign: lives of our objects, disturbed at each of their calls, and their ends.

    python -m tests.campaign --classes K,A --seed 1 --json     # or: make campaign

A *scenario* is what users do. Undisturbed it is run once, and its calls are counted. A *point* is
one thing that goes wrong at one of them, or to one object. A *run* is the scenario with it, in
virtual time: our passes, queues, watches, planners and Leases are the real ones; the API server,
the kubelet, the Job's program and the users are played. An *oracle* judges the world that is left.

    calls.py      what a process asks of the API server, and the one place where a fault gets in
    processes.py  operator and planner, put together as their programs do it
    players/      everybody else: Deployments, Jobs, garbage collection, the profiler, users
    world.py      all of them around one server, and what they did
    scenarios.py  what users do
    faults/       one file for each class of faults: which points there are, and what is done there
    oracle.py     what must hold at each moment, and at the end
    plants.py     bugs of ours and of others, put in on purpose: each has to be found
    runner.py     runs of a point, of a class, of a sample
"""
