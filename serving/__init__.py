"""The service: one request from bytes to answer.

``rpc`` admits, times and counts each call, ``service`` says what may be asked, ``inference`` runs
the models. An error leaves by ``raise`` and becomes a status in ``status``. No module here imports
torch, scipy or anything of ``training``. docs/architecture.md tells the story; this is the map.

From a connection to a call::

    listeners    gRPC servers side by side on one port, in one event loop
    connections  settings to gRPC's channel arguments, each with its reason
    ports        the ports: each bound, or not at all and loudly
    claim        a port held for several workers, and for nobody else
    wakeups      an event loop that takes all of gRPC's wake-ups at once

Around every call::

    rpc          the router: what every call passes on its way in and out
    call         one call from its start to its end
    admission    how much may be in work at once
    deadline     the moment after which nobody waits for the answer any more
    abandoned    how a call is ended whose answer nobody takes
    errors       what can go wrong, in the words of the domain
    status       what each error looks like from outside
    health       the standard health service

Who may call::

    security     TLS and tokens, as the settings ask for them
    tls          certificate and key, replaced without a restart
    tokens       which token may call which method
    watched      files whose last good content stays in force

From messages to arrays, and back::

    service      what a request may ask for, and who answers it
    oip/         the same models, by the messages of the Open Inference Protocol
    limits       how much may be asked for
    wire         the request that most callers send, known by its bytes
    pictures     pictures of a request, from message to MNIST form
    images/      files to pixels, pixels to MNIST form
    together     coroutines side by side, of which none outlives the others' failure
    messages     arrays to answers
    fuse         one verdict for several pictures
    pb/          code generated from the .proto files

Running models::

    inference    models run on behalf of requests
    batching     pictures of several requests in one run of the classifier
    crew         pictures of one request drawn by several threads
    pool         threads that take jobs from two lines by turns
    threads      all pools of a process
    model        the five graphs of a profile as functions
    graph        one graph, held to its contract
    runtime      onnxruntime, with its telemetry off

New pictures::

    modes        what each mode of GenerateVariants may ask for, and its plan
    plans        where pictures lie in the latent space, and how they are changed then
    locate       where given pictures lie
    paths        the way from one picture to another
    steering     pictures changed to measure
    noise        the randomness, by seed and row
    drawing      the pictures of a plan that pass the gate

Profiles::

    bundle       what crosses from ``training``: the format of a profile on disk
    files        files that are there whole or not at all
    golden       proof that this machine computes what training did
    profiles     all profiles of a folder, or none
    loader       the one thread in which they are loaded
    catalogue    those in force
    reload       new versions without a restart

Processes::

    __main__     ``python -m serving``
    environment  what the libraries below read from the environment
    command      settings, and who is to act on them
    settings     what can be set, each checked once
    lifecycle    one serving process from its start to its end
    server       what it is made of
    supervisor   several of them behind one port
    supervised   one of several, from its own side
    cpu          how many cores this process may really use
    scheduling   how the kernel shares them among the threads
    heaps        how many heaps the threads share

For who runs it::

    metrics      every metric
    instruments  counters, gauges and histograms on shared cells
    slots        the cells: memory that processes share
    processes    what the operating system says of the processes
    endpoint     the metrics over HTTP
    tracing      spans, for who follows a request through several services
    logs         one line a record
    probe        the container's health probe

For who calls it::

    client/      the typed client, and the command line
"""

__version__ = "0.1.0"
"""The same as in pyproject.toml; the image holds serving without the package's metadata."""
