"""A job in a queue that no worker serves would wait forever, and nobody would be told."""

from finora_adapters.compose import SUBSCRIPTIONS
from finora_adapters.settings import Settings


def test_a_worker_serves_every_queue_unless_told_otherwise() -> None:
    named = {each.queue for each in SUBSCRIPTIONS}
    assert named <= set(Settings(env="test").queue_sizes)
