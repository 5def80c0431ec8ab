"""--augment: what a specification means, and what is refused."""

import pytest

from ops.data.augmentation.spec import (
    OPERATIONS,
    SETS,
    Blur,
    ColorJitter,
    Grayscale,
    RandAugment,
    RandomErasing,
    describe_augment,
    parse_augment,
)
from ops.runtime.errors import InputError

REFUSED = {
    "rotat": r"expected none, a set \(color, strong\) or operations of randaugment, jitter, .*, got 'rotat'",
    "": "got ''",
    "jitter,": "got ''",
    "none,jitter": "got 'none'",
    "jitter:probability=1.5": "expected probability of jitter in --augment from 0 to 1, got 1.5",
    "erase:probability=-0.1": "expected probability of erase in --augment from 0 to 1, got -0.1",
    "blur:probability=nan": "from 0 to 1, got nan",
    "randaugment:magnitude=31": "expected magnitude of randaugment in --augment from 0 to 30, got 31",
    "randaugment:number=0": "expected number of randaugment in --augment from 1 to 9, got 0",
    "randaugment:number=1.5": "expected number to be a whole number, got '1.5'",
    "randaugment:geometric=yes": "expected geometric to be on or off, got 'yes'",
    "randaugment:magnitude": "expected magnitude to be a number, got ''",
    "randaugment:speed=1": "expected randaugment with magnitude=VALUE, number=VALUE, geometric=VALUE, once each, got "
    "'speed=1'",
    "blur:sigma=1:sigma=2": "once each, got 'sigma=2'",
    "erase:smallest=0.5:largest=0.1": "expected smallest of erase in --augment of at most its largest, got 0.5",
    "strong,erase": "expected each operation once, got erase twice",
}


class TestParse:
    def test_parameters(self) -> None:
        text = "randaugment:magnitude=12:geometric=off,erase:probability=1,grayscale"
        assert parse_augment(text) == (
            RandAugment(magnitude=12, geometric=False), RandomErasing(probability=1), Grayscale()
        )  # fmt: skip

    def test_sets(self) -> None:
        assert parse_augment("none") == ()
        assert parse_augment("color,erase") == (ColorJitter(), Grayscale(), Blur(), RandomErasing())
        assert parse_augment("strong") == (RandAugment(), RandomErasing())

    @pytest.mark.parametrize("text", ["none", *OPERATIONS, *SETS, "randaugment:number=3:geometric=off,blur:sigma=0.5"])
    def test_described_in_full_is_the_same(self, text: str) -> None:
        operations = parse_augment(text)
        assert parse_augment(describe_augment(operations)) == operations

    @pytest.mark.parametrize(("text", "message"), REFUSED.items())
    def test_refused(self, text: str, message: str) -> None:
        with pytest.raises(InputError, match=message) as error:
            parse_augment(text)
        assert "\n" not in str(error.value)
