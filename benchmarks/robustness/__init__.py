"""The server under hostile conditions: one module a scenario, a verdict on each line.

``instance`` runs the server as a process, ``calls`` makes requests and knows their answers,
``load`` sends them from other processes, ``ledger`` keeps the client's books, ``watch`` looks on,
``report`` and ``verdicts`` judge. ``hostile`` and ``framing`` make what no honest client sends.
"""
