"""Against other model servers: the same ONNX file and the same picture, h2load as client.

Peers answer ModelInfer of the Open Inference Protocol; our service answers those very bytes too,
and Classify beside it.
"""

from pathlib import Path

import numpy as np

from benchmarks.serving.cases import Case
from benchmarks.serving.h2load import Load
from benchmarks.serving.peers.mlserver import VARIANTS, mlserver
from benchmarks.serving.peers.triton import triton
from benchmarks.serving.processes import BenchmarkError
from benchmarks.serving.rounds import Contender, Group
from benchmarks.serving.servers import Server
from benchmarks.serving.stage import Stage
from serving.bundle import CLASSIFIER, discover
from serving.pb import open_inference_pb2 as oip
from serving.runtime import open_session

__all__ = ["LOADS", "groups"]

LOADS = (Load(1, 1), Load(8, 8))
_INSTANCES = (1, 2)


def groups(stage: Stage) -> list[Group]:
    """Return a group for each profile and load; headline is requests a second."""
    return [group for profile in stage.options.profiles for group in _groups(stage, profile)]


def _groups(stage: Stage, profile: str) -> list[Group]:
    [(model, home)] = discover(stage.options.models[profile]).items()
    graph = home / CLASSIFIER
    asked = stage.infer_case(model)
    peers = _peers(stage, profile, model, graph)
    ours = [stage.service(profile, workers=workers) for workers in (1, 2)]
    for server in (*peers, *ours):
        _check_answer(stage, server, asked, graph)
    made = []
    for load in LOADS:
        contenders: list[Contender] = [stage.shooting(peer, asked, load) for peer in peers]
        for server in ours:
            for what, case in (("Classify", stage.cases["raw-1"]), ("ModelInfer", asked)):
                contenders.append(stage.shooting(server, case, load, f"{server.name}, {what}"))
        references = [peer.name for peer in peers]
        title = f"{profile}, {load}"
        made.append(Group("peers", "1 raw picture", title, "rate", references, contenders))
    return made


def _peers(stage: Stage, profile: str, model: str, graph: Path) -> list[Server]:
    started = []
    for place, variant in enumerate(VARIANTS):
        name = f"MLServer, {variant}"
        folder = stage.folder / f"{profile}-mlserver-{place}"
        context = mlserver(name, variant, model, graph, folder)
        started.append(stage.stack.enter_context(context))
    for instances in _INSTANCES:
        name = f"Triton, {instances} instance{'s' if instances > 1 else ''}"
        folder = stage.folder / f"{profile}-triton-{instances}"
        started.append(stage.stack.enter_context(triton(name, instances, model, graph, folder)))
    return started


def _check_answer(stage: Stage, server: Server, case: Case, graph: Path) -> None:
    """Hold the server's probabilities against those of the graph.

    Raises:
        BenchmarkError: they differ.
    """
    expected, _ = open_session(graph.read_bytes()).run(None, {"images": stage.images[:1]})
    answer = oip.ModelInferResponse.FromString(server.ask(case))
    places = {output.name: place for place, output in enumerate(answer.outputs)}
    place = places["probabilities"]
    found = (
        np.frombuffer(answer.raw_output_contents[place], np.float32)
        if answer.raw_output_contents
        else np.array(answer.outputs[place].contents.fp32_contents, np.float32)
    )
    if found.size != expected.size or not np.allclose(found, expected[0], atol=1e-5):
        raise BenchmarkError(f"{server.name}: expected {expected[0]}, found {found}: {answer}")
