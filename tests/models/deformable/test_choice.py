"""Which back end a deformable convolution gets, and what the log says of it."""

import logging
import sys
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from ops.models.deformable import choice
from ops.models.deformable.choice import PORTABLE, Call, Verdict, choose, decide
from ops.models.deformable.deform_conv import DeformConv2d, deform_conv2d, use_deform_backend
from ops.models.msn import DSME
from ops.runtime import InputError
from tests.golden_weights import relative_error

triton_ops = pytest.importorskip("ops.models.deformable.triton_ops", reason="Triton is not installed")
pytestmark = pytest.mark.skipif(
    not triton_ops.INTERPRETED, reason="without Triton's interpreter; on a GPU, tests/gpu has these"
)


class Lines(logging.Handler):
    """What the project logs."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    """Nothing is decided yet, and one timed run is enough; what is logged."""
    monkeypatch.setattr(choice, "ROUNDS", 1)
    handler, logger = Lines(), logging.getLogger("msn")
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    remembering = (choice.decide, choice._say_once)  # tests put others in their place
    for cached in remembering:
        cached.cache_clear()
    yield handler.records
    logger.removeHandler(handler)
    logger.setLevel(before)
    for cached in remembering:
        cached.cache_clear()


def a_call(**changes: object) -> Call:
    """A 1 x 1 convolution of a tiny map: the interpreter is slow."""
    settings: dict[str, object] = {
        "kernels": (1,), "shape": (1, 2, 3, 4), "outputs": 3, "types": (torch.float32,) * 3, "product": None,
        "device": torch.device("cpu"), "trains": True, "deterministic": False,
    }  # fmt: skip
    return Call(**{**settings, **changes})


def as_if_it_took(monkeypatch: pytest.MonkeyPatch, *seconds: float) -> None:
    """Times of Triton's tiles, then of the portable back end."""
    given = iter(seconds)
    monkeypatch.setattr(choice, "_seconds", lambda work, device: next(given))


class TestDecide:
    @pytest.mark.parametrize(
        ("seconds", "verdict"),
        [((2, 1, 3), Verdict("triton", triton_ops.TILES[1])), ((2, 3, 1), PORTABLE), ((2, 3, 2), PORTABLE)],
        ids=str,
    )
    def test_the_faster_one_wins_and_one_line_says_so(self, monkeypatch, lines, seconds, verdict) -> None:
        as_if_it_took(monkeypatch, *seconds)
        assert decide("auto", a_call(trains=False)) == verdict
        (line,) = (record.getMessage() for record in lines)
        assert line.startswith("deformable 1 x 1 of 1 x 2 x 3 x 4, float32, testing: triton ")
        assert line.endswith(f"portable {1000 * seconds[-1]:.2f} ms; using {verdict.backend}")

    def test_once_a_call(self, monkeypatch, lines) -> None:
        as_if_it_took(monkeypatch, 1, 2)
        call = a_call(trains=False)
        assert decide("triton", call) == decide("triton", call) == Verdict("triton", triton_ops.TILES[0])
        assert len(lines) == 1 and lines[0].getMessage().endswith("as --deform says")

    @pytest.mark.parametrize("product", [None, torch.bfloat16], ids=str)
    def test_times_and_gradients_are_real(self, lines, product) -> None:
        assert decide("triton", a_call(product=product)).backend == "triton"

    @pytest.mark.parametrize("wanted", ["auto", "triton"])
    @pytest.mark.parametrize("what", ["result", "gradient", "nan"])
    def test_wrong_results_are_found(self, monkeypatch, lines, wanted, what) -> None:
        def wrong(x: Tensor, offset: Tensor, weight: Tensor, bias: Tensor, tile: object) -> Tensor:
            right = choice.deform_conv2d(x, offset, weight, bias)
            if what == "gradient":
                return right + (x - x.detach()).mean(dim=1, keepdim=True)
            return right * (1.001 if what == "result" else torch.nan)

        monkeypatch.setattr(triton_ops, "deform_conv2d", wrong)
        assert decide(wanted, a_call()) == PORTABLE
        (record,) = lines
        assert record.levelname == "WARNING"
        assert "triton failed (its results differ by " in record.getMessage()
        assert record.getMessage().endswith("; using portable")

    def test_what_a_compiler_raises_costs_a_line(self, monkeypatch, lines) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("out of resource: shared memory\nand much more")

        monkeypatch.setattr(triton_ops, "deform_conv2d", fail)
        assert decide("auto", a_call()) == PORTABLE
        assert [r.getMessage().partition(": triton ")[2] for r in lines] == [
            "failed (out of resource: shared memory); using portable"
        ]

    def test_a_tile_that_does_not_fit_costs_nothing(self, monkeypatch, lines) -> None:
        right = triton_ops.deform_conv2d

        def fail_if_large(*inputs: object) -> Tensor:
            if inputs[-1] == triton_ops.TILES[1]:
                raise RuntimeError("out of resource: shared memory")
            return right(*inputs)

        monkeypatch.setattr(triton_ops, "deform_conv2d", fail_if_large)
        assert decide("triton", a_call(trains=False)) == Verdict("triton", triton_ops.TILES[0])

    @pytest.mark.parametrize(
        ("call", "said"),
        [
            (a_call(deterministic=True), "gradients are not deterministic"),
            (a_call(outputs=257), "at most 256 channels, not 257"),
        ],
        ids=["deterministic", "channels"],
    )
    def test_what_it_cannot_do_is_said_once(self, lines, call, said) -> None:
        assert decide("triton", call) == PORTABLE
        decide.cache_clear()
        assert decide("triton", call) == PORTABLE
        (record,) = lines
        assert said in record.getMessage() and record.levelname == "WARNING"

    def test_without_triton(self, monkeypatch, lines) -> None:
        monkeypatch.setitem(sys.modules, "ops.models.deformable.triton_ops", None)
        assert decide("auto", a_call()) == PORTABLE
        assert "Triton cannot be imported" in lines[0].getMessage()

    def test_without_a_gpu(self, monkeypatch, lines) -> None:
        monkeypatch.setattr(triton_ops, "INTERPRETED", False)
        assert decide("triton", a_call()) == PORTABLE
        assert "Triton needs a GPU, this is 'cpu'; using portable" in lines[0].getMessage()


