"""The oracle of each network of the family."""

from tests.oracle.msn_oracle import MSNOracle
from tests.oracle.tdn_oracle import TDNOracle
from tests.oracle.tsm_oracle import TSMOracle, TSNOracle

ORACLES = {"msn": MSNOracle, "tdn": TDNOracle, "tsm": TSMOracle, "tsn": TSNOracle}
