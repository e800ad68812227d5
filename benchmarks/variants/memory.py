"""Row 9: what a server holds while it draws, for few pictures and for many.

Each number is asked of a server of its own, which has drawn a little before. Linux keeps the most
memory that a process ever had and forgets it when told to (``man 5 proc``, ``clear_refs``).
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import grpc

from benchmarks.results import keep, page
from benchmarks.robustness.calls import SERVICE
from benchmarks.robustness.instance import serving
from serving.pb import handwriting_pb2 as pb

_COUNTS = (64, 256, 1_000, 4_000, 16_000, 64_000)
_WARM = 1_000
_TIMES = 3
_MIB = 2**20
_FORGET_PEAK = "5"


@dataclass(frozen=True)
class Held:
    """What one request took.

    Attributes:
        count: variants of it, as pixels.
        answer: MiB of the answer.
        before: MiB of resident memory before it.
        most: MiB of it at the most while it was answered, three times.
    """

    count: int
    answer: float
    before: float
    most: float


def write(models: Path, results: Path, command: str) -> str:
    """Ask, write ``memory.json`` and ``memory.md``, and return the latter's text."""
    found = [_ask(models, count) for count in _COUNTS]
    document = {"command": command, "held": [asdict(each) for each in found]}
    rows = [
        f"| {each.count:,} | {each.answer:.1f} | {each.before:.1f} | {each.most:.1f} "
        f"| {each.most - each.before:.1f} |"
        for each in found
    ]
    about = (
        f"Resident memory of a server that has drawn {_WARM:,} before, MiB. The answer itself has "
        "to be held whole, and up to three times while it is put together and sent."
    )
    heads = "| variants, as pixels | answer | before | at the most | more |"
    table = (heads, "|---:|---:|---:|---:|---:|", *rows)
    text = page("Memory, by the number of variants", about, command, table)
    keep(results, "memory", document, text)
    return text


def _ask(models: Path, count: int) -> Held:
    unlimited = (("grpc.max_receive_message_length", -1),)
    with (
        serving("--models", str(models), "--max-count", str(max(_COUNTS))) as server,
        grpc.insecure_channel(server.target, unlimited) as channel,
    ):
        draw = channel.unary_unary(SERVICE + "GenerateVariants", None, None)  # bytes in, bytes out
        for _ in range(_TIMES):
            draw(_request(_WARM))
        process = Path(f"/proc/{server.pid}")
        (process / "clear_refs").write_text(_FORGET_PEAK)
        before = _peak(process)
        answers = [draw(_request(count)) for _ in range(_TIMES)]
        return Held(count, len(answers[0]) / _MIB, before, _peak(process))


def _request(count: int) -> bytes:
    return pb.GenerateVariantsRequest(
        count=count, seed=0, format=pb.IMAGE_FORMAT_RAW, prior=pb.FromPrior()
    ).SerializeToString()


def _peak(process: Path) -> float:
    """Return the most resident memory since it was last forgotten, MiB."""
    lines = (process / "status").read_text().splitlines()
    [kib] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kib) * 1024 / _MIB