def tensors(dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((1, 2, 3, 4), (1, 2, 3, 4), (3, 2, 1, 1), (3,))
    return tuple(torch.randn(shape, generator=generator).to(dtype) for shape in shapes)


class TestChoose:
    def test_on_a_cpu_auto_is_portable_and_says_nothing(self, lines) -> None:
        x, offset, weight, _ = tensors()
        assert choose("auto", (1,), x, offset, weight, True) == PORTABLE
        assert not lines

    def test_deterministic_algorithms(self, lines) -> None:
        x, offset, weight, _ = tensors()
        torch.use_deterministic_algorithms(True)
        try:
            assert choose("triton", (1,), x, offset, weight, True) == PORTABLE
        finally:
            torch.use_deterministic_algorithms(False)
        assert "not deterministic" in lines[0].getMessage()

    @pytest.mark.parametrize("backend", ["portable", "torchvision", "triton"])
    def test_all_give_the_same(self, backend) -> None:
        expected = deform_conv2d(*tensors(), backend="portable")
        assert relative_error(deform_conv2d(*tensors(), backend=backend), expected) < 2e-6

    def test_torch_compile_decides_while_it_traces(self, lines) -> None:
        def function(*inputs: Tensor) -> Tensor:
            return deform_conv2d(*inputs, backend="triton")

        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        assert torch.equal(compiled(*tensors()), function(*tensors()))
        assert len(lines) == 1


class TestNetwork:
    def test_sets_every_layer(self) -> None:
        module = DSME(16, 2)
        use_deform_backend(module, "torchvision")
        assert {m.backend for m in module.modules() if isinstance(m, DeformConv2d)} == {"torchvision"}

    def test_unknown_name(self) -> None:
        with pytest.raises(
            InputError, match="expected --deform one of auto, portable, triton, torchvision, got 'cuda'"
        ):
            use_deform_backend(DSME(16, 2), "cuda")

    @pytest.fixture
    def both(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], list[list[Tensor]]]:
        """Gates of DS-ME, and gradients: portable, then fused."""
        monkeypatch.setattr(choice, "decide", lambda *_: Verdict("triton", (16, 4)))
        torch.manual_seed(0)
        module = DSME(16, 3).double()
        for align in (module.align3, module.align5):
            torch.nn.init.normal_(align.offset.weight, std=0.2)
            torch.nn.init.constant_(align.offset.bias, 0.3)
        x = torch.randn(3, 16, 3, 5, dtype=torch.float64, requires_grad=True)

        def run(trains: bool) -> list[list[Tensor]]:
            found = []
            for backend in ("portable", "triton"):
                use_deform_backend(module.eval(), backend)
                with torch.set_grad_enabled(trains):
                    gate = module.gate(x)
                gradients = torch.autograd.grad(gate.square().sum(), [x, *module.parameters()]) if trains else ()
                found.append([gate.detach(), *gradients])
            return found

        return run

    @pytest.mark.parametrize("trains", [False, pytest.param(True, marks=pytest.mark.slow)])
    def test_the_fused_kernel_changes_no_result(self, both, trains) -> None:
        portable, fused = both(trains)
        for got, expected in zip(fused, portable, strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-12)
