"""How an id is made from a time and dice."""

import re

from holdfast_protocol.ids import DICE_BITS, uuid7
from holdfast_protocol.limits import ID_PATTERN


def test_it_is_the_example_of_the_standard():
    """RFC 9562, A.6."""
    dice = 0xCC3 << 62 | 0x18C4DC0C0C07398F
    assert uuid7(0x017F22E279B0, dice) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


def test_ids_sort_by_time_and_fit_the_grammar():
    """Whatever the dice say."""
    least, most = 0, (1 << DICE_BITS) - 1
    assert uuid7(1, most) < uuid7(2, least)
    for dice in (least, most):
        assert re.fullmatch(ID_PATTERN, uuid7(1, dice))
