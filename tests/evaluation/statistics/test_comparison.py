"""McNemar's test and Holm's correction against SciPy and loops."""

import numpy as np
import pytest
from scipy import stats

from ops.evaluation.statistics.comparison import holm, mcnemar


class TestMcNemar:
    @pytest.mark.parametrize(("b", "c"), [(0, 1), (1, 0), (5, 5), (3, 14), (200, 260), (1500, 900), (9000, 9100)])
    def test_scipy(self, b: int, c: int) -> None:
        found = mcnemar(b, c)
        assert found[:2] == (b, c)
        assert found.p == pytest.approx(stats.binomtest(b, b + c, 0.5).pvalue, rel=1e-9)
        assert found.chi2 == pytest.approx((abs(b - c) - 1) ** 2 / (b + c) if b != c else 0)
        assert found.p_chi2 == pytest.approx(stats.chi2.sf(found.chi2, 1), rel=1e-9)

    def test_large_samples_agree(self) -> None:
        found = mcnemar(1100, 1000)
        assert found.p == pytest.approx(found.p_chi2, rel=0.01)

    def test_no_difference(self) -> None:
        assert mcnemar(0, 0) == (0, 0, 1.0, 0.0, 1.0)


def test_holm() -> None:
    p = np.random.default_rng(0).random(30) ** 4
    ordered, largest, expected = sorted(enumerate(p), key=lambda item: item[1]), 0.0, {}
    for number, (place, value) in enumerate(ordered):
        largest = max(largest, min(1.0, (len(p) - number) * value))
        expected[place] = largest
    assert np.allclose(holm(p), [expected[i] for i in range(len(p))])
    assert holm(np.array([])).tolist() == []
