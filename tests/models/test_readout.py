import numpy as np
from numpy.testing import assert_array_equal

from elsa.models import readout

OUTPUT = np.arange(12.0).reshape(2, 2, 3)


def test_attention_is_read_at_the_label_channel_of_every_prompt():
    assert_array_equal(readout.from_attention(OUTPUT), [[2.0, 5.0], [8.0, 11.0]])


def test_a_residual_stream_holds_minus_the_prediction():
    assert_array_equal(readout.from_residual_stream(OUTPUT), [[-2.0, -5.0], [-8.0, -11.0]])
